//! What an ensemble is asked: rows one after another, or columns.

use std::borrow::Cow;

/// The values of one feature for the rows that are scored; NaN is a missing one.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// The same for each of them.
    Same(f32),
    /// One a row.
    Each(&'a [f32]),
}

impl<'a> Column<'a> {
    /// The value of a row.
    ///
    /// # Panics
    /// When it has fewer.
    #[must_use]
    pub fn at(self, row: usize) -> f32 {
        match self {
            Self::Same(value) => value,
            Self::Each(values) => values[row],
        }
    }

    /// How many rows it has; `None` for any number.
    pub(crate) fn len(self) -> Option<usize> {
        match self {
            Self::Same(_) => None,
            Self::Each(values) => Some(values.len()),
        }
    }

    /// The `n` rows from `start` on.
    pub(crate) fn part(self, start: usize, n: usize) -> Self {
        match self {
            Self::Same(_) => self,
            Self::Each(values) => Self::Each(&values[start..start + n]),
        }
    }
}

/// Rows to be scored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// Row after row, with so many features in each.
    Matrix(&'a [f32], usize),
    /// Feature after feature.
    Columns(&'a [Column<'a>]),
}

impl<'a> Rows<'a> {
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Matrix(_, width) => width,
            Self::Columns(columns) => columns.len(),
        }
    }

    /// Copies a feature of the rows from `start` on, as many as there is place for.
    #[inline(always)]
    pub(crate) fn copy(self, feature: u32, start: usize, to: &mut [f32]) {
        match self {
            Self::Matrix(rows, width) => {
                let rows = rows[start * width + feature as usize..].iter().step_by(width);
                to.iter_mut().zip(rows).for_each(|(to, value)| *to = *value);
            }
            Self::Columns(columns) => match columns[feature as usize] {
                Column::Same(value) => to.fill(value),
                Column::Each(values) => to.copy_from_slice(&values[start..start + to.len()]),
            },
        }
    }

    /// All `n` rows, one after another.
    pub(crate) fn matrix(self, n: usize) -> Cow<'a, [f32]> {
        match self {
            Self::Matrix(rows, _) => Cow::Borrowed(rows),
            Self::Columns(columns) => {
                let mut rows = vec![0.0; n * columns.len()];
                for (at, column) in columns.iter().enumerate() {
                    for (row, to) in rows.iter_mut().skip(at).step_by(columns.len()).enumerate() {
                        *to = column.at(row);
                    }
                }
                Cow::Owned(rows)
            }
        }
    }
}
