//! The features of a candidate set, column by column, as they were computed.

use crate::kernels::transpose::transpose;
use crate::trees::Column;

/// Columns of numbers for a number of candidates; NaN is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    len: usize,
    columns: Vec<Kept>,
    values: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    /// The same for every candidate.
    Same(f32),
    /// One a candidate, from this place of the values on.
    Each(usize),
}

impl Table {
    /// Nothing yet, for `len` candidates and `width` columns.
    pub(super) fn new(len: usize, width: usize) -> Self {
        Self { len, columns: Vec::with_capacity(width), values: Vec::with_capacity(len * width) }
    }

    /// Adds a column of one number for all.
    pub(super) fn same(&mut self, value: f32) {
        self.columns.push(Kept::Same(value));
    }

    /// Adds `width` columns out of rows; rows that are not there are missing.
    pub(super) fn rows_of(&mut self, rows: &[f32], width: usize) {
        let start = self.values.len();
        self.columns.extend((0..width).map(|at| Kept::Each(start + at * self.len)));
        let rows = &rows[..rows.len().min(self.len * width)];
        if width == 1 {
            self.values.extend_from_slice(rows);
        }
        self.values.resize(start + self.len * width, f32::NAN);
        if width > 1 {
            transpose(rows, width, &mut self.values[start..], self.len);
        }
    }

    /// Candidates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without candidates.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The columns, in the order of the plan's names.
    #[must_use]
    pub fn columns(&self) -> Vec<Column<'_>> {
        let column = |kept: &Kept| match *kept {
            Kept::Same(value) => Column::Same(value),
            Kept::Each(start) => Column::Each(&self.values[start..start + self.len]),
        };
        self.columns.iter().map(column).collect()
    }

    /// The same numbers row-major, `[candidates, columns]`.
    #[must_use]
    pub fn rows(&self) -> Vec<f32> {
        let width = self.columns.len();
        let mut rows = vec![0.0; self.len * width];
        // Runs of columns that lie one after another are turned together.
        let mut at = 0;
        while at < width {
            at += match self.columns[at] {
                Kept::Same(value) => {
                    rows.iter_mut().skip(at).step_by(width).for_each(|to| *to = value);
                    1
                }
                Kept::Each(start) => {
                    let follows = |(i, kept): &(usize, &Kept)| **kept == Kept::Each(start + i * self.len);
                    let run = self.columns[at..].iter().enumerate().take_while(follows).count();
                    let columns = &self.values[start..start + run * self.len];
                    transpose(columns, self.len, rows.get_mut(at..).unwrap_or_default(), width);
                    run
                }
            };
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_rows_are_the_same_numbers() {
        let mut table = Table::new(3, 5);
        table.rows_of(&[1.0, 2.0, 3.0], 1);
        table.same(9.0);
        table.rows_of(&[4.0, 5.0, 6.0, 7.0, 8.0, 0.0], 2);
        table.rows_of(&[-1.0, -2.0, -3.0], 1);
        assert_eq!(table.rows(), [1.0, 9.0, 4.0, 5.0, -1.0, 2.0, 9.0, 6.0, 7.0, -2.0, 3.0, 9.0, 8.0, 0.0, -3.0]);
        let again: Vec<f32> = (0..3)
            .flat_map(|row| table.columns().into_iter().map(move |column| column.at(row)).collect::<Vec<_>>())
            .collect();
        assert_eq!(again, table.rows());
        assert_eq!(Table::new(0, 2).rows(), [0.0; 0]);
    }
}
