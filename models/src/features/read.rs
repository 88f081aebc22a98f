//! The columns that features are computed from, each read once for all of them.

use qianmian_core::{Candidates, Columns};
use qianmian_core::{ColumnValues, ItemRow, ReachError, RequestContext};
use std::borrow::Cow;
use std::sync::Arc;

/// Whether a column belongs to the candidate set (source scores and ranks) and not to the host.
pub(super) fn is_set_column(name: &str) -> bool {
    name.starts_with("source.") || !name.contains('.')
}

/// A column that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) name: String,
    /// Of the request's items instead of the candidates.
    pub(super) anchors: bool,
    /// The feature that wants it, for errors.
    pub(super) path: String,
}

impl Wanted {
    /// Reads it.
    pub(super) fn read<'a>(&self, scene: &Scene<'a>) -> Result<Read<'a>, ReachError> {
        if self.anchors {
            return scene.column(&scene.ctx.request.items, &self.name).map(Read::Host);
        }
        if let Some(values) = scene.candidates.column(&self.name) {
            return Ok(Read::Set(values));
        }
        if is_set_column(&self.name) {
            return Ok(Read::Absent);
        }
        scene.column(scene.candidates.rows(), &self.name).map(Read::Host)
    }
}

/// What a row of features is of.
pub(super) struct Scene<'a> {
    pub(super) columns: &'a dyn Columns,
    pub(super) ctx: &'a RequestContext,
    pub(super) candidates: &'a Candidates,
}

impl Scene<'_> {
    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// A host's column of some rows.
    pub(super) fn column(&self, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        self.columns.column(self.ctx, rows, name)
    }
}

/// A column that was read.
pub(super) enum Read<'a> {
    /// Of the set.
    Set(&'a [f32]),
    /// Of the set, which does not have it: a source that was not asked. All of it is missing; rankers are trained with such
    /// gaps.
    Absent,
    /// Of the host.
    Host(ColumnValues),
}

impl Read<'_> {
    /// As numbers, one a row; an error says what it is instead.
    pub(super) fn numbers(&self, len: usize) -> Result<Cow<'_, [f32]>, &'static str> {
        Ok(match self {
            Self::Set(values) => Cow::Borrowed(values),
            Self::Absent => Cow::Owned(vec![f32::NAN; len]),
            Self::Host(ColumnValues::Numbers(values)) => Cow::Borrowed(values),
            Self::Host(ColumnValues::Texts(_)) => return Err("text"),
            Self::Host(ColumnValues::Lists(_)) => return Err("a list"),
        })
    }

    /// As texts, any number a row; a number is written in decimals.
    pub(super) fn texts(&self) -> Texts<'_> {
        match self {
            Self::Set(values) => Texts::of(values),
            Self::Absent => Texts::Owned(Vec::new()),
            Self::Host(values) => Texts::from(values),
        }
    }

    /// A copy, for an expression.
    pub(super) fn values(&self, len: usize) -> ColumnValues {
        match self {
            Self::Set(values) => ColumnValues::Numbers(values.to_vec()),
            Self::Absent => ColumnValues::Numbers(vec![f32::NAN; len]),
            Self::Host(values) => values.clone(),
        }
    }
}

/// Texts of rows.
pub(super) enum Texts<'a> {
    One(&'a [Arc<str>]),
    Many(&'a [Arc<[Arc<str>]>]),
    Owned(Vec<Arc<str>>),
}

impl<'a> Texts<'a> {
    fn of(numbers: &[f32]) -> Self {
        let text = |number: &f32| if number.is_nan() { Arc::from("") } else { Arc::from(number.to_string()) };
        Self::Owned(numbers.iter().map(text).collect())
    }

    pub(super) fn from(values: &'a ColumnValues) -> Self {
        match values {
            ColumnValues::Numbers(numbers) => Self::of(numbers),
            ColumnValues::Texts(texts) => Self::One(texts),
            ColumnValues::Lists(lists) => Self::Many(lists),
        }
    }

    /// Those of a row; a text that is empty is none.
    pub(super) fn at(&self, row: usize) -> &[Arc<str>] {
        let one = |texts: &'_ [Arc<str>]| texts.get(row).is_some_and(|text| !text.is_empty());
        match self {
            Self::One(texts) if one(texts) => &texts[row..=row],
            Self::Owned(texts) if one(texts) => &texts[row..=row],
            Self::Many(lists) => lists.get(row).map_or(&[], |list| list),
            Self::One(_) | Self::Owned(_) => &[],
        }
    }
}

/// Answers for the row before it when that has the same texts: a column of the context says the same in every row.
pub(super) struct Again<T> {
    last: Option<(Vec<Arc<str>>, T)>,
}

impl<T: Clone> Again<T> {
    pub(super) const fn new() -> Self {
        Self { last: None }
    }

    pub(super) fn of(&mut self, texts: &[Arc<str>], compute: impl FnOnce(&[Arc<str>]) -> T) -> T {
        match &self.last {
            Some((before, value)) if before == texts => value.clone(),
            _ => {
                let value = compute(texts);
                self.last = Some((texts.to_vec(), value.clone()));
                value
            }
        }
    }
}
