//! Sources: embeddings here, everything folded from events in `state`.

use super::visitor_vector::interests;
use super::{LiveReach, VisitorVector};
use qianmian_core::{ItemRow, ReachError, RequestContext, Retrieval, Source, SourceSpec};
use qianmian_index::{Filter, Interest, Query};
use qianmian_state::Catalogue;
use std::sync::Arc;

impl Retrieval for LiveReach {
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        let catalogue = self.catalogue();
        let filter = |kinds| self.filters.get(&catalogue, &self.state.folds, spec.filter.as_deref(), kinds);
        match &spec.source {
            Source::NearVisitor { space } => {
                if let VisitorVector::Interests { most } = self.vectors.recipe(space) {
                    let interests = interests(&ctx.visitor, &*self.space(space)?, most);
                    return self.near(ctx, spec, space, &interests, (&catalogue, filter(&spec.kinds)?));
                }
                let query = self.visitor_vector(ctx, space)?;
                self.near(ctx, spec, space, &one(&query), (&catalogue, filter(&spec.kinds)?))
            }
            Source::NearItems { space } => {
                let query = self.space(space)?.mean(&ctx.request.items).unwrap_or_default();
                self.near(ctx, spec, space, &one(&query), (&catalogue, filter(&spec.kinds)?))
            }
            _ => Ok(self.state.folds.retrieve(&catalogue, ctx, spec, filter(&[])?.as_ref().map(Filter::words))),
        }
    }
}

impl LiveReach {
    fn near(
        &self,
        ctx: &RequestContext,
        spec: &SourceSpec,
        space: &str,
        interests: &[Interest],
        (catalogue, filter): (&Arc<Catalogue>, Option<Filter>),
    ) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        let Some(first) = interests.first() else { return Ok(Vec::new()) };
        let barred = self.barred.get(catalogue, ctx);
        let (items, exclude) = (&ctx.request.items, &ctx.request.exclude);
        let others = |row: ItemRow| !items.contains(&row) && !exclude.contains(&row);
        let keep = (!items.is_empty() || !exclude.is_empty()).then_some(&others as &dyn Fn(ItemRow) -> bool);
        let limit = spec.limit as usize;
        let query = Query { filter: filter.as_ref(), barred: Some(&barred), keep, ..Query::new(&first.vector, limit) };
        let generation = self.space(space)?;
        let found = match interests {
            [_] => generation.find(&query).map(|found| (found.rows, vec![found.plan])),
            _ => generation
                .find_shared(interests, &query)
                .map(|(shared, plans)| (shared.into_iter().map(|found| (found.row, found.score)).collect(), plans)),
        };
        let (mut rows, plans) = found
            .map_err(|error| ReachError::Failed { what: format!("search in {space}"), detail: error.to_string() })?;
        // Rows that came since the catalogue was looked at are of nobody's knowledge yet.
        rows.retain(|(row, _)| row.index() < catalogue.len());
        if ctx.request.explain {
            for (plan, interest) in plans.iter().zip(interests) {
                let share =
                    if plans.len() > 1 { format!(" ({:.2} of the visitor)", interest.weight) } else { String::new() };
                ctx.note(format!("{}{share}: {} of {} in {space}, {plan}", spec.name, rows.len(), spec.limit));
            }
        }
        Ok(rows)
    }
}

/// The only interest there is; none without a vector.
fn one(query: &[f32]) -> Vec<Interest> {
    if query.is_empty() { Vec::new() } else { vec![Interest { vector: query.to_vec(), weight: 1.0 }] }
}
