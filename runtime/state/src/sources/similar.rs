//! What goes together with the request's items or with the visitor's history, summed over neighbour lists.

use crate::fold::decay::{days, fade};
use crate::fold::{Folds, Relation};
use qianmian_core::{ItemHistory, ItemRow, RequestContext, TimeMs};
use std::sync::Arc;

/// Items of a history that are used: those with the most weight.
const HISTORY: usize = 400;
/// Anchors that are used: the last ones.
const ANCHORS: usize = 100;
/// Days after which an item of the history weighs half.
const HISTORY_HALF_LIFE: f64 = 90.0;
/// What each anchor weighs against the one put into the cart after it.
const ANCHOR_FADE: f32 = 0.9;

/// How much an item of the history counts: `log(1 + orders + carts / 2 + views / 4)`, halved every 90 days since it was
/// last touched. Items that were only shown count nothing.
pub(crate) fn weight(history: &ItemHistory, now: TimeMs) -> f32 {
    let interest = history.orders as f32 + history.carts as f32 / 2.0 + history.views as f32 / 4.0;
    // A rating, for example: known, but neither looked at nor bought here.
    let interest = if interest == 0.0 && history.last > 0 { 0.25 } else { interest };
    interest.ln_1p() * fade(days(now, history.last), HISTORY_HALF_LIFE) as f32
}

/// The items a source starts from, with their weights, in an order that does not depend on how they are stored.
pub(super) fn history_basis(ctx: &RequestContext) -> Vec<(ItemRow, f32)> {
    let mut basis: Vec<(ItemRow, f32)> = ctx
        .visitor
        .items
        .iter()
        .map(|(row, history)| (*row, weight(history, ctx.now)))
        .filter(|(_, weight)| *weight > 0.0)
        .collect();
    let order = |a: &(ItemRow, f32), b: &(ItemRow, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if basis.len() > HISTORY {
        basis.select_nth_unstable_by(HISTORY, order);
        basis.truncate(HISTORY);
    }
    basis.sort_unstable_by_key(|(row, _)| *row);
    basis
}

/// The request's items: the last one weighs most, because a cart's last lines say most about the next.
pub(super) fn anchor_basis(ctx: &RequestContext) -> Vec<(ItemRow, f32)> {
    let items = &ctx.request.items;
    let last = &items[items.len().saturating_sub(ANCHORS)..];
    let weight = |at: usize| ANCHOR_FADE.powi((last.len() - 1 - at) as i32);
    last.iter().enumerate().map(|(at, row)| (*row, weight(at))).collect()
}

impl Folds {
    /// Weighted sums over `basis`: `rows` sums, then `rows` highest single terms; by row. A pair counts when the item
    /// of the basis is among the candidate's nearest; for next after, when the candidate is among the item's.
    fn sums(&self, relation: Relation, basis: &[(ItemRow, f32)], rows: usize) -> Vec<f32> {
        let mut sums = vec![0f32; rows * 2];
        let (sum, max) = sums.split_at_mut(rows);
        let lists = self.lists(relation);
        let lists = if relation == Relation::Next { &lists.nearest } else { &lists.claims };
        for (row, weight) in basis {
            let Some(list) = lists.get(row.index()) else { continue };
            for neighbour in list.iter() {
                let at = neighbour.row as usize;
                let Some(sum) = sum.get_mut(at) else { continue };
                let term = neighbour.similarity * weight;
                *sum += term;
                max[at] = max[at].max(term);
            }
        }
        sums
    }

    /// Similarity with the visitor's history: for each row the sum, then for each row the highest single term. Empty
    /// when there is no history. Computed once a request, for the source and the columns.
    pub(crate) fn history_sums(&self, ctx: &RequestContext, relation: Relation, rows: usize) -> Arc<Vec<f32>> {
        let key = match relation {
            Relation::Bought => "history.bought",
            Relation::Viewed => "history.viewed",
            Relation::Next => "history.next",
        };
        ctx.memo(key, || {
            let basis = history_basis(ctx);
            if basis.is_empty() { Vec::new() } else { self.sums(relation, &basis, rows) }
        })
    }

    /// Weighted similarity with the request's items, by row; empty when there are none.
    pub(super) fn anchor_sums(&self, ctx: &RequestContext, relation: Relation, rows: usize) -> Vec<f32> {
        let basis = anchor_basis(ctx);
        if basis.is_empty() {
            return Vec::new();
        }
        let mut sums = self.sums(relation, &basis, rows);
        sums.truncate(rows);
        sums
    }
}
