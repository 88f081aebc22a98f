//! The candidate set: a handle to columns on the host.

use crate::bindings::qianmian::strategy::retrieval::{self, Candidates};
use crate::{EventKind, Overflow, Result, Row, Source};

/// Candidates, held by the host; methods work on the whole set at once. One that returns an error leaves it as it was.
#[derive(Debug)]
pub struct Set(Candidates);

impl Set {
    /// Finds candidates from all these sources; an item found by several is in the set once. Sources with limit 0 are
    /// left out. A source whose space is not there finds nothing.
    ///
    /// # Errors
    /// Two sources of one name, more than 32, or more candidates than one set may hold.
    pub fn retrieve(sources: impl IntoIterator<Item = Source>) -> Result<Self> {
        let sources: Vec<_> = sources.into_iter().filter(|source| source.limit() > 0).map(Source::into_inner).collect();
        Ok(Self(retrieval::retrieve(&sources)?))
    }

    /// Number of candidates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.size() as usize
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.size() == 0
    }

    /// The rows, in order.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.0.rows()
    }

    /// The item ids, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.ids()
    }

    /// A column of numbers; NaN means missing.
    ///
    /// # Errors
    /// No such column, or one of texts.
    pub fn numbers(&self, column: &str) -> Result<Vec<f32>> {
        Ok(self.0.numbers(column)?)
    }

    /// A column of texts; empty means missing.
    ///
    /// # Errors
    /// No such column, or one of another type.
    pub fn texts(&self, column: &str) -> Result<Vec<String>> {
        Ok(self.0.texts(column)?)
    }

    /// Sets a column of the set's own.
    ///
    /// # Errors
    /// Not one value a candidate, or a bad name.
    pub fn put(&self, column: &str, values: &[f32]) -> Result<()> {
        Ok(self.0.put(column, values)?)
    }

    /// Keeps what the CEL expression is true for; returns how many it removed.
    ///
    /// # Errors
    /// A wrong expression or an unknown column.
    pub fn keep(&self, expression: &str) -> Result<u32> {
        Ok(self.0.keep(expression)?)
    }

    /// Scores with a model into the column `score` and orders by it.
    ///
    /// # Errors
    /// No such model, or it failed: see [`crate::Optional`].
    pub fn score(&self, model: &str) -> Result<()> {
        Ok(self.0.score(model)?)
    }

    /// Computes a CEL formula into a column of the set's own.
    ///
    /// # Errors
    /// A wrong formula or an unknown column.
    pub fn compute(&self, column: &str, formula: &str) -> Result<()> {
        Ok(self.0.compute(column, formula)?)
    }

    /// Orders by a column of numbers, highest first, missing last.
    ///
    /// # Errors
    /// No such column, or one of texts.
    pub fn order_by(&self, column: &str) -> Result<()> {
        Ok(self.0.order_by(column)?)
    }

    /// Blends the ranks of the named sources (none: all) by weight into the column `score`, and orders by it.
    ///
    /// # Errors
    /// A source the set was not retrieved from, or a weight that is not finite.
    pub fn blend<N: AsRef<str>>(&self, weights: &[(N, f32)]) -> Result<()> {
        let weights: Vec<(String, f32)> = weights.iter().map(|(name, w)| (name.as_ref().to_owned(), *w)).collect();
        Ok(self.0.blend(&weights)?)
    }

    /// Spreads similar ones apart by their vectors in `space`; keeps the first `window`.
    ///
    /// # Errors
    /// No such space (see [`crate::Optional`]), or a strength outside 0 to 1.
    pub fn spread(&self, space: &str, strength: f32, window: u32) -> Result<()> {
        Ok(self.0.spread(space, strength, window)?)
    }

    /// At most `most` of each value of a text or list column; the others leave, or go last.
    ///
    /// # Errors
    /// No such column, or one of numbers.
    pub fn cap(&self, column: &str, most: u32, overflow: Overflow) -> Result<()> {
        Ok(self.0.cap(column, most, overflow)?)
    }

    /// Moves these to the front where they are in the set.
    pub fn pin(&self, ids: &[String]) {
        self.0.pin(ids);
    }

    /// Removes what the visitor interacted with in one of these ways; returns how many.
    pub fn without_seen(&self, kinds: &[EventKind]) -> u32 {
        self.0.without_seen(kinds)
    }

    /// Removes these rows; returns how many were there.
    pub fn without(&self, rows: &[Row]) -> u32 {
        if rows.is_empty() { 0 } else { self.0.without(rows) }
    }

    /// Keeps the first `count`.
    pub fn take(&self, count: u32) {
        self.0.take(count);
    }

    /// Takes the first `count` out into a set of their own.
    #[must_use]
    pub fn split(&self, count: u32) -> Self {
        Self(self.0.split(count))
    }

    pub(crate) fn into_inner(self) -> Candidates {
        self.0
    }
}
