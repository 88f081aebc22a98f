//! Numbers as their ranks among the thresholds they are compared with, so that a comparison is one of bytes: `x` is above a
//! threshold when its rank, the number of thresholds less than it, is above the threshold's place.
//!
//! 254 thresholds of a feature make a scale, so that a rank is a byte and 255 is left for what is missing and goes right; a
//! feature with more has several scales. A rank is found in the registers: the thresholds are a search tree, each level of
//! which is looked up by a permutation.

use super::{Column, Node, Test, Tree};
use pulp::bytemuck::cast;
use pulp::x86::V4;
use std::arch::x86_64::{__m128i, __m512, __m512i, _CMP_GT_OQ, _CMP_UNORD_Q};

/// Thresholds of a scale.
const MOST: usize = 254;
/// Rows in a vector of bytes.
pub(super) const ROWS: usize = 64;
const LANES: usize = 16;
/// Registers of the levels of a search tree of `MOST` thresholds: 1, 1, 1, 1, 1, 2, 4 and 8.
const REGISTERS: usize = 19;
/// Levels of the smallest.
const LEVELS: usize = 4;

/// The scales of an ensemble, in the order of their features, and of each its thresholds.
#[derive(Clone, Debug)]
pub(super) struct Ranks {
    scales: Vec<Scale>,
    columns: usize,
}

/// Some thresholds of a feature.
#[derive(Clone, Debug)]
struct Scale {
    feature: u32,
    sorted: Vec<f32>,
    levels: usize,
    /// Level by level the thresholds from left to right, NaN where there is none.
    tree: Vec<[f32; LANES]>,
    /// The columns the ranks go to: where NaN is below everything, and where above.
    columns: [Option<u16>; 2],
}

impl Ranks {
    pub(super) fn of(trees: &[Tree]) -> Self {
        let mut all: Vec<(u32, f32)> = Vec::new();
        for node in trees.iter().flat_map(|tree| &tree.nodes) {
            match *node {
                Node::Leaf(_) => {}
                Node::Split { feature, test: Test::AtMost(limit), .. } => all.push((feature, limit)),
                Node::Split { feature, test: Test::Equals(value), .. } => {
                    all.extend([(feature, value), (feature, value.next_down())]);
                }
            }
        }
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        all.dedup();
        let of_feature = all.chunk_by(|a, b| a.0 == b.0);
        let scales = of_feature.flat_map(|of| of.chunks(MOST)).map(|of| {
            let sorted = of.iter().map(|(_, limit)| *limit).collect();
            Scale::new(of[0].0, sorted)
        });
        Self { scales: scales.collect(), columns: 0 }
    }

    /// Columns of ranks.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The column and the place for which `x > limit` is `rank > place`; NaN is above it where `missing`. `None` for a limit
    /// that is not among the thresholds, or more columns than can be counted.
    pub(super) fn test(&mut self, feature: u32, limit: f32, missing: bool) -> Option<(u16, u8)> {
        let first = self.scales.partition_point(|scale| scale.feature < feature);
        let of = self.scales[first..].iter_mut().take_while(|scale| scale.feature == feature);
        let (scale, place) = of
            .filter_map(|scale| {
                let place = scale.sorted.iter().position(|threshold| *threshold == limit)?;
                Some((scale, place))
            })
            .next()?;
        let column = &mut scale.columns[usize::from(missing)];
        if column.is_none() {
            *column = Some(u16::try_from(self.columns).ok()?);
            self.columns += 1;
        }
        Some(((*column)?, u8::try_from(place).ok()?))
    }

    /// The ranks of `n` rows, column by column; `values` gives those of a feature. What is past `n` is anything.
    #[inline(always)]
    pub(super) fn fill<'a, const B: usize>(
        &self,
        simd: V4,
        n: usize,
        values: impl Fn(u32) -> Column<'a>,
        to: &mut [[__m512i; B]],
    ) {
        for scale in &self.scales {
            let values = values(scale.feature);
            match scale.levels {
                ..=LEVELS => scale.fill::<LEVELS, B>(simd, n, values, to),
                5 => scale.fill::<5, B>(simd, n, values, to),
                6 => scale.fill::<6, B>(simd, n, values, to),
                7 => scale.fill::<7, B>(simd, n, values, to),
                _ => scale.fill::<8, B>(simd, n, values, to),
            }
        }
    }
}

impl Scale {
    fn new(feature: u32, sorted: Vec<f32>) -> Self {
        let levels = (sorted.len().ilog2() as usize + 1).max(LEVELS);
        let mut tree = Vec::new();
        for level in 0..levels {
            // The middles of equal parts of the whole.
            let part = 1usize << (levels - level);
            let middle = |i: usize| sorted.get(i * part + part / 2 - 1).copied().unwrap_or(f32::NAN);
            let many = 1usize << level;
            for start in (0..many).step_by(LANES) {
                tree.push(std::array::from_fn(|i| if start + i < many { middle(start + i) } else { f32::NAN }));
            }
        }
        Self { feature, sorted, levels, tree, columns: [None; 2] }
    }

    #[inline(always)]
    fn fill<const N: usize, const B: usize>(&self, simd: V4, n: usize, values: Column, to: &mut [[__m512i; B]]) {
        let mut tree: [__m512; REGISTERS] = [cast([f32::NAN; LANES]); REGISTERS];
        for (register, thresholds) in tree.iter_mut().zip(&self.tree) {
            *register = cast(*thresholds);
        }
        let [below, above] = self.columns;
        let mut ranks = [[[[0u8; LANES]; ROWS / LANES]; B]; 2];
        match values {
            Column::Same(value) => {
                let (low, high) = rank::<N>(simd, &tree, cast([value; LANES]));
                for (ranks, rank) in ranks.iter_mut().zip([low, high]) {
                    ranks.as_flattened_mut().fill(cast(rank));
                }
            }
            Column::Each(values) => {
                let [lows, highs] = &mut ranks;
                let (whole, rest) = values[..n].as_chunks::<LANES>();
                let mut last = [0.0; LANES];
                last[..rest.len()].copy_from_slice(rest);
                let vectors = whole.iter().chain([&last]);
                for ((low, high), vector) in
                    lows.as_flattened_mut().iter_mut().zip(highs.as_flattened_mut()).zip(vectors)
                {
                    let ranks = rank::<N>(simd, &tree, cast(*vector));
                    *low = cast(ranks.0);
                    if above.is_some() {
                        *high = cast(ranks.1);
                    }
                }
            }
        }
        for (column, ranks) in [below, above].into_iter().zip(ranks) {
            if let Some(column) = column {
                to[usize::from(column)] = ranks.map(cast);
            }
        }
    }
}

/// The ranks of 16 numbers, with 0 for NaN and with 255; down the tree, `N` levels of it.
#[inline(always)]
fn rank<const N: usize>(simd: V4, tree: &[__m512; REGISTERS], x: __m512) -> (__m128i, __m128i) {
    let f = simd.avx512f;
    let two = |at, i: usize| f._mm512_permutex2var_ps(tree[i], at, tree[i + 1]);
    let mut rank = f._mm512_set1_epi32(0);
    #[expect(
        clippy::needless_range_loop,
        reason = "a level is in one register, or in several: an iterator would hide that"
    )]
    for level in 0..N {
        // The place in the level: a permutation looks at the bits it needs.
        let at = f._mm512_srl_epi32(rank, cast([(N - level) as i64, 0]));
        let has = |bit: i32| f._mm512_test_epi32_mask(at, f._mm512_set1_epi32(bit));
        let threshold = match level {
            0..=4 => f._mm512_permutexvar_ps(at, tree[level]),
            5 => two(at, 5),
            6 => f._mm512_mask_mov_ps(two(at, 7), has(32), two(at, 9)),
            _ => {
                let low = f._mm512_mask_mov_ps(two(at, 11), has(32), two(at, 13));
                let high = f._mm512_mask_mov_ps(two(at, 15), has(32), two(at, 17));
                f._mm512_mask_mov_ps(low, has(64), high)
            }
        };
        let above = f._mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, threshold);
        rank = f._mm512_mask_add_epi32(rank, above, rank, f._mm512_set1_epi32(1 << (N - 1 - level)));
    }
    let missing = f._mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
    let above = f._mm512_mask_mov_epi32(rank, missing, f._mm512_set1_epi32(255));
    (f._mm512_cvtepi32_epi8(rank), f._mm512_cvtepi32_epi8(above))
}
