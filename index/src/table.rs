//! Vectors in one aligned array, and where each row's is.

use crate::aligned::{Aligned, Rows};
use crate::kernel::MISSING;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// Floats in a cache line: vectors are padded to it with zeros, as one that straddles two costs a walk about a fifth.
const LINE: usize = 16;

/// `len` vectors of `dim` numbers.
#[derive(Clone, Debug)]
pub(crate) struct Vectors {
    values: Aligned<f32>,
    len: usize,
    dim: usize,
    stride: usize,
}

impl Vectors {
    /// All zero.
    pub fn zeros(len: usize, dim: usize) -> Self {
        let stride = dim.next_multiple_of(LINE);
        Self { values: Aligned::zeros(len * stride), len, dim, stride }
    }

    /// One padded vector.
    pub fn single(vector: &[f32]) -> Self {
        let mut one = Self::zeros(1, vector.len());
        one.get_mut(0).copy_from_slice(vector);
        one
    }

    /// One for each of `from`, as `fill` makes them; on all threads.
    pub fn made<T: Sync>(from: &[T], dim: usize, fill: impl Fn(&T, &mut [f32]) + Sync) -> Self {
        let mut made = Self::zeros(from.len(), dim);
        let rows = made.values.all_mut().par_chunks_exact_mut(made.stride.max(1));
        rows.zip(from).for_each(|(row, from)| fill(from, &mut row[..dim]));
        made
    }

    /// Those at some positions, in that order.
    pub fn pick(&self, positions: &[u32]) -> Self {
        Self::made(positions, self.dim, |&at, row| row.copy_from_slice(self.get(at)))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.values.bytes()
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// The vector at `at`.
    pub fn get(&self, at: u32) -> &[f32] {
        &self.padded(at)[..self.dim]
    }

    /// The vector at `at`, to be written.
    pub fn get_mut(&mut self, at: u32) -> &mut [f32] {
        let from = at as usize * self.stride;
        &mut self.values.all_mut()[from..from + self.dim]
    }

    /// The vector at `at` with the zeros that follow it.
    #[inline(always)]
    pub fn padded(&self, at: u32) -> &[f32] {
        self.padded_rows().get(at)
    }

    /// All of them with those zeros, for kernels.
    #[inline(always)]
    pub fn padded_rows(&self) -> Rows<'_, f32> {
        Rows::new(self.values.all(), self.stride)
    }

    /// All vectors, padded, one after another.
    pub fn all(&self) -> &[f32] {
        self.values.all()
    }

    /// The same, to be written.
    pub fn all_mut(&mut self) -> &mut [f32] {
        self.values.all_mut()
    }
}

/// Where a row's vector is.
#[derive(Debug)]
pub(crate) enum Slots {
    /// By row number: rows are dense in a catalogue.
    Dense(Vec<u32>),
    /// For the few rows out of a large catalogue that have a vector.
    Sparse(FxHashMap<u32, u32>),
}

impl Slots {
    /// Of rows that are unique.
    pub fn new(rows: &[u32]) -> Self {
        let top = rows.iter().max().map_or(0, |&row| row as usize + 1);
        if top > 8 * rows.len() + 65_536 {
            return Self::Sparse(rows.iter().zip(0..).map(|(&row, at)| (row, at)).collect());
        }
        let mut dense = vec![MISSING; top];
        for (&row, at) in rows.iter().zip(0..) {
            dense[row as usize] = at;
        }
        Self::Dense(dense)
    }

    /// Bytes held, about.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.len() * 4,
            Self::Sparse(sparse) => sparse.capacity() * 9,
        }
    }

    /// The position of a row's vector, or [`MISSING`].
    pub fn at(&self, row: u32) -> u32 {
        match self {
            Self::Dense(dense) => dense.get(row as usize).copied().unwrap_or(MISSING),
            Self::Sparse(sparse) => sparse.get(&row).copied().unwrap_or(MISSING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_dense_or_sparse() {
        for rows in [vec![5, 0, 2], vec![4_000_000_000, 7, u32::MAX]] {
            let slots = Slots::new(&rows);
            assert_eq!(rows.iter().map(|&row| slots.at(row)).collect::<Vec<_>>(), [0, 1, 2]);
            assert_eq!(slots.at(1), MISSING);
        }
        assert_eq!(Slots::new(&[]).at(0), MISSING);
    }

    #[test]
    fn vectors_are_padded_with_zeros() {
        let mut vectors = Vectors::zeros(3, 5);
        vectors.get_mut(1).fill(2.0);
        assert_eq!(vectors.get(1), [2.0; 5]);
        assert_eq!(vectors.padded(1).iter().sum::<f32>(), 10.0);
        assert_eq!(vectors.padded_rows().from(1).count(), 2);
        assert_eq!(vectors.padded(2).as_ptr().align_offset(64), 0);
    }
}
