//! The one expression language: CEL text, parsed once, evaluated in bulk over columns.
//!
//! [`Expression::parse`] checks everything that does not depend on the data; [`Expression::mask`] (filters) and
//! [`Expression::numbers`] (formulas) fetch each column once and work on whole columns. What does not vary by row stays
//! one value. The dialect:
//!
//! - every number is an `f32` (so `1 / 2` is 0.5), and a result that is not finite is missing;
//! - missing (NaN, the empty text, the empty list) makes a comparison false, `!=` too, and arithmetic missing; test
//!   with `has(x)`, replace with `coalesce(x, default)`;
//! - a name is one column, dots included; `item.attributes["pack size"]` is `item.attributes.pack size`.

mod eval;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use crate::{ColumnValues, ReachError};
use std::sync::Arc;

/// Longest expression, in bytes.
pub const MAX_BYTES: usize = 8 * 1024;
/// Deepest nesting. A chain of `+` nests one level a term; `&&` and `||` do not.
pub const MAX_DEPTH: usize = 64;
/// Most operators and brackets. The parser recurses once for each operator of a chain: more could exhaust a small
/// stack; and each of them takes it microseconds, which nothing can interrupt.
pub const MAX_OPERATORS: usize = 1024;
/// Most commas: what a list or a call has one more of.
pub const MAX_COMMAS: usize = 2047;
/// What an expression may be built from, for error messages.
pub const SUPPORTED: &str = "numbers, \"texts\", true, false, columns, < <= > >= == !=, && || !, + - * / %, c ? a : b, \
    x in [..] or in a list column, size(x), x.startsWith(t), x.endsWith(t), x.contains(t), has(x), coalesce(x, default), \
    min(..), max(..), abs, log, log1p, exp, sqrt, pow(x, y), floor";

/// Why a text is no expression. `at` is the character's number, from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// Longer than [`MAX_BYTES`].
    #[error("the expression has {bytes} bytes: at most {MAX_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than [`MAX_OPERATORS`] or [`MAX_COMMAS`].
    #[error("character {at}: at most {MAX_OPERATORS} operators and brackets, and {MAX_COMMAS} commas; split it in two")]
    TooMany {
        /// Where.
        at: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("character {at}: nested too deeply: at most {MAX_DEPTH} levels; group a long sum with parentheses")]
    TooDeep {
        /// Where.
        at: usize,
    },
    /// Not CEL.
    #[error("character {at}: {detail}")]
    Syntax {
        /// Where.
        at: usize,
        /// What the parser says.
        detail: String,
    },
    /// CEL, but not what can be evaluated over columns.
    #[error("character {at}: {what} is not supported here; supported: {SUPPORTED}")]
    Unsupported {
        /// Where.
        at: usize,
        /// What was found.
        what: String,
    },
    /// A function with the wrong number of arguments, or a list of mixed types.
    #[error("character {at}: {detail}")]
    Argument {
        /// Where.
        at: usize,
        /// What was found and what is expected.
        detail: String,
    },
}

/// A parsed expression. Parsing costs tens of microseconds, evaluating a few: parse once and keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    source: String,
    columns: Vec<String>,
    root: parse::Node,
}

/// Reads a column by name; called once a column and evaluation.
pub type ReadColumn<'a> = dyn Fn(&str) -> Result<ColumnValues, ReachError> + 'a;

impl Expression {
    /// Parses a CEL text.
    ///
    /// # Errors
    /// See [`ExprError`]; types of columns are only known, and checked, when evaluating.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let (root, columns) = parse::parse(text)?;
        Ok(Self { source: text.to_owned(), columns, root })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The columns it reads, in order of first appearance, without doubles.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The texts that stand in it, those of lists among them.
    #[must_use]
    pub fn texts(&self) -> Vec<Arc<str>> {
        let mut texts = Vec::new();
        self.root.texts(&mut texts);
        texts
    }

    /// Evaluates a condition for `len` rows.
    ///
    /// # Errors
    /// What `read` returns; [`ReachError::Invalid`] naming the place when types do not fit or the result is not a
    /// condition; [`ReachError::Failed`] when a column is not `len` long.
    pub fn mask(&self, len: usize, read: &ReadColumn<'_>) -> Result<Vec<bool>, ReachError> {
        let columns = self.fetch(len, read)?;
        eval::mask(&self.root, &columns, len).map_err(|e| self.place(&e))
    }

    /// Evaluates a formula for `len` rows; NaN means missing, other results are finite.
    ///
    /// # Errors
    /// As [`Self::mask`], the result must be a number.
    pub fn numbers(&self, len: usize, read: &ReadColumn<'_>) -> Result<Vec<f32>, ReachError> {
        let columns = self.fetch(len, read)?;
        eval::numbers(&self.root, &columns, len).map_err(|e| self.place(&e))
    }

    fn fetch(&self, len: usize, read: &ReadColumn<'_>) -> Result<Vec<ColumnValues>, ReachError> {
        let fetch = |name: &String| {
            let values = read(name)?;
            if values.len() == len {
                return Ok(values);
            }
            let detail = format!("{} values for {len} rows", values.len());
            Err(ReachError::Failed { what: format!("column {name}"), detail })
        };
        self.columns.iter().map(fetch).collect()
    }

    fn place(&self, error: &eval::TypeError) -> ReachError {
        ReachError::Invalid(format!("character {}: {}, in: {}", error.at, error.detail, self.source))
    }
}
