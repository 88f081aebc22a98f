//! One bit a number: on which side of its centre it lies. A thirty-second of the vectors, and 64 rows are weighed at a
//! time, so a look at everything costs a tenth of one at the codes. What it says of a score is rough, and how rough is
//! known from a sample: it tells what need not be scored by codes.

use crate::aligned::{Aligned, Rows};
use crate::codes::{CodeQuery, Codes};
use crate::isa::{Isa, Work};
use pulp::bytemuck::cast;

/// Rows that are weighed together.
pub(crate) const BLOCK: usize = 64;

/// Positions of a block that are appended together.
const AT_ONCE: usize = 4;

/// Signs in a byte.
const EIGHT: usize = 8;

/// What a byte is worth, by its lower and its upper half.
pub(crate) type Halves = [[u8; 16]; 2];

/// Bytes of a row whose worth is added up in 8 bits.
pub(crate) const TOGETHER: usize = 8;

/// The signs of some codes: in every block a byte of each row, then the next byte of each.
#[derive(Debug)]
pub(crate) struct Signs {
    /// Positions of the rows.
    pub at: Vec<u32>,
    bytes: Aligned<u8>,
    /// Bytes of a row.
    count: usize,
}

impl Signs {
    /// Of the codes at some positions.
    pub fn new(codes: &Codes, at: Vec<u32>) -> Self {
        let (rows, count) = (codes.rows(), codes.dim().div_ceil(EIGHT));
        let mut bytes = Aligned::zeros(at.len().next_multiple_of(BLOCK) * count);
        let blocks = bytes.all_mut().chunks_exact_mut(BLOCK * count);
        for (block, at) in blocks.zip(at.chunks(BLOCK)) {
            for (row, &at) in at.iter().enumerate() {
                for (i, &eight) in rows.get(at).as_chunks::<EIGHT>().0.iter().take(count).enumerate() {
                    block[i * BLOCK + row] = signs_of(eight);
                }
            }
        }
        Self { at, bytes, count }
    }

    /// Blocks of rows.
    pub fn blocks(&self) -> usize {
        self.at.len().div_ceil(BLOCK)
    }

    /// One bit for each row of a block: the last one may have fewer than others.
    #[inline(always)]
    fn rows_of(&self, block: usize) -> u64 {
        u64::MAX >> (BLOCK - (self.at.len() - block * BLOCK).clamp(1, BLOCK))
    }

    /// What each half byte is worth to a query, in whole numbers whose sum over [`TOGETHER`] bytes stays within 8 bits.
    pub fn tables(&self, query: &CodeQuery, into: &mut Vec<Halves>) {
        let weights = &query.weights().as_chunks::<EIGHT>().0[..self.count];
        let reach = |eight: &[i16; EIGHT]| eight.iter().map(|&w| f32::from(w).abs()).sum::<f32>();
        let most = weights.chunks(TOGETHER).map(|some| some.iter().map(reach).sum::<f32>()).fold(0.0, f32::max);
        // Rounding adds a half for each half byte at most.
        let scale = if most > 0.0 { (255 - TOGETHER) as f32 / most } else { 0.0 };
        into.clear();
        into.extend(weights.iter().map(|eight| {
            let (halves, _) = eight.as_chunks::<4>();
            [half(&halves[0], scale), half(&halves[1], scale)]
        }));
    }
}

/// The signs of eight codes, the first one's in the lowest bit.
fn signs_of(eight: [i8; EIGHT]) -> u8 {
    let each = cast::<[i8; EIGHT], u64>(eight).to_le() >> 7 & 0x0101_0101_0101_0101;
    // Every product of two of the bits lands in a place of its own; the top byte has each once.
    (each.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// What each of the sixteen signs of four codes is worth, beyond the least.
fn half(weights: &[i16; 4], scale: f32) -> [u8; 16] {
    std::array::from_fn(|signs| {
        let worth = weights.iter().enumerate().map(|(i, &weight)| {
            // A code below the centre takes from the score what its weight says.
            let worth = if signs >> i & 1 == 1 { -f32::from(weight) } else { f32::from(weight) };
            (worth + f32::from(weight).abs()) / 2.0
        });
        (worth.sum::<f32>() * scale).round() as u8
    })
}

/// Adds up what the signs of every row are worth.
pub(crate) struct SignSums<'a> {
    pub signs: &'a Signs,
    pub tables: &'a [Halves],
    /// One block in so many.
    pub step: usize,
    pub sums: &'a mut [[u16; BLOCK]],
    /// Positions of the rows whose sums are at least `low`.
    pub low: u16,
    pub found: &'a mut Vec<u32>,
}

impl Work for SignSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { signs, tables, step, sums, low, found } = self;
        let rows = Rows::new(signs.bytes.all(), BLOCK * signs.count);
        let last = signs.blocks().saturating_sub(1);
        for (block, sums) in sums.iter_mut().enumerate().step_by(step) {
            rows.prefetch(isa, (block + step).min(last) as u32);
            *sums = isa.sum_halves(rows.get(block as u32).as_chunks().0, tables);
            append(found, signs, block, isa.at_least(sums, low));
        }
    }
}

/// Appends the positions of the rows whose sums are at least `low` and below `high`.
pub(crate) struct Between<'a> {
    pub signs: &'a Signs,
    pub sums: &'a [[u16; BLOCK]],
    pub low: u16,
    pub high: u16,
    pub found: &'a mut Vec<u32>,
}

impl Work for Between<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (block, sums) in self.sums.iter().enumerate() {
            append(self.found, self.signs, block, isa.at_least(sums, self.low) & !isa.at_least(sums, self.high));
        }
    }
}

/// Appends the positions of the rows of a block whose bits are set.
#[inline(always)]
fn append(found: &mut Vec<u32>, signs: &Signs, block: usize, bits: u64) {
    let mut bits = bits & signs.rows_of(block);
    let mut left = bits.count_ones() as usize;
    while left > 0 {
        // So many at once, whether there are as many or not: the processor cannot guess how many there are.
        let mut some = [0; AT_ONCE];
        for at in &mut some {
            *at = signs.at.get(block * BLOCK + bits.trailing_zeros() as usize).copied().unwrap_or(0);
            bits &= bits.wrapping_sub(1);
        }
        found.extend_from_slice(&some);
        found.truncate(found.len() - AT_ONCE + left.min(AT_ONCE));
        left = left.saturating_sub(AT_ONCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{all, dispatch};
    use crate::spec::Metric;
    use crate::table::Vectors;
    use pulp::Arch;

    /// One sum a row, in its own words.
    fn plain(codes: &[i8], tables: &[Halves]) -> u16 {
        let byte = |eight: &[i8]| eight.iter().enumerate().map(|(i, &code)| usize::from(code < 0) << i).sum::<usize>();
        let worth = |(eight, [low, high]): (&[i8], &Halves)| {
            let byte = byte(eight);
            u16::from(low[byte % 16]) + u16::from(high[byte / 16])
        };
        codes.chunks(EIGHT).zip(tables).map(worth).sum()
    }

    #[test]
    fn sums_are_the_same_everywhere_and_follow_the_scores() {
        for dim in [3usize, 8, 20, 64, 100, 128, 200] {
            let n = 300;
            let mut vectors = Vectors::zeros(n, dim);
            for at in 0..n as u32 {
                let vector = vectors.get_mut(at).iter_mut().zip(1u32..);
                vector.for_each(|(x, i)| *x = ((at * 7 + i * i * 13) as f32 * 0.7).sin());
            }
            let codes = Codes::new(&vectors, Metric::Dot);
            let at: Vec<u32> = (0..n as u32).filter(|at| at % 5 != 2).collect();
            let signs = Signs::new(&codes, at.clone());
            assert_eq!(signs.blocks(), 4);
            let (mut query, mut tables) = (CodeQuery::default(), Vec::new());
            codes.query(Arch::new(), vectors.padded(78), &mut query);
            signs.tables(&query, &mut tables);
            let expected: Vec<u16> = at.iter().map(|&at| plain(codes.rows().get(at), &tables)).collect();
            let itself = at.iter().position(|&at| at == 78).expect("there");
            assert!(expected.iter().all(|&sum| sum <= expected[itself]), "{dim}: nothing is as near as itself");
            let mut middle = expected.clone();
            middle.sort_unstable();
            let (low, high) = (middle[50], middle[150]);
            let within = |range: std::ops::Range<u16>| {
                let all = at.iter().zip(&expected).filter(move |(_, sum)| range.contains(sum));
                all.map(|(&at, _)| at).collect::<Vec<_>>()
            };
            for arch in all() {
                let weigh = |step: usize, low: u16| {
                    let (mut sums, mut found) = ([[7u16; BLOCK]; 4], Vec::new());
                    let (signs, tables, sums, found) = (&signs, &tables[..], &mut sums, &mut found);
                    dispatch(arch, SignSums { signs, tables, step, sums, low, found });
                    (*sums, std::mem::take(found))
                };
                let (sums, mut found) = weigh(1, low);
                assert_eq!(sums.as_flattened()[..at.len()], expected, "{arch:?}, {dim}");
                assert_eq!(found, within(low..u16::MAX), "{arch:?}, {dim}");
                found.clear();
                dispatch(arch, Between { signs: &signs, sums: &sums, low, high, found: &mut found });
                assert_eq!(found, within(low..high), "{arch:?}, {dim}");
                let (few, found) = weigh(3, u16::MAX);
                assert_eq!((few, found), ([sums[0], [7; 64], [7; 64], sums[3]], vec![]), "{arch:?}, {dim}");
            }
        }
    }
}
