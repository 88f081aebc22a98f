//! `anchor.*`: the request's items with each item, from the full pair counts.

use super::{numbers, ratio};
use crate::Catalogue;
use crate::fold::pairs::{PairValue, cosine, fading};
use crate::fold::{Folds, Relation};
use qianmian_core::{ColumnValues, ItemRow, RequestContext};
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Anchors that are used: the last ones.
const ANCHORS: usize = 100;
/// The last lines of a cart, which say most.
const LAST: usize = 5;

/// The columns computed together from the bought-together counts, in this order.
const BOUGHT: [&str; 8] = [
    "similarity",
    "similarity_max",
    "similarity_last5",
    "together",
    "together_30d",
    "together_last5",
    "confidence",
    "confidence_max",
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
        let anchors = &anchors[anchors.len().saturating_sub(ANCHORS)..];
        if let Some(at) = BOUGHT.iter().position(|bought| *bought == name) {
            let key = format!("anchor.bought.{:x}", digest(rows));
            let all = ctx.memo(&key, || self.bought_with(ctx, anchors, rows));
            return Some(ColumnValues::Numbers(all[at * rows.len()..(at + 1) * rows.len()].to_vec()));
        }
        let share = |same: &dyn Fn(usize, usize) -> Option<bool>| {
            numbers(rows, |row| {
                let known = |anchor: &ItemRow| row.index().max(anchor.index()) < catalogue.len();
                let mut pairs = anchors.iter().filter(|a| known(a)).map(|a| same(a.index(), row.index()));
                let (mut all, mut equal) = (0, 0);
                while let Some(pair) = pairs.next() {
                    let Some(pair) = pair else { return f32::NAN };
                    all += 1;
                    equal += u32::from(pair);
                }
                ratio(f64::from(equal), f64::from(all)) as f32
            })
        };
        Some(match name {
            "viewed_similarity" => self.counted_with(Relation::Viewed, anchors, rows),
            "next_similarity" => self.counted_with(Relation::Next, anchors, rows),
            "same_category" => share(&|anchor, row| {
                let own = catalogue.categories[row].first()?;
                Some(catalogue.categories[anchor].first() == Some(own))
            }),
            "same_brand" => share(&|anchor, row| {
                let own = catalogue.brand[row];
                (own != 0).then(|| catalogue.brand[anchor] == own)
            }),
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
        let bought = self.bought();
        let fading = fading(ctx.now);
        let totals: Vec<f32> = rows.iter().map(|row| bought.total(row.0)).collect();
        for (place, anchor) in anchors.iter().enumerate() {
            let is_last = place + LAST >= anchors.len();
            let Some(partners) = bought.partners(anchor.0).filter(|partners| !partners.is_empty()) else { continue };
            let own = bought.total(anchor.0);
            for (at, row) in rows.iter().enumerate() {
                let Some(pair) = partners.get(&row.0) else { continue };
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
                let confidence = count / own.max(1.0);
                mean[at] += confidence;
                highest[at] = highest[at].max(confidence);
            }
        }
        let count = anchors.len() as f32;
        mean.iter_mut().for_each(|mean| *mean /= count);
        if anchors.is_empty() {
            highest.fill(f32::NAN);
        }
        all
    }

    fn counted_with(&self, relation: Relation, anchors: &[ItemRow], rows: &[ItemRow]) -> ColumnValues {
        let pairs = self.counted(relation);
        let mut sums = vec![0f32; rows.len()];
        for anchor in anchors {
            let Some(partners) = pairs.partners(anchor.0).filter(|partners| !partners.is_empty()) else { continue };
            let own = pairs.total(anchor.0);
            for (sum, row) in sums.iter_mut().zip(rows) {
                if let Some(count) = partners.get(&row.0) {
                    *sum += cosine(*count, own, pairs.total(row.0));
                }
            }
        }
        ColumnValues::Numbers(sums)
    }
}

fn digest(rows: &[ItemRow]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_usize(rows.len());
    rows.iter().for_each(|row| hasher.write_u32(row.0));
    hasher.finish()
}
