//! Scoring: a model's features are computed for the whole candidate set and ranked in one call; now and then drift looks on.

use super::LiveReach;
use qianmian_core::{Candidates, Columns, ReachError, RequestContext, Scored, Scoring};
use qianmian_models::Served;

/// Of so many requests one is looked at for drift.
const WATCHED: u64 = 32;

impl Scoring for LiveReach {
    fn score(&self, ctx: &RequestContext, candidates: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        let served = self.models.get(model).ok_or_else(|| ReachError::Unknown {
            what: "model",
            name: model.to_owned(),
            known: self.models.names().join(", "),
        })?;
        score_with(&served, self, ctx, candidates)
    }
}

/// Scores with one version of a model, over features of these columns.
///
/// # Errors
/// What the columns or the model say.
pub(crate) fn score_with(
    served: &Served,
    columns: &dyn Columns,
    ctx: &RequestContext,
    candidates: &Candidates,
) -> Result<Vec<f32>, ReachError> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let table = served.model.plan().table(columns, ctx, candidates)?;
    let mut scores = served
        .model
        .rank_table(&table)
        .map_err(|error| ReachError::Failed { what: format!("model {}", served.name), detail: error.to_string() })?;
    // The seed is a hash; its best bits are spread over all of them.
    if ctx.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) < u64::MAX / WATCHED {
        served.drift.observe(&table.rows(), &scores);
    }
    // What a model could not score sorts last.
    for score in scores.iter_mut().filter(|score| !score.is_finite()) {
        *score = f32::MIN;
    }
    ctx.keep_scored(|| Scored {
        model: served.name.clone(),
        digest: served.digest.clone(),
        names: served.model.features().into(),
        rows: candidates.rows().to_vec(),
        features: table.rows(),
        scores: scores.clone(),
    });
    Ok(scores)
}
