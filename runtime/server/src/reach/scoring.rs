//! Scoring: a model's features are columns, gathered for the whole candidate set and ranked in one call.

use super::LiveReach;
use qianmian_core::{Candidates, ReachError, RequestContext, Scoring};

impl Scoring for LiveReach {
    fn score(&self, ctx: &RequestContext, candidates: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        let served = self.models.get(model).ok_or_else(|| ReachError::Unknown {
            what: "model",
            name: model.to_owned(),
            known: self.models.names().join(", "),
        })?;
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let matrix = served.model.plan().matrix(self, ctx, candidates)?;
        let mut scores = served
            .model
            .rank(&matrix, candidates.len())
            .map_err(|error| ReachError::Failed { what: format!("model {model}"), detail: error.to_string() })?;
        // What a model could not score sorts last.
        for score in scores.iter_mut().filter(|score| !score.is_finite()) {
            *score = f32::MIN;
        }
        Ok(scores)
    }
}
