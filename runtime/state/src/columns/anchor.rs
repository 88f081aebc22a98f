//! `anchor.*`: the request's items with each item, from the full pair counts.

use super::{numbers, ratio};
use crate::Catalogue;
use crate::fold::pairs::{PairValue, cosine, fading};
use crate::fold::{Folds, Relation};
use qianmian_core::{ColumnValues, ItemRow, RequestContext};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;

/// Anchors that are used: the last ones.
const ANCHORS: usize = 100;
/// The last lines of a cart, which say most.
const LAST: usize = 5;
/// What an anchor weighs against the one after it, in the columns that fade.
const FADE: f32 = 0.7;

/// The columns computed together from the bought-together counts, in this order.
const BOUGHT: [&str; 11] = [
    "similarity",
    "similarity_max",
    "similarity_last5",
    "together",
    "together_30d",
    "together_last5",
    "confidence",
    "confidence_max",
    "similarity_last",
    "similarity_faded",
    "together_faded",
];

impl Folds {
    pub(super) fn anchor_column(
        &self,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        rows: &[ItemRow],
        name: &str,
    ) -> Option<ColumnValues> {
        let anchors = &ctx.request.items;
        let anchors = last(anchors, ANCHORS);
        if let Some(at) = BOUGHT.iter().position(|bought| *bought == name) {
            let key = format!("anchor.bought.{:x}", digest(rows));
            let all = ctx.memo(&key, || self.bought_with(ctx, anchors, rows));
            return Some(ColumnValues::Numbers(all[at * rows.len()..(at + 1) * rows.len()].to_vec()));
        }
        // The share of anchors whose symbol is the row's; 0 is none.
        let share = |symbol: &dyn Fn(usize) -> u32| {
            let of = |row: &ItemRow| if row.index() < catalogue.len() { symbol(row.index()) } else { 0 };
            let theirs: Vec<u32> = anchors.iter().map(of).collect();
            numbers(rows, |row| match of(&row) {
                0 => f32::NAN,
                own => {
                    let equal = theirs.iter().filter(|symbol| **symbol == own).count();
                    ratio(equal as f64, theirs.len() as f64) as f32
                }
            })
        };
        Some(match name {
            "viewed_similarity" => self.counted_with(Relation::Viewed, anchors, rows),
            "next_similarity" => self.counted_with(Relation::Next, anchors, rows),
            "next_similarity_last" => self.counted_with(Relation::Next, last(anchors, 1), rows),
            "next_similarity_last5" => self.counted_with(Relation::Next, last(anchors, LAST), rows),
            "next_similarity_faded" => self.next_faded(anchors, rows),
            "same_category" => share(&|at| catalogue.categories[at].first().copied().unwrap_or(0)),
            "same_brand" => share(&|at| catalogue.brand[at]),
            "price_ratio" => {
                let prices = anchors.iter().filter_map(|a| catalogue.price.get(a.index())).filter(|p| !p.is_nan());
                let (sum, count) = prices.fold((0.0, 0.0), |(sum, count), p| (sum + f64::from(*p), count + 1.0));
                let mean = ratio(sum, count);
                numbers(rows, |row| {
                    let price = catalogue.price.get(row.index()).copied().unwrap_or(f32::NAN);
                    ratio(f64::from(price), mean) as f32
                })
            }
            _ => return None,
        })
    }

    /// The columns of [`BOUGHT`], one after the other.
    fn bought_with(&self, ctx: &RequestContext, anchors: &[ItemRow], rows: &[ItemRow]) -> Vec<f32> {
        let len = rows.len();
        let mut all = vec![0f32; BOUGHT.len() * len];
        let mut columns = all.chunks_exact_mut(len.max(1));
        let mut next = || columns.next().unwrap_or_default();
        let (sum, max, last, together) = (next(), next(), next(), next());
        let (recent, together_last, mean, highest) = (next(), next(), next(), next());
        let (newest, similarity_faded, together_faded) = (next(), next(), next());
        let bought = self.bought();
        let fading = fading(ctx.now);
        let places = Places::new(rows);
        let totals: Vec<f32> = rows.iter().map(|row| bought.total(row.0)).collect();
        for (place, anchor) in anchors.iter().enumerate() {
            let is_last = place + LAST >= anchors.len();
            let weight = faded(place, anchors.len());
            let own = bought.total(anchor.0);
            places.shared(bought.partners(anchor.0), rows, |at, pair| {
                let count = pair.count();
                let similarity = cosine(count, own, totals[at]);
                sum[at] += similarity;
                max[at] = max[at].max(similarity);
                together[at] += count;
                recent[at] += pair.recent(fading);
                if is_last {
                    last[at] += similarity;
                    together_last[at] += count;
                }
                if place + 1 == anchors.len() {
                    newest[at] += similarity;
                }
                similarity_faded[at] += similarity * weight;
                together_faded[at] += count * weight;
                let confidence = count / own.max(1.0);
                mean[at] += confidence;
                highest[at] = highest[at].max(confidence);
            });
        }
        let count = anchors.len() as f32;
        mean.iter_mut().for_each(|mean| *mean /= count);
        if anchors.is_empty() {
            highest.fill(f32::NAN);
        }
        all
    }

    fn counted_with(&self, relation: Relation, anchors: &[ItemRow], rows: &[ItemRow]) -> ColumnValues {
        self.weighted_with(relation, anchors, rows, |_| 1.0)
    }

    fn next_faded(&self, anchors: &[ItemRow], rows: &[ItemRow]) -> ColumnValues {
        self.weighted_with(Relation::Next, anchors, rows, |place| faded(place, anchors.len()))
    }

    /// Similarity with each anchor times what its place weighs.
    fn weighted_with(
        &self,
        relation: Relation,
        anchors: &[ItemRow],
        rows: &[ItemRow],
        weight: impl Fn(usize) -> f32,
    ) -> ColumnValues {
        let pairs = self.counted(relation);
        let mut sums = vec![0f32; rows.len()];
        let places = Places::new(rows);
        for (place, anchor) in anchors.iter().enumerate() {
            let (own, weight) = (pairs.total(anchor.0), weight(place));
            places.shared(pairs.partners(anchor.0), rows, |at, count| {
                sums[at] += weight * cosine(*count, own, pairs.total(rows[at].0));
            });
        }
        ColumnValues::Numbers(sums)
    }
}

/// Where each row stands, in a table small enough for the nearest cache: `row % size` to the last place with it, from
/// 1, and for each place the one before it in the same slot.
struct Places {
    slots: Vec<u32>,
    before: Vec<u32>,
}

impl Places {
    fn new(rows: &[ItemRow]) -> Self {
        let size = (rows.len() * 4).next_power_of_two().max(16);
        let mut places = Self { slots: vec![0; size], before: vec![0; rows.len()] };
        for (at, row) in rows.iter().enumerate() {
            let slot = &mut places.slots[row.index() & (size - 1)];
            places.before[at] = std::mem::replace(slot, at as u32 + 1);
        }
        places
    }

    /// Calls `each` with every place whose row is among `partners`: by walking the partners where they are few, by
    /// asking for each row where they are many.
    fn shared<V>(&self, partners: Option<&FxHashMap<u32, V>>, rows: &[ItemRow], mut each: impl FnMut(usize, &V)) {
        let Some(partners) = partners else { return };
        if partners.len() > rows.len() * 2 {
            for (at, row) in rows.iter().enumerate() {
                if let Some(value) = partners.get(&row.0) {
                    each(at, value);
                }
            }
            return;
        }
        for (row, value) in partners {
            let mut place = self.slots[*row as usize & (self.slots.len() - 1)];
            while place != 0 {
                let at = place as usize - 1;
                if rows[at].0 == *row {
                    each(at, value);
                }
                place = self.before[at];
            }
        }
    }
}

/// The last `count` of them, or all.
fn last(anchors: &[ItemRow], count: usize) -> &[ItemRow] {
    &anchors[anchors.len().saturating_sub(count)..]
}

/// What the anchor at `place` of `count` weighs: the last one 1, each before it less.
fn faded(place: usize, count: usize) -> f32 {
    FADE.powi((count - 1 - place) as i32)
}

fn digest(rows: &[ItemRow]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_usize(rows.len());
    rows.iter().for_each(|row| hasher.write_u32(row.0));
    hasher.finish()
}
