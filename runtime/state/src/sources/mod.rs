//! Candidates from the catalogue and the folds: every source but those over embeddings.
//!
//! What all of them keep to: rows come once, best first, ties by id, scores finite; only items that may be shown to
//! this request ([`Gate`]) and of the kinds asked for; never the request's own items or what it excludes.

mod alike;
mod eligible;
mod pick;
mod similar;
#[cfg(test)]
mod tests;

pub use eligible::{Gate, Ineligible, eligible};

use crate::Catalogue;
use crate::fold::decay::{WEEK, days, fade, landmark_log2};
use crate::fold::trends::{Follow, TrendList};
use crate::fold::{Folds, Relation};
use pick::Pick;
use qianmian_core::{Basis, ItemHistory, ItemRow, RequestContext, Scope, Source, SourceSpec};

/// Days after which an order counts half for buying again.
const AGAIN_HALF_LIFE: f64 = 365.0;
/// Decayed orders of everybody at which an item's popularity is worth half an order of the visitor's own.
const AGAIN_POPULAR: f64 = 100.0;
/// Items an exploration draws for each it returns, to choose the least shown of.
const DRAWS: usize = 8;

impl Folds {
    /// At most `spec.limit` rows, best first. Nothing for the two embedding sources, which are not folded here, and
    /// where there is nothing to start from (no request items, no history, an unknown channel).
    ///
    /// `only` is a bitmap of the rows that may be found, for what `spec.filter` says: row `64 * i + j` is bit `j` of word `i`.
    ///
    /// Scores: bought together, viewed together and next after: sums of weighted cosines; buy again: orders, fading with
    /// a half-life of a year since the last, plus up to 1 for what others order now; trending: log2 of the decayed
    /// events (so they can be below 0); newest: minus the age in days; same: share of the anchors, or of the interest,
    /// plus up to 0.1 for popularity; listed: 1 falling to 0; exploration: near 1 for items never shown.
    #[must_use]
    pub fn retrieve(
        &self,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        spec: &SourceSpec,
        only: Option<&[u64]>,
    ) -> Vec<(ItemRow, f32)> {
        let pick = Pick::new(catalogue, ctx, spec, only);
        match &spec.source {
            Source::NearVisitor { .. } | Source::NearItems { .. } => Vec::new(),
            Source::BoughtTogether(basis) => self.together(&pick, catalogue, ctx, Relation::Bought, *basis),
            Source::ViewedTogether(basis) => self.together(&pick, catalogue, ctx, Relation::Viewed, *basis),
            Source::NextAfter(basis) => self.together(&pick, catalogue, ctx, Relation::Next, *basis),
            Source::BuyAgain => pick.best(self.again(ctx)),
            Source::Trending(scope) => self.popular(&pick, ctx, *scope),
            Source::Newest => newest(&pick, catalogue, ctx),
            Source::Same(attribute) => pick.best(self.same(&pick, catalogue, ctx, *attribute)),
            Source::Listed(rows) => {
                let mut seen = rustc_hash::FxHashSet::default();
                let score = |at: usize| 1.0 - at as f32 / rows.len() as f32;
                let listed = rows.iter().enumerate().filter(|(_, row)| seen.insert(**row));
                pick.first(listed.map(|(at, row)| (*row, score(at))))
            }
            Source::Exploration => pick.best(self.seldom_shown(&pick, catalogue, ctx, spec.limit as usize)),
        }
    }

    fn together(
        &self,
        pick: &Pick<'_>,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        relation: Relation,
        basis: Basis,
    ) -> Vec<(ItemRow, f32)> {
        let positive = |sums: &[f32]| {
            let found = sums.iter().enumerate().filter(|(_, sum)| **sum > 0.0);
            found.map(|(row, sum)| (ItemRow(row as u32), *sum)).collect()
        };
        pick.best(match basis {
            Basis::Items => positive(&self.anchor_sums(ctx, relation, catalogue.len())),
            Basis::History => {
                let sums = self.history_sums(ctx, relation, catalogue.len());
                positive(&sums[..sums.len() / 2])
            }
        })
    }

    fn popular(&self, pick: &Pick<'_>, ctx: &RequestContext, scope: Scope) -> Vec<(ItemRow, f32)> {
        let (trending, segments) = (self.trending(), self.audience.members.load());
        let lists = match scope {
            Scope::All => Some(trending.all()),
            Scope::Channel => trending.of(Follow::Channel, &ctx.request.channel),
            Scope::Region => trending.of(Follow::Region, &ctx.request.region),
            Scope::Segment => {
                let first = segments.of(&ctx.visitor.segments).map(|members| &members.lists);
                first.or_else(|| trending.of_tags(&ctx.visitor.tags))
            }
        };
        let Some(lists) = lists else { return Vec::new() };
        let scored = |list: &TrendList| -> Vec<(ItemRow, f32)> {
            let score = |mark: f64| landmark_log2(mark, ctx.now, WEEK) as f32;
            list.iter().map(|(row, mark)| (ItemRow(*row), score(*mark))).collect()
        };
        let kinds: Vec<usize> = pick.kinds().map(|kind| kind as usize).collect();
        match kinds.as_slice() {
            [_, _, _, _, _] => pick.best(scored(&lists[5])),
            kinds => pick.best(kinds.iter().flat_map(|kind| scored(&lists[*kind])).collect()),
        }
    }

    /// Most of a history was ordered once: what others order now tells those apart.
    fn again(&self, ctx: &RequestContext) -> Vec<(ItemRow, f32)> {
        let stats = self.stats();
        let score = |row: ItemRow, history: &ItemHistory| {
            let own = f64::from(history.orders) * fade(days(ctx.now, history.last_order), AGAIN_HALF_LIFE);
            let orders = stats.items.get(row.index()).map_or(0.0, |item| item.orders_90d.read(ctx.now, 90.0));
            (own + orders / (orders + AGAIN_POPULAR)) as f32
        };
        let bought = ctx.visitor.items.iter().filter(|(_, history)| history.orders > 0);
        bought.map(|(row, history)| (*row, score(*row, history))).collect()
    }

    /// Draws rows at random and scores those seldom shown highest, at random among equals.
    fn seldom_shown(
        &self,
        pick: &Pick<'_>,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        limit: usize,
    ) -> Vec<(ItemRow, f32)> {
        let lists: Vec<&[ItemRow]> = pick.kinds().map(|kind| catalogue.by_kind[kind as usize].as_slice()).collect();
        let total: usize = lists.iter().map(|list| list.len()).sum();
        let at = |place: usize| {
            let mut place = place;
            for list in &lists {
                match list.get(place) {
                    Some(row) => return Some(*row),
                    None => place -= list.len(),
                }
            }
            None
        };
        let draws = limit.saturating_mul(DRAWS).clamp(256, 1 << 16);
        let mut seed = ctx.seed;
        let mut rows: Vec<ItemRow> = if total <= draws {
            lists.concat()
        } else {
            (0..draws).filter_map(|_| at((random(&mut seed) % total as u64) as usize)).collect()
        };
        rows.sort_unstable();
        rows.dedup();
        let stats = self.stats();
        let score = |row: ItemRow| {
            let shown = stats.items.get(row.index()).map_or(0, |item| item.impressions);
            let mut own = ctx.seed ^ u64::from(row.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let chance = (random(&mut own) >> 40) as f32 / (1u32 << 24) as f32;
            1.0 / (1.0 + shown as f32 + chance)
        };
        rows.into_iter().map(|row| (row, score(row))).collect()
    }
}

fn newest(pick: &Pick<'_>, catalogue: &Catalogue, ctx: &RequestContext) -> Vec<(ItemRow, f32)> {
    let score = |row: ItemRow| -(days(ctx.now, catalogue.created[row.index()]) as f32);
    let mut lists: Vec<_> = pick.kinds().map(|kind| catalogue.newest[kind as usize].iter().peekable()).collect();
    let key = |row: ItemRow| (std::cmp::Reverse(catalogue.created[row.index()]), &catalogue.ids[row.index()]);
    let merged = std::iter::from_fn(|| {
        let head = |list: &mut std::iter::Peekable<std::slice::Iter<'_, ItemRow>>| list.peek().map(|row| **row);
        let heads = lists.iter_mut().enumerate().filter_map(|(at, list)| head(list).map(|row| (at, row)));
        let (at, _) = heads.min_by(|a, b| key(a.1).cmp(&key(b.1)))?;
        lists[at].next().copied()
    });
    pick.first(merged.map(|row| (row, score(row))))
}

/// The next number of a sequence (splitmix64).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
