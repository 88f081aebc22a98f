//! The bitvector evaluator: no branch depends on the data, and every comparison serves a whole vector of rows.
//!
//! The leaves of a tree, from left to right, are the bits of a mask. A split that sends a row to the right excludes
//! the leaves of its left subtree, wherever the row is in the tree; so AND-ing the masks of all splits that go right
//! leaves the row's own leaf as the lowest bit. (Lucchese et al., QuickScorer, SIGIR 2015.) A tree with more than 32
//! leaves has several words, each with the splits that touch it; the row's leaf is in the first word that is not 0.

use super::{Node, Rows, Test, Tree};
use pulp::{Arch, Simd, WithSimd, bytemuck};
use std::ops::Range;

/// Above this the plain walk, whose work grows with the depth and not with the leaves, is faster.
const MOST_LEAVES: usize = 256;
const LEAVES: usize = u32::BITS as usize;
/// Vectors of rows in a full tile, and lanes of the widest vector there is.
const BLOCK: usize = 4;
const MOST_LANES: usize = 16;

/// An ensemble as masks.
#[derive(Clone, Debug)]
pub(super) struct BitTrees {
    /// The features the trees ask for; a test names one by its place here.
    columns: Vec<u32>,
    words: Vec<Word>,
    tests: Vec<BitTest>,
}

/// 32 leaves of a tree and the tests that touch them.
#[derive(Clone, Debug)]
struct Word {
    leaves: [f32; LEAVES],
    /// True when the tree has no other word.
    alone: bool,
    /// True for the first 32 leaves of a tree. They come last, so that they override the others.
    first: bool,
    /// `x > value` goes right, so NaN goes left.
    above: Range<u32>,
    /// `!(x <= value)` goes right, so NaN goes right.
    not_at_most: Range<u32>,
    /// `!(x == value)` goes right, NaN too.
    not_equal: Range<u32>,
}

/// Going right keeps only the leaves in `keep`.
#[derive(Clone, Copy, Debug)]
struct BitTest {
    value: f32,
    keep: u32,
    column: u32,
}

impl BitTrees {
    /// `None` when a tree is too large, or sends missing values where an equality does not hold.
    pub(super) fn compile(trees: &[Tree]) -> Option<Self> {
        let mut all = Self { columns: features(trees), words: Vec::new(), tests: Vec::new() };
        for tree in trees {
            all.add(tree)?;
        }
        Some(all)
    }

    fn add(&mut self, tree: &Tree) -> Option<()> {
        // Leaves before each node: a split's left subtree has those from its left child up to its right one.
        let mut before = Vec::with_capacity(tree.nodes.len());
        let mut leaves = Vec::new();
        for node in &tree.nodes {
            before.push(leaves.len());
            if let Node::Leaf(value) = node {
                leaves.push(*value);
            }
        }
        if leaves.len() > MOST_LEAVES {
            return None;
        }
        let words = leaves.len().div_ceil(LEAVES);
        for word in (0..words).rev() {
            let (mut above, mut not_at_most, mut not_equal) = (Vec::new(), Vec::new(), Vec::new());
            for (i, node) in tree.nodes.iter().enumerate() {
                let Node::Split { feature, test, missing_left, right } = *node else { continue };
                let left = before[i + 1]..before[right as usize];
                let keep = !(bits_below(left.end, word) & !bits_below(left.start, word));
                if keep == u32::MAX {
                    continue;
                }
                let column = self.columns.binary_search(&feature).ok()? as u32;
                let (value, kind) = match (test, missing_left) {
                    (Test::AtMost(value), true) => (value, &mut above),
                    (Test::AtMost(value), false) => (value, &mut not_at_most),
                    (Test::Equals(value), false) => (value, &mut not_equal),
                    (Test::Equals(_), true) => return None,
                };
                kind.push(BitTest { value, keep, column });
            }
            let mut padded = [0.0; LEAVES];
            for (to, from) in padded.iter_mut().zip(&leaves[word * LEAVES..]) {
                *to = *from;
            }
            let word = Word {
                leaves: padded,
                alone: words == 1,
                first: word == 0,
                above: self.push(above),
                not_at_most: self.push(not_at_most),
                not_equal: self.push(not_equal),
            };
            self.words.push(word);
        }
        Some(())
    }

    fn push(&mut self, tests: Vec<BitTest>) -> Range<u32> {
        let start = self.tests.len() as u32;
        self.tests.extend(tests);
        start..self.tests.len() as u32
    }

    fn tests(&self, range: &Range<u32>) -> &[BitTest] {
        &self.tests[range.start as usize..range.end as usize]
    }

    /// The sums of the leaves of `sums.len()` rows.
    pub(super) fn sum(&self, rows: Rows, sums: &mut [f32]) {
        Arch::new().dispatch(Sum { trees: self, rows, sums });
    }

    /// As on a processor without vectors.
    #[cfg(test)]
    pub(super) fn sum_scalar(&self, rows: Rows, sums: &mut [f32]) {
        pulp::Scalar::new().vectorize(Sum { trees: self, rows, sums });
    }
}

/// The features that are asked for, sorted.
fn features(trees: &[Tree]) -> Vec<u32> {
    let mut features: Vec<u32> = trees
        .iter()
        .flat_map(|t| &t.nodes)
        .filter_map(|n| match n {
            Node::Split { feature, .. } => Some(*feature),
            Node::Leaf(_) => None,
        })
        .collect();
    features.sort_unstable();
    features.dedup();
    features
}

/// The bits of `word` that stand for leaves before `leaf`.
fn bits_below(leaf: usize, word: usize) -> u32 {
    match leaf.saturating_sub(word * LEAVES) {
        n if n >= LEAVES => u32::MAX,
        n => (1 << n) - 1,
    }
}

struct Sum<'a> {
    trees: &'a BitTrees,
    rows: Rows<'a>,
    sums: &'a mut [f32],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { trees, rows, mut sums } = self;
        let mut scratch = vec![0.0; trees.columns.len() * BLOCK * S::F32_LANES];
        let mut start = 0;
        while !sums.is_empty() {
            // The widest tile that is not half empty. Called directly, since only then is it compiled for S.
            let blocks = sums.len().div_ceil(S::F32_LANES).next_power_of_two().min(BLOCK);
            let n = sums.len().min(blocks * S::F32_LANES);
            let (these, others) = sums.split_at_mut(n);
            match blocks {
                1 => tile::<S, 1>(simd, trees, rows, start, these, &mut scratch),
                2 => tile::<S, 2>(simd, trees, rows, start, these, &mut scratch),
                _ => tile::<S, BLOCK>(simd, trees, rows, start, these, &mut scratch),
            }
            sums = others;
            start += n;
        }
    }
}

/// Sums for the rows from `start` on, at most `B` vectors of them.
#[inline(always)]
fn tile<S: Simd, const B: usize>(
    simd: S,
    trees: &BitTrees,
    rows: Rows,
    start: usize,
    sums: &mut [f32],
    scratch: &mut [f32],
) {
    let wide = B * S::F32_LANES;
    // Feature-major, so that one load takes a feature of a vector of rows. Lanes without a row keep stale values.
    let scratch = &mut scratch[..trees.columns.len() * wide];
    for (column, feature) in scratch.chunks_exact_mut(wide).zip(&trees.columns) {
        rows.copy(*feature, start, &mut column[..sums.len()]);
    }
    let (columns, _) = S::as_simd_f32s(scratch).0.as_chunks::<B>();

    let mut totals = [0.0f32; BLOCK * MOST_LANES];
    let mut leaf = [0.0f32; BLOCK * MOST_LANES];
    for word in &trees.words {
        let mut masks = [simd.splat_u32s(u32::MAX); B];
        for test in trees.tests(&word.above) {
            let (value, keep) = (simd.splat_f32s(test.value), simd.splat_u32s(test.keep));
            for (mask, x) in masks.iter_mut().zip(&columns[test.column as usize]) {
                let right = simd.greater_than_f32s(*x, value);
                *mask = simd.select_u32s(right, simd.and_u32s(*mask, keep), *mask);
            }
        }
        for test in trees.tests(&word.not_at_most) {
            let (value, keep) = (simd.splat_f32s(test.value), simd.splat_u32s(test.keep));
            for (mask, x) in masks.iter_mut().zip(&columns[test.column as usize]) {
                let left = simd.less_than_or_equal_f32s(*x, value);
                *mask = simd.select_u32s(left, *mask, simd.and_u32s(*mask, keep));
            }
        }
        for test in trees.tests(&word.not_equal) {
            let (value, keep) = (simd.splat_f32s(test.value), simd.splat_u32s(test.keep));
            for (mask, x) in masks.iter_mut().zip(&columns[test.column as usize]) {
                let left = simd.equal_f32s(*x, value);
                *mask = simd.select_u32s(left, *mask, simd.and_u32s(*mask, keep));
            }
        }
        let masks: &[u32] = bytemuck::cast_slice(&masks);
        if word.alone {
            for (total, mask) in totals.iter_mut().zip(masks) {
                *total += word.leaves[mask.trailing_zeros() as usize % LEAVES];
            }
            continue;
        }
        for (leaf, mask) in leaf.iter_mut().zip(masks) {
            let here = word.leaves[mask.trailing_zeros() as usize % LEAVES];
            *leaf = if *mask == 0 { *leaf } else { here };
        }
        if word.first {
            for (total, leaf) in totals.iter_mut().zip(&leaf[..wide]) {
                *total += leaf;
            }
        }
    }
    sums.copy_from_slice(&totals[..sums.len()]);
}
