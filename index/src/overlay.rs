//! Changes of a space, and which rows of a base are gone by them. Copies share all but what changes.

use crate::error::Reason;
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

    /// Clears their bits.
    pub fn take_out_of(&self, words: &mut [u64]) {
        for (words, piece) in words.chunks_mut(WORDS).zip(&self.pieces) {
            for (word, dead) in words.iter_mut().zip(piece.iter().flat_map(|piece| piece.iter())) {
                *word &= !dead;
            }
        }
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
    fn dead_rows_are_counted_once() {
        let mut dead = Dead::default();
        assert!(dead.insert(100_000) && !dead.insert(100_000) && dead.insert(1));
        assert!(dead.contains(1) && dead.contains(100_000) && !dead.contains(2) && !dead.contains(u32::MAX));
        assert_eq!(dead.len(), 2);
        let mut words = vec![u64::MAX; 2_000];
        dead.take_out_of(&mut words);
        assert_eq!(words.iter().map(|word| word.count_zeros()).sum::<u32>(), 2);
        assert_eq!(words[100_000 / 64] >> (100_000 % 64) & 1, 0);
    }
}
