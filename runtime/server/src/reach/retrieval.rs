//! Sources: embeddings here, everything folded from events in `state`.

use super::LiveReach;
use qianmian_core::{ItemRow, ReachError, RequestContext, Retrieval, Source, SourceSpec};
use qianmian_index::{Filter, Query};
use qianmian_state::sources::Gate;

impl Retrieval for LiveReach {
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        let catalogue = self.catalogue();
        let filter = spec.filter.as_ref().map(|condition| self.filters.get(&catalogue, &self.state.folds, condition));
        let filter = filter.transpose()?;
        match &spec.source {
            Source::NearVisitor { space } => {
                let query = self.visitor_vector(ctx, space)?;
                self.near(ctx, spec, space, &query, filter.as_ref())
            }
            Source::NearItems { space } => {
                let query = self.space(space)?.mean(&ctx.request.items).unwrap_or_default();
                self.near(ctx, spec, space, &query, filter.as_ref())
            }
            _ => Ok(self.state.folds.retrieve(&catalogue, ctx, spec, filter.as_ref().map(Filter::words))),
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
        filter: Option<&Filter>,
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
        let query = Query { filter, keep: Some(&keep), ..Query::new(query, spec.limit as usize) };
        let found = self
            .space(space)?
            .find(&query)
            .map_err(|error| ReachError::Failed { what: format!("search in {space}"), detail: error.to_string() })?;
        if ctx.request.explain {
            ctx.note(format!("{}: {} of {} in {space}, {}", spec.name, found.rows.len(), spec.limit, found.plan));
        }
        Ok(found.rows)
    }
}
