//! Scoring: a model's features are columns, gathered for the whole candidate set and ranked in one call.

use super::{LiveReach, feature_matrix};
use crate::ml::ModelHandle;
use qianmian_core::{Candidates, Columns, ReachError, RequestContext, Scoring};

impl Scoring for LiveReach {
    fn score(&self, ctx: &RequestContext, candidates: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        let models = self.models.load();
        let handle = models.get(model).ok_or_else(|| ReachError::Unknown {
            what: "model",
            name: model.to_owned(),
            known: models.keys().cloned().collect::<Vec<_>>().join(", "),
        })?;
        score_with(self, ctx, candidates, handle)
    }
}

/// Scores `candidates` with one model; non-finite outputs become `f32::MIN` and so sort last.
///
/// # Errors
/// A feature that does not exist, or a model that fails.
pub fn score_with(
    columns: &dyn Columns,
    ctx: &RequestContext,
    candidates: &Candidates,
    handle: &ModelHandle,
) -> Result<Vec<f32>, ReachError> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let matrix = feature_matrix(columns, ctx, candidates, handle.features())?;
    let mut scores = handle.model.rank(&matrix, candidates.len()).map_err(|error| ReachError::Failed {
        what: format!("model {}", handle.name),
        detail: error.to_string(),
    })?;
    for score in &mut scores {
        if !score.is_finite() {
            *score = f32::MIN;
        }
    }
    Ok(scores)
}
