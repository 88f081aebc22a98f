//! What a strategy may reach, as three traits. Each call is for a whole batch, never for one candidate.

use crate::{Candidates, ItemRow, RequestContext, SourceSpec};
use std::sync::Arc;

/// Why a host operation could not be done. The strategy sees it as an error value, not as a trap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The strategy named a space, model, column or list the host does not have.
    #[error("no {what} named {name:?}; known: {known}")]
    Unknown {
        /// Space, model, column ...
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is, comma separated, possibly cut.
        known: String,
    },
    /// It is nothing this strategy may reach.
    #[error("{what} {name:?} is denied: {why}")]
    Denied {
        /// Space, model, column ...
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Who does not grant it.
        why: &'static str,
    },
    /// An expression or argument is wrong.
    #[error("{0}")]
    Invalid(String),
    /// It exists but failed now; the strategy may go on without it and the answer says `degraded`.
    #[error("{what} failed: {detail}")]
    Failed {
        /// What failed.
        what: String,
        /// How.
        detail: String,
    },
}

/// The values of one column for a batch of rows.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValues {
    /// Numbers; NaN means missing.
    Numbers(Vec<f32>),
    /// Texts; the empty text means missing.
    Texts(Vec<Arc<str>>),
    /// Lists of texts.
    Lists(Vec<Arc<[Arc<str>]>>),
}

impl ColumnValues {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(v) => v.len(),
            Self::Texts(v) => v.len(),
            Self::Lists(v) => v.len(),
        }
    }

    /// True when there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Finds candidates.
pub trait Retrieval: Send + Sync {
    /// At most `spec.limit` rows, best first, without duplicates, scores finite.
    ///
    /// # Errors
    /// [`ReachError::Unknown`] for a space that is not there; an empty result is not an error.
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError>;
}

/// Reads columns of items, of the visitor, and of both together.
///
/// Names: `item.*` (catalogue and statistics), `visitor.*` (the same value for every row), `history.*` (this visitor
/// with this item), `anchor.*` (the request's items with this item), `near.<space>` (the visitor's vector with the
/// item's), `context.*`.
pub trait Columns: Send + Sync {
    /// One value a row.
    ///
    /// # Errors
    /// [`ReachError::Unknown`] when no column has this name.
    fn column(&self, ctx: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError>;

    /// The id of each row, for the answer and for breaking ties.
    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>>;

    /// The row of each id, `None` where the catalogue has no such item.
    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>>;

    /// The vectors of `rows` in `space`, row-major, zeros where an item has none, and the dimension.
    ///
    /// # Errors
    /// [`ReachError::Unknown`] when there is no such space.
    fn vectors(&self, rows: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError>;
}

/// Scores candidates with a model.
pub trait Scoring: Send + Sync {
    /// One score a candidate; non-finite model outputs become `f32::MIN` so that they sort last.
    ///
    /// # Errors
    /// [`ReachError::Unknown`] for a model or one of its features that is not there, [`ReachError::Failed`] when the
    /// model itself fails.
    fn score(&self, ctx: &RequestContext, candidates: &Candidates, model: &str) -> Result<Vec<f32>, ReachError>;
}

/// The three together, as a composition gets them.
#[derive(Clone)]
pub struct Reach {
    /// Sources.
    pub retrieval: Arc<dyn Retrieval>,
    /// Columns.
    pub columns: Arc<dyn Columns>,
    /// Models.
    pub scoring: Arc<dyn Scoring>,
}
