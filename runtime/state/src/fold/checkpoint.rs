//! What is folded, kept on disk together with how far it is folded: a start goes on from there. Visitors who must leave memory
//! before the next time are written at once and become part of it then (`cold.rs`).
//!
//! A cut is taken between two batches of events and written beside the folding that goes on: visitors that change
//! meanwhile are copied first, counts of pairs wait, everything else is packed when the cut is taken.

use super::cells::{self, Head, PAGE};
use super::cold::{Cold, Places};
use super::crowd::{Crowd, Cut, Room};
use super::names::{self, Names, Numbers};
use super::pairs::{PairValue, Pairs};
use super::{Folds, Writer};
use crate::CatalogueStore;
use crate::error::{Result, StateError};
use crate::log::{EventLog, short_id};
use crate::people::People;
use crate::store::{Cell, Put, Space, StateStore};
use parking_lot::{Condvar, Mutex, RwLock};
use qianmian_core::Event;
use rustc_hash::{FxHashMap, FxHashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HEAD: Cell = Cell { space: Space::Head, number: 0 };
/// How long the folds wait for a checkpoint to make room before they look again.
const PATIENCE: Duration = Duration::from_millis(50);
/// Least time between two checkpoints.
const BREATH: Duration = Duration::from_millis(20);

/// Where folds are kept, and how far that is.
pub(super) struct Keep {
    cold: Arc<Cold>,
    /// One checkpoint at a time.
    one: Mutex<()>,
    turn: Mutex<Turn>,
    changed: Condvar,
    /// A thread takes checkpoints when it is asked to.
    served: AtomicBool,
}

#[derive(Default)]
struct Turn {
    /// The pairs of a cut are being written: they must not change.
    still: bool,
    /// Memory runs short.
    asked: bool,
    stop: bool,
    /// The last one could not be written.
    failed: bool,
}

/// What the writer of the folds knows of what is kept.
#[derive(Default)]
pub(super) struct Progress {
    /// The last event that is folded, and what it is called.
    offset: u64,
    id: [u8; 16],
    /// Folding broke off in the middle of some events: nothing of it may be kept.
    torn: bool,
    /// Something changed since the last cut.
    pub changed: bool,
    /// Channels by their number in cells.
    channels: Vec<Arc<str>>,
    /// Pages of statistics there are.
    pages: FxHashSet<u32>,
    /// Scopes of what is popular, by sort and name, with the number of their cell.
    scopes: FxHashMap<(usize, Box<str>), u32>,
    /// The last change of links whose visitors are folded anew.
    settled: u64,
    /// Numbers of those who were folded anew: what they were before must not stay on disk.
    pub renewed: FxHashSet<u32>,
}

/// One state of the folds, as it is to be kept.
struct Snapshot {
    head: Head,
    /// Packed already.
    cells: Vec<(Cell, Vec<u8>)>,
    bought: Vec<u32>,
    viewed: Vec<u32>,
    next: Vec<u32>,
    visitors: Cut,
    /// Of these no older copy may stay.
    renewed: Vec<u32>,
    /// The last change of links that is in it.
    settled: u64,
}

impl Folds {
    /// Folds that are kept in `store`, of no events yet; see [`Folds::restore`]. Visitors take about so many bytes of
    /// memory; without a number, as many as they need.
    pub(crate) fn kept(
        store: Arc<CatalogueStore>,
        people: Arc<People>,
        bytes: Option<usize>,
        keep: Arc<dyn StateStore>,
    ) -> Self {
        let cold = Arc::new(Cold::new(keep));
        let mut folds = Self::over(store, people, Crowd::new(Some(Room::new(bytes, Arc::clone(&cold)))));
        folds.keep = Some(Keep {
            cold,
            one: Mutex::default(),
            turn: Mutex::default(),
            changed: Condvar::new(),
            served: AtomicBool::new(false),
        });
        folds
    }

    /// As [`Folds::apply`], of events of the log of which the last has this offset.
    pub(crate) fn apply_to(&self, events: &[Event], offset: u64) {
        {
            let mut writer = self.writer.lock();
            writer.progress.torn = true;
            self.apply_in_turn(&mut writer, events);
            writer.progress.torn = false;
            writer.progress.offset = offset;
            if let Some(last) = events.last() {
                writer.progress.id = short_id(&last.id);
            }
        }
        self.keep_up();
    }

    /// Has who changed kept when memory runs short, and waits where it would run out.
    pub(super) fn keep_up(&self) {
        let Some(keep) = &self.keep else { return };
        while let Some((bytes, fresh, limit)) = self.crowd.pressure() {
            if fresh <= limit / 4 && bytes <= limit {
                return;
            }
            if !keep.served.load(Ordering::Acquire) {
                tell(self.make_room());
                return;
            }
            let mut turn = keep.turn.lock();
            turn.asked = true;
            keep.changed.notify_all();
            if bytes <= limit + limit / 4 || turn.failed || turn.stop {
                return;
            }
            keep.changed.wait_for(&mut turn, PATIENCE);
        }
    }

    /// True when the counts of pairs may change now; with `wait`, waits until they may.
    pub(super) fn may_merge(&self, wait: bool) -> bool {
        let Some(keep) = &self.keep else { return true };
        let mut turn = keep.turn.lock();
        while turn.still && wait {
            keep.changed.wait(&mut turn);
        }
        !turn.still
    }

    /// Keeps who changed, so that they can be let go of.
    ///
    /// # Errors
    /// [`StateError::Database`].
    fn make_room(&self) -> Result<()> {
        let Some(keep) = &self.keep else { return Ok(()) };
        let _one = keep.one.lock();
        let all = {
            let mut turn = keep.turn.lock();
            turn.asked = false;
            turn.failed
        };
        let mut cut = {
            let _turn = self.writer.lock();
            let mut names = keep.cold.names.write();
            let catalogue = self.store.current();
            names.items.extend(catalogue.len());
            names.symbols.extend(catalogue.symbols.len());
            self.crowd.cut(all)
        };
        let written = keep.cold.change(|places, names, put| places.write(&cut.changed, names, put));
        // whoever is gone leaves the disk with the next checkpoint
        self.crowd.put_back(&mut cut);
        if written.is_ok() {
            self.crowd.keep(cut.number);
        }
        let mut turn = keep.turn.lock();
        turn.failed |= written.is_err();
        keep.changed.notify_all();
        written
    }

    /// Keeps what is folded now. False when nothing changed, or nothing is kept.
    ///
    /// # Errors
    /// [`StateError::Database`]: the disk is full, for one; the next one keeps all of it.
    pub(crate) fn checkpoint(&self) -> Result<bool> {
        let Some(keep) = &self.keep else { return Ok(false) };
        let _one = keep.one.lock();
        let mut snapshot = {
            let mut writer = self.writer.lock();
            if !writer.progress.changed || writer.progress.torn {
                return Ok(false);
            }
            self.merge(&mut writer, true);
            let all = {
                let mut turn = keep.turn.lock();
                turn.still = true;
                turn.failed
            };
            self.snapshot(&mut writer, keep, all)
        };
        let written = keep.cold.change(|places, names, put| self.write(keep, &snapshot, places, names, put));
        if written.is_ok() {
            self.crowd.keep(snapshot.visitors.number);
        }
        {
            let mut turn = keep.turn.lock();
            (turn.still, turn.failed) = (false, written.is_err());
            keep.changed.notify_all();
        }
        if written.is_err() {
            self.crowd.put_back(&mut snapshot.visitors);
            let progress = &mut self.writer.lock().progress;
            progress.changed = true;
            progress.renewed.extend(&snapshot.renewed);
        }
        written.and_then(|()| self.people.settle(snapshot.settled)).map(|()| true)
    }

    fn snapshot(&self, writer: &mut Writer, keep: &Keep, all: bool) -> Snapshot {
        writer.progress.changed = false;
        let catalogue = self.store.current();
        let mut cells = Vec::new();
        {
            let mut names = keep.cold.names.write();
            let id = |row: u32| Arc::clone(&catalogue.ids[row as usize]);
            name_cells(&mut cells, Space::Items, &mut names.items, catalogue.len(), all, id);
            let text = |symbol| catalogue.symbols.text(symbol);
            name_cells(&mut cells, Space::Symbols, &mut names.symbols, catalogue.symbols.len(), all, text);
        }
        let names = keep.cold.names.read();
        let Writer { trends, progress, .. } = writer;
        // one lock after the other: a reader may hold one and want the next
        let totals = {
            let mut stats = self.stats.write();
            for channel in stats.channels.keys() {
                if !progress.channels.contains(channel) {
                    progress.channels.push(Arc::clone(channel));
                }
            }
            let changed = stats.take_unkept(all).into_iter();
            let mut pages: Vec<u32> = changed.map(|row| names.items.kept(row) / PAGE).collect();
            pages.sort_unstable();
            pages.dedup();
            for page in pages {
                progress.pages.insert(page);
                let cell = Cell { space: Space::Statistics, number: page };
                cells.push((cell, cells::pack_items(&stats, &names, &progress.channels, page)));
            }
            stats.totals
        };
        trends.take_unkept(all, |sort, name, trend| {
            let next = progress.scopes.len() as u32;
            let number = *progress.scopes.entry((sort, name.into())).or_insert(next);
            cells.push((Cell { space: Space::Trends, number }, cells::pack_trend(sort, name, trend, &names)));
        });
        let visitors = self.crowd.cut(all);
        let (bought, bought_rows) = take_pairs(&self.bought, all);
        let (viewed, viewed_rows) = take_pairs(&self.viewed, all);
        let (next, next_rows) = take_pairs(&self.next, all);
        let head = Head {
            offset: progress.offset,
            id: progress.id,
            totals,
            channels: progress.channels.clone(),
            next_visitor: visitors.next,
            visitors: [0; 2],
            labelled: !self.audience.is_idle(),
            counts: [
                names.items.len(),
                names.symbols.len(),
                progress.pages.len() as u32,
                bought_rows,
                viewed_rows,
                next_rows,
                progress.scopes.len() as u32,
                self.crowd.len() as u32,
            ],
        };
        Snapshot {
            head,
            cells,
            bought,
            viewed,
            next,
            visitors,
            renewed: progress.renewed.drain().collect(),
            settled: progress.settled,
        }
    }

    fn write(&self, keep: &Keep, snapshot: &Snapshot, places: &mut Places, names: &Names, put: Put<'_>) -> Result<()> {
        put_pairs(put, Space::Bought, &self.bought, &snapshot.bought, names)?;
        put_pairs(put, Space::Viewed, &self.viewed, &snapshot.viewed, names)?;
        put_pairs(put, Space::Next, &self.next, &snapshot.next, names)?;
        keep.turn.lock().still = false;
        keep.changed.notify_all();
        snapshot.cells.iter().try_for_each(|(cell, value)| put(*cell, Some(value)))?;
        places.write(&snapshot.visitors.changed, names, put)?;
        places.remove(&snapshot.visitors.gone, put)?;
        places.complete(&snapshot.renewed, put)?;
        put(HEAD, Some(&Head { visitors: places.sums(), ..snapshot.head.clone() }.pack()))
    }

    /// Takes up what was kept; returns the last event that is folded in it, 0 when nothing was kept. The folds are of no
    /// use after an error.
    ///
    /// # Errors
    /// [`StateError::Damaged`] when a value is, or is not of this log; [`StateError::Database`].
    pub(crate) fn restore(&self, log: &dyn EventLog) -> Result<u64> {
        let Some(keep) = &self.keep else { return Ok(0) };
        let store = &keep.cold.store;
        let Some(head) = store.get(HEAD)? else {
            keep.cold.restore(0, &mut |_, _, _| Ok(()))?;
            return Ok(0);
        };
        let head = Head::unpack(&head).ok_or_else(|| damaged("its head"))?;
        // nothing was folded yet at offset 0
        if head.offset > 0 && log.id_at(head.offset)? != Some(head.id) {
            return Err(damaged("it is not of this event log: it"));
        }
        let items = self.store.reserve(&names_of(&**store, Space::Items)?).into_iter().map(|row| row.0).collect();
        let symbols = self.store.intern(&names_of(&**store, Space::Symbols)?);
        *keep.cold.names.write() = Names { items: Numbers::restore(items), symbols: Numbers::restore(symbols) };
        let mut writer = self.writer.lock();
        {
            let names = keep.cold.names.read();
            let mut stats = self.stats.write();
            store.scan(Space::Statistics, &mut |page, bytes| {
                writer.progress.pages.insert(page);
                let each = |row, item, channels| stats.restore(row, item, channels);
                cells::unpack_items(bytes, &names, &head.channels, page, each).ok_or_else(|| damaged("statistics"))
            })?;
            stats.totals = head.totals;
            stats.take_unkept(false);
            get_pairs(&**store, Space::Bought, &self.bought, &names)?;
            get_pairs(&**store, Space::Viewed, &self.viewed, &names)?;
            get_pairs(&**store, Space::Next, &self.next, &names)?;
            store.scan(Space::Trends, &mut |number, bytes| {
                let bad = || damaged("a list of what is popular");
                let (sort, name, events, marks) = cells::unpack_trend(bytes, &names).ok_or_else(bad)?;
                writer.trends.restore(sort, name, events, marks).ok_or_else(bad)?;
                writer.progress.scopes.insert((sort, name.into()), number);
                Ok(())
            })?;
            let (items, symbols) = (names.items.len(), names.symbols.len());
            let pages = writer.progress.pages.len() as u32;
            let pairs = [self.bought.read().there(), self.viewed.read().there(), self.next.read().there()];
            let scopes = writer.progress.scopes.len() as u32;
            let [bought, viewed, next] = pairs;
            if head.counts[..7] != [items, symbols, pages, bought, viewed, next, scopes] {
                return Err(damaged("a part that is missing: it"));
            }
        }
        let all = self.crowd.pressure().is_none();
        let found = keep.cold.restore(head.visitors[0], &mut |number, key, packed| {
            let visitor = if all { Some(keep.cold.unpack(number, packed)?) } else { None };
            self.crowd.restore(number, key, visitor);
            Ok(())
        })?;
        if self.crowd.len() as u32 != head.counts[7] || found != head.visitors {
            return Err(damaged("a visitor who is missing: it"));
        }
        self.crowd.reserve(head.next_visitor);
        let progress = &mut writer.progress;
        (progress.offset, progress.id, progress.channels) = (head.offset, head.id, head.channels);
        drop(writer);
        self.refold_unsettled(log, head.offset)?;
        if head.labelled {
            // also where there is no definition any more: what was carried goes with the next sweep
            self.audience.define(vec![], vec![]).map_err(|_| damaged("its labels"))?;
        }
        Ok(head.offset)
    }

    /// Folds visitors anew whose ids were linked or unlinked after the cut.
    fn refold_unsettled(&self, log: &dyn EventLog, offset: u64) -> Result<()> {
        let (last, keys) = self.people.unsettled()?;
        for key in &keys {
            let person = self.people.person(key);
            if person != *key {
                self.remove_visitor(key);
            }
            let mut events = Vec::new();
            log.of(&self.people.keys(&person), &mut |chunk| {
                let within = chunk.offsets.partition_point(|at| *at <= offset);
                events.extend(chunk.events.into_iter().take(within));
            })?;
            self.refold(&person, &events);
        }
        self.settle(last);
        Ok(())
    }

    /// Everybody whom changes of links up to this one are about is folded anew.
    pub(crate) fn settle(&self, last: u64) {
        self.writer.lock().progress.settled = last;
    }

    /// Forgets a visitor, on disk too, when it returns, and takes their `events`, all of them in log order, out of the sums.
    /// False when unknown.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub(crate) fn erase(&self, person: &str, events: &[Event]) -> Result<bool> {
        let number = {
            let mut writer = self.writer.lock();
            writer.progress.changed = true;
            self.unfold(&mut writer, events);
            self.merge(&mut writer, true);
            self.forget(person)
        };
        // what is kept is of now, so that no start can take up a state with them in it
        self.checkpoint()?;
        self.scrub()?;
        Ok(number.is_some())
    }

    /// Takes what was erased out of the places where the disk keeps older copies. False when it must be tried again.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub(crate) fn scrub(&self) -> Result<bool> {
        self.keep.as_ref().map_or(Ok(true), |keep| keep.cold.store.scrub())
    }

    /// Takes checkpoints every so often, but at most a tenth of the time, and a last one when it is told to stop; makes room
    /// when it is asked to.
    pub(super) fn serve_checkpoints(&self, every: Duration) {
        let Some(keep) = &self.keep else { return };
        let mut due = Instant::now() + every;
        loop {
            let (stop, asked) = {
                let mut turn = keep.turn.lock();
                while !turn.asked && !turn.stop && Instant::now() < due {
                    keep.changed.wait_until(&mut turn, due);
                }
                (turn.stop, turn.asked)
            };
            let begun = Instant::now();
            if asked && !stop && begun < due {
                tell(self.make_room());
                continue;
            }
            // a panic must not leave the others waiting for a checkpoint that never ends
            let kept = catch_unwind(AssertUnwindSafe(|| self.checkpoint().map(drop)));
            match kept {
                Ok(kept) => tell(kept),
                Err(_) => {
                    tracing::error!("a checkpoint panicked; the folds are kept whole the next time");
                    let mut turn = keep.turn.lock();
                    (turn.still, turn.failed) = (false, true);
                    keep.changed.notify_all();
                }
            }
            if stop {
                return;
            }
            due = Instant::now() + every.max(begun.elapsed() * 9).max(BREATH);
        }
    }

    /// Says whether a thread is in [`Folds::serve_checkpoints`]; without one it ends.
    pub(super) fn are_served(&self, served: bool) {
        let Some(keep) = &self.keep else { return };
        keep.served.store(served, Ordering::Release);
        keep.turn.lock().stop = !served;
        keep.changed.notify_all();
    }
}

/// The chunks of names that changed; with `all`, every one.
fn name_cells(
    cells: &mut Vec<(Cell, Vec<u8>)>,
    space: Space,
    numbers: &mut Numbers,
    len: usize,
    all: bool,
    name: impl Fn(u32) -> Arc<str>,
) {
    numbers.extend(len);
    let chunks = numbers.take_unwritten(all);
    cells.extend(chunks.map(|chunk| (Cell { space, number: chunk as u32 }, numbers.pack(chunk, &name))));
}

/// Rows of pairs to be kept, and how many there are to keep altogether.
fn take_pairs<V: PairValue>(pairs: &RwLock<Pairs<V>>, all: bool) -> (Vec<u32>, u32) {
    let mut pairs = pairs.write();
    (pairs.take_unkept(all), pairs.there())
}

/// Every name of a space, by number.
fn names_of(store: &dyn StateStore, space: Space) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut chunks = 0;
    store.scan(space, &mut |chunk, bytes| {
        let names = names::unpack(bytes).filter(|_| chunk == chunks).ok_or_else(|| damaged("names"))?;
        chunks += 1;
        all.extend(names);
        Ok(())
    })?;
    Ok(all)
}

fn put_pairs<V: PairValue>(
    put: Put<'_>,
    space: Space,
    pairs: &RwLock<Pairs<V>>,
    rows: &[u32],
    names: &Names,
) -> Result<()> {
    let mut bytes = Vec::new();
    for row in rows {
        bytes.clear();
        let there = {
            let pairs = pairs.read();
            cells::pack_pairs(&pairs, *row, names, &mut bytes);
            pairs.is_there(*row)
        };
        put(Cell { space, number: names.items.kept(*row) }, there.then_some(&*bytes))?;
    }
    Ok(())
}

fn get_pairs<V: PairValue>(
    store: &dyn StateStore,
    space: Space,
    pairs: &RwLock<Pairs<V>>,
    names: &Names,
) -> Result<()> {
    let mut pairs = pairs.write();
    store.scan(space, &mut |number, bytes| {
        let bad = || damaged("pairs");
        let row = names.items.own(number).ok_or_else(bad)?;
        let (total, partners) = cells::unpack_pairs(bytes, names).ok_or_else(bad)?;
        pairs.restore(row, total, partners);
        Ok(())
    })?;
    pairs.take_unkept(false);
    Ok(())
}

fn tell(kept: Result<()>) {
    if let Err(error) = kept {
        tracing::error!(%error, "the folds are not kept; it is tried again");
    }
}

fn damaged(what: &str) -> StateError {
    StateError::Damaged { what: "folds.db".into(), detail: format!("{what} cannot be used") }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
