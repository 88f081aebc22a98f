//! Filters as bitmaps: their size is known, and what they select in a generation is kept with them.

use crate::base::Base;
use crate::codes::Codes;
use crate::kernel::MISSING;
use crate::signs::Signs;
use arc_swap::ArcSwap;
use qianmian_core::ItemRow;
use std::sync::{Arc, OnceLock};

/// Generations whose selections a filter keeps: two of each of a few spaces.
const KEPT: usize = 8;

/// A selection of at most one row in so many is kept as a list too.
const SPARSE: usize = 32;

/// A set of rows that may be found. Cheap to clone; made once per expression and catalogue, used by many searches.
///
/// The first search of a generation translates it to that generation's positions (a few nanoseconds a row) and keeps
/// the translation in the filter, so a filter for one request only is better given as a closure.
#[derive(Clone, Debug)]
pub struct Filter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bits: Vec<u64>,
    len: usize,
    selections: ArcSwap<Vec<Arc<Selection>>>,
}

impl Filter {
    /// Those rows, in any order.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = ItemRow>) -> Self {
        let mut bits = Vec::new();
        for row in rows {
            let word = row.index() / 64;
            if word >= bits.len() {
                bits.resize(word + 1, 0);
            }
            set(&mut bits, row.0);
        }
        Self::from_words(bits)
    }

    /// Row `64 * i + j` is in when bit `j` of word `i` is set.
    #[must_use]
    pub fn from_words(bits: Vec<u64>) -> Self {
        let len = bits.iter().map(|word| word.count_ones() as usize).sum();
        Self(Arc::new(Inner { bits, len, selections: ArcSwap::default() }))
    }

    /// The bits, as in [`Filter::from_words`].
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.0.bits
    }

    /// Rows in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether it lets nothing through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Whether a row is in it.
    #[must_use]
    pub fn contains(&self, row: ItemRow) -> bool {
        get(&self.0.bits, row.0)
    }

    /// The rows in it, ascending.
    pub fn rows(&self) -> impl Iterator<Item = ItemRow> {
        ones(&self.0.bits).map(ItemRow)
    }

    /// What it selects of a base; worked out once.
    pub(crate) fn selection(&self, base: &Base) -> Arc<Selection> {
        if let Some(known) = self.0.selections.load().iter().find(|known| known.base == base.id) {
            return Arc::clone(known);
        }
        let new = Arc::new(Selection::new(self, base));
        self.0.selections.rcu(|known| {
            let mut known = Vec::clone(known);
            // Another thread may have been faster; the oldest is the likeliest to be out of use.
            known.retain(|other| other.base != base.id);
            if known.len() == KEPT {
                known.remove(0);
            }
            known.push(Arc::clone(&new));
            known
        });
        new
    }
}

/// The positions of one base that a filter lets through.
#[derive(Debug)]
pub(crate) struct Selection {
    base: u64,
    bits: Vec<u64>,
    pub len: usize,
    /// Ascending, when there are few.
    pub list: Option<Vec<u32>>,
    /// Of the rows selected, made when a search first needs them.
    signs: OnceLock<Signs>,
}

impl Selection {
    fn new(filter: &Filter, base: &Base) -> Self {
        let mut bits = vec![0; base.rows.len().div_ceil(64)];
        let mut len = 0;
        let mut put = |at: u32| {
            set(&mut bits, at);
            len += 1;
        };
        // By whichever is fewer: the filter's rows or the base's.
        if filter.len() < base.rows.len() / 2 {
            filter.rows().map(|row| base.at(row)).filter(|&at| at != MISSING).for_each(&mut put);
        } else {
            base.rows.iter().zip(0..).filter(|(row, _)| filter.contains(ItemRow(**row))).for_each(|(_, at)| put(at));
        }
        let list = (len * SPARSE <= base.rows.len()).then(|| ones(&bits).collect());
        Self { base: base.id, bits, len, list, signs: OnceLock::new() }
    }

    /// One bit a position.
    pub fn words(&self) -> &[u64] {
        &self.bits
    }

    /// Whether a position is selected.
    #[inline(always)]
    pub fn contains(&self, at: u32) -> bool {
        get(&self.bits, at)
    }

    /// The signs of the codes that are selected; made by whoever asks first, in a few nanoseconds a row.
    pub fn signs(&self, codes: &Codes) -> &Signs {
        self.signs.get_or_init(|| {
            let mut at = Vec::with_capacity(self.len);
            self.positions().next_into(&mut at, self.len);
            Signs::new(codes, at)
        })
    }

    /// The positions, ascending.
    pub fn positions(&self) -> Positions<'_> {
        match &self.list {
            Some(list) => Positions { list, words: &[], from: 0 },
            None => Positions { list: &[], words: &self.bits, from: 0 },
        }
    }
}

fn set(bits: &mut [u64], at: u32) {
    if let Some(word) = bits.get_mut(at as usize / 64) {
        *word |= 1 << (at % 64);
    }
}

#[inline(always)]
fn get(bits: &[u64], at: u32) -> bool {
    bits.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

fn ones(bits: &[u64]) -> impl Iterator<Item = u32> {
    bits.iter().zip((0u32..).step_by(64)).flat_map(|(&word, from)| {
        let mut word = word;
        std::iter::from_fn(move || {
            let at = (word != 0).then(|| from + word.trailing_zeros());
            word &= word.wrapping_sub(1);
            at
        })
    })
}

/// What is left of the positions of a [`Selection`].
pub(crate) struct Positions<'a> {
    list: &'a [u32],
    words: &'a [u64],
    /// Of the first bit of `words`.
    from: u32,
}

impl Positions<'_> {
    /// Appends the next ones, at least `some` and at most 63 more; fewer only at the end.
    pub fn next_into(&mut self, out: &mut Vec<u32>, some: usize) {
        let (now, later) = self.list.split_at(some.min(self.list.len()));
        out.extend_from_slice(now);
        self.list = later;
        let enough = out.len() + some;
        while let Some((&word, later)) = self.words.split_first()
            && out.len() < enough
        {
            let mut word = word;
            while word != 0 {
                out.push(self.from + word.trailing_zeros());
                word &= word - 1;
            }
            (self.words, self.from) = (later, self.from + 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_the_set_of_its_rows() {
        let rows = [3, 64, 7, 3, 1_000].map(ItemRow);
        let filter = Filter::new(rows);
        assert_eq!(filter.len(), 4);
        assert_eq!(filter.rows().map(|row| row.0).collect::<Vec<_>>(), [3, 7, 64, 1_000]);
        assert!(filter.contains(ItemRow(64)) && !filter.contains(ItemRow(65)) && !filter.contains(ItemRow(u32::MAX)));
        assert!(Filter::new([]).is_empty());
        assert_eq!(Filter::from_words(filter.words().to_vec()).len(), 4);
    }
}
