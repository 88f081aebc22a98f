//! Searching a generation: by scan or by walk, with or without a filter.

use crate::error::IndexError;
use crate::generation::Generation;
use crate::graph::{Graph, Walk, with_scratch};
use crate::kernel::{ScoreAt, ScoreBlock};
use crate::spec::Mode;
use qianmian_core::ItemRow;

/// Rows scored at a time: their scores stay in the first cache.
const BLOCK: usize = 1_024;

/// A scan of so many rows takes as long as one more place in a walk's pool, which costs a dozen vectors from all over
/// memory. Measured at 12k and 20k rows of 64 numbers: 70 to 100.
const ROWS_PER_PLACE: usize = 80;

/// Rows asked to learn how much a filter keeps.
const SAMPLE: usize = 256;

/// A filter that keeps less than this share is scanned for: a walk would throw nearly all it finds away.
const LEAST_SHARE: f32 = 0.1;

/// A filter that keeps at least this share is asked last, about the best rows only, and this many more of them than
/// should do: asking costs a random read or several.
const MOST_SHARE: f32 = 0.5;
const MORE: f32 = 1.2;

/// Whether a row may be in the result.
type Keep<'a> = &'a dyn Fn(ItemRow) -> bool;

impl Generation {
    /// The at most `k` best rows, highest score first, ties by row, none twice, of those `keep` is true for. The score
    /// is the cosine or the inner product, always finite. All rows are there when `k` is at least their number.
    ///
    /// A walk over the graph may miss a few of the best (recall@10 is above 0.95 at the default width) but never
    /// returns less than `k` where `k` are to be had: with too few after filtering, the rows are scanned.
    ///
    /// # Errors
    /// [`IndexError::Dimension`] when the query is of another dimension, [`IndexError::Query`] when it is not finite,
    /// too long, or zero under cosine.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        keep: Option<Keep<'_>>,
        mode: Mode,
    ) -> Result<Vec<(ItemRow, f32)>, IndexError> {
        let query = self.prepare(query)?;
        let query = query.padded(0);
        let k = k.min(self.len());
        if k == 0 {
            return Ok(Vec::new());
        }
        let share = keep.map_or(1.0, |keep| self.share_kept(keep));
        if let Some((graph, width)) = self.walk_width(k, share, mode)
            && let Some(found) = self.walk(graph, query, k, width, keep)
        {
            return Ok(found);
        }
        let Some(keep) = keep else { return Ok(self.scan(query, k)) };
        if share >= MOST_SHARE {
            let wide = ((k as f32 / share * MORE) as usize).min(self.len());
            let mut found = self.scan(query, wide);
            found.retain(|(row, _)| keep(*row));
            if found.len() >= k || wide == self.len() {
                found.truncate(k);
                return Ok(found);
            }
        }
        Ok(self.scan_kept(query, k, keep))
    }

    /// The graph and how wide to walk it, or `None` to scan.
    fn walk_width(&self, k: usize, share: f32, mode: Mode) -> Option<(&Graph, usize)> {
        let graph = self.graph.as_ref().filter(|_| mode != Mode::Exact)?;
        if mode == Mode::Auto && share < LEAST_SHARE {
            return None;
        }
        // Twice k, as the last places of a walk are the poorest; and a filter makes poorer places count. One of the
        // sample at least, lest the width be infinite.
        let wanted = self.spec.ef_search.max(k.saturating_mul(2)) as f32 / share.max(1.0 / SAMPLE as f32);
        let width = (wanted.ceil() as usize).min(self.len());
        (mode == Mode::Graph || width * ROWS_PER_PLACE < self.len()).then_some((graph, width))
    }

    /// The share of rows a filter keeps, from a sample spread over the layout, so over the clusters.
    fn share_kept(&self, keep: Keep<'_>) -> f32 {
        let sample = self.len().min(SAMPLE);
        let kept = (0..sample).filter(|i| keep(ItemRow(self.rows[i * self.len() / sample]))).count();
        kept as f32 / sample as f32
    }

    /// `None` when fewer than `k` of what the walk found are kept.
    fn walk(
        &self,
        graph: &Graph,
        query: &[f32],
        k: usize,
        width: usize,
        keep: Option<Keep<'_>>,
    ) -> Option<Vec<(ItemRow, f32)>> {
        let mut best = Best::new(k);
        with_scratch(|scratch| {
            self.arch.dispatch(Walk { graph, vectors: &self.vectors, query, width, scratch });
            for (score, at) in scratch.found() {
                // Highest first: only ties of the last place can still matter.
                if best.found.len() >= k && best.found.last().is_some_and(|last| score < last.0) {
                    break;
                }
                let row = self.rows[at as usize];
                if keep.is_none_or(|keep| keep(ItemRow(row))) {
                    best.found.push((score, row));
                }
            }
        });
        (best.found.len() >= k).then(|| best.finish())
    }

    /// Every row.
    fn scan(&self, query: &[f32], k: usize) -> Vec<(ItemRow, f32)> {
        let mut best = Best::new(k);
        let mut scores = [0f32; BLOCK];
        for (from, rows) in (0..).step_by(BLOCK).zip(self.rows.chunks(BLOCK)) {
            let out = &mut scores[..rows.len()];
            self.arch.dispatch(ScoreBlock { vectors: &self.vectors, query, from, out });
            best.offer(rows.iter().copied(), out);
        }
        best.finish()
    }

    /// Every row that is kept: the filter is asked first.
    fn scan_kept(&self, query: &[f32], k: usize, keep: Keep<'_>) -> Vec<(ItemRow, f32)> {
        let mut best = Best::new(k);
        let mut scores = [0f32; BLOCK];
        let mut at = Vec::with_capacity(BLOCK);
        for (from, rows) in (0u32..).step_by(BLOCK).zip(self.rows.chunks(BLOCK)) {
            at.clear();
            at.extend(rows.iter().zip(from..).filter(|(row, _)| keep(ItemRow(**row))).map(|(_, at)| at));
            let out = &mut scores[..at.len()];
            self.arch.dispatch(ScoreAt { vectors: &self.vectors, query, at: &at, out });
            best.offer(at.iter().map(|&at| self.rows[at as usize]), out);
        }
        best.finish()
    }
}

/// The `k` best of what is offered, found in linear time.
struct Best {
    k: usize,
    /// No lower score can be among the best any more.
    floor: f32,
    found: Vec<(f32, u32)>,
}

/// Higher score first, then lower row. Scores are finite.
fn better(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, floor: f32::NEG_INFINITY, found: Vec::with_capacity(2 * k + BLOCK) }
    }

    fn offer(&mut self, rows: impl Iterator<Item = u32>, scores: &[f32]) {
        for (row, &score) in rows.zip(scores) {
            if score >= self.floor {
                self.found.push((score, row));
            }
        }
        if self.found.len() >= 2 * self.k {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.found.len() > self.k {
            let (_, last, _) = self.found.select_nth_unstable_by(self.k - 1, better);
            self.floor = last.0;
            self.found.truncate(self.k);
        }
    }

    fn finish(mut self) -> Vec<(ItemRow, f32)> {
        self.cut();
        self.found.sort_unstable_by(better);
        self.found.into_iter().map(|(score, row)| (ItemRow(row), score)).collect()
    }
}

#[cfg(test)]
mod tests;
