//! What the sandbox may reach: the traits of `core::reach` over the live catalogue, folds, spaces and models.

mod barred;
mod columns;
mod filters;
mod retrieval;
mod scoring;
mod visitor_vector;

pub use barred::Barred;
pub use filters::Filters;
pub(crate) use scoring::score_with;
pub use visitor_vector::{VisitorVector, VisitorVectors};

use qianmian_core::{Reach, ReachError, RequestContext};
use qianmian_index::{Generation, Spaces};
use qianmian_models::Models;
use qianmian_state::{Catalogue, State};
use std::sync::Arc;

/// The live implementation of all three traits.
pub struct LiveReach {
    /// Catalogue and folds.
    pub state: Arc<State>,
    /// Embedding spaces.
    pub spaces: Arc<Spaces>,
    /// Models by name.
    pub models: Arc<Models>,
    /// How each space turns a visitor into a vector.
    pub vectors: Arc<VisitorVectors>,
    /// The filters of sources.
    pub filters: Filters,
    /// What may not be shown now.
    pub barred: Barred,
}

impl LiveReach {
    /// The three traits over one value.
    #[must_use]
    pub fn into_reach(self) -> Reach {
        let live = Arc::new(self);
        Reach { retrieval: Arc::clone(&live) as _, columns: Arc::clone(&live) as _, scoring: live }
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        self.state.catalogue.current()
    }

    fn space(&self, name: &str) -> Result<Arc<Generation>, ReachError> {
        self.spaces.space(name).ok_or_else(|| ReachError::Unknown {
            what: "embedding space",
            name: name.to_owned(),
            known: self.spaces.names().join(", "),
        })
    }

    /// The visitor's vector in `space`, computed once a request; empty when there is nothing to compute it from.
    fn visitor_vector(&self, ctx: &RequestContext, space: &str) -> Result<Arc<Vec<f32>>, ReachError> {
        let generation = self.space(space)?;
        Ok(ctx.memo(&format!("vector:{space}"), || {
            self.vectors.compute(ctx, space, &generation, &self.catalogue(), &self.models).unwrap_or_default()
        }))
    }
}
