//! What answers when a strategy cannot: what is popular. No sandbox, no model.

use super::ground::Ground;
use crate::scenario::Release;
use qianmian_core::{Candidates, Page, RequestContext, Shelf};

/// A page with one shelf of popular items.
pub(super) fn popular(ground: &dyn Ground, ctx: &RequestContext, release: &Release) -> Page {
    let rows = ground.popular(ctx, &release.fallback_kinds, ctx.request.limit as usize);
    let found = rows.into_iter().enumerate().map(|(at, row)| (row, 1.0 / (at + 1) as f32)).collect();
    let slots = Candidates::union(&[("popular".into(), found)]).unwrap_or_default();
    Page { shelves: vec![Shelf { id: "popular".to_owned(), title: String::new(), slots, copies: Vec::new() }] }
}
