//! Ranking metrics with binary gain. A relevant item that is not in the list counts as ranked after everything.

use std::collections::HashSet;

/// One query's list against what the visitor then chose.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// Positions (from 0) of the relevant items that the list has, rising.
    hits: Vec<usize>,
    relevant: usize,
}

impl Ranked {
    /// Compares a list, best first, with the relevant ids (at least one).
    #[must_use]
    pub fn new(list: &[String], relevant: &HashSet<&str>) -> Self {
        let hits = list.iter().enumerate().filter(|(_, id)| relevant.contains(id.as_str())).map(|(at, _)| at).collect();
        Self { hits, relevant: relevant.len() }
    }

    /// 1 when a relevant item is among the first `k`.
    #[must_use]
    pub fn hit(&self, k: usize) -> f64 {
        f64::from(u8::from(self.hits.first().is_some_and(|&at| at < k)))
    }

    /// Share of the relevant items among the first `k`.
    #[must_use]
    pub fn recall(&self, k: usize) -> f64 {
        self.hits.iter().filter(|&&at| at < k).count() as f64 / self.relevant as f64
    }

    /// Normalised discounted cumulative gain; the ideal list is cut at `k` as well.
    #[must_use]
    pub fn ndcg(&self, k: usize) -> f64 {
        let gain = |at: usize| 1.0 / ((at + 2) as f64).log2();
        let got: f64 = self.hits.iter().filter(|&&at| at < k).map(|&at| gain(at)).sum();
        let ideal: f64 = (0..self.relevant.min(k)).map(gain).sum();
        got / ideal
    }

    /// One over the rank of the first relevant item; 0 when the list has none.
    #[must_use]
    pub fn reciprocal_rank(&self) -> f64 {
        self.hits.first().map_or(0.0, |&at| 1.0 / (at + 1) as f64)
    }
}

/// The mean of one metric over all queries; 0 without queries.
#[must_use]
pub fn mean(queries: &[Ranked], metric: impl Fn(&Ranked) -> f64) -> f64 {
    if queries.is_empty() { 0.0 } else { queries.iter().map(metric).sum::<f64>() / queries.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let list: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let ranked = Ranked::new(&list, &HashSet::from(["b", "x"]));
        assert_eq!(ranked.hit(1), 0.0);
        assert_eq!(ranked.hit(2), 1.0);
        assert_eq!(ranked.recall(3), 0.5);
        assert_eq!(ranked.reciprocal_rank(), 0.5);
        let ideal = 1.0 + 1.0 / 3f64.log2();
        assert!((ranked.ndcg(10) - (1.0 / 3f64.log2()) / ideal).abs() < 1e-12);
        assert_eq!(Ranked::new(&[], &HashSet::from(["b"])).ndcg(10), 0.0);
    }
}
