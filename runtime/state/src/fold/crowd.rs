//! All visitors: snapshots by key, each with a number that bitmaps know them by.

use parking_lot::RwLock;
use qianmian_core::Visitor;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;
use std::sync::Arc;

/// Visitors are spread over so many maps by a hash of their key: any few of them are a fair sample of all.
pub(crate) const SHARDS: usize = 64;

type Shard = FxHashMap<Arc<str>, Known>;

struct Known {
    number: u32,
    visitor: Arc<Visitor>,
}

/// A visitor among others.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub number: u32,
    pub key: Arc<str>,
    pub visitor: Arc<Visitor>,
}

pub(crate) struct Crowd {
    shards: Vec<RwLock<Shard>>,
    /// Keys by number; numbers are never used twice while the process lives.
    keys: RwLock<Vec<Option<Arc<str>>>>,
    unknown: Arc<Visitor>,
}

impl Default for Crowd {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, keys: RwLock::default(), unknown: Arc::default() }
    }
}

impl Crowd {
    fn shard(&self, key: &str) -> &RwLock<Shard> {
        let mut hasher = FxHasher::default();
        hasher.write(key.as_bytes());
        &self.shards[(hasher.finish() >> 32) as usize % SHARDS]
    }

    /// The visitor, or the unknown one.
    pub fn get(&self, key: &str) -> Arc<Visitor> {
        Arc::clone(self.shard(key).read().get(key).map_or(&self.unknown, |known| &known.visitor))
    }

    pub fn unknown(&self) -> Arc<Visitor> {
        Arc::clone(&self.unknown)
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// The keys of these numbers, where they are still there.
    pub fn keys(&self, numbers: impl Iterator<Item = u32>) -> Vec<Arc<str>> {
        let keys = self.keys.read();
        numbers.filter_map(|number| keys.get(number as usize).cloned().flatten()).collect()
    }

    /// Those of these numbers who are still there.
    pub fn of(&self, numbers: &[u32]) -> Vec<Numbered> {
        // names first: whoever makes a visitor holds a shard and then wants the names
        let keys: Vec<(u32, Arc<str>)> = {
            let keys = self.keys.read();
            let known = |number: &u32| Some((*number, keys.get(*number as usize)?.clone()?));
            numbers.iter().filter_map(known).collect()
        };
        let one = |(number, key): (u32, Arc<str>)| {
            let visitor = Arc::clone(&self.shard(&key).read().get(&key)?.visitor);
            Some(Numbered { number, key, visitor })
        };
        keys.into_iter().filter_map(one).collect()
    }

    /// Everybody in one shard.
    pub fn everybody(&self, shard: usize) -> Vec<Numbered> {
        let shard = self.shards[shard].read();
        let one = |(key, known): (&Arc<str>, &Known)| Numbered {
            number: known.number,
            key: Arc::clone(key),
            visitor: Arc::clone(&known.visitor),
        };
        shard.iter().map(one).collect()
    }

    /// Forgets a visitor; returns the number they had.
    pub fn remove(&self, key: &str) -> Option<u32> {
        let known = self.shard(key).write().remove(key)?;
        self.keys.write()[known.number as usize] = None;
        Some(known.number)
    }

    /// Changes a visitor, made when unknown; returns their number. A request that holds the old one keeps it.
    pub fn edit(&self, key: &str, change: impl FnOnce(&mut Visitor)) -> u32 {
        let mut shard = self.shard(key).write();
        if let Some(known) = shard.get_mut(key) {
            change(Arc::make_mut(&mut known.visitor));
            return known.number;
        }
        let mut visitor = Visitor::default();
        change(&mut visitor);
        let key: Arc<str> = Arc::from(key);
        let number = {
            let mut keys = self.keys.write();
            keys.push(Some(Arc::clone(&key)));
            // four billion visitors would need more than a terabyte: memory ends first
            u32::try_from(keys.len() - 1).unwrap_or(u32::MAX)
        };
        shard.insert(key, Known { number, visitor: Arc::new(visitor) });
        number
    }

    /// Changes a visitor who is there.
    pub fn change(&self, key: &str, change: impl FnOnce(&mut Visitor)) {
        if let Some(known) = self.shard(key).write().get_mut(key) {
            change(Arc::make_mut(&mut known.visitor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_are_not_used_twice() {
        let crowd = Crowd::default();
        let bump = |visitor: &mut Visitor| visitor.events += 1;
        assert_eq!([crowd.edit("a", bump), crowd.edit("b", bump), crowd.edit("a", bump)], [0, 1, 0]);
        assert_eq!((crowd.get("a").events, crowd.get("c").events, crowd.len()), (2, 0, 2));
        assert_eq!((crowd.remove("a"), crowd.remove("a")), (Some(0), None));
        assert_eq!(crowd.edit("a", bump), 2);
        assert_eq!(crowd.keys([0, 1, 2, 9].into_iter()), ["b".into(), "a".into()]);
        assert_eq!((0..SHARDS).map(|shard| crowd.everybody(shard).len()).sum::<usize>(), 2);
        crowd.change("nobody", bump);
        assert_eq!(crowd.len(), 2);
    }
}
