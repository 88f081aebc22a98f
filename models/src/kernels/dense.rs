//! Products of many rows with one matrix, which is packed once into panels of a few vectors of columns. A block of rows by
//! a panel is accumulated in registers; bias, further addends and the activation are applied before it is stored.

use super::math;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Vectors in the widest panel.
const MOST: usize = 4;
/// Bytes of a panel that is as wide: less than a usual first-level cache.
const PANEL_BYTES: usize = 32 << 10;

/// What follows the sum. NaN stays NaN, but for Relu, which makes it 0 or NaN as the hardware's maximum does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Activation {
    None,
    Relu,
    Sigmoid,
    Tanh,
    Gelu,
    /// Negative values are multiplied by their column's slope, or by the only one there is.
    Slope(Vec<f32>),
}

/// A matrix of `k` rows and `n` columns, packed for this machine.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// Numbers a vector holds.
    lanes: usize,
    /// Panel by panel `[k][vectors * lanes]`; columns past `n` are 0. With a single column, the column.
    data: Vec<f32>,
    /// Vectors in each panel.
    panels: Vec<usize>,
}

/// A matrix to be packed: `data[row * strides.0 + column * strides.1]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) strides: (usize, usize),
}

/// Rows to be multiplied: row `i` begins at `starts(i)` and is `k` long.
pub(crate) trait Starts: Fn(usize) -> usize {}
impl<F: Fn(usize) -> usize> Starts for F {}

/// What is added to the products: for row `i` the `n` numbers from `starts[i]` on, or one number for every row and column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addend<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) starts: &'a [u32],
}

impl Packed {
    /// Nothing yet; keeps memory for [`Self::repack`].
    pub(crate) fn empty() -> Self {
        Self { k: 0, n: 0, lanes: 1, data: Vec::new(), panels: Vec::new() }
    }

    pub(crate) fn new(matrix: Matrix) -> Self {
        let mut packed = Self::empty();
        packed.repack(matrix);
        packed
    }

    /// Packs another matrix into the same memory.
    pub(crate) fn repack(&mut self, matrix: Matrix) {
        struct Pack<'a, 'b>(&'a mut Packed, Matrix<'b>);
        impl WithSimd for Pack<'_, '_> {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) {
                let Self(packed, matrix) = self;
                packed.lanes = S::F32_LANES;
                // 16 registers hold 12 sums, a row's number and two vectors of the panel; 32 hold twice that, two vectors by
                // twelve rows or four by six: the wider reads rows less often, but a panel should stay in the first cache.
                let wide = matrix.k * MOST * S::F32_LANES * size_of::<f32>() <= PANEL_BYTES;
                let most = if S::REGISTER_COUNT >= 32 && wide { MOST } else { 2 };
                packed.pack(matrix, most);
            }
        }
        Arch::new().dispatch(Pack(self, matrix));
    }

    #[inline(always)]
    fn pack(&mut self, matrix: Matrix, most: usize) {
        let Matrix { data, k, n, strides } = matrix;
        (self.k, self.n) = (k, n);
        self.panels.clear();
        self.data.clear();
        if n == 1 {
            self.data.extend((0..k).map(|row| data[row * strides.0]));
            return;
        }
        let vectors = n.div_ceil(self.lanes);
        let panels = vectors.div_ceil(most);
        // Panels of about one width: a last one of a single vector would be slow.
        self.panels.extend((0..panels).map(|p| vectors * (p + 1) / panels - vectors * p / panels));
        self.data.resize(vectors * self.lanes * k, 0.0);
        let (mut start, mut at) = (0, 0);
        for vectors in &self.panels {
            let wide = vectors * self.lanes;
            let real = wide.min(n - start);
            for row in 0..k {
                let to = &mut self.data[at + row * wide..][..real];
                let from = row * strides.0 + start * strides.1;
                if strides.1 == 1 {
                    to.copy_from_slice(&data[from..from + real]);
                } else {
                    to.iter_mut().zip(data[from..].iter().step_by(strides.1)).for_each(|(to, from)| *to = *from);
                }
            }
            start += real;
            at += wide * k;
        }
    }

    /// `to[i * n..]` is row `i` of `from` times the matrix, plus `bias` and the addends, activated; for `rows` rows.
    ///
    /// # Panics
    /// When a row or an addend reaches past its slice, or `to` is not `rows * n`.
    pub(crate) fn multiply(
        &self,
        rows: usize,
        (from, starts): (&[f32], impl Starts),
        to: &mut [f32],
        bias: &[f32],
        addends: &[Addend],
        activation: &Activation,
    ) {
        assert_eq!(to.len(), rows * self.n, "rows to write");
        let each = self.n;
        Arch::new().dispatch(Multiply { packed: self, rows, from, starts, to, each, bias, addends, activation });
    }

    /// The same without anything after the products; row `i` is written from `to[i * each]` on.
    ///
    /// # Panics
    /// When a row reaches past its slice.
    pub(crate) fn products(&self, rows: usize, (from, starts): (&[f32], impl Starts), to: &mut [f32], each: usize) {
        let activation = &Activation::None;
        Arch::new().dispatch(Multiply {
            packed: self,
            rows,
            from,
            starts,
            to,
            each,
            bias: &[],
            addends: &[],
            activation,
        });
    }
}

struct Multiply<'a, F> {
    packed: &'a Packed,
    rows: usize,
    from: &'a [f32],
    starts: F,
    to: &'a mut [f32],
    /// From one row of `to` to the next.
    each: usize,
    bias: &'a [f32],
    addends: &'a [Addend<'a>],
    activation: &'a Activation,
}

impl<F: Starts> WithSimd for Multiply<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let packed = self.packed;
        if packed.n == 1 {
            return self.column(simd);
        }
        debug_assert_eq!(packed.lanes, S::F32_LANES);
        let (mut start, mut at) = (0, 0);
        for vectors in &packed.panels {
            let size = vectors * S::F32_LANES * packed.k;
            let panel = S::as_simd_f32s(&packed.data[at..at + size]).0;
            // Blocks as high as the registers allow, then the rest of the rows.
            match *vectors {
                1 => self.panel::<S, 1, 12>(simd, panel, start),
                2 if S::REGISTER_COUNT >= 32 => self.panel::<S, 2, 12>(simd, panel, start),
                2 => self.panel::<S, 2, 6>(simd, panel, start),
                3 => self.panel::<S, 3, 8>(simd, panel, start),
                _ => self.panel::<S, 4, 6>(simd, panel, start),
            }
            start += vectors * S::F32_LANES;
            at += size;
        }
        self.activate();
    }
}

impl<F: Starts> Multiply<'_, F> {
    /// A matrix of one column.
    #[inline(always)]
    fn column<S: Simd>(&mut self, simd: S) {
        let k = self.packed.k;
        let bias = self.bias.first().copied().unwrap_or(0.0);
        let (weights, last) = S::as_simd_f32s(&self.packed.data[..k]);
        let last = simd.partial_load_f32s(last);
        for i in 0..self.rows {
            let start = (self.starts)(i);
            let (row, rest) = S::as_simd_f32s(&self.from[start..start + k]);
            let mut sums = [simd.splat_f32s(0.0); 4];
            let (rows, others) = row.as_chunks::<4>();
            let (columns, other_columns) = weights.as_chunks::<4>();
            for (row, column) in rows.iter().zip(columns) {
                for c in 0..4 {
                    sums[c] = simd.mul_add_e_f32s(row[c], column[c], sums[c]);
                }
            }
            for (row, column) in others.iter().zip(other_columns) {
                sums[0] = simd.mul_add_e_f32s(*row, *column, sums[0]);
            }
            if !rest.is_empty() {
                sums[1] = simd.mul_add_e_f32s(simd.partial_load_f32s(rest), last, sums[1]);
            }
            let halves = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
            let mut sum = simd.reduce_sum_f32s(halves) + bias;
            for addend in self.addends {
                sum += addend.data[addend.starts[i] as usize];
            }
            self.to[i * self.each] = sum;
        }
        self.activate();
    }

    #[inline(always)]
    fn panel<S: Simd, const C: usize, const R: usize>(&mut self, simd: S, panel: &[S::f32s], start: usize) {
        let panel = panel.as_chunks::<C>().0;
        let mut row = 0;
        while row + R <= self.rows {
            self.block::<S, C, R>(simd, panel, start, row);
            row += R;
        }
        while row + 4 <= self.rows {
            self.block::<S, C, 4>(simd, panel, start, row);
            row += 4;
        }
        while row + 2 <= self.rows {
            self.block::<S, C, 2>(simd, panel, start, row);
            row += 2;
        }
        if row < self.rows {
            self.block::<S, C, 1>(simd, panel, start, row);
        }
    }

    #[expect(clippy::needless_range_loop, reason = "by constant numbers, so that every sum stays in a register")]
    #[inline(always)]
    fn block<S: Simd, const C: usize, const R: usize>(
        &mut self,
        simd: S,
        panel: &[[S::f32s; C]],
        start: usize,
        first: usize,
    ) {
        let (k, n) = (self.packed.k, self.packed.n);
        let from: [&[f32]; R] = std::array::from_fn(|r| {
            let start = (self.starts)(first + r);
            &self.from[start..start + k]
        });
        let panel = &panel[..k];
        let real = (C * S::F32_LANES).min(n - start);
        // Bias, and addends that are the same for these rows, are what a sum begins with.
        let shared = |addend: &Addend| addend.starts[first..first + R].iter().all(|s| *s == addend.starts[first]);
        let mut begin = [simd.splat_f32s(0.0); C];
        if !self.bias.is_empty() {
            add(simd, &mut begin, &self.bias[start..start + real]);
        }
        for addend in self.addends.iter().filter(|addend| shared(addend)) {
            add(simd, &mut begin, &addend.data[addend.starts[first] as usize + start..][..real]);
        }
        let mut sums = [begin; R];
        if R == 1 {
            // One row has too few sums to keep the multipliers busy: four sums each, over every fourth number.
            let mut more = [[simd.splat_f32s(0.0); C]; 3];
            let (fours, rest) = panel.as_chunks::<4>();
            for (weights, x) in fours.iter().zip(from[0].as_chunks::<4>().0) {
                for c in 0..C {
                    sums[0][c] = simd.mul_add_e_f32s(simd.splat_f32s(x[0]), weights[0][c], sums[0][c]);
                    for i in 0..3 {
                        more[i][c] = simd.mul_add_e_f32s(simd.splat_f32s(x[i + 1]), weights[i + 1][c], more[i][c]);
                    }
                }
            }
            for (weights, x) in rest.iter().zip(&from[0][k - rest.len()..]) {
                for c in 0..C {
                    sums[0][c] = simd.mul_add_e_f32s(simd.splat_f32s(*x), weights[c], sums[0][c]);
                }
            }
            for c in 0..C {
                let pair = simd.add_f32s(more[1][c], more[2][c]);
                sums[0][c] = simd.add_f32s(simd.add_f32s(sums[0][c], more[0][c]), pair);
            }
        } else {
            for i in 0..k {
                let weights = panel[i];
                for r in 0..R {
                    let x = simd.splat_f32s(from[r][i]);
                    for c in 0..C {
                        sums[r][c] = simd.mul_add_e_f32s(x, weights[c], sums[r][c]);
                    }
                }
            }
        }
        // From here on sums are only named by constant numbers: one asked for by a variable would put all of them in memory,
        // and the loop above would take four times as long.
        let relu = *self.activation == Activation::Relu;
        let own = self.addends.iter().any(|addend| !shared(addend));
        for r in 0..R {
            let to = &mut self.to[(first + r) * self.each + start..][..real];
            for c in 0..C {
                let at = c * S::F32_LANES;
                if at < real {
                    let sum = if relu && !own { simd.max_f32s(sums[r][c], simd.splat_f32s(0.0)) } else { sums[r][c] };
                    store(simd, &mut to[at..real.min(at + S::F32_LANES)], sum);
                }
            }
        }
        if own {
            self.add_own(first..first + R, start..start + real, &shared);
        }
    }

    /// Adds what is not the same for all rows of a block, which has just been stored, and activates it.
    #[inline(always)]
    fn add_own(&mut self, rows: Range<usize>, columns: Range<usize>, shared: &impl Fn(&Addend) -> bool) {
        let relu = *self.activation == Activation::Relu;
        for row in rows {
            let to = &mut self.to[row * self.each..][columns.clone()];
            for addend in self.addends.iter().filter(|addend| !shared(addend)) {
                let from = &addend.data[addend.starts[row] as usize..][columns.clone()];
                to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
            if relu {
                to.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x });
            }
        }
    }

    /// While the rows are still in the cache; plain loops, vectorised.
    #[inline(always)]
    fn activate(&mut self) {
        match self.activation {
            Activation::None => {}
            // Done in the registers, but for a single column.
            Activation::Relu if self.packed.n > 1 => {}
            Activation::Relu => self.to.iter_mut().for_each(|x| *x = if *x < 0.0 { 0.0 } else { *x }),
            Activation::Sigmoid => self.to.iter_mut().for_each(|x| *x = math::sigmoid(*x)),
            Activation::Tanh => self.to.iter_mut().for_each(|x| *x = math::tanh(*x)),
            Activation::Gelu => self.to.iter_mut().for_each(|x| *x = math::gelu(*x)),
            Activation::Slope(slopes) => {
                if let [slope] = slopes[..] {
                    self.to.iter_mut().for_each(|x| *x *= if *x < 0.0 { slope } else { 1.0 });
                } else {
                    for row in self.to.chunks_exact_mut(slopes.len().max(1)) {
                        for (x, slope) in row.iter_mut().zip(slopes) {
                            *x *= if *x < 0.0 { *slope } else { 1.0 };
                        }
                    }
                }
            }
        }
    }
}

/// Adds to as many numbers as there are.
#[inline(always)]
fn add<S: Simd, const C: usize>(simd: S, to: &mut [S::f32s; C], from: &[f32]) {
    if let Some(whole) = S::as_simd_f32s(from).0.first_chunk::<C>() {
        for c in 0..C {
            to[c] = simd.add_f32s(to[c], whole[c]);
        }
        return;
    }
    for (to, from) in to.iter_mut().zip(from.chunks(S::F32_LANES)) {
        *to = simd.add_f32s(*to, load(simd, from));
    }
}

/// A vector, or its beginning.
#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32]) -> S::f32s {
    match S::as_simd_f32s(from).0.first() {
        Some(whole) => *whole,
        None => simd.partial_load_f32s(from),
    }
}

#[inline(always)]
fn store<S: Simd>(simd: S, to: &mut [f32], sum: S::f32s) {
    match S::as_mut_simd_f32s(to).0.first_mut() {
        Some(whole) => *whole = sum,
        None => simd.partial_store_f32s(to, sum),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| (((i + seed) * 7919) % 1000) as f32 / 500.0 - 1.0).collect()
    }

    fn activations(n: usize) -> Vec<Activation> {
        use Activation::{Gelu, None, Relu, Sigmoid, Slope, Tanh};
        vec![None, Relu, Sigmoid, Tanh, Gelu, Slope(vec![0.25]), Slope(numbers(n, 5))]
    }

    fn activated(x: f32, column: usize, activation: &Activation) -> f32 {
        match activation {
            Activation::None => x,
            Activation::Relu => x.max(0.0),
            Activation::Sigmoid => math::sigmoid(x),
            Activation::Tanh => math::tanh(x),
            Activation::Gelu => math::gelu(x),
            Activation::Slope(s) if x < 0.0 => x * if s.len() == 1 { s[0] } else { s[column] },
            Activation::Slope(_) => x,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn multiplies_as_written(rows in 1usize..20, k in 1usize..40, n in 1usize..150, transposed: bool, which in 0usize..7) {
            let (from, matrix, bias, more) =
                (numbers(rows * k, 1), numbers(k * n, 2), numbers(n, 3), numbers(n * 2, 4));
            let strides = if transposed { (1, k) } else { (n, 1) };
            let packed = Packed::new(Matrix { data: &matrix, k, n, strides });
            let starts: Vec<u32> = (0..rows).map(|i| (i % 2 * n) as u32).collect();
            let activation = &activations(n)[which];
            let mut to = vec![f32::NAN; rows * n];
            packed.multiply(
                rows, (&from, |i| i * k), &mut to, &bias, &[Addend { data: &more, starts: &starts }], activation,
            );
            for row in 0..rows {
                for column in 0..n {
                    let sum: f64 = (0..k)
                        .map(|i| f64::from(from[row * k + i]) * f64::from(matrix[i * strides.0 + column * strides.1]))
                        .sum();
                    let sum = sum as f32 + bias[column] + more[row % 2 * n + column];
                    let (got, expected) = (to[row * n + column], activated(sum, column, activation));
                    prop_assert!((got - expected).abs() < 1e-4, "{got} for {expected} at {row} {column}");
                }
            }
        }
    }
}
