//! Drift: how far what a model is given, and what it says, went from what it knew.
//!
//! The population stability index of a distribution `a` over bins against the expected `e` is `sum((a - e) * ln(a / e))`: the
//! symmetric divergence of Jeffreys (1946), under its name in N. Siddiqi, Credit Risk Scorecards (2006), who calls less than 0.1
//! little and more than 0.25 much. Bins are the tenths of the reference, and one for what is missing.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows the reference is made of where the manifest brings none.
pub const REFERENCE_ROWS: usize = 10_000;
/// Numbers that are kept for it at most, over all features: wide models have a shorter reference.
const MOST_KEPT: usize = 1 << 20;
/// Features that are watched at most: the first ones.
const MOST_WATCHED: usize = 256;
/// Rows of one window; the last whole window and the one that fills are looked at together.
const WINDOW: u64 = 10_000;
/// Rows from which the two say something.
const ENOUGH: u64 = 1_000;
/// Rows of one request at most, spread over its candidates.
const ROWS: usize = 64;
const BINS: usize = 10;
/// The least share of a bin, so that an empty one is not infinitely far.
const FLOOR: f64 = 1e-4;

/// The expected distribution of a number: `shares` of the bins below the first edge, between two, and from the last on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Ascending; a number that is an edge belongs to the bin above it.
    pub edges: Vec<f32>,
    /// One more than edges; together with `missing` they are scaled to 1.
    pub shares: Vec<f32>,
    /// The share of what is missing.
    #[serde(default)]
    pub missing: f32,
}

impl Histogram {
    /// Checks that edges ascend and shares are shares.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.shares.len() != self.edges.len() + 1 || self.shares.len() > 100 {
            let (shares, edges) = (self.shares.len(), self.edges.len());
            return Err(format!("has {shares} shares for {edges} edges: one more than edges, at most 100, expected"));
        }
        if !self.edges.iter().all(|edge| edge.is_finite()) || self.edges.windows(2).any(|two| two[0] >= two[1]) {
            return Err("edges do not ascend".to_owned());
        }
        let all = || self.shares.iter().chain([&self.missing]);
        if all().any(|share| !(share.is_finite() && *share >= 0.0)) || all().sum::<f32>() <= 0.0 {
            return Err("shares are not numbers from 0 on that come to something".to_owned());
        }
        Ok(())
    }

    /// The tenths of some numbers.
    fn of(numbers: &[f32]) -> Self {
        let mut sorted: Vec<f32> = numbers.iter().copied().filter(|number| number.is_finite()).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let mut edges: Vec<f32> = (1..BINS).filter_map(|at| sorted.get(at * sorted.len() / BINS).copied()).collect();
        edges.dedup();
        // Nothing is below the least number.
        edges.retain(|edge| sorted.first().is_some_and(|least| edge > least));
        let mut histogram = Self { shares: vec![0.0; edges.len() + 1], edges, missing: 0.0 };
        for number in numbers {
            match histogram.bin(*number) {
                Some(bin) => histogram.shares[bin] += 1.0,
                None => histogram.missing += 1.0,
            }
        }
        histogram
    }

    fn bin(&self, number: f32) -> Option<usize> {
        number.is_finite().then(|| self.edges.partition_point(|edge| *edge <= number))
    }

    /// The index of counts, the missing ones last.
    fn index(&self, counts: &[u64]) -> f64 {
        let total: f64 = self.shares.iter().chain([&self.missing]).map(|share| f64::from(*share)).sum();
        let seen = counts.iter().sum::<u64>() as f64;
        let expected = self.shares.iter().chain([&self.missing]).map(|share| f64::from(*share) / total);
        let part = |(expected, count): (f64, &u64)| {
            let (expected, actual) = (expected.max(FLOOR), (*count as f64 / seen).max(FLOOR));
            (actual - expected) * (actual / expected).ln()
        };
        expected.zip(counts).map(part).sum()
    }
}

/// What is watched of one version of a model. Memory is bounded: four megabytes while the reference is collected, a few
/// hundred bytes a feature afterwards.
#[derive(Debug)]
pub struct Drift {
    /// Names, and places in a row; the score is the last, with none.
    watched: Vec<(String, Option<usize>)>,
    given: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Rows of what is watched.
    Collecting(Vec<f32>),
    Watching(Vec<Watch>),
}

#[derive(Debug)]
struct Watch {
    reference: Histogram,
    /// Of the last whole window, and of the one that fills.
    counts: [Vec<u64>; 2],
}

/// The drift of one number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Index {
    /// The feature's name, or `score`.
    pub name: String,
    /// Population stability index; absent until there is enough to say.
    pub psi: Option<f64>,
    /// Share that is missing now.
    pub missing: Option<f64>,
}

/// The drift of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftReport {
    /// `manifest`, or `served`: the first rows this version scored.
    pub reference: &'static str,
    /// Rows the reference still lacks; 0 when it is there.
    pub collecting: usize,
    /// Rows that are looked at.
    pub rows: u64,
    /// Of the score.
    pub score: Index,
    /// Of each feature, the furthest first.
    pub features: Vec<Index>,
}

impl Drift {
    /// Watches the score and the numbers that are named. With a reference for each of them it starts at once, else the first
    /// rows become the reference of all.
    #[must_use]
    pub fn new(names: &[String], watched: &[bool], reference: &BTreeMap<String, Histogram>) -> Self {
        let mut all: Vec<(String, Option<usize>)> = Vec::new();
        for (at, name) in names.iter().enumerate().filter(|(at, _)| watched.get(*at) == Some(&true)).take(MOST_WATCHED)
        {
            all.push((name.clone(), Some(at)));
        }
        if !reference.is_empty() {
            all.retain(|(name, _)| reference.contains_key(name));
        }
        all.push(("score".to_owned(), None));
        let given: Option<Vec<Watch>> =
            all.iter().map(|(name, _)| reference.get(name).cloned().map(Watch::new)).collect();
        let state = given.map_or_else(|| State::Collecting(Vec::new()), State::Watching);
        Self { given: matches!(state, State::Watching(_)), watched: all, state: Mutex::new(state) }
    }

    fn wanted(&self) -> usize {
        REFERENCE_ROWS.min(MOST_KEPT / self.watched.len())
    }

    /// Counts some rows of a request that was scored. `features` is row-major. Left out when another thread is counting.
    pub fn observe(&self, features: &[f32], scores: &[f32]) {
        let Some(mut state) = self.state.try_lock() else { return };
        let n = scores.len();
        let Some(width) = features.len().checked_div(n) else { return };
        let step = n.div_ceil(ROWS).max(1);
        for (row, score) in features.chunks(width.max(1)).zip(scores).step_by(step) {
            let numbers =
                self.watched.iter().map(|(_, at)| at.map_or(*score, |at| row.get(at).copied().unwrap_or(f32::NAN)));
            match &mut *state {
                State::Collecting(kept) => kept.extend(numbers),
                State::Watching(watches) => {
                    watches.iter_mut().zip(numbers).for_each(|(watch, number)| watch.count(number))
                }
            }
        }
        let own = self.watched.len();
        if let State::Collecting(kept) = &mut *state
            && kept.len() >= self.wanted() * own
        {
            let column = |at: usize| kept.iter().skip(at).step_by(own).copied().collect::<Vec<f32>>();
            let watches = (0..own).map(|at| Watch::new(Histogram::of(&column(at)))).collect();
            *state = State::Watching(watches);
        }
    }

    /// How far it went.
    #[must_use]
    pub fn report(&self) -> DriftReport {
        let state = self.state.lock();
        let (collecting, rows) = match &*state {
            State::Collecting(kept) => (self.wanted().saturating_sub(kept.len() / self.watched.len()), 0),
            State::Watching(watches) => (0, watches.first().map_or(0, Watch::rows)),
        };
        let index = |at: usize| {
            let name = self.watched[at].0.clone();
            match &*state {
                State::Watching(watches) if watches[at].rows() >= ENOUGH => {
                    let counts = watches[at].both();
                    let missing = counts.last().copied().unwrap_or(0) as f64 / watches[at].rows() as f64;
                    Index { name, psi: Some(watches[at].reference.index(&counts)), missing: Some(missing) }
                }
                _ => Index { name, psi: None, missing: None },
            }
        };
        let score = self.watched.len() - 1;
        let mut features: Vec<Index> = (0..score).map(index).collect();
        features
            .sort_by(|a, b| b.psi.unwrap_or(-1.0).total_cmp(&a.psi.unwrap_or(-1.0)).then_with(|| a.name.cmp(&b.name)));
        let reference = if self.given { "manifest" } else { "served" };
        DriftReport { reference, collecting, rows, score: index(score), features }
    }
}

impl Watch {
    fn new(reference: Histogram) -> Self {
        let bins = reference.shares.len() + 1;
        Self { reference, counts: [vec![0; bins], vec![0; bins]] }
    }

    fn count(&mut self, number: f32) {
        let bin = self.reference.bin(number).unwrap_or(self.reference.shares.len());
        self.counts[1][bin] += 1;
        if self.counts[1].iter().sum::<u64>() >= WINDOW {
            self.counts.swap(0, 1);
            self.counts[1].fill(0);
        }
    }

    fn both(&self) -> Vec<u64> {
        self.counts[0].iter().zip(&self.counts[1]).map(|(a, b)| a + b).collect()
    }

    fn rows(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift(reference: &BTreeMap<String, Histogram>) -> Drift {
        let names = ["price".to_owned(), "id".to_owned(), "stock".to_owned()];
        Drift::new(&names, &[true, false, true], reference)
    }

    /// `rows` rows of a request each: price evenly over 0 to 1, stock missing in a share of them.
    fn serve(drift: &Drift, rows: usize, shift: f32, missing: usize) {
        for row in 0..rows {
            let price = (row * 7 % 1_000) as f32 / 1_000.0 + shift;
            let stock = if row % 10 < missing { f32::NAN } else { 5.0 };
            drift.observe(&[price, row as f32, stock], &[price * 2.0]);
        }
    }

    #[test]
    fn the_index_is_that_of_the_textbook() {
        let reference = Histogram { edges: vec![1.0], shares: vec![0.5, 0.4], missing: 0.1 };
        let want = (0.25 - 0.5) * (0.25f64 / 0.5).ln() + (0.65 - 0.4) * (0.65f64 / 0.4).ln();
        assert!((reference.index(&[25, 65, 10]) - want).abs() < 1e-6);
        assert!(reference.index(&[50, 40, 10]).abs() < 1e-6);
        assert_eq!((reference.bin(0.9), reference.bin(1.0), reference.bin(f32::NAN)), (Some(0), Some(1), None));
        let tenths = Histogram::of(&(0..1_000).map(|x| x as f32).collect::<Vec<_>>());
        assert_eq!((tenths.edges.len(), tenths.shares[0], tenths.shares[9]), (9, 100.0, 100.0));
        let same = Histogram::of(&[5.0; 100]);
        assert_eq!((same.edges.len(), same.shares.len()), (0, 1));
        assert_eq!(Histogram::of(&[f32::NAN; 10]).missing, 10.0);
    }

    #[test]
    fn what_went_away_is_seen() {
        let drift = drift(&BTreeMap::new());
        serve(&drift, REFERENCE_ROWS - 1, 0.0, 1);
        assert_eq!((drift.report().collecting, drift.report().score.psi), (1, None));
        serve(&drift, 1, 0.0, 1);
        serve(&drift, 5_000, 0.0, 1);
        let report = drift.report();
        assert_eq!((report.reference, report.collecting, report.rows), ("served", 0, 5_000));
        assert!(report.features.len() == 2 && report.features.iter().all(|one| one.psi.unwrap() < 0.01), "{report:?}");
        // Two windows later nothing of before is left.
        serve(&drift, 25_000, 0.5, 8);
        let report = drift.report();
        assert!(report.score.psi.unwrap() > 0.25, "{report:?}");
        assert!(report.features.iter().all(|one| one.psi.unwrap() > 0.25), "{report:?}");
        let stock = report.features.iter().find(|one| one.name == "stock").unwrap();
        assert!((stock.missing.unwrap() - 0.8).abs() < 0.01, "{report:?}");
        assert!(report.rows < 2 * WINDOW);
    }

    #[test]
    fn a_given_reference_starts_at_once() {
        let even = Histogram { edges: vec![0.5], shares: vec![1.0, 1.0], missing: 0.0 };
        let scores = Histogram { edges: vec![1.0], ..even.clone() };
        let drift = drift(&[("price".to_owned(), even), ("score".to_owned(), scores)].into());
        serve(&drift, 2_000, 0.0, 0);
        let report = drift.report();
        assert_eq!((report.reference, report.features.len(), report.rows), ("manifest", 1, 2_000));
        assert!(report.score.psi.unwrap() < 0.001 && report.features[0].psi.unwrap() < 0.001, "{report:?}");
        drift.observe(&[], &[]);
        drift.observe(&[], &[1.0]);
        for (wrong, edges, shares) in
            [("shares", vec![1.0], vec![1.0]), ("ascend", vec![2.0, 1.0], vec![1.0; 3]), ("from 0", vec![], vec![-1.0])]
        {
            let histogram = Histogram { edges, shares, missing: 0.0 };
            assert!(histogram.check().unwrap_err().contains(wrong));
        }
    }
}
