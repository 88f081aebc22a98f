//! Best-first search over the graph, with one sorted pool.

use super::Graph;
use crate::kernel::dot;
use crate::table::Vectors;
use pulp::{Simd, WithSimd};
use std::cell::Cell;

/// Set in the pool on the position of a vector whose links were followed.
const FOLLOWED: u32 = 1 << 31;

/// What a walk needs and the next one on this thread uses again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// One bit a vector; a search clears it all, which for a million vectors is 125 KB and keeps it in the first cache.
    visited: Vec<u64>,
    fresh: Vec<u32>,
    /// Highest score first.
    pool: Vec<(f32, u32)>,
}

/// Calls `work` with this thread's scratch; with a new one when `work` is under way on this thread already.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    thread_local!(static KEPT: Cell<Option<Box<Scratch>>> = const { Cell::new(None) });
    let mut scratch = KEPT.take().unwrap_or_default();
    let result = work(&mut scratch);
    KEPT.set(Some(scratch));
    result
}

impl Scratch {
    /// Positions the last walk found with their scores, highest first.
    pub fn found(&self) -> impl Iterator<Item = (f32, u32)> {
        self.pool.iter().map(|&(score, at)| (score, at & !FOLLOWED))
    }

    fn clear(&mut self, vectors: usize) {
        self.visited.clear();
        self.visited.resize(vectors.div_ceil(64), 0);
        self.pool.clear();
    }

    /// Marks a vector; true when it was not before.
    #[inline(always)]
    fn first_visit(&mut self, at: u32) -> bool {
        let (word, bit) = (&mut self.visited[at as usize / 64], 1 << (at % 64));
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    /// Puts a vector into the pool when it is among the `width` best so far; where it stands then.
    #[inline(always)]
    fn offer(&mut self, width: usize, score: f32, at: u32) -> Option<usize> {
        if self.pool.len() == width {
            if self.pool.last().is_some_and(|worst| score <= worst.0) {
                return None;
            }
            self.pool.pop();
        }
        let place = self.pool.partition_point(|better| better.0 >= score);
        self.pool.insert(place, (score, at));
        Some(place)
    }
}

/// Finds the `width` highest scores it can into the scratch.
pub(crate) struct Walk<'a> {
    pub graph: &'a Graph,
    pub vectors: &'a Vectors,
    /// Padded.
    pub query: &'a [f32],
    /// At least 1.
    pub width: usize,
    pub scratch: &'a mut Scratch,
}

impl WithSimd for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { graph, vectors, query, width, scratch } = self;
        scratch.clear(vectors.len());
        for &at in &graph.entries {
            if scratch.first_visit(at) {
                scratch.offer(width, dot(simd, vectors.padded(at), query), at);
            }
        }
        let mut fresh = std::mem::take(&mut scratch.fresh);
        let mut next = 0;
        while let Some((_, at)) = scratch.pool.get_mut(next) {
            if *at & FOLLOWED != 0 {
                next += 1;
                continue;
            }
            let from = *at;
            *at |= FOLLOWED;
            next += 1;
            // Collected first, scored after: the loads of several vectors are under way at once.
            fresh.clear();
            fresh.extend(graph.links(from).filter(|&to| scratch.first_visit(to)));
            for &to in &fresh {
                if let Some(place) = scratch.offer(width, dot(simd, vectors.padded(to), query), to) {
                    next = next.min(place);
                }
            }
        }
        scratch.fresh = fresh;
    }
}
