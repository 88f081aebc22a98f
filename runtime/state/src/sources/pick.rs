//! Choosing the best that may be shown.

use super::Gate;
use crate::Catalogue;
use qianmian_core::{ItemKind, ItemRow, RequestContext, SourceSpec};
use rustc_hash::FxHashSet;
use std::cmp::Ordering;

/// What one source may return.
pub(super) struct Pick<'a> {
    catalogue: &'a Catalogue,
    gate: Gate<'a>,
    kinds: &'a [ItemKind],
    barred: FxHashSet<ItemRow>,
    only: Option<&'a [u64]>,
    limit: usize,
}

impl<'a> Pick<'a> {
    pub fn new(catalogue: &'a Catalogue, ctx: &RequestContext, spec: &'a SourceSpec, only: Option<&'a [u64]>) -> Self {
        let request = &ctx.request;
        let barred = request.items.iter().chain(&request.exclude).copied().collect();
        let (gate, limit) = (Gate::new(catalogue, ctx), spec.limit as usize);
        Self { catalogue, gate, kinds: &spec.kinds, barred, only, limit }
    }

    /// The kinds asked for, each once.
    pub fn kinds(&self) -> impl Iterator<Item = ItemKind> {
        let kinds = self.kinds;
        ItemKind::ALL.into_iter().filter(move |kind| kinds.is_empty() || kinds.contains(kind))
    }

    pub fn allows(&self, row: ItemRow) -> bool {
        self.only.is_none_or(|words| words.get(row.index() / 64).is_some_and(|word| word >> (row.0 % 64) & 1 == 1))
            && !self.barred.contains(&row)
            && self.gate.check(row).is_ok()
            && (self.kinds.is_empty() || self.kinds.contains(&self.catalogue.kind[row.index()]))
    }

    /// The first allowed ones of a list that is in order and without doubles.
    pub fn first(&self, ordered: impl IntoIterator<Item = (ItemRow, f32)>) -> Vec<(ItemRow, f32)> {
        ordered.into_iter().filter(|(row, _)| self.allows(*row)).take(self.limit).collect()
    }

    /// The allowed ones with the highest scores, best first, ties by id; scores that are not finite are left out.
    /// `found` holds each row once. Only as many as needed are sorted and checked.
    pub fn best(&self, mut found: Vec<(ItemRow, f32)>) -> Vec<(ItemRow, f32)> {
        found.retain(|(_, score)| score.is_finite());
        let ids = &self.catalogue.ids;
        let order = |a: &(ItemRow, f32), b: &(ItemRow, f32)| -> Ordering {
            b.1.total_cmp(&a.1).then_with(|| ids.get(a.0.index()).cmp(&ids.get(b.0.index())))
        };
        let mut picked = Vec::with_capacity(self.limit.min(found.len()));
        let mut rest = found.as_mut_slice();
        let mut step = self.limit.saturating_mul(2).saturating_add(self.barred.len()).max(16);
        while picked.len() < self.limit && !rest.is_empty() {
            let count = step.min(rest.len());
            if count < rest.len() {
                rest.select_nth_unstable_by(count, order);
            }
            let (now, later) = rest.split_at_mut(count);
            now.sort_unstable_by(order);
            picked.extend(now.iter().filter(|(row, _)| self.allows(*row)).take(self.limit - picked.len()));
            rest = later;
            step = step.saturating_mul(4);
        }
        picked
    }
}
