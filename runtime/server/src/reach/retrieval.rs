//! Sources: embeddings here, everything folded from events in `state`.

use super::LiveReach;
use qianmian_core::{ItemRow, ReachError, RequestContext, Retrieval, Source, SourceSpec};
use qianmian_index::Mode;
use qianmian_state::sources::Gate;

impl Retrieval for LiveReach {
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        match &spec.source {
            Source::NearVisitor { space } => {
                let query = self.visitor_vector(ctx, space)?;
                self.near(ctx, spec, space, &query)
            }
            Source::NearItems { space } => {
                let query = self.space(space)?.mean(&ctx.request.items).unwrap_or_default();
                self.near(ctx, spec, space, &query)
            }
            _ => Ok(self.state.folds.retrieve(&self.catalogue(), ctx, spec)),
        }
    }
}

impl LiveReach {
    fn near(
        &self,
        ctx: &RequestContext,
        spec: &SourceSpec,
        space: &str,
        query: &[f32],
    ) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let catalogue = self.catalogue();
        let gate = Gate::new(&catalogue, ctx);
        let keep = |row: ItemRow| {
            (spec.kinds.is_empty() || spec.kinds.contains(&catalogue.kind[row.index()]))
                && !ctx.request.items.contains(&row)
                && !ctx.request.exclude.contains(&row)
                && gate.check(row).is_ok()
        };
        self.space(space)?
            .search(query, spec.limit as usize, Some(&keep), Mode::Auto)
            .map_err(|error| ReachError::Failed { what: format!("search in {space}"), detail: error.to_string() })
    }
}
