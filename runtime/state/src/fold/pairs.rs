//! How often two items went together, and each item's nearest neighbours by it.

use super::decay::MONTH;
use qianmian_core::{DAY_MS, TimeMs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Neighbours kept in a list.
pub const NEIGHBOURS: usize = 200;
/// Most items that one item may be counted for, see [`Pairs::claims`]: bounds what an item everybody buys costs.
const CLAIMS: usize = 2000;
/// Added to the cosine's denominator: pairs seen seldom are pulled towards 0.
pub const SHRINK: f32 = 10.0;
/// An item's partners are cut back to half of this when they exceed it: memory stays bounded by the number of items.
const MAX_PARTNERS: usize = 8192;
/// Decayed counts are kept relative to this time (2000-01-01), so that adding to one costs no exponential.
const LANDMARK: TimeMs = 946_684_800_000;

/// What is kept for a pair.
pub(crate) trait PairValue: Copy + Default {
    /// Adds `weight`; `growth` is [`growth`] of the event's time.
    fn add(&mut self, weight: f32, growth: f64);
    /// The raw count.
    fn count(&self) -> f32;
    /// All of it, to compare with.
    fn bits(&self) -> u64;
}

/// How much more an event at `time` weighs than one at the landmark. Bounded, whatever the sender's clock says.
pub(crate) fn growth(time: TimeMs) -> f64 {
    (time.saturating_sub(LANDMARK) as f64 / DAY_MS as f64 / MONTH).clamp(-1000.0, 1000.0).exp2()
}

/// A raw count.
impl PairValue for f32 {
    fn add(&mut self, weight: f32, _: f64) {
        *self += weight;
    }

    fn count(&self) -> f32 {
        *self
    }

    fn bits(&self) -> u64 {
        u64::from(self.to_bits())
    }
}

/// A raw count and one with a half-life of 30 days.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairCount {
    count: f32,
    marked: f64,
}

impl PairValue for PairCount {
    fn add(&mut self, weight: f32, growth: f64) {
        self.count += weight;
        self.marked += f64::from(weight) * growth;
    }

    fn count(&self) -> f32 {
        self.count
    }

    fn bits(&self) -> u64 {
        self.marked.to_bits() ^ u64::from(self.count.to_bits()).rotate_left(32)
    }
}

impl PairCount {
    /// The decayed count; `fading` is 1 over [`growth`] of now. Never above the raw count, even when the clock of an
    /// event was ahead.
    pub(crate) fn recent(&self, fading: f64) -> f32 {
        ((self.marked * fading) as f32).min(self.count)
    }
}

/// Factor that turns a kept decayed count into its value at `now`.
pub(crate) fn fading(now: TimeMs) -> f64 {
    1.0 / growth(now)
}

/// One entry of a neighbour list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// The other item.
    pub row: u32,
    /// Cosine with shrinkage, above 0.
    pub similarity: f32,
}

/// The cosine of two items that went together `count` times, out of `a` and `b` times.
pub(crate) fn cosine(count: f32, a: f32, b: f32) -> f32 {
    count / ((a * b).sqrt() + SHRINK)
}

/// Directed pair counts by item.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs<V> {
    partners: Vec<FxHashMap<u32, V>>,
    /// How often each item took part.
    totals: Vec<f32>,
    dirty: Vec<u32>,
    is_dirty: Vec<bool>,
}

impl<V: PairValue> Pairs<V> {
    fn reach(&mut self, row: u32) {
        let need = row as usize + 1;
        if self.totals.len() < need {
            self.totals.resize(need, 0.0);
            self.partners.resize_with(need, FxHashMap::default);
            self.is_dirty.resize(need, false);
        }
        if !std::mem::replace(&mut self.is_dirty[row as usize], true) {
            self.dirty.push(row);
        }
    }

    /// Counts that `row` took part once more.
    pub fn count(&mut self, row: u32) {
        self.reach(row);
        self.totals[row as usize] += 1.0;
    }

    /// Adds `weight` from `row` to each of `others`; `row` itself is passed over.
    pub fn add(&mut self, row: u32, others: impl IntoIterator<Item = (u32, f32)>, growth: f64) {
        self.reach(row);
        let partners = &mut self.partners[row as usize];
        for (other, weight) in others.into_iter().filter(|(other, _)| *other != row) {
            partners.entry(other).or_default().add(weight, growth);
        }
        if partners.len() > MAX_PARTNERS {
            let mut kept: Vec<(u32, V)> = partners.drain().collect();
            kept.sort_unstable_by(|a, b| b.1.count().total_cmp(&a.1.count()).then(a.0.cmp(&b.0)));
            partners.extend(kept.into_iter().take(MAX_PARTNERS / 2));
        }
    }

    /// How often `row` took part.
    pub fn total(&self, row: u32) -> f32 {
        self.totals.get(row as usize).copied().unwrap_or(0.0)
    }

    /// Rows that took part, or stood before others.
    pub fn rows(&self) -> u32 {
        self.totals.len() as u32
    }

    /// All partners of `row`, in no order.
    pub fn partners(&self, row: u32) -> Option<&FxHashMap<u32, V>> {
        self.partners.get(row as usize)
    }

    /// Rows whose counts changed since the last call, ascending; all rows when many did, because the totals of their
    /// partners changed with them.
    pub fn take_dirty(&mut self) -> Vec<u32> {
        let mut dirty = std::mem::take(&mut self.dirty);
        for row in &dirty {
            self.is_dirty[*row as usize] = false;
        }
        if dirty.len() * 4 > self.totals.len() {
            return (0..self.totals.len() as u32).collect();
        }
        dirty.sort_unstable();
        dirty
    }

    /// The [`NEIGHBOURS`] nearest of `row`, nearest first, ties by row.
    pub fn nearest(&self, row: u32) -> Arc<[Neighbour]> {
        let own = self.total(row);
        let mut found: Vec<Neighbour> = self
            .partners(row)
            .into_iter()
            .flatten()
            .map(|(&other, value)| Neighbour { row: other, similarity: cosine(value.count(), own, self.total(other)) })
            .collect();
        let order = |a: &Neighbour, b: &Neighbour| b.similarity.total_cmp(&a.similarity).then(a.row.cmp(&b.row));
        if found.len() > NEIGHBOURS {
            found.select_nth_unstable_by(NEIGHBOURS, order);
            found.truncate(NEIGHBOURS);
        }
        found.sort_unstable_by(order);
        found.into()
    }

    /// The items that count `row` among their own nearest, by row; `floors` is the similarity of each item's last
    /// neighbour. Summing over these and not over `row`'s nearest gives every candidate the same number of terms, so
    /// that what goes with everything a little does not win: on real orders twice the quality. For symmetric counts.
    pub fn claims(&self, row: u32, floors: &[f32]) -> Arc<[Neighbour]> {
        let own = self.total(row);
        let mut found: Vec<Neighbour> = self
            .partners(row)
            .into_iter()
            .flatten()
            .map(|(&other, value)| Neighbour { row: other, similarity: cosine(value.count(), own, self.total(other)) })
            .filter(|n| n.similarity >= floors.get(n.row as usize).copied().unwrap_or(0.0))
            .collect();
        if found.len() > CLAIMS {
            let order = |a: &Neighbour, b: &Neighbour| b.similarity.total_cmp(&a.similarity).then(a.row.cmp(&b.row));
            found.select_nth_unstable_by(CLAIMS, order);
            found.truncate(CLAIMS);
        }
        found.sort_unstable_by_key(|n| n.row);
        found.into()
    }
}

/// Lists by row, as of the last refresh.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// The nearest of each item, nearest first.
    pub nearest: Vec<Arc<[Neighbour]>>,
    /// What each item is counted for; empty for directed counts.
    pub claims: Vec<Arc<[Neighbour]>>,
    /// The similarity of each item's last neighbour; 0 where its list is not full.
    pub floors: Vec<f32>,
}

impl Lists {
    pub fn set_nearest(&mut self, row: u32, list: Arc<[Neighbour]>) {
        let at = row as usize;
        if self.nearest.len() <= at {
            self.nearest.resize_with(at + 1, || Arc::from([]));
            self.floors.resize(at + 1, 0.0);
        }
        self.floors[at] = list.get(NEIGHBOURS - 1).map_or(0.0, |last| last.similarity);
        self.nearest[at] = list;
    }

    pub fn set_claims(&mut self, row: u32, list: Arc<[Neighbour]>) {
        let at = row as usize;
        if self.claims.len() <= at {
            self.claims.resize_with(at + 1, || Arc::from([]));
        }
        self.claims[at] = list;
    }
}

#[cfg(test)]
mod tests {
    use super::super::decay::fade;
    use super::*;

    #[test]
    fn neighbours_by_shrunk_cosine() {
        let mut pairs: Pairs<f32> = Pairs::default();
        for _ in 0..4 {
            pairs.count(0);
            pairs.count(1);
            pairs.add(0, [(0, 1.0), (1, 1.0)], 1.0);
        }
        pairs.count(2);
        pairs.add(0, [(2, 1.0)], 1.0);
        let list = pairs.nearest(0);
        assert_eq!(list[0], Neighbour { row: 1, similarity: 4.0 / 14.0 });
        assert_eq!(list[1], Neighbour { row: 2, similarity: 1.0 / 12.0 });
        assert_eq!(list.len(), 2, "never its own neighbour");
        assert_eq!(pairs.take_dirty(), [0, 1, 2]);
        assert!(pairs.take_dirty().is_empty());
    }

    #[test]
    fn recent_counts_fade_and_stay_below_the_raw_ones() {
        let day = |d: i64| LANDMARK + d * DAY_MS;
        let mut pair = PairCount::default();
        pair.add(1.0, growth(day(4000)));
        pair.add(1.0, growth(day(4030)));
        assert!((pair.recent(fading(day(4060))) - 0.75).abs() < 1e-6);
        assert_eq!(pair.recent(fading(day(3000))), 2.0);
        pair.add(1.0, growth(TimeMs::MAX));
        assert_eq!(pair.recent(fading(day(4060))), 3.0);
        assert!((growth(day(30)) * fade(30.0, MONTH) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn partners_are_bounded() {
        let mut pairs: Pairs<f32> = Pairs::default();
        pairs.add(0, (1..=MAX_PARTNERS as u32).map(|r| (r, 2.0)), 1.0);
        pairs.add(0, [(9_999, 3.0)], 1.0);
        let partners = pairs.partners(0).unwrap();
        assert_eq!(partners.len(), MAX_PARTNERS / 2);
        assert!(partners.contains_key(&9_999) && partners.contains_key(&1));
    }
}
