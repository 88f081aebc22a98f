//! How a space is to be built and searched.

use crate::error::{IndexError, Rejected};
use std::time::Duration;

/// Largest dimension of a space.
pub const MAX_DIM: usize = 4096;

/// What makes two vectors alike; higher is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Metric {
    /// Cosine, -1..=1 up to rounding. Vectors are normalised when stored.
    #[default]
    Cosine,
    /// Inner product. Vectors are stored as they come; a zero vector is a fair one.
    Dot,
    /// Minus the squared Euclidean distance, at most 0. Vectors are stored as they come.
    L2,
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mode {
    /// Whichever is faster at the space's recall: the graph for few of many, a scan otherwise.
    #[default]
    Auto,
    /// A scan of every row: recall 1.
    Exact,
    /// The graph wherever there is one, even where a scan would be faster.
    Graph,
}

/// A named space. [`SpaceSpec::new`] gives the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceSpec {
    /// Its name, not empty.
    pub name: String,
    /// What makes two vectors alike.
    pub metric: Metric,
    /// Never build a graph.
    pub exact: bool,
    /// Least width of a search over the graph, 1..=65536: more finds more and takes longer. A search for `k` is never
    /// narrower than twice `k`, and one of more than 200,000 rows is wider by the cube root of how many times more.
    pub ef_search: usize,
    /// Half the links a row has, 4..=64.
    pub m: usize,
    /// Width of the searches that build the graph, 8..=2000.
    pub ef_construction: usize,
    /// Walk on 8-bit codes and score what is found exactly, where a check finds that the codes are good enough.
    pub codes: bool,
}

impl SpaceSpec {
    /// A space with `ef_search` 128, `m` 16 and `ef_construction` 100, and a graph when it is large enough.
    #[must_use]
    pub fn new(name: impl Into<String>, metric: Metric) -> Self {
        Self { name: name.into(), metric, exact: false, ef_search: 128, m: 16, ef_construction: 100, codes: true }
    }

    /// The ranges stated on the fields.
    pub(crate) fn check(&self, dim: usize) -> Result<(), IndexError> {
        let within = |parameter, received: usize, low: usize, high: usize, expected| {
            if (low..=high).contains(&received) {
                return Ok(());
            }
            Err(IndexError::Parameter { space: self.name.clone(), parameter, received, expected })
        };
        within("length of the name", self.name.len(), 1, 256, "1..=256 bytes")?;
        within("dimension", dim, 1, MAX_DIM, "1..=4096")?;
        within("ef_search", self.ef_search, 1, 65_536, "1..=65536")?;
        within("m", self.m, 4, 64, "4..=64")?;
        within("ef_construction", self.ef_construction, 8, 2_000, "8..=2000")
    }
}

/// What became of one [`crate::Spaces::put`].
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Number of the generation, rising over all spaces of the process.
    pub generation: u64,
    /// Vectors in it.
    pub accepted: usize,
    /// Vectors left out, in the order given.
    pub rejected: Vec<Rejected>,
    /// Whether it has a graph, or is always scanned.
    pub graph: bool,
    /// Whether it is being served; false when a later `put` of the same space was finished first.
    pub live: bool,
    /// Time it took to validate and build.
    pub took: Duration,
}
