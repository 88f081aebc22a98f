//! Scores of `f32` vectors, dispatched once per batch to the widest instructions the machine has.

use crate::isa::{Isa, Work};
use crate::spec::Metric;
use crate::table::Vectors;
use pulp::{Simd, WithSimd};

/// Stands for a row that is not there.
pub(crate) const MISSING: u32 = u32::MAX;

/// The dot product of two vectors of equal length. Always the same bits for the same vectors on the same machine,
/// whoever asks; zero is never negative.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = S::as_simd_f32s(a);
    let (b, b_rest) = S::as_simd_f32s(b);
    let (a_four, a_one) = a.as_chunks::<4>();
    let (b_four, b_one) = b.as_chunks::<4>();
    // Four sums, so that no addition waits for the one before.
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (x, y) in a_four.iter().zip(b_four) {
        for lane in 0..4 {
            sums[lane] = simd.mul_add_e_f32s(x[lane], y[lane], sums[lane]);
        }
    }
    for (lane, (x, y)) in a_one.iter().zip(b_one).enumerate() {
        sums[lane] = simd.mul_add_e_f32s(*x, *y, sums[lane]);
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    simd.reduce_sum_f32s(sum) + rest + 0.0
}

/// Minus the squared distance of two vectors of equal length; the same promises as [`dot`].
#[inline(always)]
pub(crate) fn near<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = S::as_simd_f32s(a);
    let (b, b_rest) = S::as_simd_f32s(b);
    let mut sums = [simd.splat_f32s(0.0); 2];
    for (at, (x, y)) in a.iter().zip(b).enumerate() {
        let apart = simd.sub_f32s(*x, *y);
        sums[at % 2] = simd.mul_add_e_f32s(apart, apart, sums[at % 2]);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| (x - y) * (x - y)).sum();
    0.0 - (simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1])) + rest)
}

/// What a metric says of two vectors as they are stored; higher is better.
#[inline(always)]
pub(crate) fn score<S: Simd>(simd: S, metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    match metric {
        Metric::Cosine | Metric::Dot => dot(simd, a, b),
        Metric::L2 => near(simd, a, b),
    }
}

/// One score, for callers that have no batch.
pub(crate) struct Score<'a>(pub Metric, pub &'a [f32], pub &'a [f32]);

impl WithSimd for Score<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        score(simd, self.0, self.1, self.2)
    }
}

/// Scores the vectors `from..from + out.len()` against a padded query.
pub(crate) struct ScoreBlock<'a> {
    pub metric: Metric,
    pub vectors: &'a Vectors,
    pub query: &'a [f32],
    pub from: usize,
    pub out: &'a mut [f32],
}

impl WithSimd for ScoreBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (vector, out) in self.vectors.padded_rows().from(self.from).zip(self.out) {
            *out = score(simd, self.metric, vector, self.query);
        }
    }
}

/// How many vectors ahead of the one being scored are asked for.
const AHEAD: usize = 8;

/// Scores the vectors at `at` against a padded query; NaN for [`MISSING`].
pub(crate) struct ScoreAt<'a> {
    pub metric: Metric,
    pub vectors: &'a Vectors,
    pub query: &'a [f32],
    pub at: &'a [u32],
    pub out: &'a mut [f32],
}

impl Work for ScoreAt<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let rows = self.vectors.padded_rows();
        for (i, (&at, out)) in self.at.iter().zip(self.out).enumerate() {
            if let Some(&next) = self.at.get(i + AHEAD).filter(|&&next| next != MISSING) {
                rows.prefetch(isa, next);
            }
            *out = if at == MISSING { f32::NAN } else { score(isa.simd(), self.metric, rows.get(at), self.query) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_agrees_with_a_plain_sum() {
        for n in 0..200 {
            let a: Vec<f32> = (0..n).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..n).map(|i| (i % 5) as f32 - 1.0).collect();
            let plain: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            let apart: f32 = a.iter().zip(&b).map(|(x, y)| (x - y) * (x - y)).sum();
            for arch in crate::isa::all() {
                assert_eq!(arch.dispatch(Score(Metric::Dot, &a, &b)), plain, "{arch:?}, length {n}");
                assert_eq!(arch.dispatch(Score(Metric::L2, &a, &b)), -apart, "{arch:?}, length {n}");
            }
        }
    }

    #[test]
    fn zero_has_no_sign() {
        let tiny = [f32::MIN_POSITIVE; 3];
        let minus = [-f32::MIN_POSITIVE; 3];
        assert_eq!(pulp::Arch::new().dispatch(Score(Metric::Dot, &tiny, &minus)).to_bits(), 0);
    }
}
