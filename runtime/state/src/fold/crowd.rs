//! All visitors: snapshots by key, each with a number that bitmaps know them by.
//!
//! With a [`Room`], those who were not needed lately are packed away to disk when they do not fit: of them a key and a number
//! stay in memory. They are read where they are, and come back when they change.

use super::cold::Cold;
use super::packed::weight;
use crate::error::Result;
use parking_lot::RwLock;
use qianmian_core::Visitor;
use rustc_hash::{FxHashMap, FxHasher};
use std::cmp::Reverse;
use std::hash::Hasher;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Visitors are spread over so many maps by a hash of their key: any few of them are a fair sample of all.
pub(crate) const SHARDS: usize = 64;

/// Who is in one map, and about the bytes they take.
#[derive(Default)]
struct Shard {
    known: FxHashMap<Arc<str>, Known>,
    bytes: usize,
    /// Rises each time room is made.
    round: u32,
}

struct Known {
    number: u32,
    /// None while packed away.
    visitor: Option<Arc<Visitor>>,
    /// About the bytes of the visitor; 0 while packed away.
    bytes: usize,
    /// The round of its map in which it was last looked at.
    used: AtomicU32,
}

/// A visitor among others.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub number: u32,
    pub key: Arc<str>,
    pub visitor: Arc<Visitor>,
}

/// How much memory visitors may take, and where the others go.
pub(crate) struct Room {
    cold: Cold,
    /// About the bytes of one map's visitors.
    each: usize,
}

impl Room {
    /// For about so many bytes of visitors, with the others in the data folder.
    ///
    /// # Errors
    /// As [`Cold::new`].
    pub fn new(bytes: usize, data: &Path) -> Result<Self> {
        Ok(Self { cold: Cold::new(data)?, each: bytes / SHARDS })
    }
}

pub(crate) struct Crowd {
    shards: Vec<RwLock<Shard>>,
    /// Keys by number; numbers are never used twice while the process lives.
    keys: RwLock<Vec<Option<Arc<str>>>>,
    unknown: Arc<Visitor>,
    room: Option<Room>,
    lost: AtomicU64,
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Crowd {
    /// Nobody yet; without a room all stay in memory.
    pub fn new(room: Option<Room>) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, keys: RwLock::default(), unknown: Arc::default(), room, lost: AtomicU64::new(0) }
    }

    fn shard(&self, key: &str) -> &RwLock<Shard> {
        let mut hasher = FxHasher::default();
        hasher.write(key.as_bytes());
        &self.shards[(hasher.finish() >> 32) as usize % SHARDS]
    }

    /// The visitor, or the unknown one.
    pub fn get(&self, key: &str) -> Arc<Visitor> {
        let shard = self.shard(key).read();
        let Some(known) = shard.known.get(key) else { return self.unknown() };
        known.used.store(shard.round, Ordering::Relaxed);
        self.look(known).unwrap_or_else(|| self.unknown())
    }

    /// Somebody, read from disk where they are packed away; none when they cannot be read.
    fn look(&self, known: &Known) -> Option<Arc<Visitor>> {
        known.visitor.as_ref().map(Arc::clone).or_else(|| self.packed(known.number).map(Arc::new))
    }

    pub fn unknown(&self) -> Arc<Visitor> {
        Arc::clone(&self.unknown)
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().known.len()).sum()
    }

    /// Visitors that could not be read back: they begin anew, until the log is folded again at the next start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// About the bytes of the visitors in memory.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().bytes).sum()
    }

    /// The keys of these numbers, where they are still there.
    pub fn keys(&self, numbers: impl Iterator<Item = u32>) -> Vec<Arc<str>> {
        let keys = self.keys.read();
        numbers.filter_map(|number| keys.get(number as usize).cloned().flatten()).collect()
    }

    /// Those of these numbers who are still there. Who is packed away stays so.
    pub fn of(&self, numbers: &[u32]) -> Vec<Numbered> {
        // names first: whoever makes a visitor holds a shard and then wants the names
        let keys: Vec<(u32, Arc<str>)> = {
            let keys = self.keys.read();
            let known = |number: &u32| Some((*number, keys.get(*number as usize)?.clone()?));
            numbers.iter().filter_map(known).collect()
        };
        let one = |(number, key): (u32, Arc<str>)| {
            let shard = self.shard(&key).read();
            let visitor = self.look(shard.known.get(&key)?)?;
            Some(Numbered { number, key, visitor })
        };
        keys.into_iter().filter_map(one).collect()
    }

    /// The numbers of everybody in one shard, ascending.
    pub fn numbers(&self, shard: usize) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.shards[shard].read().known.values().map(|known| known.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Forgets a visitor; returns the number they had.
    pub fn remove(&self, key: &str) -> Option<u32> {
        let mut shard = self.shard(key).write();
        let known = shard.known.remove(key)?;
        shard.bytes -= known.bytes;
        if let Some(room) = &self.room
            && let Err(error) = room.cold.remove(known.number)
        {
            tracing::error!(%error, "a visitor who was packed away is not removed from disk before the next start");
        }
        self.keys.write()[known.number as usize] = None;
        Some(known.number)
    }

    /// Changes a visitor, made when unknown; returns their number. A request that holds the old one keeps it.
    pub fn edit(&self, key: &str, change: impl FnOnce(&mut Visitor)) -> u32 {
        let mut shard = self.shard(key).write();
        let Shard { known, bytes, round } = &mut *shard;
        let one = match known.get_mut(key) {
            Some(one) => one,
            None => {
                let (key, used) = (Arc::from(key), AtomicU32::new(*round));
                let new = Known { number: self.number(&key), visitor: Some(Arc::default()), bytes: 0, used };
                known.entry(key).or_insert(new)
            }
        };
        self.alter(one, *round, bytes, change);
        let number = one.number;
        self.make_room(&mut shard);
        number
    }

    /// Changes a visitor who is there.
    pub fn change(&self, key: &str, change: impl FnOnce(&mut Visitor)) {
        let mut shard = self.shard(key).write();
        let Shard { known, bytes, round } = &mut *shard;
        let Some(one) = known.get_mut(key) else { return };
        self.alter(one, *round, bytes, change);
        self.make_room(&mut shard);
    }

    /// Changes somebody, brought back where they were packed away, and counts what they take in `bytes`.
    fn alter(&self, one: &mut Known, round: u32, bytes: &mut usize, change: impl FnOnce(&mut Visitor)) {
        *one.used.get_mut() = round;
        let visitor = one.visitor.get_or_insert_with(|| Arc::new(self.packed(one.number).unwrap_or_default()));
        change(Arc::make_mut(visitor));
        if self.room.is_some() {
            let now = weight(visitor);
            *bytes = *bytes - one.bytes + now;
            one.bytes = now;
        }
    }

    /// The next number, of a new key.
    fn number(&self, key: &Arc<str>) -> u32 {
        let mut keys = self.keys.write();
        keys.push(Some(Arc::clone(key)));
        // four billion visitors would need more than a terabyte: memory ends first
        u32::try_from(keys.len() - 1).unwrap_or(u32::MAX)
    }

    /// The visitor as packed away. One that cannot be read is counted and told.
    fn packed(&self, number: u32) -> Option<Visitor> {
        match self.room.as_ref()?.cold.get(number) {
            Ok(visitor) => Some(visitor),
            Err(error) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "a visitor begins anew: restart the server, and the log is folded again");
                None
            }
        }
    }

    /// Packs away who was not used for longest, until an eighth of the room is free.
    fn make_room(&self, shard: &mut Shard) {
        let Some(room) = &self.room else { return };
        if shard.bytes <= room.each {
            return;
        }
        shard.round = shard.round.wrapping_add(1);
        let warm = shard.known.iter().filter(|(_, one)| one.visitor.is_some());
        let idle = |one: &Known| shard.round.wrapping_sub(one.used.load(Ordering::Relaxed));
        let mut warm: Vec<(u32, usize, Arc<str>)> =
            warm.map(|(key, one)| (idle(one), one.bytes, Arc::clone(key))).collect();
        warm.sort_unstable_by_key(|one| Reverse(one.0));
        let mut over = shard.bytes - (room.each - room.each / 8);
        warm.retain(|(_, bytes, _)| {
            let leaves = over > 0;
            over = over.saturating_sub(*bytes);
            leaves
        });
        let leaving = warm.iter().filter_map(|(.., key)| shard.known.get(key));
        let leaving: Vec<(u32, &Visitor)> =
            leaving.filter_map(|one| Some((one.number, one.visitor.as_deref()?))).collect();
        if let Err(error) = room.cold.put(&leaving) {
            tracing::error!(%error, "visitors stay in memory beyond their room");
            return;
        }
        for (.., key) in warm {
            if let Some(one) = shard.known.get_mut(&key) {
                one.visitor = None;
                shard.bytes -= std::mem::take(&mut one.bytes);
            }
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
        assert_eq!((0..SHARDS).map(|shard| crowd.numbers(shard).len()).sum::<usize>(), 2);
        crowd.change("nobody", bump);
        assert_eq!(crowd.len(), 2);
    }

    #[test]
    fn who_has_no_room_is_packed_away_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (roomy, tight) = (Crowd::default(), Crowd::new(Some(Room::new(SHARDS * 4_000, dir.path()).unwrap())));
        for round in 1..=4i64 {
            for n in 0..2_000 {
                let change = |visitor: &mut Visitor| {
                    visitor.events += 1;
                    visitor.spend += f64::from(n);
                    visitor.order_times.push(round * i64::from(n));
                };
                let key = format!("v{}", n * 7 % 2_000);
                assert_eq!(roomy.edit(&key, change), tight.edit(&key, change));
                assert!(round == 1 || tight.get(&format!("v{n}")).events >= 1);
            }
        }
        assert!(tight.bytes() <= SHARDS * 4_000, "{} bytes", tight.bytes());
        assert_eq!((tight.len(), tight.lost()), (2_000, 0));
        let all: Vec<u32> = (0..SHARDS).flat_map(|shard| tight.numbers(shard)).collect();
        let bytes = tight.bytes();
        for one in tight.of(&all) {
            assert_eq!(format!("{:?}", one.visitor), format!("{:?}", roomy.get(&one.key)));
        }
        assert_eq!(tight.bytes(), bytes, "a look at everybody brings nobody back");
        for n in 0..2_000 {
            assert!(tight.remove(&format!("v{n}")).is_some());
        }
        assert_eq!((tight.len(), tight.bytes()), (0, 0));
        assert!(tight.get("v1").is_unknown());
    }
}
