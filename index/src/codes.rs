//! The 8-bit plane: a quarter of the memory to read, near enough to walk by. What is found is scored again exactly.
//!
//! Every component has a centre and a step of its own. Both are folded into the query, whose numbers have 16 bits, so
//! that they cost a search nothing: the score of a row is one sum of products of whole numbers.

use crate::aligned::{Aligned, Rows};
use crate::isa::{Isa, Work};
use crate::kernel::MISSING;
use crate::spec::Metric;
use crate::table::Vectors;
use pulp::Arch;
use rayon::prelude::*;

/// Codes in a cache line.
const LINE: usize = 64;

/// The largest code; -127 is the smallest.
const TOP: f32 = 127.0;

/// Vectors whose components are looked at together.
const PIECE: usize = 4_096;

/// Components farther from the centre than this many standard deviations are cut off: one wild vector must not leave
/// two or three codes for all the others.
const SPREAD: f64 = 8.0;

/// A code for each component of each vector.
#[derive(Debug, PartialEq)]
pub(crate) struct Codes {
    values: Aligned<i8>,
    len: usize,
    stride: usize,
    centre: Vec<f32>,
    step: Vec<f32>,
    /// L2 only: the unit of the two codes that hold a vector's squared distance from the centre, in two digits.
    unit: Option<f32>,
}

/// A query in the units of the codes.
#[derive(Debug, Default)]
pub(crate) struct CodeQuery {
    weights: Vec<i16>,
    /// Standard deviation of the error that rounding to codes makes in a score.
    pub error: f32,
}

impl CodeQuery {
    /// What each code is multiplied by.
    pub fn weights(&self) -> &[i16] {
        &self.weights
    }
}

impl Codes {
    /// Codes of `vectors`.
    pub fn new(vectors: &Vectors, metric: Metric) -> Self {
        let (centre, step) = ranges(vectors);
        let mut codes = Self::empty(vectors.len(), centre, step, (metric == Metric::L2).then_some(0.0));
        let norms: Vec<f32> = match metric {
            Metric::L2 => (0..codes.len as u32).into_par_iter().map(|at| codes.norm(vectors.get(at))).collect(),
            Metric::Cosine | Metric::Dot => Vec::new(),
        };
        let most = norms.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        codes.unit = codes.unit.map(|_| most / 65_535.0);
        let Self { values, stride, centre, step, unit, .. } = &mut codes;
        let arch = Arch::new();
        values.all_mut().par_chunks_mut(*stride).enumerate().for_each(|(at, row)| {
            // Without the instructions for it, rounding is a call a number.
            arch.dispatch(
                #[inline(always)]
                || encode(vectors.get(at as u32), centre, step, row),
            );
            if let (Some(unit), Some(norm)) = (*unit, norms.get(at)) {
                let whole = (norm / unit) as u32;
                let dim = centre.len();
                row[dim] = ((whole >> 8).min(255) as i32 - 128) as i8;
                row[dim + 1] = ((whole & 255) as i32 - 128) as i8;
            }
        });
        codes
    }

    /// Room for codes, all zero.
    fn empty(len: usize, centre: Vec<f32>, step: Vec<f32>, unit: Option<f32>) -> Self {
        let used = centre.len() + if unit.is_some() { 2 } else { 0 };
        // Half a line is never cut by the end of one.
        let stride = if used <= 32 { 32 } else { used.next_multiple_of(LINE) };
        Self { values: Aligned::zeros(len * stride), len, stride, centre, step, unit }
    }

    /// The squared distance of a vector, as the codes know it, from the centre.
    fn norm(&self, vector: &[f32]) -> f32 {
        vector.iter().zip(&self.centre).map(|(x, c)| (x - c) * (x - c)).sum()
    }

    /// A query to score by.
    pub fn query(&self, arch: Arch, query: &[f32], into: &mut CodeQuery) {
        arch.dispatch(
            #[inline(always)]
            || self.query_here(query, into),
        );
    }

    #[inline(always)]
    fn query_here(&self, query: &[f32], into: &mut CodeQuery) {
        let dim = self.centre.len();
        let weights = query[..dim].iter().zip(&self.centre).zip(&self.step);
        let weight = |((&q, &centre), &step): ((&f32, &f32), &f32)| match self.unit {
            None => f64::from(q) * f64::from(step),
            Some(_) => 2.0 * (f64::from(q) - f64::from(centre)) * f64::from(step),
        };
        let unit = self.unit.map_or(0.0, f64::from);
        let most = weights.clone().map(|w| weight(w).abs()).fold(256.0 * unit, f64::max);
        // So that no sum of products leaves the range of an i32.
        let room = f64::from(i32::MAX) / (128.0 * (dim + 2) as f64);
        let scale = if most > 0.0 { room.min(f64::from(i16::MAX)) / most } else { 0.0 };
        into.weights.clear();
        into.weights.extend(weights.map(|w| (weight(w) * scale).round() as i16));
        if self.unit.is_some() {
            into.weights.extend([(-256.0 * unit * scale).round() as i16, (-unit * scale).round() as i16]);
        }
        into.weights.resize(self.stride, 0);
        // Rounding to whole numbers has a variance of 1/12.
        let squares: f64 = into.weights[..dim].iter().map(|&w| f64::from(w) * f64::from(w)).sum();
        into.error = (squares / 12.0).sqrt() as f32;
    }

    /// To score by a query that [`Codes::query`] made.
    #[inline(always)]
    pub fn scores<'a>(&'a self, query: &'a CodeQuery) -> CodeScores<'a> {
        CodeScores { rows: self.rows(), weights: &query.weights[..self.stride] }
    }

    /// Room for the codes of a file.
    pub fn room(len: usize, dim: usize, metric: Metric) -> Self {
        Self::empty(len, vec![0.0; dim], vec![1.0; dim], (metric == Metric::L2).then_some(0.0))
    }

    /// Numbers of a vector.
    pub fn dim(&self) -> usize {
        self.centre.len()
    }

    /// The codes of each vector, padded.
    #[inline(always)]
    pub fn rows(&self) -> Rows<'_, i8> {
        Rows::new(self.values.all(), self.stride)
    }

    /// All codes, padded, one vector's after another.
    pub fn all(&self) -> &[i8] {
        self.values.all()
    }

    /// The same, to be written.
    pub fn all_mut(&mut self) -> &mut [i8] {
        self.values.all_mut()
    }

    /// Centres, steps and the unit, as [`Codes::set_ranges`] takes them.
    pub fn ranges(&self) -> Vec<f32> {
        self.centre.iter().chain(&self.step).chain(&self.unit).copied().collect()
    }

    /// False when there are not as many as there must be, or they are not numbers to reckon with.
    pub fn set_ranges(&mut self, ranges: &[f32]) -> bool {
        let dim = self.centre.len();
        if ranges.len() != 2 * dim + usize::from(self.unit.is_some()) || !ranges.iter().all(|x| x.is_finite()) {
            return false;
        }
        self.centre.copy_from_slice(&ranges[..dim]);
        self.step.copy_from_slice(&ranges[dim..2 * dim]);
        self.unit = self.unit.and(ranges.last().copied());
        true
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.values.bytes()
    }
}

/// The codes of all vectors and a query in their units.
#[derive(Clone, Copy)]
pub(crate) struct CodeScores<'a> {
    rows: Rows<'a, i8>,
    weights: &'a [i16],
}

impl CodeScores<'_> {
    /// Higher is better; comparable between the vectors of one query only.
    #[inline(always)]
    pub fn score<I: Isa>(&self, isa: I, at: u32) -> f32 {
        isa.dot_codes(self.rows.get(at), self.weights) as f32
    }

    /// The same of four at once.
    #[inline(always)]
    pub fn score_four<I: Isa>(&self, isa: I, at: [u32; 4]) -> [f32; 4] {
        let ([a, b, c, d], rows) = (at, self.rows);
        let [a, b, c, d] = isa.dot_four([rows.get(a), rows.get(b), rows.get(c), rows.get(d)], self.weights);
        [a as f32, b as f32, c as f32, d as f32]
    }

    /// Asks the memory for the codes at `at`.
    #[inline(always)]
    pub fn prefetch<I: Isa>(&self, isa: I, at: u32) {
        self.rows.prefetch(isa, at);
    }
}

/// The codes of one vector.
#[inline(always)]
fn encode(vector: &[f32], centre: &[f32], step: &[f32], row: &mut [i8]) {
    for (((&x, &centre), &step), code) in vector.iter().zip(centre).zip(step).zip(row) {
        *code = ((x - centre) / step).round().clamp(-TOP, TOP) as i8;
    }
}

/// What is known of one component of some vectors.
#[derive(Clone)]
struct Component {
    low: f32,
    high: f32,
    sum: f64,
    squares: f64,
}

impl Default for Component {
    fn default() -> Self {
        Self { low: f32::INFINITY, high: f32::NEG_INFINITY, sum: 0.0, squares: 0.0 }
    }
}

impl Component {
    fn take(&mut self, x: f32) {
        let own = f64::from(x);
        self.join(&Self { low: x, high: x, sum: own, squares: own * own });
    }

    fn join(&mut self, other: &Self) {
        (self.low, self.high) = (self.low.min(other.low), self.high.max(other.high));
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

/// The centre and the step of each component.
fn ranges(vectors: &Vectors) -> (Vec<f32>, Vec<f32>) {
    let n = vectors.len() as f64;
    // Always the same pieces, so that the sums are the same however many threads there are.
    let pieces = (0..vectors.len()).into_par_iter().step_by(PIECE).map(|from| {
        let mut all = vec![Component::default(); vectors.dim()];
        for at in from..vectors.len().min(from + PIECE) {
            all.iter_mut().zip(vectors.get(at as u32)).for_each(|(one, &x)| one.take(x));
        }
        all
    });
    let mut all = vec![Component::default(); vectors.dim()];
    for piece in pieces.collect::<Vec<_>>() {
        all.iter_mut().zip(&piece).for_each(|(one, other)| one.join(other));
    }
    let both = all.iter().map(|one| {
        let mean = one.sum / n;
        let reach = SPREAD * (one.squares / n - mean * mean).max(0.0).sqrt();
        let (low, high) = (f64::from(one.low).max(mean - reach), f64::from(one.high).min(mean + reach));
        let step = (high - low) / 2.0 / f64::from(TOP);
        // A component that never changes needs no step, but must not be divided by nothing.
        (f64::midpoint(low, high) as f32, if step > 1e-30 { step as f32 } else { 1.0 })
    });
    both.unzip()
}

/// Scores the codes `from..from + out.len()`.
pub(crate) struct CodeBlock<'a> {
    pub codes: &'a Codes,
    pub query: &'a CodeQuery,
    pub from: usize,
    pub out: &'a mut [f32],
}

impl Work for CodeBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let scores = self.codes.scores(self.query);
        let (fours, rest) = self.out.as_chunks_mut::<4>();
        let mut at = self.from as u32;
        for out in fours {
            *out = scores.score_four(isa, [at, at + 1, at + 2, at + 3]);
            at += 4;
        }
        for (at, out) in (at..).zip(rest) {
            *out = scores.score(isa, at);
        }
    }
}

/// How many fours of codes ahead of those being scored are asked for.
const AHEAD: usize = 8;

/// Scores the codes at `at`, none of them [`MISSING`].
pub(crate) struct CodesAt<'a> {
    pub codes: &'a Codes,
    pub query: &'a CodeQuery,
    pub at: &'a [u32],
    pub out: &'a mut [f32],
}

impl Work for CodesAt<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let scores = self.codes.scores(self.query);
        let ((fours, rest), (out, out_rest)) = (self.at.as_chunks::<4>(), self.out.as_chunks_mut::<4>());
        for (i, (&at, out)) in fours.iter().zip(out).enumerate() {
            debug_assert!(!at.contains(&MISSING), "callers look rows up first");
            if let Some(&next) = fours.get(i + AHEAD) {
                for next in next {
                    scores.prefetch(isa, next);
                }
            }
            *out = scores.score_four(isa, at);
        }
        for (&at, out) in rest.iter().zip(out_rest) {
            *out = scores.score(isa, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{all, dispatch};

    fn wavy(n: usize, dim: usize) -> Vectors {
        let mut vectors = Vectors::zeros(n, dim);
        for at in 0..n as u32 {
            let vector = vectors.get_mut(at).iter_mut().zip(1u32..);
            vector.for_each(|(x, i)| *x = ((at * 7 + i * i * 13) as f32).sin() * i as f32 + 3.0);
        }
        vectors
    }

    #[test]
    fn codes_rank_nearly_as_the_vectors_do() {
        for (metric, dim) in [(Metric::Dot, 5), (Metric::Dot, 64), (Metric::L2, 30), (Metric::L2, 31), (Metric::L2, 64)]
        {
            let vectors = wavy(400, dim);
            let codes = Codes::new(&vectors, metric);
            let (query, mut coded) = (wavy(1, dim), CodeQuery::default());
            codes.query(Arch::new(), query.get(0), &mut coded);
            let mut exact = vec![0.0; 400];
            let arch = Arch::new();
            let block = crate::kernel::ScoreBlock {
                metric,
                vectors: &vectors,
                query: query.padded(0),
                from: 0,
                out: &mut exact,
            };
            arch.dispatch(block);
            let top = (0..400).max_by(|&a, &b| exact[a].total_cmp(&exact[b]));
            for arch in all() {
                let mut near = vec![0.0; 400];
                dispatch(arch, CodeBlock { codes: &codes, query: &coded, from: 0, out: &mut near });
                let at: Vec<u32> = (0..400).collect();
                let mut again = vec![0.0; 400];
                dispatch(arch, CodesAt { codes: &codes, query: &coded, at: &at, out: &mut again });
                assert_eq!(near, again);
                let mut order: Vec<usize> = (0..400).collect();
                order.sort_by(|&a, &b| near[b].total_cmp(&near[a]));
                assert!(order[..20].contains(&top.expect("some")), "{metric:?} {dim}");
            }
        }
    }
}
