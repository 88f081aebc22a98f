//! The evaluator of many rows on a machine with vectors of 64 bytes: which leaf a row falls into is a byte, and each split,
//! from the leaves up to the root, picks for 64 rows at once the leaf of its left child or of its right one.
//!
//! Splits read ranks (`ranks`), one byte a row, where `bits` reads numbers. They are in the order of their height, so that
//! none waits for the one before it, and the lowest, both of whose children are leaves, come first.

use super::ranks::{ROWS, Ranks};
use super::{Column, Node, Rows, Test, Tree};
use crate::kernels::transpose::transpose;
use pulp::NullaryFnOnce;
use pulp::bytemuck::cast;
use pulp::x86::V4;
use std::arch::x86_64::{__m128i, __m512, __m512i};
use std::cell::RefCell;

/// A leaf is a byte.
const MOST_LEAVES: usize = 256;
/// Leaves two registers hold.
const LEAVES: usize = 32;
const LANES: usize = 16;
/// Vectors of rows at once: more would not stay in the first cache.
const MOST_VECTORS: usize = 5;

/// An ensemble as picks.
#[derive(Clone, Debug)]
pub(super) struct PickTrees {
    simd: V4,
    ranks: Ranks,
    trees: Vec<Picks>,
    /// The picks of all trees.
    picks: Vec<Pick>,
    /// The leaves of all trees, each tree's from a place of its own on.
    leaves: Vec<[[f32; LANES]; 2]>,
    /// A slot for each leaf, then one for each pick of the largest tree.
    slots: usize,
    constants: usize,
}

/// A tree: how many picks are between two leaves, how many others, how many pairs of registers its leaves take, and the slot
/// its leaf is in at the end.
#[derive(Clone, Copy, Debug)]
struct Picks {
    ends: usize,
    joins: usize,
    leaves: usize,
    root: usize,
}

/// Slot `to` becomes slot `right` where the column's rank is above the limit, else `left`.
#[derive(Clone, Copy, Debug)]
struct Pick {
    /// Four times the same byte.
    limit: u32,
    column: u16,
    left: u16,
    right: u16,
    to: u16,
}

/// Four times the same byte.
fn four(byte: u8) -> u32 {
    u32::from_ne_bytes([byte; 4])
}

/// What a call writes to, kept for the next one.
#[derive(Debug, Default)]
struct Scratch {
    /// Ranks, then slots.
    vectors: Vec<__m512i>,
    /// Rows turned into columns.
    turned: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl PickTrees {
    /// `None` when the machine has no such vectors, or a tree too many leaves.
    pub(super) fn compile(trees: &[Tree]) -> Option<Self> {
        let leaves = |tree: &Tree| tree.nodes.iter().filter(|node| matches!(node, Node::Leaf(_))).count();
        let most = trees.iter().map(leaves).max().filter(|most| *most <= MOST_LEAVES)?;
        let mut all = Self {
            simd: V4::try_new()?,
            ranks: Ranks::of(trees),
            trees: Vec::new(),
            picks: Vec::new(),
            leaves: Vec::new(),
            slots: most,
            constants: most,
        };
        trees.iter().try_for_each(|tree| all.add(tree))?;
        Some(all)
    }

    fn add(&mut self, tree: &Tree) -> Option<()> {
        let mut slots = vec![0u16; tree.nodes.len()];
        let mut leaves = Vec::new();
        let mut heights = vec![0u32; tree.nodes.len()];
        let mut splits = Vec::new();
        for (at, node) in tree.nodes.iter().enumerate() {
            match node {
                Node::Leaf(value) => {
                    slots[at] = leaves.len() as u16;
                    leaves.push(*value);
                }
                Node::Split { .. } => splits.push(at),
            }
        }
        for at in splits.iter().rev() {
            if let Node::Split { right, .. } = tree.nodes[*at] {
                heights[*at] = 1 + heights[at + 1].max(heights[right as usize]);
            }
        }
        splits.sort_by_key(|at| heights[*at]);
        let start = self.picks.len();
        let mut free = self.constants as u16;
        let mut ends = 0;
        for at in splits {
            let Node::Split { feature, test, missing_left, right } = tree.nodes[at] else { continue };
            let (mut left, right) = (slots[at + 1], slots[right as usize]);
            let (limit, below) = match test {
                Test::AtMost(limit) => (limit, None),
                Test::Equals(value) => (value, (value != f32::NEG_INFINITY).then(|| value.next_down())),
            };
            // Equal is not above, but above the number before; what is missing goes on to the second pick, or left with it.
            if let Some(below) = below {
                let (column, place) = self.ranks.test(feature, below, missing_left)?;
                self.picks.push(Pick { limit: four(place), column, left: right, right: left, to: free });
                left = free;
                free += 1;
            }
            let (column, place) = self.ranks.test(feature, limit, !missing_left)?;
            self.picks.push(Pick { limit: four(place), column, left, right, to: free });
            slots[at] = free;
            free += 1;
        }
        let constants = self.constants as u16;
        while self.picks.get(start + ends).is_some_and(|pick| pick.left < constants && pick.right < constants) {
            ends += 1;
        }
        for leaves in leaves.chunks(LEAVES) {
            self.leaves.push(std::array::from_fn(|half| {
                std::array::from_fn(|i| leaves.get(half * LANES + i).copied().unwrap_or(0.0))
            }));
        }
        self.slots = self.slots.max(usize::from(free));
        let joins = self.picks.len() - start - ends;
        self.trees.push(Picks { ends, joins, leaves: leaves.len().div_ceil(LEAVES), root: usize::from(slots[0]) });
        Some(())
    }

    /// The sums of the leaves of each row, added in the order of the trees.
    pub(super) fn sum(&self, rows: Rows, sums: &mut [f32]) {
        let mut scratch = SCRATCH.take();
        self.simd.vectorize(Sum { all: self, rows, sums, scratch: &mut scratch });
        SCRATCH.set(scratch);
    }
}

struct Sum<'a> {
    all: &'a PickTrees,
    rows: Rows<'a>,
    sums: &'a mut [f32],
    scratch: &'a mut Scratch,
}

impl NullaryFnOnce for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { all, rows, mut sums, scratch } = self;
        let mut start = 0;
        while !sums.is_empty() {
            // As few blocks as possible, of about one size.
            let vectors = sums.len().div_ceil(ROWS);
            let vectors = vectors.div_ceil(vectors.div_ceil(MOST_VECTORS));
            let (these, others) = sums.split_at_mut(sums.len().min(vectors * ROWS));
            let n = these.len();
            match vectors {
                1 => all.block::<1>(rows, start, these, scratch),
                2 => all.block::<2>(rows, start, these, scratch),
                3 => all.block::<3>(rows, start, these, scratch),
                4 => all.block::<4>(rows, start, these, scratch),
                _ => all.block::<MOST_VECTORS>(rows, start, these, scratch),
            }
            sums = others;
            start += n;
        }
    }
}

impl PickTrees {
    /// Sums for the rows from `start` on, at most `B` vectors of them.
    #[inline(always)]
    fn block<const B: usize>(&self, rows: Rows, start: usize, sums: &mut [f32], scratch: &mut Scratch) {
        let n = sums.len();
        let Scratch { vectors, turned } = scratch;
        let ranks = self.ranks.columns();
        if vectors.len() < (ranks + self.slots) * B {
            vectors.resize((ranks + self.slots) * B, cast([0u8; ROWS]));
        }
        let (ranks, slots) = vectors.as_chunks_mut::<B>().0.split_at_mut(ranks);
        match rows {
            Rows::Columns(columns) => {
                let values = |feature: u32| columns[feature as usize].part(start, n);
                self.ranks.fill(self.simd, n, values, ranks);
            }
            Rows::Matrix(all, width) => {
                // A stride that is no power of 2 keeps columns from pushing one another out of the cache.
                let stride = B * ROWS + LANES;
                if turned.len() < width * stride {
                    turned.resize(width * stride, 0.0);
                }
                transpose(&all[start * width..(start + n) * width], width, turned, stride);
                let values = |feature: u32| Column::Each(&turned[feature as usize * stride..][..n]);
                self.ranks.fill(self.simd, n, values, ranks);
            }
        }
        for (leaf, slot) in slots[..self.constants].iter_mut().enumerate() {
            *slot = [cast([leaf as u8; ROWS]); B];
        }
        self.trees(ranks, slots, sums);
    }

    #[inline(always)]
    fn trees<const B: usize>(&self, ranks: &[[__m512i; B]], slots: &mut [[__m512i; B]], sums: &mut [f32]) {
        let (f, bw) = (self.simd.avx512f, self.simd.avx512bw);
        let splat = |four: u32| f._mm512_set1_epi32(four.cast_signed());
        let mut totals: [[__m512; ROWS / LANES]; B] = [[cast([0f32; LANES]); ROWS / LANES]; B];
        let (mut picks, mut leaves) = (&self.picks[..], &self.leaves[..]);
        for tree in &self.trees {
            let (ends, others) = picks.split_at(tree.ends);
            let (joins, others) = others.split_at(tree.joins);
            picks = others;
            for pick in ends {
                let (limit, column) = (splat(pick.limit), &ranks[usize::from(pick.column)]);
                let (left, right) = (splat(four(pick.left as u8)), splat(four(pick.right as u8)));
                let mut to = [left; B];
                for b in 0..B {
                    let above = bw._mm512_cmpgt_epu8_mask(column[b], limit);
                    to[b] = bw._mm512_mask_blend_epi8(above, left, right);
                }
                slots[usize::from(pick.to)] = to;
            }
            for pick in joins {
                let (limit, column) = (splat(pick.limit), &ranks[usize::from(pick.column)]);
                let (left, right) = (&slots[usize::from(pick.left)], &slots[usize::from(pick.right)]);
                let mut to = *left;
                for b in 0..B {
                    let above = bw._mm512_cmpgt_epu8_mask(column[b], limit);
                    to[b] = bw._mm512_mask_blend_epi8(above, left[b], right[b]);
                }
                slots[usize::from(pick.to)] = to;
            }
            let (own, others) = leaves.split_at(tree.leaves);
            leaves = others;
            for (totals, leaf) in totals.iter_mut().zip(slots[tree.root]) {
                let quarters: [__m128i; ROWS / LANES] = cast(leaf);
                for (total, quarter) in totals.iter_mut().zip(quarters) {
                    let leaf = f._mm512_cvtepu8_epi32(quarter);
                    *total = f._mm512_add_ps(*total, self.values(own, leaf));
                }
            }
        }
        let totals: &[f32] = pulp::bytemuck::cast_slice(&totals);
        sums.copy_from_slice(&totals[..sums.len()]);
    }

    /// The values of sixteen leaves.
    #[inline(always)]
    fn values(&self, leaves: &[[[f32; LANES]; 2]], leaf: __m512i) -> __m512 {
        let f = self.simd.avx512f;
        if let [[low, high]] = leaves {
            return f._mm512_permutex2var_ps(cast(*low), leaf, cast(*high));
        }
        let part = f._mm512_srli_epi32::<5>(leaf);
        let mut value = cast([0f32; LANES]);
        for (i, [low, high]) in leaves.iter().enumerate() {
            let here = f._mm512_cmpeq_epi32_mask(part, f._mm512_set1_epi32(i as i32));
            value = f._mm512_mask_mov_ps(value, here, f._mm512_permutex2var_ps(cast(*low), leaf, cast(*high)));
        }
        value
    }
}
