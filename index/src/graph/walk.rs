//! Best-first search over the graph, with one sorted pool, on either plane.

use super::Graph;
use super::entries::Entries;
use crate::aligned::Rows;
use crate::codes::{CodeQuery, CodeScores};
use crate::isa::{Isa, Work};
use crate::kernel::{MISSING, score};
use crate::signs::{BLOCK, Halves};
use crate::spec::Metric;
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
    pub rows: Rows<'a, f32>,
    /// Padded.
    pub query: &'a [f32],
}

impl Plane for FloatPlane<'_> {
    #[inline(always)]
    fn score<I: Isa>(&self, isa: I, at: u32) -> f32 {
        score(isa.simd(), self.metric, self.rows.get(at), self.query)
    }

    #[inline(always)]
    fn prefetch<I: Isa>(&self, isa: I, at: u32) {
        self.rows.prefetch(isa, at);
    }
}

/// Their 8-bit codes.
pub(crate) struct CodePlane<'a>(pub CodeScores<'a>);

impl Plane for CodePlane<'_> {
    #[inline(always)]
    fn score<I: Isa>(&self, isa: I, at: u32) -> f32 {
        self.0.score(isa, at)
    }

    #[inline(always)]
    fn score_four<I: Isa>(&self, isa: I, at: [u32; 4]) -> [f32; 4] {
        self.0.score_four(isa, at)
    }

    #[inline(always)]
    fn prefetch<I: Isa>(&self, isa: I, at: u32) {
        self.0.prefetch(isa, at);
    }
}

/// What a walk needs and the next one on this thread uses again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// One bit a vector, all zero between walks.
    visited: Vec<u64>,
    /// Words of it that are not zero, and how many there are; one place more than there are words.
    touched: Vec<u32>,
    touches: usize,
    /// What is about to be scored, and what after it.
    fresh: [Fresh; 2],
    /// One bit an entry.
    entered: Vec<u64>,
    /// Highest score first.
    pool: Vec<(f32, u32)>,
    /// Vectors the last walk scored.
    pub scored: usize,
}

/// Vectors that were never scored before, a multiple of four, the last of them again and again.
#[derive(Debug, Default)]
struct Fresh {
    at: Vec<u32>,
    /// How many there are in truth.
    len: usize,
}

/// What a search needs beside the walk.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub walk: Scratch,
    pub coded: CodeQuery,
    /// Positions, and their scores.
    pub at: Vec<u32>,
    pub scores: Vec<f32>,
    /// Of a query by signs: what they are worth, and what they come to.
    pub tables: Vec<Halves>,
    pub sums: Vec<[u16; BLOCK]>,
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
        for &word in &self.touched[..self.touches] {
            if let Some(word) = self.visited.get_mut(word as usize) {
                *word = 0;
            }
        }
        self.touches = 0;
        self.visited.resize(vectors.div_ceil(64), 0);
        self.touched.resize(self.visited.len() + 1, 0);
        self.pool.clear();
        self.scored = 0;
    }

    /// Marks a vector; true when it was not before.
    #[inline(always)]
    fn first_visit(&mut self, at: u32) -> bool {
        let (word, bit) = (&mut self.visited[at as usize / 64], 1 << (at % 64));
        let first = *word & bit == 0;
        // Nobody can foretell these, so there are no branches.
        self.touched[self.touches] = at / 64;
        self.touches += usize::from(*word == 0);
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

/// Entries a walk begins with. Eight find no more than four, and take longer to find.
const BEGINNINGS: usize = 4;

/// The same of a graph that is being built, which leads less well, and where they are asked whether the walk is in vain:
/// that must not be chance.
const CAREFUL_BEGINNINGS: usize = 8;

/// The same where length counts: the highest inner products may lie in several directions.
const MORE_BEGINNINGS: usize = 32;

impl Scratch {
    /// Scores these and puts the best of them into the pool.
    #[inline(always)]
    fn begin<I: Isa, P: Plane>(&mut self, isa: I, plane: &P, from: &[u32], width: usize) {
        let from = from.iter().copied().filter(|&at| at != MISSING);
        for at in from.clone() {
            plane.prefetch(isa, at);
            self.scored += 1;
        }
        for at in from {
            if self.first_visit(at) {
                self.offer(width, plane.score(isa, at), at);
            }
        }
    }

    /// Finds the entries nearest the query by a walk of their own, as many as there are.
    #[inline(always)]
    fn enter<const N: usize, I: Isa, P: Plane>(&mut self, isa: I, plane: &P, entries: &Entries) -> [u32; N] {
        let mut pool = Pool::<N> { best: [(f32::NEG_INFINITY, MISSING); N] };
        self.entered.clone_from(&entries.begun);
        pool.score(isa, plane, entries, &entries.first);
        self.scored += entries.first.len();
        let mut fresh = [0u32; Entries::WIDTH];
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
            pool.score(isa, plane, entries, &fresh[..count]);
        }
        pool.best.map(|best| entries.rows.get((best.1 & !FOLLOWED) as usize).copied().unwrap_or(MISSING))
    }
}

impl Scratch {
    /// The best entries of some vectors: all of those are scored.
    #[inline(always)]
    fn enter_only<const N: usize, I: Isa, P: Plane>(
        &mut self,
        isa: I,
        plane: &P,
        entries: &Entries,
        only: &[u64],
    ) -> [u32; N] {
        let mut pool = Pool::<N> { best: [(f32::NEG_INFINITY, MISSING); N] };
        let mut fresh = std::mem::take(&mut self.fresh);
        let at = &mut fresh[0].at;
        at.clear();
        at.extend((0u32..).zip(&entries.rows).filter(|(_, row)| has(only, **row)).map(|(index, _)| index));
        pool.score(isa, plane, entries, at);
        self.scored += at.len();
        self.fresh = fresh;
        pool.best.map(|best| entries.rows.get(best.1 as usize).copied().unwrap_or(MISSING))
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
            self.best.copy_within(place..N - 1, place + 1);
            self.best[place] = (score, index);
        }
    }

    /// Scores the entries at these indices.
    #[inline(always)]
    fn score<I: Isa, P: Plane>(&mut self, isa: I, plane: &P, entries: &Entries, indices: &[u32]) {
        let (fours, rest) = indices.as_chunks::<4>();
        for four in fours {
            let [a, b, c, d] = *four;
            let rows = &entries.rows;
            let at = [rows[a as usize], rows[b as usize], rows[c as usize], rows[d as usize]];
            for (score, &index) in plane.score_four(isa, at).into_iter().zip(four) {
                self.offer(score, index);
            }
        }
        for &index in rest {
            self.offer(plane.score(isa, entries.rows[index as usize]), index);
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

/// A question about a position.
pub(crate) type Ask<'a> = &'a dyn Fn(u32) -> bool;

/// Finds the `width` highest scores it can into the scratch.
pub(crate) struct Walk<'a, P> {
    pub graph: &'a Graph,
    /// Where to begin beside the entries.
    pub from: &'a [u32],
    /// One bit a vector: only these are found and walked over, from those of the entries that are among them.
    pub only: Option<&'a [u64]>,
    /// Where this is so of all entries, the walk is not made and nothing found.
    pub vain: Option<Ask<'a>>,
    /// Whether the graph leads less well than one that serves.
    pub careful: bool,
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
        let Self { graph, from, only, vain, careful, plane, len, width, scratch } = self;
        scratch.clear(len);
        if let Some(only) = only {
            let entries: [u32; MORE_BEGINNINGS] = scratch.enter_only(isa, &plane, &graph.entries, only);
            scratch.begin(isa, &plane, &entries, width);
        } else if graph.several {
            let entries: [u32; MORE_BEGINNINGS] = scratch.enter(isa, &plane, &graph.entries);
            scratch.begin(isa, &plane, &entries, width);
        } else if careful || vain.is_some() {
            let entries: [u32; CAREFUL_BEGINNINGS] = scratch.enter(isa, &plane, &graph.entries);
            scratch.begin(isa, &plane, &entries, width);
        } else {
            let entries: [u32; BEGINNINGS] = scratch.enter(isa, &plane, &graph.entries);
            scratch.begin(isa, &plane, &entries, width);
        }
        if vain.is_some_and(|vain| scratch.found().all(|(_, at)| vain(at))) {
            scratch.pool.clear();
            return;
        }
        scratch.begin(isa, &plane, from, width);
        let (links, mut best) = (graph.rows(), 0usize);
        let [mut now, mut later] = std::mem::take(&mut scratch.fresh);
        let (mut chosen, mut next) = (None, scratch.follow(&mut best));
        // Links are asked for two turns before they are read, and codes one turn before they are scored, so that
        // neither is waited for. The price: a choice knows nothing of the two before it.
        while chosen.is_some() || next.is_some() || now.len > 0 {
            if let Some(at) = next {
                links.prefetch(isa, at);
            }
            later.len = 0;
            match (chosen, only) {
                (Some(at), None) => scratch.gather(isa, &plane, links.get(at), &mut later),
                (Some(at), Some(only)) => scratch.gather_only(isa, &plane, links, at, only, &mut later),
                (None, _) => {}
            }
            scratch.score(isa, &plane, &now, width, &mut best);
            std::mem::swap(&mut now, &mut later);
            chosen = next;
            next = scratch.follow(&mut best);
        }
        scratch.fresh = [now, later];
    }
}

/// Fewer links than this lead nowhere.
const FEW_LINKS: usize = 8;

/// Vectors that are scored at a time at most, but for those of the last links.
const MOST_FRESH: usize = 64;

/// Whether a bit is set.
#[inline(always)]
fn has(words: &[u64], at: u32) -> bool {
    words.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

impl Fresh {
    /// Makes the first `len` a multiple of four, and asks the memory for what is needed to score them; `len`.
    #[inline(always)]
    fn fill_up<I: Isa, P: Plane>(&mut self, isa: I, plane: &P, len: usize) -> usize {
        self.len = len;
        for &to in &self.at[..len] {
            plane.prefetch(isa, to);
        }
        if let Some(last) = len.checked_sub(1) {
            let last = self.at[last];
            self.at[len..len.next_multiple_of(4)].fill(last);
        }
        len
    }
}

impl Scratch {
    /// The best vector of the pool whose links were not followed yet; `best` is a place that is not after it.
    #[inline(always)]
    fn follow(&mut self, best: &mut usize) -> Option<u32> {
        while let Some((_, at)) = self.pool.get_mut(*best) {
            *best += 1;
            if *at & FOLLOWED == 0 {
                let chosen = *at;
                *at |= FOLLOWED;
                return Some(chosen);
            }
        }
        None
    }

    /// The links that lead to vectors never met before; what is needed to score them is asked for.
    #[inline(always)]
    fn gather<I: Isa, P: Plane>(&mut self, isa: I, plane: &P, links: &[u32], fresh: &mut Fresh) {
        fresh.at.resize(links.len() + 4, 0);
        let mut len = 0;
        for &to in links.iter().take_while(|&&to| to != MISSING) {
            fresh.at[len] = to;
            len += usize::from(self.first_visit(to));
        }
        self.scored += fresh.fill_up(isa, plane, len);
    }

    /// The same over no vectors but some. Where hardly any link leads to one of those, the links behind the others count
    /// too.
    #[inline(always)]
    fn gather_only<I: Isa, P: Plane>(
        &mut self,
        isa: I,
        plane: &P,
        links: Rows<'_, u32>,
        at: u32,
        only: &[u64],
        fresh: &mut Fresh,
    ) {
        let width = links.get(at).len();
        fresh.at.resize(MOST_FRESH.max(width) + width + 4, 0);
        let (mut len, mut there) = (0, 0);
        for &to in links.get(at).iter().take_while(|&&to| to != MISSING) {
            let is = has(only, to);
            fresh.at[len] = to;
            there += usize::from(is);
            len += usize::from(is && self.first_visit(to));
        }
        if there < FEW_LINKS {
            for &through in links.get(at).iter().take_while(|&&to| to != MISSING) {
                // Nobody looks at these twice: what is not found may be marked.
                if len >= MOST_FRESH || has(only, through) || !self.first_visit(through) {
                    continue;
                }
                for &to in links.get(through).iter().take_while(|&&to| to != MISSING) {
                    fresh.at[len] = to;
                    len += usize::from(has(only, to) && self.first_visit(to));
                }
            }
        }
        self.scored += fresh.fill_up(isa, plane, len);
    }

    /// Puts what is fresh into the pool where it is good enough; `best` goes back to the best of it.
    #[inline(always)]
    fn score<I: Isa, P: Plane>(&mut self, isa: I, plane: &P, fresh: &Fresh, width: usize, best: &mut usize) {
        let fours = fresh.at.as_chunks::<4>().0;
        for (i, &four) in fours.iter().take(fresh.len.div_ceil(4)).enumerate() {
            let scores = plane.score_four(isa, four);
            for (score, to) in scores.into_iter().zip(four).take(fresh.len - 4 * i) {
                if let Some(place) = self.offer(width, score, to) {
                    *best = (*best).min(place);
                }
            }
        }
    }
}
