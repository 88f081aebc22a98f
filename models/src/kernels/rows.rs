//! Row by row: softmax, normalisation, sums.

use super::math::exp;
use super::wide;

/// Lanes summed side by side, so that a sum is not one long chain.
const LANES: usize = 16;

#[inline(always)]
fn fold(row: &[f32], start: f32, map: impl Fn(f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, map(*x));
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = join(*lane, map(*x));
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = join(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Makes each row of `width` positive with sum 1, less the row's maximum first. A row of -inf only is NaN.
pub(crate) fn softmax(data: &mut [f32], width: usize) {
    wide(
        #[inline(always)]
        || {
            for row in data.chunks_exact_mut(width.max(1)) {
                let most = fold(row, f32::NEG_INFINITY, |x| x, f32::max);
                for x in row.iter_mut() {
                    *x = exp(*x - most);
                }
                let scale = 1.0 / fold(row, 0.0, |x| x, |a, b| a + b);
                for x in row.iter_mut() {
                    *x *= scale;
                }
            }
        },
    );
}

/// How rows are normalised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    /// Added to the mean of the squares.
    pub(crate) epsilon: f32,
    /// Subtracts the mean first.
    pub(crate) centred: bool,
}

/// Divides each row by the root of the mean of its squares, then multiplies by `gain` and adds `shift`, where there are.
pub(crate) fn norm(from: &[f32], to: &mut [f32], width: usize, how: Norm, gain: Option<&[f32]>, shift: Option<&[f32]>) {
    let scale = 1.0 / width as f32;
    wide(
        #[inline(always)]
        || {
            for (from, to) in from.chunks_exact(width.max(1)).zip(to.chunks_exact_mut(width.max(1))) {
                let mean = if how.centred { fold(from, 0.0, |x| x, |a, b| a + b) * scale } else { 0.0 };
                let squares = fold(from, 0.0, |x| (x - mean) * (x - mean), |a, b| a + b) * scale;
                let factor = 1.0 / (squares + how.epsilon).sqrt();
                for (to, from) in to.iter_mut().zip(from) {
                    *to = (from - mean) * factor;
                }
                if let Some(gain) = gain {
                    to.iter_mut().zip(gain).for_each(|(to, gain)| *to *= gain);
                }
                if let Some(shift) = shift {
                    to.iter_mut().zip(shift).for_each(|(to, shift)| *to += shift);
                }
            }
        },
    );
}

/// What is done with the numbers along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Sum,
    Max,
    Min,
    MeanOfSquares,
}

/// Reduces the middle axis of `[outer, length, inner]` to 1.
pub(crate) fn reduce(from: &[f32], to: &mut [f32], length: usize, inner: usize, how: Reduction) {
    wide(
        #[inline(always)]
        || match how {
            Reduction::Sum => along(from, to, length, inner, 0.0, |x| x, |a, b| a + b),
            Reduction::Max => along(from, to, length, inner, f32::NEG_INFINITY, |x| x, f32::max),
            Reduction::Min => along(from, to, length, inner, f32::INFINITY, |x| x, f32::min),
            Reduction::MeanOfSquares => {
                along(from, to, length, inner, 0.0, |x| x * x, |a, b| a + b);
                to.iter_mut().for_each(|x| *x /= length as f32);
            }
        },
    );
}

#[inline(always)]
fn along(
    from: &[f32],
    to: &mut [f32],
    length: usize,
    inner: usize,
    start: f32,
    map: impl Fn(f32) -> f32 + Copy,
    join: impl Fn(f32, f32) -> f32 + Copy,
) {
    if inner == 1 {
        for (to, row) in to.iter_mut().zip(from.chunks_exact(length.max(1))) {
            *to = fold(row, start, map, join);
        }
        return;
    }
    for (to, rows) in to.chunks_exact_mut(inner.max(1)).zip(from.chunks_exact((length * inner).max(1))) {
        to.fill(start);
        for row in rows.chunks_exact(inner.max(1)) {
            for (to, x) in to.iter_mut().zip(row) {
                *to = join(*to, map(*x));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919) % 1000) as f32 / 200.0 - 2.5).collect()
    }

    #[test]
    fn softmax_is_that_of_the_textbook() {
        for width in [1, 3, 16, 21, 50, 64] {
            let from = numbers(width * 4);
            let mut to = from.clone();
            softmax(&mut to, width);
            for (row, got) in from.chunks(width).zip(to.chunks(width)) {
                let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
                for (x, got) in row.iter().zip(got) {
                    assert!((f64::from(*x).exp() / sum - f64::from(*got)).abs() < 1e-6, "width {width}");
                }
            }
        }
        let mut masked = [-1e9, 2.0, -1e9];
        softmax(&mut masked, 3);
        assert_eq!(masked, [0.0, 1.0, 0.0]);
    }

    #[test]
    fn norms_and_sums() {
        let from = numbers(40);
        let mut to = vec![0.0; 40];
        norm(&from, &mut to, 20, Norm { epsilon: 1e-5, centred: true }, Some(&[2.0; 20]), Some(&[1.0; 20]));
        for (row, got) in from.chunks(20).zip(to.chunks(20)) {
            let mean = row.iter().sum::<f32>() / 20.0;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 20.0;
            for (x, got) in row.iter().zip(got) {
                assert!(((x - mean) / (variance + 1e-5).sqrt() * 2.0 + 1.0 - got).abs() < 1e-5);
            }
        }
        let mut sums = vec![0.0; 4];
        reduce(&from, &mut sums, 5, 2, Reduction::Sum);
        assert!((sums[1] - (0..5).map(|i| from[i * 2 + 1]).sum::<f32>()).abs() < 1e-5);
        let mut most = vec![0.0; 2];
        reduce(&from, &mut most, 20, 1, Reduction::Max);
        assert_eq!(most[0], from[..20].iter().copied().fold(f32::NEG_INFINITY, f32::max));
    }
}
