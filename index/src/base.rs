//! One immutable build: vectors, their codes, where each row's is, and the graph over them.

use crate::codes::Codes;
use crate::error::{IndexError, Reason, Rejected};
use crate::fold;
use crate::graph::{self, Graph};
use crate::spec::{Metric, SpaceSpec};
use crate::table::{Slots, Vectors};
use pulp::Arch;
use qianmian_core::ItemRow;
use rustc_hash::FxHashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Up to so many rows a scan takes a few microseconds and a graph is not worth its build.
const SCANNED_ROWS: usize = 2_000;

/// Never empty, never changes.
#[derive(Debug)]
pub(crate) struct Base {
    pub spec: SpaceSpec,
    pub arch: Arch,
    /// Unlike that of any other base of this process.
    pub id: u64,
    /// The row of each vector.
    pub rows: Vec<u32>,
    slots: Slots,
    pub vectors: Vectors,
    pub codes: Option<Codes>,
    pub graph: Option<Graph>,
    pub gram: OnceLock<Vec<f64>>,
}

impl Base {
    /// Validates, builds, and says what was left out.
    pub fn build(
        spec: SpaceSpec,
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
        if wants_graph(&spec, kept.len()) {
            let (order, laid, links) = graph::build(&spec, &vectors, arch);
            kept = order.iter().map(|&at| kept[at as usize]).collect();
            (vectors, graph) = (laid, Some(links));
        }
        let rows: Vec<u32> = kept.iter().map(|&position| rows[position as usize].0).collect();
        let slots = Slots::new(&rows);
        let codes = spec.codes.then(|| Codes::new(&vectors, spec.metric));
        let mut base = Self { spec, arch, id: next_id(), rows, slots, vectors, codes, graph, gram: OnceLock::new() };
        if base.metric() == Metric::Dot && dim <= fold::MAX_FOLD_DIM {
            // Now rather than in the first request that folds somebody in.
            base.gram();
        }
        base.drop_what_fails();
        Ok((base, rejected))
    }

    /// As it was written; nothing is built.
    pub fn from_file(
        spec: SpaceSpec,
        rows: Vec<u32>,
        vectors: Vectors,
        codes: Option<Codes>,
        graph: Option<Graph>,
        gram: Vec<f64>,
    ) -> Self {
        let slots = Slots::new(&rows);
        let gram = if gram.is_empty() { OnceLock::new() } else { OnceLock::from(gram) };
        Self { spec, arch: Arch::new(), id: next_id(), rows, slots, vectors, codes, graph, gram }
    }

    /// Whether it has or should have had a graph.
    pub fn wants_graph(&self) -> bool {
        wants_graph(&self.spec, self.len())
    }

    /// What makes two vectors alike.
    pub fn metric(&self) -> Metric {
        self.spec.metric
    }

    /// Rows, at least 1.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Where a row's vector is, or [`MISSING`](crate::kernel::MISSING).
    pub fn at(&self, row: ItemRow) -> u32 {
        self.slots.at(row.0)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let codes = self.codes.as_ref().map_or(0, Codes::bytes);
        let links = self.graph.as_ref().map_or(0, Graph::bytes);
        self.vectors.bytes() + codes + links + self.rows.len() * 4 + self.slots.bytes()
    }

    /// The query as it is scored: checked, normalised for cosine, padded.
    pub fn prepare(&self, query: &[f32]) -> Result<Vectors, IndexError> {
        if query.len() != self.vectors.dim() {
            let (expected, received) = (self.vectors.dim(), query.len());
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

fn wants_graph(spec: &SpaceSpec, rows: usize) -> bool {
    rows > SCANNED_ROWS && !spec.exact
}

fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// A vector as it is stored.
pub(crate) fn normalised(vector: &[f32], metric: Metric) -> Result<Vec<f32>, Reason> {
    let norm = check(vector, metric)?;
    let mut vector = vector.to_vec();
    if metric == Metric::Cosine {
        scale(&mut vector, norm);
    }
    Ok(vector)
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
    Vectors::made(kept, dim, |&position, vector| {
        let from = position as usize * dim;
        vector.copy_from_slice(&values[from..from + dim]);
        if metric == Metric::Cosine {
            let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            scale(vector, norm);
        }
    })
}
