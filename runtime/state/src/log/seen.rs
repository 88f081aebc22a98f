//! Ids that are known, held tight: a look is one wait for memory, and growing moves a small part at a time.

use super::rows::Id;

/// Twelve of an id's bytes, beside the one that chooses the part: no two collide by chance, and nobody can choose an id that
/// takes another's place.
type Held = [u32; 3];

const FREE: Held = [0; 3];
const PARTS: usize = 256;

/// A set of ids.
pub(super) struct Seen(Vec<Part>);

/// Linear probing, at most four fifths full.
#[derive(Clone, Default)]
struct Part {
    slots: Vec<Held>,
    held: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self(vec![Part::default(); PARTS])
    }
}

impl Seen {
    /// False when it is there already.
    pub fn insert(&mut self, id: &Id) -> bool {
        self.0[part(id)].insert(held(id))
    }

    pub fn remove(&mut self, id: &Id) {
        self.0[part(id)].remove(held(id));
    }
}

fn part(id: &Id) -> usize {
    usize::from(id[15]) % PARTS
}

fn held(id: &Id) -> Held {
    let word = |at: usize| u32::from_le_bytes([id[at], id[at + 1], id[at + 2], id[at + 3]]);
    let held = [word(0), word(4), word(8)];
    if held == FREE { [1, 0, 0] } else { held }
}

impl Part {
    /// Where it would be, if nothing else were.
    fn home(&self, held: Held) -> usize {
        ((u64::from(held[0]) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// Where it is, or where it would go. There must be a free slot.
    fn find(&self, held: Held) -> usize {
        let mut at = self.home(held);
        while self.slots[at] != held && self.slots[at] != FREE {
            at = self.after(at);
        }
        at
    }

    fn insert(&mut self, held: Held) -> bool {
        if self.held * 5 >= self.slots.len() * 4 {
            let room = self.slots.len() + self.slots.len() / 4 + 16;
            for old in std::mem::replace(&mut self.slots, vec![FREE; room]).into_iter().filter(|old| *old != FREE) {
                let at = self.find(old);
                self.slots[at] = old;
            }
        }
        let at = self.find(held);
        let new = self.slots[at] == FREE;
        self.slots[at] = held;
        self.held += usize::from(new);
        new
    }

    fn remove(&mut self, held: Held) {
        if self.slots.is_empty() {
            return;
        }
        let mut hole = self.find(held);
        if self.slots[hole] == FREE {
            return;
        }
        let behind = |from: usize, to: usize| (to + self.slots.len() - from) % self.slots.len();
        let mut moves = Vec::new();
        let mut at = self.after(hole);
        while self.slots[at] != FREE {
            // it may go to the hole unless that is before its home
            if behind(self.home(self.slots[at]), at) >= behind(hole, at) {
                moves.push((hole, at));
                hole = at;
            }
            at = self.after(at);
        }
        moves.into_iter().for_each(|(to, from)| self.slots[to] = self.slots[from]);
        self.slots[hole] = FREE;
        self.held -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustc_hash::FxHashSet;

    /// Few enough that many fall together.
    fn id(n: u16) -> Id {
        let mut id = [0; 16];
        [id[3], id[4], id[15]] = [(n % 7) as u8 * 36, (n / 7) as u8, (n % 2) as u8];
        id
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0u16..300), 0..900)) {
            let (mut seen, mut want) = (Seen::default(), FxHashSet::default());
            for (comes, n) in steps {
                if comes {
                    prop_assert_eq!(seen.insert(&id(n)), want.insert(n));
                } else {
                    seen.remove(&id(n));
                    want.remove(&n);
                }
            }
            prop_assert_eq!(seen.0.iter().map(|part| part.held).sum::<usize>(), want.len());
            prop_assert!((0..300).all(|n| seen.insert(&id(n)) != want.contains(&n)));
        }
    }

    #[test]
    fn it_takes_about_twelve_bytes_for_each() {
        let mut seen = Seen::default();
        for n in 0..200_000u64 {
            let id = super::super::short_id(&n.to_string());
            assert!(seen.insert(&id) && !seen.insert(&id));
        }
        let slots: usize = seen.0.iter().map(|part| part.slots.len()).sum();
        assert!(slots < 330_000, "{slots} slots");
    }
}
