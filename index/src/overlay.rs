//! What changed since a base was built: rows that are gone, and rows that came. Copies share all but what changes.

use crate::error::Reason;
use crate::kernel::MISSING;
use crate::table::Vectors;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Words of one piece of [`Dead`]: 4 KB are copied to mark a row.
const WORDS: usize = 512;

/// Positions of a base that no search may find any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dead {
    pieces: Vec<Option<Arc<[u64; WORDS]>>>,
    len: usize,
}

impl Dead {
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub fn contains(&self, at: u32) -> bool {
        let (piece, word) = (at as usize / (64 * WORDS), at as usize / 64 % WORDS);
        matches!(self.pieces.get(piece), Some(Some(piece)) if piece[word] >> (at % 64) & 1 == 1)
    }

    /// Marks a position; false when it was marked before.
    pub fn insert(&mut self, at: u32) -> bool {
        if self.contains(at) {
            return false;
        }
        let (piece, word) = (at as usize / (64 * WORDS), at as usize / 64 % WORDS);
        if piece >= self.pieces.len() {
            self.pieces.resize(piece + 1, None);
        }
        let piece = self.pieces[piece].get_or_insert_with(|| Arc::new([0; WORDS]));
        Arc::make_mut(piece)[word] |= 1 << (at % 64);
        self.len += 1;
        true
    }
}

/// Rows of one piece of [`Recent`].
const PIECE: usize = 64;

/// Maps from row to place; one of them is copied to add a row.
const SHARDS: usize = 64;

/// Vectors that came after the base was built, few enough to be scanned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    pieces: Vec<Arc<Piece>>,
    places: Vec<Arc<FxHashMap<u32, u32>>>,
    len: usize,
    /// Places given out, those of rows that are gone among them.
    used: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// [`MISSING`] for a row that is gone.
    pub rows: Vec<u32>,
    pub vectors: Vectors,
}

impl Recent {
    /// Rows in it.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().map(|piece| &**piece)
    }

    /// The rows in it with their vectors.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.pieces().flat_map(|piece| {
            let all = piece.rows.iter().zip(0u32..).filter(|(row, _)| **row != MISSING);
            all.map(|(&row, at)| (row, piece.vectors.get(at)))
        })
    }

    fn place(&self, row: u32) -> Option<usize> {
        self.places.get(row as usize % SHARDS)?.get(&row).map(|&place| place as usize)
    }

    /// The padded vector of a row.
    pub fn get(&self, row: u32) -> Option<&[f32]> {
        let place = self.place(row)?;
        self.pieces.get(place / PIECE).map(|piece| piece.vectors.padded((place % PIECE) as u32))
    }

    /// Adds a row, or replaces its vector.
    pub fn put(&mut self, row: u32, vector: &[f32]) {
        self.places.resize_with(SHARDS, Arc::default);
        let place = self.place(row).unwrap_or_else(|| {
            let place = self.used;
            self.used += 1;
            self.len += 1;
            Arc::make_mut(&mut self.places[row as usize % SHARDS]).insert(row, place as u32);
            place
        });
        if place / PIECE == self.pieces.len() {
            let (rows, vectors) = (vec![MISSING; PIECE], Vectors::zeros(PIECE, vector.len()));
            self.pieces.push(Arc::new(Piece { rows, vectors }));
        }
        let piece = Arc::make_mut(&mut self.pieces[place / PIECE]);
        piece.rows[place % PIECE] = row;
        piece.vectors.get_mut((place % PIECE) as u32).copy_from_slice(vector);
    }

    /// Takes a row out; false when it is not there.
    pub fn remove(&mut self, row: u32) -> bool {
        let Some(place) = self.place(row) else { return false };
        Arc::make_mut(&mut self.places[row as usize % SHARDS]).remove(&row);
        Arc::make_mut(&mut self.pieces[place / PIECE]).rows[place % PIECE] = MISSING;
        self.len -= 1;
        true
    }
}

/// One change to a space.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A row's vector is this from now on.
    Upsert(qianmian_core::ItemRow, Vec<f32>),
    /// A row is found no more.
    Delete(qianmian_core::ItemRow),
}

/// What became of [`crate::Spaces::update`].
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Updated {
    /// Rows inserted or replaced.
    pub upserted: usize,
    /// Rows deleted that were there.
    pub deleted: usize,
    /// Position in what was given, and what is wrong with the vector there.
    pub rejected: Vec<(usize, Reason)>,
    /// Rows that are scanned in every search until [`crate::Spaces::rebuild`] takes them in.
    pub recent: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_rows_come_are_replaced_and_go() {
        let mut recent = Recent::default();
        for row in 0..200 {
            recent.put(row, &[row as f32, 1.0]);
        }
        let before = recent.clone();
        recent.put(7, &[70.0, 2.0]);
        assert!(recent.remove(8) && !recent.remove(8) && !recent.remove(1_000));
        assert_eq!((recent.len(), before.len()), (199, 200));
        assert_eq!(recent.get(7).map(|v| v[0]), Some(70.0));
        assert_eq!((before.get(7).map(|v| v[0]), recent.get(8)), (Some(7.0), None));
        assert_eq!(recent.rows().count(), 199);
        recent.put(8, &[8.0, 8.0]);
        assert_eq!(recent.rows().map(|(row, _)| u64::from(row)).sum::<u64>(), (0..200).sum());
    }

    #[test]
    fn dead_rows_are_counted_once() {
        let mut dead = Dead::default();
        assert!(dead.insert(100_000) && !dead.insert(100_000) && dead.insert(1));
        assert!(dead.contains(1) && dead.contains(100_000) && !dead.contains(2) && !dead.contains(u32::MAX));
        assert_eq!(dead.len(), 2);
    }
}
