//! All visitors: snapshots by key, each with a number that bitmaps and the disk know them by.
//!
//! With a [`Room`], who was not needed lately is let go of when they do not fit: of them a key and a number stay in memory.
//! They are read where they are kept, and come back when they are looked at or change. Only who is kept as they are now can
//! go, so what changed is kept (`checkpoint.rs`) whenever it takes much of the room.

use super::cold::Cold;
use super::packed::weight;
use crate::error::Result;
use parking_lot::RwLock;
use qianmian_core::Visitor;
use rustc_hash::{FxHashMap, FxHasher};
use std::collections::VecDeque;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Visitors are spread over so many maps by a hash of their key: any few of them are a fair sample of all.
pub(crate) const SHARDS: usize = 64;

/// How many in memory a look asks to go before it leaves who was read on disk.
const ASKED: usize = 8;

/// One of the maps.
#[derive(Default)]
struct Shard {
    known: FxHashMap<Arc<str>, Known>,
    books: Books,
}

/// What a map keeps of all in it.
#[derive(Default)]
struct Books {
    /// About the bytes of those in memory.
    bytes: usize,
    /// Numbers of those in memory, in the order in which they are asked to go; of some who are gone too.
    ring: VecDeque<u32>,
    /// Numbers of those who changed since the last cut.
    changed: Vec<u32>,
    /// There was nobody to let go of when so much was kept.
    full_at: Option<u32>,
}

struct Known {
    /// None while they are on disk only.
    visitor: Option<Arc<Visitor>>,
    number: u32,
    /// About the bytes of the visitor; 0 while they are on disk only.
    bytes: u32,
    /// Which cut the last change is part of; 0 before the first.
    changed: u32,
    /// Looked at, or changed, since they were last asked to go.
    used: AtomicBool,
}

/// A visitor among others.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    pub number: u32,
    pub key: Arc<str>,
    pub visitor: Arc<Visitor>,
}

/// How much memory visitors may take, and where they are kept.
pub(crate) struct Room {
    pub cold: Arc<Cold>,
    /// About the bytes of one map's visitors.
    each: usize,
}

impl Room {
    /// For about so many bytes of visitors; without a number, for all.
    pub fn new(bytes: Option<usize>, cold: Arc<Cold>) -> Self {
        Self { cold, each: bytes.map_or(usize::MAX, |bytes| bytes / SHARDS) }
    }
}

/// Who changed since the last cut.
#[derive(Default)]
pub(crate) struct Cut {
    /// Which cut it is, from 1.
    pub number: u32,
    pub changed: Vec<Numbered>,
    /// Numbers of those who are gone.
    pub gone: Vec<u32>,
    /// No visitor had this number or a higher one.
    pub next: u32,
}

pub(crate) struct Crowd {
    shards: Vec<RwLock<Shard>>,
    /// Keys by number; numbers are never used twice.
    keys: RwLock<Vec<Option<Arc<str>>>>,
    unknown: Arc<Visitor>,
    room: Option<Room>,
    lost: AtomicU64,
    /// The cut that changes are part of now, and the last one that is kept.
    cut: AtomicU32,
    kept: AtomicU32,
    /// About the bytes of all in memory, and of those who changed since the last cut.
    bytes: AtomicUsize,
    fresh: AtomicUsize,
    gone: RwLock<Vec<u32>>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Crowd {
    /// Nobody yet; without a room all stay in memory, and nobody is kept.
    pub fn new(room: Option<Room>) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            keys: RwLock::default(),
            unknown: Arc::default(),
            room,
            lost: AtomicU64::new(0),
            cut: AtomicU32::new(1),
            kept: AtomicU32::new(0),
            bytes: AtomicUsize::new(0),
            fresh: AtomicUsize::new(0),
            gone: RwLock::default(),
        }
    }

    fn shard(&self, key: &str) -> &RwLock<Shard> {
        let mut hasher = FxHasher::default();
        hasher.write(key.as_bytes());
        &self.shards[(hasher.finish() >> 32) as usize % SHARDS]
    }

    /// The visitor, or the unknown one. Who is read from disk stays, where others can go.
    pub fn get(&self, key: &str) -> Arc<Visitor> {
        let (number, changed) = {
            let shard = self.shard(key).read();
            let Some(known) = shard.known.get(key) else { return self.unknown() };
            if let Some(visitor) = &known.visitor {
                known.used.store(true, Ordering::Relaxed);
                return Arc::clone(visitor);
            }
            (known.number, known.changed)
        };
        let read = self.read(number);
        let mut shard = self.shard(key).write();
        let there =
            |shard: &Shard| shard.known.get(key).filter(|one| one.number == number).map(|one| one.visitor.clone());
        match there(&shard) {
            None => return self.unknown(),
            Some(Some(visitor)) => return visitor,
            Some(None) => {}
        }
        let Some(visitor) = read.map_or_else(|error| self.lose(&error), |visitor| Some(Arc::new(visitor))) else {
            return self.unknown();
        };
        let own = weight(&visitor);
        if self.make_room(&mut shard, own, ASKED) {
            let Shard { known, books } = &mut *shard;
            // who changed and left again meanwhile is not who was read
            if let Some(one) = known.get_mut(key).filter(|one| one.changed == changed) {
                one.visitor = Some(Arc::clone(&visitor));
                self.weigh(&mut one.bytes, &mut books.bytes, own);
                self.enter(&mut books.ring, number);
            }
        }
        visitor
    }

    /// Somebody as they are now; none when they are gone, or cannot be read. The shard is not held while they are read.
    fn look(&self, key: &str) -> Option<Arc<Visitor>> {
        let at_hand = || {
            let shard = self.shard(key).read();
            let known = shard.known.get(key)?;
            Some((known.number, known.visitor.as_ref().map(Arc::clone)))
        };
        let (number, visitor) = at_hand()?;
        match visitor.map_or_else(|| self.read(number).map(Arc::new), Ok) {
            Ok(visitor) => Some(visitor),
            // they may have come back, or gone, meanwhile
            Err(error) => at_hand()?.1.or_else(|| self.lose(&error)),
        }
    }

    pub fn unknown(&self) -> Arc<Visitor> {
        Arc::clone(&self.unknown)
    }

    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().known.len()).sum()
    }

    /// Visitors that could not be read back: they begin anew, until the log is folded from its beginning.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// About the bytes of the visitors in memory.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// About the bytes in memory, of those the part that changed since the last cut, and how many there may be; nothing
    /// where there is no limit.
    pub fn pressure(&self) -> Option<(usize, usize, usize)> {
        Some((self.bytes(), self.fresh.load(Ordering::Relaxed), self.limit()? * SHARDS))
    }

    /// The keys of these numbers, where they are still there.
    pub fn keys(&self, numbers: impl Iterator<Item = u32>) -> Vec<Arc<str>> {
        let keys = self.keys.read();
        numbers.filter_map(|number| keys.get(number as usize).cloned().flatten()).collect()
    }

    /// Those of these numbers who are still there. Who is on disk only stays so.
    pub fn of(&self, numbers: &[u32]) -> Vec<Numbered> {
        self.named(numbers)
            .into_iter()
            .filter_map(|(number, key)| {
                let visitor = self.look(&key)?;
                Some(Numbered { number, key, visitor })
            })
            .collect()
    }

    /// Names first: whoever makes a visitor holds a shard and then wants the names.
    fn named(&self, numbers: &[u32]) -> Vec<(u32, Arc<str>)> {
        let keys = self.keys.read();
        numbers.iter().filter_map(|number| Some((*number, keys.get(*number as usize)?.clone()?))).collect()
    }

    /// The numbers of everybody in one shard, ascending.
    pub fn numbers(&self, shard: usize) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.shards[shard].read().known.values().map(|known| known.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Forgets a visitor; returns the number they had. From the disk they go with the next cut.
    pub fn remove(&self, key: &str) -> Option<u32> {
        let mut shard = self.shard(key).write();
        let Shard { known, books } = &mut *shard;
        let gone = known.remove(key)?;
        books.bytes -= gone.bytes as usize;
        self.bytes.fetch_sub(gone.bytes as usize, Ordering::Relaxed);
        if self.room.is_some() {
            self.gone.write().push(gone.number);
        }
        let mut keys = self.keys.write();
        keys[gone.number as usize] = None;
        if books.ring.len() > 2 * known.len() + SHARDS {
            books.ring.retain(|number| keys[*number as usize].is_some());
        }
        Some(gone.number)
    }

    /// Changes a visitor, made when unknown; returns their number. A request that holds the old one keeps it.
    pub fn edit(&self, key: &str, change: impl FnOnce(&mut Visitor)) -> u32 {
        let mut shard = self.shard(key).write();
        let Shard { known, books } = &mut *shard;
        let number = match known.get_mut(key) {
            Some(one) => self.alter(one, books, change),
            None => {
                let key: Arc<str> = key.into();
                let number = self.number(&key);
                // numbers are never used twice: who was forgotten and comes back never has a version they had before
                let version = (u64::from(number) + 1) << 32;
                let visitor = Some(Arc::new(Visitor { version, ..Visitor::default() }));
                let mut one = Known { visitor, number, bytes: 0, changed: 0, used: AtomicBool::new(false) };
                self.enter(&mut books.ring, number);
                self.alter(&mut one, books, change);
                // many come once and never again
                *one.used.get_mut() = false;
                known.insert(key, one);
                number
            }
        };
        self.make_room(&mut shard, 0, usize::MAX);
        number
    }

    /// Changes a visitor who is there.
    pub fn change(&self, key: &str, change: impl FnOnce(&mut Visitor)) {
        let mut shard = self.shard(key).write();
        let Shard { known, books } = &mut *shard;
        let Some(one) = known.get_mut(key) else { return };
        self.alter(one, books, change);
        self.make_room(&mut shard, 0, usize::MAX);
    }

    /// Changes somebody, brought back where they are on disk only, and counts what they take; returns their number.
    fn alter(&self, one: &mut Known, books: &mut Books, change: impl FnOnce(&mut Visitor)) -> u32 {
        let visitor = match &mut one.visitor {
            Some(visitor) => {
                *one.used.get_mut() = true;
                visitor
            }
            none => {
                let read = self.read(one.number);
                let read = read.map_or_else(|error| self.lose(&error), |visitor| Some(Arc::new(visitor)));
                self.enter(&mut books.ring, one.number);
                none.insert(read.unwrap_or_default())
            }
        };
        change(Arc::make_mut(visitor));
        if self.room.is_some() {
            let own = weight(visitor);
            self.weigh(&mut one.bytes, &mut books.bytes, own);
            let cut = self.cut.load(Ordering::Relaxed);
            if one.changed != cut {
                one.changed = cut;
                books.changed.push(one.number);
                self.fresh.fetch_add(own, Ordering::Relaxed);
            }
        }
        one.number
    }

    /// Counts what one takes now.
    fn weigh(&self, one: &mut u32, all: &mut usize, now: usize) {
        *all = *all - *one as usize + now;
        self.bytes.fetch_add(now.wrapping_sub(*one as usize), Ordering::Relaxed);
        // a profile is bounded far below 4 GB
        *one = u32::try_from(now).unwrap_or(u32::MAX);
    }

    /// Somebody is in memory from now on.
    fn enter(&self, ring: &mut VecDeque<u32>, number: u32) {
        if self.limit().is_some() {
            ring.push_back(number);
        }
    }

    /// About the bytes that one map's visitors may take, where there is a limit.
    fn limit(&self) -> Option<usize> {
        self.room.as_ref().map(|room| room.each).filter(|each| *each < usize::MAX)
    }

    /// The next number, of a new key.
    fn number(&self, key: &Arc<str>) -> u32 {
        let mut keys = self.keys.write();
        keys.push(Some(Arc::clone(key)));
        // four billion visitors would need more than a terabyte: memory ends first
        u32::try_from(keys.len() - 1).unwrap_or(u32::MAX)
    }

    fn read(&self, number: u32) -> Result<Visitor> {
        match &self.room {
            Some(room) => room.cold.get(number),
            // without a room nobody is on disk only
            None => Ok(Visitor::default()),
        }
    }

    /// One that cannot be read is counted and told.
    fn lose(&self, error: &crate::StateError) -> Option<Arc<Visitor>> {
        self.lost.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "a visitor begins anew: remove folds.db and restart, and the log is folded again");
        None
    }

    /// Somebody as they were kept; without a visitor they stay on disk.
    pub fn restore(&self, number: u32, key: Arc<str>, visitor: Option<Visitor>) {
        let mut keys = self.keys.write();
        let len = keys.len().max(number as usize + 1);
        keys.resize(len, None);
        keys[number as usize] = Some(Arc::clone(&key));
        drop(keys);
        let mut shard = self.shard(&key).write();
        let Shard { known, books } = &mut *shard;
        let visitor = visitor.map(Arc::new);
        let mut bytes = 0;
        if let Some(visitor) = &visitor {
            self.weigh(&mut bytes, &mut books.bytes, weight(visitor));
            self.enter(&mut books.ring, number);
        }
        known.insert(key, Known { visitor, number, bytes, changed: 0, used: AtomicBool::new(false) });
    }

    /// Numbers below were given to others before.
    pub fn reserve(&self, next: u32) {
        let mut keys = self.keys.write();
        let len = keys.len().max(next as usize);
        keys.resize(len, None);
    }

    /// Who changed since the last cut; with `all`, since the last one that is kept. Nobody may change meanwhile.
    pub fn cut(&self, all: bool) -> Cut {
        let number = self.cut.fetch_add(1, Ordering::Relaxed);
        self.fresh.store(0, Ordering::Relaxed);
        let kept = self.kept.load(Ordering::Relaxed);
        let mut changed = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.write();
            let numbers = std::mem::take(&mut shard.books.changed);
            let mut push = |key: &Arc<str>, one: &Known| {
                if let Some(visitor) = &one.visitor {
                    changed.push(Numbered { number: one.number, key: Arc::clone(key), visitor: Arc::clone(visitor) });
                }
            };
            if all {
                shard.known.iter().filter(|(_, one)| one.changed > kept).for_each(|(key, one)| push(key, one));
            } else {
                let keys = self.keys.read();
                let there = numbers.iter().filter_map(|number| keys[*number as usize].as_ref());
                there.filter_map(|key| Some((key, shard.known.get(key)?))).for_each(|(key, one)| push(key, one));
            }
        }
        // in the order of their places on disk
        changed.sort_unstable_by_key(|one| one.number);
        let next = self.keys.read().len() as u32;
        Cut { number, changed, gone: std::mem::take(&mut self.gone.write()), next }
    }

    /// A cut is kept: whoever has not changed since may be let go of.
    pub fn keep(&self, cut: u32) {
        self.kept.store(cut, Ordering::Relaxed);
        if self.limit().is_some() {
            for shard in &self.shards {
                self.make_room(&mut shard.write(), 0, usize::MAX);
            }
        }
    }

    /// A cut could not be kept: the next one takes its place, with all.
    pub fn put_back(&self, cut: &mut Cut) {
        self.gone.write().append(&mut cut.gone);
    }

    /// Asks in turn at most so many to go, until there is room for so many bytes more; true when there is. Who was used since
    /// they were last asked stays once more, and who is not kept as they are now stays.
    fn make_room(&self, shard: &mut Shard, more: usize, most: usize) -> bool {
        let Some(each) = self.limit() else { return true };
        let kept = self.kept.load(Ordering::Relaxed);
        let Shard { known, books } = shard;
        if books.bytes + more <= each {
            return true;
        }
        if books.full_at == Some(kept) || more > each {
            return false;
        }
        let keys = self.keys.read();
        let all = 2 * books.ring.len();
        for _ in 0..all.min(most) {
            let Some(number) = books.ring.pop_front() else { break };
            let Some(one) = keys[number as usize].as_ref().and_then(|key| known.get_mut(key)) else { continue };
            if one.changed > kept || std::mem::take(one.used.get_mut()) {
                books.ring.push_back(number);
                continue;
            }
            one.visitor = None;
            self.weigh(&mut one.bytes, &mut books.bytes, 0);
            if books.bytes + more <= each {
                return true;
            }
        }
        if most >= all {
            books.full_at = Some(kept);
        }
        false
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

    /// How many of these are in memory.
    fn at_hand(crowd: &Crowd, numbers: impl Iterator<Item = u32>) -> usize {
        let inside = |key: &Arc<str>| crowd.shard(key).read().known[key].visitor.is_some();
        crowd.keys(numbers).iter().filter(|key| inside(key)).count()
    }

    /// Keeps a cut as a checkpoint does.
    fn keep(crowd: &Crowd, cold: &Cold) {
        let cut = crowd.cut(false);
        cold.change(|places, names, put| {
            places.write(&cut.changed, names, put)?;
            places.remove(&cut.gone, put)?;
            places.complete(&[], put)
        })
        .unwrap();
        crowd.keep(cut.number);
    }

    #[test]
    fn who_has_no_room_is_let_go_and_comes_back() {
        let cold = Arc::new(Cold::new(Arc::new(crate::SqliteStore::open(None).unwrap())));
        let limit = SHARDS * 4_000;
        let (roomy, tight) = (Crowd::default(), Crowd::new(Some(Room::new(Some(limit), Arc::clone(&cold)))));
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
                if n % 100 == 0 {
                    keep(&tight, &cold);
                }
            }
            assert!(tight.pressure().is_some_and(|(all, fresh, _)| fresh > 0 && fresh <= all));
            keep(&tight, &cold);
            assert!(tight.bytes() <= limit, "{} bytes", tight.bytes());
        }
        assert_eq!((tight.len(), tight.lost()), (2_000, 0));
        let all: Vec<u32> = (0..SHARDS).flat_map(|shard| tight.numbers(shard)).collect();
        let bytes = tight.bytes();
        for one in tight.of(&all) {
            assert_eq!(format!("{:?}", one.visitor), format!("{:?}", roomy.get(&one.key)));
        }
        assert_eq!(tight.bytes(), bytes, "a look at everybody brings nobody back");
        assert!(at_hand(&tight, all.iter().copied()) < 2_000);
        for n in 0..2_000 {
            assert!(tight.remove(&format!("v{n}")).is_some());
        }
        keep(&tight, &cold);
        assert_eq!((tight.len(), tight.bytes()), (0, 0));
        assert!(tight.get("v1").is_unknown());
        assert!(cold.get(0).is_err(), "gone from the disk too");
    }

    #[test]
    fn who_is_asked_for_again_and_again_stays() {
        let cold = Arc::new(Cold::new(Arc::new(crate::SqliteStore::open(None).unwrap())));
        let limit = SHARDS * 8_000;
        let crowd = Crowd::new(Some(Room::new(Some(limit), Arc::clone(&cold))));
        for n in 0..2_000 {
            crowd.edit(&format!("v{n}"), |visitor| visitor.events = n + 1);
        }
        keep(&crowd, &cold);
        assert!(at_hand(&crowd, 0..2_000) < 1_500);
        for n in 0..20_000 {
            assert_eq!(crowd.get("v1").events, 2);
            assert_eq!(at_hand(&crowd, 1..2), 1, "after {n} others");
            assert_eq!(crowd.get(&format!("v{}", n * 7 % 2_000)).events, n * 7 % 2_000 + 1);
            assert!(crowd.bytes() <= limit);
        }
        for n in 2..2_000 {
            crowd.remove(&format!("v{n}"));
        }
        let ring: usize = crowd.shards.iter().map(|shard| shard.read().books.ring.len()).sum();
        assert!(ring <= SHARDS * SHARDS, "{ring} numbers of those who are gone");
    }

    #[test]
    fn what_could_not_be_kept_is_part_of_the_next_cut() {
        let cold = Arc::new(Cold::new(Arc::new(crate::SqliteStore::open(None).unwrap())));
        let crowd = Crowd::new(Some(Room::new(None, cold)));
        let bump = |visitor: &mut Visitor| visitor.events += 1;
        let numbers = ["a", "b", "c"].map(|key| crowd.edit(key, bump));
        assert_eq!(numbers, [0, 1, 2]);
        crowd.remove("b");
        let mut failed = crowd.cut(false);
        assert_eq!((failed.changed.len(), &failed.gone[..], failed.next), (2, &[1][..], 3));
        crowd.put_back(&mut failed);
        crowd.edit("a", bump);
        let all = crowd.cut(true);
        let numbers: Vec<u32> = all.changed.iter().map(|one| one.number).collect();
        assert_eq!((numbers, all.gone), (vec![0, 2], vec![1]));
        crowd.keep(all.number);
        crowd.edit("c", bump);
        assert_eq!(crowd.cut(false).changed.len(), 1);
    }
}
