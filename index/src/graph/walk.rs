//! Best-first search over the graph, with one sorted pool, on either plane.

use super::Graph;
use super::entries::Entries;
use crate::codes::{CodeQuery, Codes};
use crate::isa::{Isa, Work};
use crate::kernel::{MISSING, score};
use crate::spec::Metric;
use crate::table::Vectors;
use std::cell::Cell;

/// Set in the pool on the position of a vector whose links were followed.
const FOLLOWED: u32 = 1 << 31;

/// What a walk goes by: the scores of vectors, higher is better.
pub(crate) trait Plane {
    /// The score at a position.
    fn score<I: Isa>(&self, isa: I, at: u32) -> f32;
    /// The scores at four positions.
    #[inline(always)]
    fn score_four<I: Isa>(&self, isa: I, at: [u32; 4]) -> [f32; 4] {
        let [a, b, c, d] = at;
        [self.score(isa, a), self.score(isa, b), self.score(isa, c), self.score(isa, d)]
    }
    /// Asks the memory for what [`Plane::score`] will read.
    fn prefetch<I: Isa>(&self, isa: I, at: u32);
}

/// The vectors themselves.
pub(crate) struct FloatPlane<'a> {
    pub metric: Metric,
    pub vectors: &'a Vectors,
    /// Padded.
    pub query: &'a [f32],
}

impl Plane for FloatPlane<'_> {
    #[inline(always)]
    fn score<I: Isa>(&self, isa: I, at: u32) -> f32 {
        score(isa.simd(), self.metric, self.vectors.padded(at), self.query)
    }

    #[inline(always)]
    fn prefetch<I: Isa>(&self, isa: I, at: u32) {
        self.vectors.prefetch(isa, at);
    }
}

/// Their 8-bit codes.
pub(crate) struct CodePlane<'a> {
    pub codes: &'a Codes,
    pub query: &'a CodeQuery,
}

impl Plane for CodePlane<'_> {
    #[inline(always)]
    fn score<I: Isa>(&self, isa: I, at: u32) -> f32 {
        self.codes.score(isa, self.query, at)
    }

    #[inline(always)]
    fn score_four<I: Isa>(&self, isa: I, at: [u32; 4]) -> [f32; 4] {
        self.codes.score_four(isa, self.query, at)
    }

    #[inline(always)]
    fn prefetch<I: Isa>(&self, isa: I, at: u32) {
        self.codes.prefetch(isa, at);
    }
}

/// What a walk needs and the next one on this thread uses again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// One bit a vector, all zero between walks.
    visited: Vec<u64>,
    /// Words of it that are not zero.
    touched: Vec<u32>,
    fresh: Vec<u32>,
    /// One bit an entry.
    entered: Vec<u64>,
    /// Highest score first.
    pool: Vec<(f32, u32)>,
    /// Vectors the last walk scored.
    pub scored: usize,
}

/// What a search needs beside the walk.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub walk: Scratch,
    pub coded: CodeQuery,
    /// Positions, and their scores.
    pub at: Vec<u32>,
    pub scores: Vec<f32>,
}

/// Calls `work` with this thread's scratch; with a new one when `work` is under way on this thread already.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Kept) -> T) -> T {
    thread_local!(static KEPT: Cell<Option<Box<Kept>>> = const { Cell::new(None) });
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
        for word in self.touched.drain(..) {
            if let Some(word) = self.visited.get_mut(word as usize) {
                *word = 0;
            }
        }
        self.visited.resize(vectors.div_ceil(64), 0);
        self.pool.clear();
        self.scored = 0;
    }

    /// Marks a vector; true when it was not before.
    #[inline(always)]
    fn first_visit(&mut self, at: u32) -> bool {
        let (word, bit) = (&mut self.visited[at as usize / 64], 1 << (at % 64));
        let first = *word & bit == 0;
        if *word == 0 {
            self.touched.push(at / 64);
        }
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

/// Entries a walk begins with. With 8 some three queries in a thousand never came into their cluster.
const BEGINNINGS: usize = 12;

/// The same where length counts: the highest inner products may lie in several directions.
const MORE_BEGINNINGS: usize = 32;

impl Scratch {
    /// Scores these and puts the best of them into the pool.
    #[inline(always)]
    fn begin<I: Isa, P: Plane>(&mut self, isa: I, plane: &P, from: &[u32], width: usize) {
        for &at in from {
            plane.prefetch(isa, at);
        }
        for &at in from {
            if self.first_visit(at) {
                self.offer(width, plane.score(isa, at), at);
            }
        }
        self.scored += from.len();
    }

    /// Finds the entries nearest the query by a walk of their own.
    #[inline(always)]
    fn enter<const N: usize, I: Isa, P: Plane>(&mut self, isa: I, plane: &P, entries: &Entries) {
        let mut pool = Pool::<N> { best: [(f32::NEG_INFINITY, MISSING); N] };
        self.entered.clear();
        self.entered.resize(entries.rows.len().div_ceil(64), 0);
        let ahead = |i: usize| entries.first.get(i + 8).and_then(|&next| entries.rows.get(next as usize));
        for (i, &index) in entries.first.iter().enumerate() {
            if let Some(&next) = ahead(i) {
                plane.prefetch(isa, next);
            }
            self.entered[index as usize / 64] |= 1 << (index % 64);
            pool.offer(plane.score(isa, entries.rows[index as usize]), index);
        }
        self.scored += entries.first.len();
        let mut fresh = [0u32; 64];
        while let Some(index) = pool.next() {
            let mut count = 0;
            for &link in entries.links(index).iter().take_while(|&&link| link != MISSING) {
                let (word, bit) = (&mut self.entered[link as usize / 64], 1u64 << (link % 64));
                if *word & bit == 0 {
                    *word |= bit;
                    plane.prefetch(isa, entries.rows[link as usize]);
                    fresh[count] = link;
                    count += 1;
                }
            }
            self.scored += count;
            for &link in &fresh[..count] {
                pool.offer(plane.score(isa, entries.rows[link as usize]), link);
            }
        }
        self.fresh.clear();
        let found = pool.best.iter().filter(|best| best.1 != MISSING);
        self.fresh.extend(found.map(|best| entries.rows[(best.1 & !FOLLOWED) as usize]));
    }
}

/// The few best, highest score first.
struct Pool<const N: usize> {
    best: [(f32, u32); N],
}

impl<const N: usize> Pool<N> {
    #[inline(always)]
    fn offer(&mut self, score: f32, index: u32) {
        if score > self.best[N - 1].0 {
            let place = self.best.iter().position(|other| score > other.0).unwrap_or(N - 1);
            self.best[place..].rotate_right(1);
            self.best[place] = (score, index);
        }
    }

    /// The best whose links were not followed yet.
    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let next = self.best.iter_mut().find(|best| best.1 & FOLLOWED == 0)?;
        let index = next.1;
        next.1 |= FOLLOWED;
        Some(index)
    }
}

/// Finds the `width` highest scores it can into the scratch.
pub(crate) struct Walk<'a, P> {
    pub graph: &'a Graph,
    /// Where to begin beside the entries.
    pub from: &'a [u32],
    pub plane: P,
    /// Vectors there are.
    pub len: usize,
    /// At least 1.
    pub width: usize,
    pub scratch: &'a mut Scratch,
}

impl<P: Plane> Work for Walk<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Self { graph, from, plane, len, width, scratch } = self;
        scratch.clear(len);
        if graph.several {
            scratch.enter::<MORE_BEGINNINGS, I, P>(isa, &plane, &graph.entries);
        } else {
            scratch.enter::<BEGINNINGS, I, P>(isa, &plane, &graph.entries);
        }
        let entries = std::mem::take(&mut scratch.fresh);
        scratch.begin(isa, &plane, &entries, width);
        scratch.fresh = entries;
        scratch.begin(isa, &plane, from, width);
        let mut best = 0usize;
        let mut fresh = std::mem::take(&mut scratch.fresh);
        while let Some((_, at)) = scratch.pool.get_mut(best) {
            if *at & FOLLOWED != 0 {
                best += 1;
                continue;
            }
            let from = *at;
            *at |= FOLLOWED;
            best += 1;
            // Asked for first, scored after: the loads of several vectors are under way at once.
            fresh.clear();
            for to in graph.links(from) {
                if scratch.first_visit(to) {
                    plane.prefetch(isa, to);
                    fresh.push(to);
                }
            }
            if let Some(&(_, next)) = scratch.pool.get(best) {
                graph.prefetch(isa, next & !FOLLOWED);
            }
            scratch.scored += fresh.len();
            let (fours, rest) = fresh.as_chunks::<4>();
            for &four in fours {
                for (score, to) in plane.score_four(isa, four).into_iter().zip(four) {
                    if let Some(place) = scratch.offer(width, score, to) {
                        best = best.min(place);
                    }
                }
            }
            for &to in rest {
                if let Some(place) = scratch.offer(width, plane.score(isa, to), to) {
                    best = best.min(place);
                }
            }
        }
        scratch.fresh = fresh;
    }
}
