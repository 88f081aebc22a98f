//! Columns: `near.*` from the vector spaces, the rest from `state`.

use super::LiveReach;
use qianmian_core::{ColumnValues, Columns, ItemRow, ReachError, RequestContext};
use qianmian_state::fold::Folds;
use std::sync::Arc;

impl Columns for LiveReach {
    fn column(&self, ctx: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        if let Some(space) = name.strip_prefix("near.") {
            let query = self.visitor_vector(ctx, space)?;
            return Ok(ColumnValues::Numbers(if query.is_empty() {
                vec![f32::NAN; rows.len()]
            } else {
                self.space(space)?.dots(&query, rows)
            }));
        }
        if let Some(space) = name.strip_prefix("anchor.near.") {
            let generation = self.space(space)?;
            return Ok(ColumnValues::Numbers(match generation.mean(&ctx.request.items) {
                Some(query) => generation.dots(&query, rows),
                None => vec![f32::NAN; rows.len()],
            }));
        }
        if let Some(space) = name.strip_prefix("anchor.near_last.") {
            let generation = self.space(space)?;
            let last = ctx.request.items.last().and_then(|row| generation.vector(*row));
            return Ok(ColumnValues::Numbers(match last {
                Some(query) => generation.dots(query, rows),
                None => vec![f32::NAN; rows.len()],
            }));
        }
        self.state.folds.column(&self.catalogue(), ctx, rows, name).ok_or_else(|| ReachError::Unknown {
            what: "column",
            name: name.to_owned(),
            known: Folds::names().join(", "),
        })
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        let catalogue = self.catalogue();
        rows.iter().map(|row| Arc::clone(&catalogue.ids[row.index()])).collect()
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        let catalogue = self.catalogue();
        ids.iter().map(|id| catalogue.live_row(id)).collect()
    }

    fn vectors(&self, rows: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError> {
        let generation = self.space(space)?;
        let mut vectors = Vec::with_capacity(rows.len() * generation.dim());
        generation.gather(rows, &mut vectors);
        Ok((vectors, generation.dim()))
    }
}
