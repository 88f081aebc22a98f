//! One immutable build of a space: its vectors, where each row's is, and the graph over them.

use crate::error::{IndexError, Reason, Rejected};
use crate::fold;
use crate::graph::{self, Graph};
use crate::kernel::{MISSING, ScoreAt};
use crate::spec::{Metric, SpaceSpec};
use crate::table::{Slots, Vectors};
use pulp::Arch;
use qianmian_core::ItemRow;
use rustc_hash::FxHashSet;
use std::sync::OnceLock;

/// Up to so many rows a scan takes a few microseconds and a graph is not worth its build.
const SCANNED_ROWS: usize = 2_000;

/// A space as it was at one moment. Never empty, never changes.
#[derive(Debug)]
pub struct Generation {
    pub(crate) spec: SpaceSpec,
    pub(crate) arch: Arch,
    number: u64,
    /// The row of each vector.
    pub(crate) rows: Vec<u32>,
    slots: Slots,
    pub(crate) vectors: Vectors,
    pub(crate) graph: Option<Graph>,
    pub(crate) gram: OnceLock<Vec<f64>>,
}

impl Generation {
    /// Validates, builds, and says what was left out.
    pub(crate) fn build(
        spec: SpaceSpec,
        number: u64,
        rows: &[ItemRow],
        values: &[f32],
        dim: usize,
    ) -> Result<(Self, Vec<Rejected>), IndexError> {
        spec.check(dim)?;
        let expected = rows.len().saturating_mul(dim);
        // Positions are u32 with one bit for the walk.
        if values.len() != expected || rows.len() >= 1 << 31 {
            let (space, received) = (spec.name, values.len());
            return Err(IndexError::Shape { space, rows: rows.len(), dim, expected, received });
        }
        let (mut kept, rejected) = sift(rows, values, dim, spec.metric);
        if kept.is_empty() {
            return Err(IndexError::Empty { space: spec.name, received: rows.len(), rejected });
        }
        // The order the rows came in must not matter, and sorted input makes a poor graph.
        kept.sort_unstable_by_key(|&position| {
            let row = rows[position as usize].0;
            (row.wrapping_mul(0x9E37_79B1), row)
        });
        let arch = Arch::new();
        let mut vectors = load(&kept, values, dim, spec.metric);
        let mut graph = None;
        if kept.len() > SCANNED_ROWS && !spec.exact {
            let (order, links) = graph::build(&spec, &vectors, arch);
            kept = order.iter().map(|&at| kept[at as usize]).collect();
            vectors = load(&kept, values, dim, spec.metric);
            graph = Some(links);
        }
        let rows: Vec<u32> = kept.iter().map(|&position| rows[position as usize].0).collect();
        let slots = Slots::new(&rows);
        let generation = Self { spec, arch, number, rows, slots, vectors, graph, gram: OnceLock::new() };
        if generation.metric() == Metric::Dot && dim <= fold::MAX_FOLD_DIM {
            // Now rather than in the first request that folds somebody in.
            generation.gram();
        }
        Ok((generation, rejected))
    }

    /// Numbers in a vector, at least 1.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.vectors.dim()
    }

    /// Rows that have a vector, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Never: a generation without a vector is not built. Here because there is a `len`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.vectors.len() == 0
    }

    /// What makes two vectors alike.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.spec.metric
    }

    /// The name of the space.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Rises with every generation built in this process.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// False: every search is a scan, and exact.
    #[must_use]
    pub fn has_graph(&self) -> bool {
        self.graph.is_some()
    }

    /// The rows that have a vector, in no order that means anything.
    pub fn rows(&self) -> impl Iterator<Item = ItemRow> {
        self.rows.iter().map(|&row| ItemRow(row))
    }

    /// Where a row's vector is, or [`MISSING`].
    pub(crate) fn at(&self, row: ItemRow) -> u32 {
        self.slots.at(row.0)
    }

    /// The vector of a row: as it was given for [`Metric::Dot`], of length 1 for [`Metric::Cosine`].
    #[must_use]
    pub fn vector(&self, row: ItemRow) -> Option<&[f32]> {
        match self.at(row) {
            MISSING => None,
            at => Some(self.vectors.get(at)),
        }
    }

    /// Appends the vectors of `rows` to `out`, row-major, zeros where a row has none.
    pub fn gather(&self, rows: &[ItemRow], out: &mut Vec<f32>) {
        out.reserve(rows.len() * self.dim());
        for &row in rows {
            match self.vector(row) {
                Some(vector) => out.extend_from_slice(vector),
                None => out.resize(out.len() + self.dim(), 0.0),
            }
        }
    }

    /// The score [`Self::search`] gives each of `rows`; NaN where a row has no vector, and everywhere when the query
    /// is one that `search` refuses.
    #[must_use]
    pub fn dots(&self, query: &[f32], rows: &[ItemRow]) -> Vec<f32> {
        let mut out = vec![f32::NAN; rows.len()];
        if let Ok(query) = self.prepare(query) {
            let at: Vec<u32> = rows.iter().map(|&row| self.at(row)).collect();
            let (vectors, query) = (&self.vectors, query.padded(0));
            self.arch.dispatch(ScoreAt { vectors, query, at: &at, out: &mut out });
        }
        out
    }

    /// The mean of the vectors of those of `rows` that have one; `None` when none has. A row given twice counts twice.
    #[must_use]
    pub fn mean(&self, rows: &[ItemRow]) -> Option<Vec<f32>> {
        let mut sum = vec![0f64; self.dim()];
        let mut found = 0u32;
        for vector in rows.iter().filter_map(|&row| self.vector(row)) {
            sum.iter_mut().zip(vector).for_each(|(sum, &x)| *sum += f64::from(x));
            found += 1;
        }
        (found > 0).then(|| sum.iter().map(|&x| (x / f64::from(found)) as f32).collect())
    }

    /// The query as it is scored: checked, normalised for cosine, padded.
    pub(crate) fn prepare(&self, query: &[f32]) -> Result<Vectors, IndexError> {
        if query.len() != self.dim() {
            let (expected, received) = (self.dim(), query.len());
            return Err(IndexError::Dimension { space: self.spec.name.clone(), expected, received });
        }
        match check(query, self.metric()) {
            Ok(norm) => {
                let mut padded = Vectors::single(query);
                if self.metric() == Metric::Cosine {
                    scale(padded.get_mut(0), norm);
                }
                Ok(padded)
            }
            Err(reason) => Err(IndexError::Query { space: self.spec.name.clone(), reason }),
        }
    }
}

/// The length of a vector that may stand in a space or be searched for.
fn check(vector: &[f32], metric: Metric) -> Result<f64, Reason> {
    // One sum finds every non-finite component: finite f32 squares cannot overflow an f64.
    let squared: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    if !squared.is_finite() {
        let odd = vector.iter().zip(0..).find(|(x, _)| !x.is_finite());
        let (value, component) = odd.map_or((f32::NAN, 0), |(&x, at)| (x, at));
        return Err(Reason::NotFinite { component, value });
    }
    // Half the range, so that no product of two accepted vectors overflows on the way.
    if squared > f64::from(f32::MAX) / 2.0 {
        return Err(Reason::TooLong);
    }
    if squared == 0.0 && metric == Metric::Cosine {
        return Err(Reason::Zero);
    }
    Ok(squared.sqrt())
}

/// Divides by the norm, in f64 so that very small vectors keep their direction.
fn scale(vector: &mut [f32], norm: f64) {
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
}

/// Positions that can be used, and the others with their reasons.
fn sift(rows: &[ItemRow], values: &[f32], dim: usize, metric: Metric) -> (Vec<u32>, Vec<Rejected>) {
    let mut seen = FxHashSet::with_capacity_and_hasher(rows.len(), Default::default());
    let (mut kept, mut rejected) = (Vec::with_capacity(rows.len()), Vec::new());
    for (position, (&row, vector)) in rows.iter().zip(values.chunks_exact(dim)).enumerate() {
        let reason = match check(vector, metric) {
            Err(reason) => reason,
            Ok(_) if seen.insert(row) => {
                kept.push(position as u32);
                continue;
            }
            Ok(_) => Reason::Duplicate,
        };
        rejected.push(Rejected { position, row, reason });
    }
    (kept, rejected)
}

/// The vectors at these positions, ready to be scored.
fn load(kept: &[u32], values: &[f32], dim: usize, metric: Metric) -> Vectors {
    let mut vectors = Vectors::zeros(kept.len(), dim);
    for (&position, at) in kept.iter().zip(0..) {
        let from = position as usize * dim;
        let vector = vectors.get_mut(at);
        vector.copy_from_slice(&values[from..from + dim]);
        if metric == Metric::Cosine {
            let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            scale(vector, norm);
        }
    }
    vectors
}
