//! Rows become columns: sixteen by sixteen numbers in registers where the machine has registers that wide.

#[cfg(target_arch = "x86_64")]
use x86::blocks;

const SIDE: usize = 16;

/// Writes `from[row * width + column]` to `to[column * stride + row]` for every row of `from`.
///
/// # Panics
/// When `from` is not whole rows, or `to` is too short for one of them.
pub(crate) fn transpose(from: &[f32], width: usize, to: &mut [f32], stride: usize) {
    let rows = from.len().checked_div(width).unwrap_or(0);
    assert!(from.len() == rows * width && rows <= stride, "{} numbers of {width} to {stride}", from.len());
    let (done_rows, done_columns) = blocks(from, width, to, stride);
    for row in 0..rows {
        let start = if row < done_rows { done_columns } else { 0 };
        for (column, value) in from[row * width..(row + 1) * width].iter().enumerate().skip(start) {
            to[column * stride + row] = *value;
        }
    }
}

/// No whole block is done.
#[cfg(not(target_arch = "x86_64"))]
fn blocks(_: &[f32], _: usize, _: &mut [f32], _: usize) -> (usize, usize) {
    (0, 0)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::SIDE;
    use pulp::NullaryFnOnce;
    use pulp::bytemuck::cast;
    use pulp::x86::V4;
    use std::arch::x86_64::__m512;

    /// The rows and columns of whole blocks, which are done.
    pub(super) fn blocks(from: &[f32], width: usize, to: &mut [f32], stride: usize) -> (usize, usize) {
        let Some(simd) = V4::try_new() else { return (0, 0) };
        simd.vectorize(Blocks { simd, from, width, to, stride })
    }

    struct Blocks<'a> {
        simd: V4,
        from: &'a [f32],
        width: usize,
        to: &'a mut [f32],
        stride: usize,
    }

    impl NullaryFnOnce for Blocks<'_> {
        type Output = (usize, usize);

        #[inline(always)]
        fn call(self) -> (usize, usize) {
            let Self { simd, from, width, to, stride } = self;
            let rows = from.len() / width.max(1) / SIDE * SIDE;
            let columns = width / SIDE * SIDE;
            for row in (0..rows).step_by(SIDE) {
                for column in (0..columns).step_by(SIDE) {
                    let mut block: [__m512; SIDE] = [cast([0f32; SIDE]); SIDE];
                    for (i, vector) in block.iter_mut().enumerate() {
                        let (numbers, _) = from[(row + i) * width + column..].as_chunks::<SIDE>();
                        *vector = cast(numbers[0]);
                    }
                    for (i, vector) in turn(simd, block).into_iter().enumerate() {
                        let (numbers, _) = to[(column + i) * stride + row..].as_chunks_mut::<SIDE>();
                        numbers[0] = cast(vector);
                    }
                }
            }
            (rows, columns)
        }
    }

    /// Pairs of rows, then fours within each quarter, then the quarters.
    #[inline(always)]
    fn turn(simd: V4, rows: [__m512; SIDE]) -> [__m512; SIDE] {
        let f = simd.avx512f;
        let mut pairs = rows;
        for i in (0..SIDE).step_by(2) {
            pairs[i] = f._mm512_unpacklo_ps(rows[i], rows[i + 1]);
            pairs[i + 1] = f._mm512_unpackhi_ps(rows[i], rows[i + 1]);
        }
        let mut fours = pairs;
        for i in (0..SIDE).step_by(4) {
            for j in 0..2 {
                let (low, high) = (pairs[i + j], pairs[i + j + 2]);
                fours[i + 2 * j] = f._mm512_shuffle_ps::<0x44>(low, high);
                fours[i + 2 * j + 1] = f._mm512_shuffle_ps::<0xEE>(low, high);
            }
        }
        let mut columns = fours;
        for j in 0..4 {
            let [a, b, c, d] = [fours[j], fours[4 + j], fours[8 + j], fours[12 + j]];
            let (ab, cd) = (f._mm512_shuffle_f32x4::<0x88>(a, b), f._mm512_shuffle_f32x4::<0x88>(c, d));
            columns[j] = f._mm512_shuffle_f32x4::<0x88>(ab, cd);
            columns[j + 8] = f._mm512_shuffle_f32x4::<0xDD>(ab, cd);
            let (ab, cd) = (f._mm512_shuffle_f32x4::<0xDD>(a, b), f._mm512_shuffle_f32x4::<0xDD>(c, d));
            columns[j + 4] = f._mm512_shuffle_f32x4::<0x88>(ab, cd);
            columns[j + 12] = f._mm512_shuffle_f32x4::<0xDD>(ab, cd);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::transpose;

    #[test]
    fn turns_whole_blocks_and_the_rest() {
        for (rows, width, stride) in [(0, 3, 0), (1, 1, 1), (16, 16, 16), (33, 50, 40), (7, 100, 9), (64, 31, 64)] {
            let from: Vec<f32> = (0..rows * width).map(|i| i as f32).collect();
            let mut to = vec![-1.0; width * stride];
            transpose(&from, width, &mut to, stride);
            for (at, got) in to.iter().enumerate() {
                let (column, row) = (at / stride, at % stride);
                let expected = if row < rows { from[row * width + column] } else { -1.0 };
                assert_eq!(*got, expected, "{rows} rows of {width}: row {row} column {column}");
            }
        }
    }
}
