//! How often two items went together, and each item's nearest neighbours by it.

use super::decay::MONTH;
use super::stats::Marked;
use crate::bytes::Reader;
use parking_lot::RwLock;
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
/// What rounding may leave of a pair that was taken out; the least weight is 1/400.
const NOTHING: f32 = 1e-3;
/// Decayed counts are kept relative to this time (2000-01-01), so that adding to one costs no exponential.
const LANDMARK: TimeMs = 946_684_800_000;

/// What is kept for a pair.
pub(crate) trait PairValue: Copy + Default {
    /// Adds `weight`; `growth` is [`growth`] of the event's time.
    fn add(&mut self, weight: f32, growth: f64);
    /// Adds another value.
    fn join(&mut self, other: &Self);
    /// The raw count.
    fn count(&self) -> f32;
    /// All of it, to compare with.
    fn bits(&self) -> u64;
    /// Appends it as it is kept.
    fn pack(&self, to: &mut Vec<u8>);
    /// Reads what [`PairValue::pack`] wrote.
    fn unpack(from: &mut Reader<'_>) -> Option<Self>;
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

    fn join(&mut self, other: &Self) {
        *self += other;
    }

    fn count(&self) -> f32 {
        *self
    }

    fn bits(&self) -> u64 {
        u64::from(self.to_bits())
    }

    fn pack(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_le_bytes());
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        from.array().map(f32::from_le_bytes)
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

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.marked += other.marked;
    }

    fn count(&self) -> f32 {
        self.count
    }

    fn bits(&self) -> u64 {
        self.marked.to_bits() ^ u64::from(self.count.to_bits()).rotate_left(32)
    }

    fn pack(&self, to: &mut Vec<u8>) {
        self.count.pack(to);
        to.extend_from_slice(&self.marked.to_le_bytes());
    }

    fn unpack(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { count: f32::unpack(from)?, marked: f64::from_le_bytes(from.array()?) })
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

/// What is to be added to pair counts. Merged many at a time it is sorted by row first, so that the map of a row is in the
/// processor's cache while it is needed: taken one by one, most of the time of folding would be waiting for memory.
#[derive(Debug, Default)]
pub(crate) struct Waiting<V> {
    counts: Vec<(u32, f32)>,
    adds: Vec<(u32, u32, V)>,
    /// Room for sorting, kept because making it anew costs as much as the sorting.
    sorted: Vec<(u32, V)>,
}

/// Additions that are merged as they came: fewer are not worth sorting.
const FEW: usize = 2_048;
/// Additions that are enough to be merged soon, and that may wait at most.
const MANY: usize = 1 << 20;
const MOST: usize = 1 << 21;
/// Additions merged before readers get a turn.
const TURN: usize = 8_192;

impl<V: PairValue> Waiting<V> {
    /// Counts that `row` took part once more; -1 takes that out again.
    pub fn count(&mut self, row: u32, by: f32) {
        self.counts.push((row, by));
    }

    /// Adds `weight` from `row` to `other`, or nothing where they are the same; `growth` is [`growth`] of the event's time. A
    /// weight below 0 takes out what was added before.
    pub fn add(&mut self, row: u32, other: u32, weight: f32, growth: f64) {
        if row != other {
            let mut value = V::default();
            value.add(weight, growth);
            self.adds.push((row, other, value));
        }
    }

    /// True when so little waits that merging takes no time.
    pub fn is_small(&self) -> bool {
        self.adds.len() <= FEW
    }

    /// True when it is time to merge.
    pub fn is_much(&self) -> bool {
        self.adds.len() >= MANY
    }

    /// True when no more may wait.
    pub fn is_full(&self) -> bool {
        self.adds.len() >= MOST
    }

    /// Merges all that waits. The lock is given back again and again, so that readers get in between.
    pub fn merge(&mut self, pairs: &RwLock<Pairs<V>>) {
        if !self.counts.is_empty() {
            let mut pairs = pairs.write();
            self.counts.drain(..).for_each(|(row, by)| pairs.count(row, by));
        }
        if self.is_small() {
            if !self.adds.is_empty() {
                let mut pairs = pairs.write();
                self.adds.drain(..).for_each(|(row, other, value)| pairs.add(row, &[(other, value)]));
            }
            return;
        }
        // a counting sort: what was added to one row stays in order
        let rows = self.adds.iter().map(|(row, ..)| *row as usize + 1).max().unwrap_or(0);
        let mut ends = vec![0usize; rows];
        self.adds.iter().for_each(|(row, ..)| ends[*row as usize] += 1);
        let mut sum = 0;
        for end in &mut ends {
            sum += std::mem::replace(end, sum);
        }
        let sorted = &mut self.sorted;
        if sorted.len() < self.adds.len() {
            sorted.resize(self.adds.len(), (0, V::default()));
        }
        for (row, other, value) in self.adds.drain(..) {
            let at = &mut ends[row as usize];
            sorted[*at] = (other, value);
            *at += 1;
        }
        let (mut row, mut from) = (0, 0);
        while row < rows {
            let mut pairs = pairs.write();
            let until = from + TURN;
            while row < rows && from < until {
                if ends[row] > from {
                    pairs.add(row as u32, &sorted[from..ends[row]]);
                    from = ends[row];
                }
                row += 1;
            }
        }
    }
}

/// Directed pair counts by item.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs<V> {
    partners: Vec<FxHashMap<u32, V>>,
    /// How often each item took part.
    totals: Vec<f32>,
    /// Since lists were last made.
    dirty: Marked,
    /// Since it was last kept.
    unkept: Marked,
}

impl<V: PairValue> Pairs<V> {
    fn reach(&mut self, row: u32) {
        let need = row as usize + 1;
        if self.totals.len() < need {
            self.totals.resize(need, 0.0);
            self.partners.resize_with(need, FxHashMap::default);
        }
        self.dirty.mark(row);
        self.unkept.mark(row);
    }

    fn count(&mut self, row: u32, by: f32) {
        self.reach(row);
        self.totals[row as usize] += by;
    }

    /// Adds from `row` to others. They are cut back after the same one, however many come at a time.
    fn add(&mut self, row: u32, others: &[(u32, V)]) {
        self.reach(row);
        let partners = &mut self.partners[row as usize];
        for (other, value) in others {
            let known = partners.entry(*other).or_default();
            known.join(value);
            if known.count() < NOTHING {
                partners.remove(other);
            }
            if partners.len() > MAX_PARTNERS {
                let mut kept: Vec<(u32, V)> = partners.drain().collect();
                kept.sort_unstable_by(|a, b| b.1.count().total_cmp(&a.1.count()).then(a.0.cmp(&b.0)));
                partners.extend(kept.into_iter().take(MAX_PARTNERS / 2));
            }
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
        let mut dirty = self.dirty.take();
        if dirty.len() * 4 > self.totals.len() {
            return (0..self.totals.len() as u32).collect();
        }
        dirty.sort_unstable();
        dirty
    }

    /// Rows that changed since the last call; with `all`, those there are.
    pub fn take_unkept(&mut self, all: bool) -> Vec<u32> {
        let changed = self.unkept.take();
        if all { (0..self.rows()).collect() } else { changed }
    }

    /// True when there is something to keep of a row.
    pub fn is_there(&self, row: u32) -> bool {
        self.total(row) != 0.0 || self.partners(row).is_some_and(|partners| !partners.is_empty())
    }

    /// Rows of which there is something to keep.
    pub fn there(&self) -> u32 {
        (0..self.rows()).filter(|row| self.is_there(*row)).count() as u32
    }

    /// A row as it was kept.
    pub fn restore(&mut self, row: u32, total: f32, partners: FxHashMap<u32, V>) {
        self.reach(row);
        self.totals[row as usize] = total;
        self.partners[row as usize] = partners;
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
pub(crate) struct Neighbours {
    /// The nearest of each item, nearest first.
    pub nearest: Vec<Arc<[Neighbour]>>,
    /// What each item is counted for; empty for directed counts.
    pub claims: Vec<Arc<[Neighbour]>>,
    /// The similarity of each item's last neighbour; 0 where its list is not full.
    pub floors: Vec<f32>,
}

impl Neighbours {
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
        let (pairs, mut waiting) = (RwLock::new(Pairs::<f32>::default()), Waiting::default());
        for _ in 0..4 {
            waiting.count(0, 1.0);
            waiting.count(1, 1.0);
            [0, 1].into_iter().for_each(|other| waiting.add(0, other, 1.0, 1.0));
        }
        waiting.count(2, 1.0);
        waiting.add(0, 2, 1.0, 1.0);
        waiting.merge(&pairs);
        let mut pairs = pairs.into_inner();
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
        pairs.add(0, &(1..=MAX_PARTNERS as u32).map(|r| (r, 2.0)).collect::<Vec<_>>());
        pairs.add(0, &[(9_999, 3.0)]);
        let partners = pairs.partners(0).unwrap();
        assert_eq!(partners.len(), MAX_PARTNERS / 2);
        assert!(partners.contains_key(&9_999) && partners.contains_key(&1));
    }

    #[test]
    fn many_at_a_time_are_the_same_as_one_by_one() {
        let adds = (0..40_000u32).map(|n| (n * 7_919 % 61, n * 31 % 9_001, 1.0 / (1 + n % 7) as f32));
        let (one, many) = (RwLock::new(Pairs::<f32>::default()), RwLock::new(Pairs::<f32>::default()));
        let (mut single, mut all) = (Waiting::default(), Waiting::default());
        for (row, other, weight) in adds {
            single.add(row, other, weight, 1.0);
            single.merge(&one);
            all.add(row, other, weight, 1.0);
        }
        assert!(!all.is_small() && !all.is_full());
        all.merge(&many);
        let (one, many) = (one.into_inner(), many.into_inner());
        assert_eq!(one.rows(), many.rows());
        for row in 0..one.rows() {
            assert_eq!(one.partners(row), many.partners(row), "row {row}");
        }
    }
}
