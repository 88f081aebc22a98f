//! What can be wrong with a space, a vector or a query.

use qianmian_core::ItemRow;
use std::fmt;

/// Why an operation on the index was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum IndexError {
    /// Rows, vectors and dimension do not fit together; nothing was replaced.
    #[error("space {space:?}: {rows} rows of dimension {dim} need {expected} numbers, received {received}")]
    Shape {
        /// The space.
        space: String,
        /// Rows given.
        rows: usize,
        /// Dimension given.
        dim: usize,
        /// Numbers this needs; `usize::MAX` when it overflows.
        expected: usize,
        /// Numbers given.
        received: usize,
    },
    /// A parameter of the space is out of its range; nothing was replaced.
    #[error("space {space:?}: {parameter} is {received}, expected {expected}")]
    Parameter {
        /// The space.
        space: String,
        /// Which parameter.
        parameter: &'static str,
        /// Its value.
        received: usize,
        /// The range.
        expected: &'static str,
    },
    /// No vector is left to build from; nothing was replaced.
    #[error("space {space:?}: none of {received} vectors can be used{}; the space was left as it was", first(.rejected))]
    Empty {
        /// The space.
        space: String,
        /// Vectors given.
        received: usize,
        /// Why each was rejected.
        rejected: Vec<Rejected>,
    },
    /// There is no such space.
    #[error("there is no space {space:?}")]
    Unknown {
        /// The name asked for.
        space: String,
    },
    /// What was rebuilt finds too little of what a scan finds; the space was left as it was.
    #[error(
        "space {space:?}: a rebuilt generation finds {received} of what a scan finds, expected at least {expected}"
    )]
    Probe {
        /// The space.
        space: String,
        /// Recall@10 of rows of its own.
        received: f32,
        /// The least that may serve.
        expected: f32,
    },
    /// The query is of another dimension than the space.
    #[error("space {space:?} has dimension {expected}, the query has {received}")]
    Dimension {
        /// The space.
        space: String,
        /// The space's dimension.
        expected: usize,
        /// The query's.
        received: usize,
    },
    /// The query holds a number that cannot be searched for, or (cosine) is zero.
    #[error("space {space:?}: the query cannot be searched for: {reason}")]
    Query {
        /// The space.
        space: String,
        /// What is wrong with it.
        reason: Reason,
    },
}

/// ": first, row 7: ..." or nothing.
fn first(rejected: &[Rejected]) -> String {
    rejected.first().map(|r| format!(" (row {}: {})", r.row.0, r.reason)).unwrap_or_default()
}

/// One vector that was left out of a generation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rejected {
    /// Its position in what was given.
    pub position: usize,
    /// Its row.
    pub row: ItemRow,
    /// Why.
    pub reason: Reason,
}

/// What is wrong with one vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// A component is NaN or infinite.
    NotFinite {
        /// The first such component.
        component: usize,
        /// Its value.
        value: f32,
    },
    /// Its length does not fit an `f32` when squared.
    TooLong,
    /// All components are zero: it has no direction, and under cosine it would be everybody's neighbour.
    Zero,
    /// The same row stands at an earlier position, which is kept.
    Duplicate,
    /// It is of another dimension than the space.
    Dimension {
        /// The space's.
        expected: usize,
        /// The vector's.
        received: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { component, value } => {
                write!(f, "component {component} is {value}, expected a finite number")
            }
            Self::TooLong => write!(f, "its squared length overflows, expected components below 1e18"),
            Self::Zero => write!(f, "all components are zero, which has no direction for cosine"),
            Self::Dimension { expected, received } => write!(f, "it has {received} numbers, expected {expected}"),
            Self::Duplicate => write!(f, "the row was given before, expected each row once"),
        }
    }
}
