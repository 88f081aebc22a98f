//! Where walks begin: a few thousand rows, spread over the layout, with a small graph of their own to find near ones.
//!
//! Its links lead from cluster to cluster, which those of the large graph, being the nearest rows, may not.

use super::build::Apart;
use super::refine::choose;
use crate::kernel::MISSING;
use crate::table::Vectors;
use anndists::dist::distances::Distance;
use rayon::prelude::*;

/// Entry rows at most: the links between them take the square of their number to find.
const MOST: usize = 8_192;

/// Nearest entry rows the links of one are chosen from.
const WEIGHED: usize = 64;

/// Entry rows and the links between them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Entries {
    /// Positions.
    pub rows: Vec<u32>,
    /// [`Entries::WIDTH`] indices into `rows` for each of them.
    pub links: Vec<u32>,
    /// Indices into `rows` that are scored first.
    pub first: Vec<u32>,
    /// One bit an index: set for those.
    pub begun: Vec<u64>,
}

impl Entries {
    /// Links of an entry row.
    pub const WIDTH: usize = 16;

    /// The links of the entry at an index.
    #[inline(always)]
    pub fn links(&self, at: u32) -> &[u32] {
        let from = at as usize * Self::WIDTH;
        self.links.get(from..from + Self::WIDTH).unwrap_or(&[])
    }

    /// Links of `rows`, which are positions in `unit`.
    pub fn new(rows: Vec<u32>, unit: &Vectors, apart: Apart) -> Self {
        let count = rows.len();
        let all = unit.padded_rows();
        let between = |a: u32, b: u32| apart.eval(all.get(rows[a as usize]), all.get(rows[b as usize]));
        let lists = (0..count as u32).into_par_iter().flat_map_iter(|at| {
            let others = (0..count as u32).filter(|&other| other != at);
            let mut near: Vec<(f32, u32)> = others.map(|other| (between(at, other), other)).collect();
            if near.len() > WEIGHED {
                near.select_nth_unstable_by(WEIGHED, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                near.truncate(WEIGHED);
            }
            near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut chosen = choose(&near, Self::WIDTH, between);
            chosen.resize(Self::WIDTH, MISSING);
            chosen
        });
        let links = lists.collect();
        Self::of(rows, links, (0..firsts(unit.len()).min(count) as u32).collect())
    }

    /// Of these lists; each index must be one of `rows`.
    pub fn of(rows: Vec<u32>, links: Vec<u32>, first: Vec<u32>) -> Self {
        let mut begun = vec![0u64; rows.len().div_ceil(64)];
        for &index in &first {
            begun[index as usize / 64] |= 1 << (index % 64);
        }
        Self { rows, links, first, begun }
    }

    /// The same rows at other positions.
    pub fn moved(mut self, places: &[u32]) -> Self {
        for at in &mut self.rows {
            *at = places[*at as usize];
        }
        self
    }
}

/// How many of the entry rows are scored first, of so many rows: where nothing leads from cluster to cluster, only a
/// look at each finds the right one.
fn firsts(n: usize) -> usize {
    n.isqrt().min(MOST / 8)
}

/// Entry rows spread evenly over `order`; so are the ones to be scored first, which stand before the others.
pub(super) fn spread(order: &[u32]) -> Vec<u32> {
    let n = order.len();
    let count = (8 * n.isqrt()).min(MOST).min(n);
    let first = firsts(n).min(count).max(1);
    let of = |i: usize| order[i * n / count];
    let ahead = (0..first).map(|i| i * count / first);
    let mut rows: Vec<u32> = ahead.clone().map(of).collect();
    let mut next = ahead.peekable();
    rows.extend((0..count).filter(|&i| next.next_if_eq(&i).is_none()).map(of));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_spread_and_none_stands_twice() {
        assert_eq!(spread(&[7, 3, 5]), [7, 3, 5]);
        let mut many = spread(&(0..10_000).collect::<Vec<u32>>());
        assert_eq!((many.len(), many[1], many[99], many[799]), (800, 100, 9_900, 9_987));
        many.sort_unstable();
        many.dedup();
        assert_eq!(many.len(), 800);
    }
}
