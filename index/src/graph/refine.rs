//! What turns the neighbour lists of `hnsw_rs` into links worth walking.
//!
//! `hnsw_rs` drops the farthest neighbour when a list is full, which cuts clusters off from one another and leaves rows
//! nobody points to. Here every list is chosen again, for direction as well as nearness, out of more candidates; then
//! every row is made reachable.

use crate::graph::build::Apart;
use crate::table::Vectors;
use anndists::dist::distances::Distance;
use rayon::prelude::*;

/// Links left free at first, for rows that would not be reached otherwise.
const SPARE: usize = 2;

/// Neighbours whose own neighbours are candidates, and how many of theirs.
const HOPS: usize = 16;

/// Candidates that are weighed against one another; a hub may have thousands.
const WEIGHED: usize = 192;

/// New lists of at most `width - SPARE`, nearest first within each list, out of the old ones, the rows that point to
/// one, and what `more` adds.
pub(super) fn refine(
    lists: &[Vec<u32>],
    unit: &Vectors,
    width: usize,
    distance: Apart,
    more: impl Fn(u32, &mut Vec<u32>) + Sync,
) -> Vec<Vec<u32>> {
    let pointers = Pointers::of(lists);
    let rows = unit.padded_rows();
    let apart = |a: u32, b: u32| distance.eval(rows.get(a), rows.get(b));
    (0..lists.len() as u32)
        .into_par_iter()
        .map_init(Default::default, |(found, near): &mut (Vec<u32>, Vec<(f32, u32)>), at| {
            found.clear();
            found.extend(&lists[at as usize]);
            found.extend(pointers.to(at));
            more(at, found);
            found.sort_unstable();
            found.dedup();
            near.clear();
            near.extend(found.iter().filter(|&&to| to != at).map(|&to| (apart(at, to), to)));
            near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            near.truncate(WEIGHED);
            choose(near, width - SPARE, apart)
        })
        .collect()
}

/// The rows that point to each row, ascending.
struct Pointers {
    /// Where those of each row begin in `from`, and where the last ones end.
    starts: Vec<usize>,
    from: Vec<u32>,
}

impl Pointers {
    fn of(lists: &[Vec<u32>]) -> Self {
        let mut starts = vec![0usize; lists.len() + 1];
        lists.iter().flatten().for_each(|&to| starts[to as usize + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut from = vec![0u32; starts[lists.len()]];
        for (list, at) in lists.iter().zip(0u32..) {
            for &to in list {
                from[next[to as usize]] = at;
                next[to as usize] += 1;
            }
        }
        Self { starts, from }
    }

    fn to(&self, at: u32) -> &[u32] {
        &self.from[self.starts[at as usize]..self.starts[at as usize + 1]]
    }
}

/// The neighbours of the nearest neighbours.
pub(super) fn two_hops(lists: &[Vec<u32>]) -> impl Fn(u32, &mut Vec<u32>) + Sync {
    |_, near: &mut Vec<u32>| {
        for hop in 0..near.len().min(HOPS) {
            let next = near[hop] as usize;
            near.extend(lists[next].iter().take(HOPS));
        }
    }
}

/// The nearest candidates of different directions: one is passed over when a chosen one is at least as near to it as
/// the row itself. Those passed over fill what is left, nearest first.
pub(super) fn choose(near: &[(f32, u32)], room: usize, apart: impl Fn(u32, u32) -> f32) -> Vec<u32> {
    let mut chosen = Vec::with_capacity(room + SPARE);
    let mut passed = Vec::with_capacity(room);
    for &(distance, to) in near {
        if chosen.len() == room {
            break;
        }
        if chosen.iter().all(|&other| apart(other, to) > distance) {
            chosen.push(to);
        } else if passed.len() < room {
            passed.push(to);
        }
    }
    passed.truncate(room - chosen.len());
    chosen.extend(passed);
    chosen
}

/// Adds links, or entries where no list has room, until each row is reached from an entry.
pub(super) fn connect(lists: &mut [Vec<u32>], order: &[u32], entries: &mut Vec<u32>, width: usize) {
    let mut reached = vec![false; lists.len()];
    let mut stack = Vec::new();
    entries.iter().for_each(|&entry| reach(lists, entry, &mut reached, &mut stack));
    for &at in order {
        if reached[at as usize] {
            continue;
        }
        let host =
            lists[at as usize].iter().copied().find(|&to| reached[to as usize] && lists[to as usize].len() < width);
        match host {
            Some(host) => lists[host as usize].push(at),
            None => entries.push(at),
        }
        reach(lists, at, &mut reached, &mut stack);
    }
}

/// Marks what can be reached from `from`.
fn reach(lists: &[Vec<u32>], from: u32, reached: &mut [bool], stack: &mut Vec<u32>) {
    stack.push(from);
    while let Some(at) = stack.pop() {
        if !std::mem::replace(&mut reached[at as usize], true) {
            stack.extend(&lists[at as usize]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_point_in_different_directions() {
        // On a line: 0 at 0; 1 and 2 to the right, 3 farther to the left.
        let places = [0.0f32, 1.0, 1.1, -1.5];
        let apart = |a: u32, b: u32| (places[a as usize] - places[b as usize]).abs();
        let near = [(1.0, 1), (1.1, 2), (1.5, 3)];
        assert_eq!(choose(&near, 2, apart), [1, 3]);
        assert_eq!(choose(&near, 3, apart), [1, 3, 2]);
    }

    #[test]
    fn pointers_are_links_from_the_other_side() {
        let pointers = Pointers::of(&[vec![1, 2], vec![], vec![1, 0]]);
        assert_eq!([0, 1, 2].map(|at| pointers.to(at)), [&[2][..], &[0, 2], &[0]]);
    }

    #[test]
    fn every_row_is_reached() {
        // Nobody points to 3, which knows 0; nobody points to 4, whose neighbours have no room; 5 is alone.
        let mut lists = vec![vec![1], vec![2, 0], vec![0, 1], vec![0, 1], vec![1, 2], vec![]];
        let order: Vec<u32> = (0..6).collect();
        let mut from = vec![0];
        connect(&mut lists, &order, &mut from, 2);
        assert_eq!((lists[0].as_slice(), from.as_slice()), ([1, 3].as_slice(), [0, 4, 5].as_slice()));
        let mut reached = vec![false; 6];
        from.iter().for_each(|&entry| reach(&lists, entry, &mut reached, &mut Vec::new()));
        assert_eq!(reached, [true; 6]);
    }
}
