//! A build is tried before it serves: its own rows are searched for, and compared with an exact scan.

use crate::base::Base;
use crate::best::Best;
use crate::overlay::Dead;
use crate::plan;
use crate::search::Search;
use crate::spec::Mode;
use rayon::prelude::*;

/// Rows searched for.
const TRIES: usize = 24;

/// Rows found for each.
const K: usize = 10;

/// The least recall@10 of scans by codes, for codes to be used.
const LEAST_CODES: f32 = 0.99;

/// The least recall@10 of walks at the space's width, for a graph to be used.
pub(crate) const LEAST_WALK: f32 = 0.9;

impl Base {
    /// Drops codes that lose too much and a graph that finds too little: what is left is slower, and right.
    pub(crate) fn drop_what_fails(&mut self) {
        if self.len() <= plan::FEW_ROWS {
            self.codes = None;
            return;
        }
        if self.codes.is_some() && self.recall(Mode::Auto, usize::MAX) < LEAST_CODES {
            self.codes = None;
        }
        if self.graph.is_some() && self.walk_recall() < LEAST_WALK {
            self.graph = None;
        }
    }

    /// Recall@10 of walks for rows of its own; 1 without a graph.
    pub(crate) fn walk_recall(&self) -> f32 {
        if self.graph.is_none() { 1.0 } else { self.recall(Mode::Graph, self.spec.ef_search) }
    }

    /// Recall@10 of a way to search; a width of all rows makes [`Mode::Auto`] a scan.
    fn recall(&self, mode: Mode, width: usize) -> f32 {
        let tries = TRIES.min(self.len());
        let counts = (0..tries).into_par_iter().map(|i| {
            let at = (i * self.len() / tries) as u32;
            let exact = self.try_one(at, Mode::Exact, width);
            // A row as good as the last one is as right.
            let last = exact.last().map_or(0.0, |f| f.0);
            (self.try_one(at, mode, width).iter().filter(|f| f.0 >= last).count(), exact.len())
        });
        let (right, all) = counts.reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        if all == 0 { 1.0 } else { right as f32 / all as f32 }
    }

    fn try_one(&self, at: u32, mode: Mode, width: usize) -> Vec<(f32, u32)> {
        let k = K.min(self.len());
        let mut best = Best::new(k);
        let none: Option<&Dead> = None;
        let query = self.vectors.padded(at);
        let codes = self.codes.as_ref();
        let search =
            Search { base: self, query, k, mode, width, selection: None, barred: None, keep: None, codes, dead: none };
        search.run(&mut best);
        best.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Metric, SpaceSpec};
    use qianmian_core::ItemRow;

    #[test]
    fn what_finds_too_little_does_not_serve() {
        let rows: Vec<ItemRow> = (0..4_000).map(ItemRow).collect();
        let values: Vec<f32> = (0..4_000 * 8).map(|i| ((i * i % 7_919) as f32).sin()).collect();
        let (mut base, _) = Base::build(SpaceSpec::new("s", Metric::Cosine), &rows, &values, 8).expect("good vectors");
        assert!(base.walk_recall() >= LEAST_WALK);
        base.drop_what_fails();
        assert!(base.graph.is_some() && base.codes.is_some());
        // links that all lead to the same few, and codes that say the opposite
        base.graph.as_mut().expect("there").links.all_mut().iter_mut().zip(0..).for_each(|(link, i)| *link = i % 32);
        assert!(base.walk_recall() < LEAST_WALK);
        base.codes.as_mut().expect("there").all_mut().iter_mut().for_each(|code| *code = -*code);
        base.drop_what_fails();
        assert!(base.graph.is_none() && base.codes.is_none());
        assert!((base.walk_recall() - 1.0).abs() < f32::EPSILON, "scans find all");
    }
}
