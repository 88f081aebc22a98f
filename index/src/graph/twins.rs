//! Vectors that are the same: variants of a product, rows with a default vector. Linked to one another they would lead
//! nowhere else, so the graph holds the first of each; the others follow it in the layout and are found with it.

use crate::kernel::MISSING;
use crate::table::Vectors;
use pulp::bytemuck::cast_slice;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// Positions by vector, bit for bit.
pub(super) struct Groups {
    /// The first position of each vector, ascending.
    pub firsts: Vec<u32>,
    /// The next position of the same vector.
    next: Vec<u32>,
}

impl Groups {
    pub fn of(vectors: &Vectors) -> Self {
        let n = vectors.len();
        let (mut firsts, mut next) = (Vec::with_capacity(n), vec![MISSING; n]);
        let mut last: FxHashMap<&[u8], u32> = FxHashMap::with_capacity_and_hasher(n, rustc_hash::FxBuildHasher);
        for at in 0..n as u32 {
            match last.entry(cast_slice(vectors.get(at))) {
                Entry::Vacant(vacant) => {
                    firsts.push(at);
                    vacant.insert(at);
                }
                Entry::Occupied(mut before) => next[before.insert(at) as usize] = at,
            }
        }
        Self { firsts, next }
    }

    /// A first position and those of the same vector.
    pub fn members(&self, first: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(first), |&at| Some(self.next[at as usize]).filter(|&next| next != MISSING))
    }
}

/// Which positions of a layout follow one of the same vector; no words where none does.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Twins(Vec<u64>);

impl Twins {
    /// Those that have no links of their own and the vector before them.
    pub fn of(links: &[u32], width: usize, vectors: &Vectors) -> Self {
        let mut words = Vec::new();
        for (at, links) in (0u32..).zip(links.chunks_exact(width)).skip(1) {
            if links.first().is_none_or(|&link| link == MISSING) && vectors.get(at) == vectors.get(at - 1) {
                words.resize(vectors.len().div_ceil(64), 0);
                words[at as usize / 64] |= 1 << (at % 64);
            }
        }
        Self(words)
    }

    #[inline(always)]
    pub fn contains(&self, at: u32) -> bool {
        self.0.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Sets the bit of the vector that stands for one whose bit is set.
    pub fn speak(&self, words: &mut [u64]) {
        for (at, &twins) in (0usize..).zip(&self.0) {
            let set = words[at] & twins;
            for bit in (0..64).filter(|bit| set >> bit & 1 == 1) {
                let mut first = 64 * at as u32 + bit;
                while self.contains(first) {
                    first -= 1;
                }
                words[first as usize / 64] |= 1 << (first % 64);
            }
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.0.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_are_told_by_vector_and_by_layout() {
        let mut vectors = Vectors::zeros(5, 2);
        for (at, vector) in [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.0], [1.0, 0.0]].iter().enumerate() {
            vectors.get_mut(at as u32).copy_from_slice(vector);
        }
        let groups = Groups::of(&vectors);
        assert_eq!(groups.firsts, [0, 1, 3]);
        assert_eq!(groups.members(0).collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(groups.members(3).collect::<Vec<_>>(), [3]);

        let laid = vectors.pick(&[0, 2, 4, 1, 3]);
        let twins = Twins::of(&[3, MISSING, MISSING, 0, MISSING], 1, &laid);
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 64].map(|at| twins.contains(at)),
            [false, true, true, false, false, false, false]
        );
        let mut words = [1 << 2 | 1 << 3];
        twins.speak(&mut words);
        assert_eq!(words, [1 | 1 << 2 | 1 << 3]);
        assert_eq!(
            Twins::of(&[1, 0, 3, 2, 0], 1, &laid),
            Twins::default(),
            "with links of its own it stands for itself"
        );
    }
}
