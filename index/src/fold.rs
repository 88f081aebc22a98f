//! Folding a visitor in: the factor that alternating least squares would give them.

use crate::base::Base;
use crate::generation::Generation;
use qianmian_core::ItemRow;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Largest dimension a visitor is folded into: the solution costs its cube.
pub const MAX_FOLD_DIM: usize = 512;

/// Rows of the Gram matrix computed together: they stay in the first cache while the vectors stream by.
const GRAM_ROWS: usize = 8;

impl Generation {
    /// The factor of a visitor who interacted with `rows`, by implicit-feedback least squares over this generation's
    /// vectors as item factors Y (Hu, Koren, Volinsky, ICDM 2008): the x that solves
    /// `(YtY + regularization I + sum (|c| - 1) y yt) x = sum of c y over c > 0`, with `c = alpha * weight`.
    ///
    /// This is what `AlternatingLeastSquares.recalculate_user` of the Python package implicit 0.7.2 computes, to
    /// rounding: a negative weight is dislike, and the weights of a row given twice add up. Rows without a vector and
    /// rows whose weights come to 0 say nothing. YtY is as of the last whole build. Under [`crate::Metric::Cosine`] Y is the normalised vectors.
    ///
    /// `None` when no row is left; when `rows` and `weights` differ in length; when a weight, `alpha` or
    /// `regularization` is not finite, or one of the latter negative; above [`MAX_FOLD_DIM`]; and when the system has
    /// no single solution, as it may without regularisation.
    #[must_use]
    pub fn fold_in(&self, rows: &[ItemRow], weights: &[f32], alpha: f32, regularization: f32) -> Option<Vec<f32>> {
        let dim = self.dim();
        let fair = |x: f32| x.is_finite() && x >= 0.0;
        if rows.len() != weights.len() || !fair(alpha) || !fair(regularization) || dim > MAX_FOLD_DIM {
            return None;
        }
        // Sorted, so that the order of a history does not change the last bits.
        let mut confidences: BTreeMap<u32, f32> = BTreeMap::new();
        for (&row, &weight) in rows.iter().zip(weights) {
            if self.vector(row).is_some() {
                *confidences.entry(row.0).or_default() += weight;
            }
        }
        confidences.values_mut().for_each(|weight| *weight *= alpha);
        confidences.retain(|_, confidence| *confidence != 0.0);
        if confidences.is_empty() || !confidences.values().all(|confidence| confidence.is_finite()) {
            return None;
        }
        let (mut a, mut b) = (self.base().gram().to_vec(), vec![0f64; dim]);
        for i in 0..dim {
            a[i * dim + i] += f64::from(regularization);
        }
        self.base().arch.dispatch(|| {
            for (&row, &confidence) in &confidences {
                let Some(y) = self.vector(ItemRow(row)) else { continue };
                let confidence = f64::from(confidence);
                add_outer(&mut a, dim, 0, y, confidence.abs() - 1.0);
                if confidence > 0.0 {
                    b.iter_mut().zip(y).for_each(|(b, &y)| *b += confidence * f64::from(y));
                }
            }
            solve(&mut a, &mut b)
        })?;
        let x: Vec<f32> = b.iter().map(|&x| x as f32).collect();
        x.iter().all(|x| x.is_finite()).then_some(x)
    }
}

impl Base {
    /// YtY, row-major, its upper triangle. Computed once a build.
    pub(crate) fn gram(&self) -> &[f64] {
        self.gram.get_or_init(|| {
            let dim = self.vectors.dim();
            let mut gram = vec![0f64; dim * dim];
            gram.par_chunks_mut(GRAM_ROWS * dim).enumerate().for_each(|(block, gram)| {
                self.arch.dispatch(|| {
                    for at in 0..self.len() as u32 {
                        add_outer(gram, dim, block * GRAM_ROWS, self.vectors.get(at), 1.0);
                    }
                });
            });
            gram
        })
    }
}

/// Adds `by * y yt` to the rows of a matrix that begin with row `first`, upper triangle only.
#[inline(always)]
fn add_outer(rows: &mut [f64], dim: usize, first: usize, y: &[f32], by: f64) {
    for (row, i) in rows.chunks_exact_mut(dim).zip(first..) {
        let scaled = by * f64::from(y[i]);
        row[i..].iter_mut().zip(&y[i..]).for_each(|(a, &y)| *a += scaled * f64::from(y));
    }
}

/// Solves `a x = b` into `b` by Cholesky, reading and overwriting the upper triangle of `a`. `None` when `a` is not
/// positive definite.
#[inline(always)]
fn solve(a: &mut [f64], b: &mut [f64]) -> Option<()> {
    let n = b.len();
    for k in 0..n {
        let (above, below) = a.split_at_mut((k + 1) * n);
        let pivot = &mut above[k * n..];
        let squared = pivot[k];
        // NaN is refused too.
        if squared.is_nan() || squared <= 0.0 {
            return None;
        }
        let root = squared.sqrt();
        pivot[k..].iter_mut().for_each(|x| *x /= root);
        for (row, i) in below.chunks_exact_mut(n).zip(k + 1..) {
            let by = pivot[i];
            row[i..].iter_mut().zip(&pivot[i..]).for_each(|(x, &p)| *x -= by * p);
        }
        b[k] /= root;
        let (done, rest) = b.split_at_mut(k + 1);
        rest.iter_mut().zip(&pivot[k + 1..]).for_each(|(b, &p)| *b -= done[k] * p);
    }
    for k in (0..n).rev() {
        let row = &a[k * n..(k + 1) * n];
        let known: f64 = row[k + 1..].iter().zip(&b[k + 1..]).map(|(a, x)| a * x).sum();
        b[k] = (b[k] - known) / row[k];
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Metric, SpaceSpec};

    const ITEMS: [[f32; 3]; 6] =
        [[0.5, -0.2, 0.1], [0.3, 0.8, -0.4], [-0.6, 0.1, 0.9], [0.2, 0.2, 0.2], [0.0, 0.0, 0.0], [1.5, -0.7, 0.3]];

    fn generation(items: &[[f32; 3]]) -> Generation {
        let rows: Vec<ItemRow> = (0..items.len() as u32).map(ItemRow).collect();
        Base::build(SpaceSpec::new("als", Metric::Dot), &rows, items.as_flattened(), 3)
            .map(|(base, _)| Generation::new(1, base))
            .expect("six good vectors")
    }

    fn fold(rows: &[u32], weights: &[f32], alpha: f32, regularization: f32) -> Option<Vec<f32>> {
        let rows: Vec<ItemRow> = rows.iter().map(|&row| ItemRow(row)).collect();
        generation(&ITEMS).fold_in(&rows, weights, alpha, regularization)
    }

    fn assert_near(found: Option<Vec<f32>>, expected: [f64; 3]) {
        let found = found.expect("a solution");
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-7, "{found} is not {expected}");
        }
    }

    /// Expected values: numpy in f64, and `recalculate_user` of implicit 0.7.2 in f32 agreeing to its rounding.
    #[test]
    fn agrees_with_the_python_package() {
        assert_near(fold(&[0, 2], &[1.0, 2.0], 5.0, 0.1), [0.513_509_728, 0.337_652_526, 1.387_576_651]);
        assert_near(fold(&[1], &[1.0], 1.0, 0.01), [0.403_684_457, 0.973_046_475, 0.051_001_484]);
        assert_near(fold(&[0], &[0.1], 1.0, 0.01), [0.018_917_761, 0.000_609_158, 0.012_030_884]);
        // The last weight is dislike.
        let disliked = [0.981_323_544, 1.059_244_053, 1.187_333_261];
        assert_near(fold(&[5, 3, 0], &[0.5, 3.0, -1.0], 2.0, 0.05), disliked);
        // Rows nobody knows and weights of 0 say nothing, and weights of one row add up.
        assert_near(fold(&[5, 3, 77, 0, 1, 3], &[0.5, 1.0, 9.0, -1.0, 0.0, 2.0], 2.0, 0.05), disliked);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(fold(&[], &[], 1.0, 0.1), None);
        assert_eq!(fold(&[77], &[1.0], 1.0, 0.1), None);
        assert_eq!(fold(&[0], &[0.0], 1.0, 0.1), None);
        assert_eq!(fold(&[0], &[], 1.0, 0.1), None);
        assert_eq!(fold(&[0], &[f32::NAN], 1.0, 0.1), None);
        assert_eq!(fold(&[0], &[1.0], f32::INFINITY, 0.1), None);
        assert_eq!(fold(&[0], &[1.0], 1.0, -0.1), None);
        // One item in three dimensions, no regularisation: any of a plane of solutions would do.
        assert_eq!(generation(&ITEMS[..1]).fold_in(&[ItemRow(0)], &[1.0], 1.0, 0.0), None);
    }

    #[test]
    fn large_systems_are_solved() {
        for dim in [17usize, 64, 200] {
            let value = |i: usize| ((i * 7_919 + i * i * 31) % 1_009) as f32 / 1_009.0 - 0.5;
            let values: Vec<f32> = (0..300 * dim).map(value).collect();
            let rows: Vec<ItemRow> = (0..300).map(ItemRow).collect();
            let (base, _) = Base::build(SpaceSpec::new("als", Metric::Dot), &rows, &values, dim).expect("good vectors");
            let generation = Generation::new(1, base);
            let (liked, weights) = ([ItemRow(3), ItemRow(40), ItemRow(299)], [1.0, 2.5, 0.5]);
            let x = generation.fold_in(&liked, &weights, 4.0, 0.5).expect("a solution");
            // The gradient of the loss is zero there.
            let dot = |y: &[f32]| y.iter().zip(&x).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            for i in 0..dim {
                let mut gradient = 0.5 * f64::from(x[i]);
                for (row, y) in values.chunks_exact(dim).enumerate() {
                    let weight = liked.iter().position(|r| r.index() == row).map(|at| 4.0 * f64::from(weights[at]));
                    let (confidence, wanted) = weight.map_or((1.0, 0.0), |confidence| (confidence, 1.0));
                    gradient += confidence * (dot(y) - wanted) * f64::from(y[i]);
                }
                assert!(gradient.abs() < 1e-4, "dimension {dim}, component {i}: gradient {gradient}");
            }
        }
    }
}
