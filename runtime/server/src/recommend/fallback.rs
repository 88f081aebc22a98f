//! What answers when a strategy cannot: what is trending, then what is newest. No sandbox, no model.

use crate::app::App;
use crate::scenario::Release;
use qianmian_core::{Candidates, ItemRow, Page, RequestContext, Scope, Shelf, Source, SourceSpec};

/// A page with one shelf of popular items.
pub(super) fn popular(app: &App, ctx: &RequestContext, release: &Release) -> Page {
    let rows = rows(app, ctx, release, ctx.request.limit as usize);
    let found = rows.into_iter().enumerate().map(|(at, row)| (row, 1.0 / (at + 1) as f32)).collect();
    let slots = Candidates::union(&[("popular".into(), found)]).unwrap_or_default();
    Page { shelves: vec![Shelf { id: "popular".to_owned(), title: String::new(), slots, copies: Vec::new() }] }
}

/// At most `limit` rows without doubles, best first.
pub(super) fn rows(app: &App, ctx: &RequestContext, release: &Release, limit: usize) -> Vec<ItemRow> {
    let catalogue = app.state.catalogue.current();
    let mut rows: Vec<ItemRow> = Vec::with_capacity(limit);
    for source in [Source::Trending(Scope::All), Source::Newest] {
        let spec = SourceSpec {
            name: "popular".to_owned(),
            source,
            limit: limit as u32,
            kinds: release.fallback_kinds.clone(),
        };
        for (row, _) in app.state.folds.retrieve(&catalogue, ctx, &spec) {
            if rows.len() < limit && !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    rows
}
