//! The event log on SQLite: a row holds up to a thousand events, which is what makes bulk fast.
//!
//! Beside its events a row keeps the hashes of their ids, and in short whose they are. Both are held in memory (19 to 23
//! bytes an event), so that a duplicate is found without touching the disk, and a visitor without reading the log.

use super::mark::Mark;
use super::rows::{Id, Loaded, Marks, StoredRow, load, mark, open_ids, put, signed};
use super::seen::Seen;
use super::{Appended, Chunk, EventLog, codec, short_id};
use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::Mutex;
use qianmian_core::{Event, TimeMs};
use rusqlite::{Connection, OptionalExtension};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const NAME: &str = "events.db";
/// 2: events name visitors by key, and rows say in short whose events they hold.
const FORMAT: i64 = 2;
const SCHEMA: &str = "CREATE TABLE chunks(
    first INTEGER PRIMARY KEY, ids BLOB NOT NULL, marks BLOB NOT NULL, events BLOB NOT NULL)";
/// Most events of one row.
const ROW: usize = 1024;
/// Events a scan hands out at a time.
const SCAN: usize = 8192;

/// [`EventLog`] on SQLite.
pub struct SqliteLog {
    /// `None` in a read-only view.
    write: Mutex<Option<WriteSide>>,
    /// A second connection, so that scans and appends do not wait for each other; there is none in memory.
    read: Option<Mutex<Connection>>,
    /// By row: its first offset, and whose its events are. Locked after `write`.
    marks: Mutex<Vec<(u64, Marks)>>,
    len: AtomicU64,
    last: AtomicU64,
}

struct WriteSide {
    db: Connection,
    mark: Option<Mark>,
    seen: Seen,
}

impl SqliteLog {
    /// Opens the log in `dir`, or an empty one in memory.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::Format`], or [`StateError::Damaged`] when stored ids fail their checksum.
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        let place = Place::new(dir, NAME);
        let db = db::open(&place, NAME, FORMAT, SCHEMA, Journal::Ahead)?;
        let read = match dir {
            Some(_) => Some(Mutex::new(db::open_read_only(&place, NAME, FORMAT)?)),
            None => None,
        };
        let mut seen = Seen::default();
        let loaded = load(&db, |id| {
            seen.insert(id);
        })?;
        let mark = dir.map(|dir| Mark::open(dir, loaded.last)).transpose()?;
        Ok(Self::over(Some(WriteSide { db, mark, seen }), read, loaded))
    }

    /// A view of the log in `dir` beside its writer: [`EventLog::scan`] sees what is committed, changes are refused.
    ///
    /// # Errors
    /// As [`SqliteLog::open`], and when there is no log.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        let db = db::open_read_only(&Place::new(Some(dir), NAME), NAME, FORMAT)?;
        let loaded = load(&db, |_| {})?;
        Ok(Self::over(None, Some(Mutex::new(db)), loaded))
    }

    fn over(write: Option<WriteSide>, read: Option<Mutex<Connection>>, loaded: Loaded) -> Self {
        let Loaded { len, last, marks } = loaded;
        Self { write: Mutex::new(write), read, marks: Mutex::new(marks), len: len.into(), last: last.into() }
    }

    fn reading<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match &self.read {
            Some(db) => work(&db.lock()),
            None => work(&self.write.lock().as_ref().ok_or(StateError::ReadOnly)?.db),
        }
    }

    /// First offsets of the rows that may hold events of these visitors.
    fn rows_of(&self, visitors: &[Arc<str>]) -> Vec<u64> {
        let wanted: Vec<u32> = visitors.iter().map(|visitor| mark(visitor.as_bytes())).collect();
        let marks = self.marks.lock();
        let found = marks.iter().filter(|(_, marks)| marks.iter().any(|mark| wanted.contains(mark)));
        found.map(|(first, _)| *first).collect()
    }

    /// The events of the rows from the one that holds `from`, about [`SCAN`] of them, and where to go on.
    fn read(&self, from: u64) -> Result<(Chunk, Option<u64>)> {
        let rows = self.reading(|db| {
            let mut select = db
                .prepare_cached(&format!(
                    "{} WHERE first >= coalesce((SELECT max(first) FROM chunks WHERE first <= ?1), 0) ORDER BY first",
                    StoredRow::COLUMNS
                ))
                .during("read events")?;
            let mut found = select.query([signed(from)]).during("read events")?;
            let (mut rows, mut slots) = (Vec::new(), 0);
            while slots < SCAN
                && let Some(row) = found.next().during("read events")?
            {
                let row = StoredRow::read(row).during("read events")?;
                slots += row.ids.len() / size_of::<Id>();
                rows.push(row);
            }
            Ok(rows)
        })?;
        let mut chunk = Chunk::default();
        let mut next = None;
        for row in &rows {
            for (offset, slot) in (row.first..).zip(row.slots()?) {
                let slot = slot?;
                next = Some(offset + 1);
                if offset >= from && !slot.is_empty() {
                    chunk.offsets.push(offset);
                    chunk.events.push(codec::decode(offset, slot)?);
                }
            }
        }
        Ok((chunk, next.filter(|&n| n > from)))
    }
}

impl EventLog for SqliteLog {
    fn append(&self, batch: &[Event]) -> Result<Appended> {
        let mut write = self.write.lock();
        let WriteSide { db, mark: reached, seen } = write.as_mut().ok_or(StateError::ReadOnly)?;
        let ids: Vec<Id> = batch.iter().map(|e| short_id(&e.id)).collect();
        let accepted: Vec<bool> = ids.iter().map(|id| seen.insert(id)).collect();
        let fresh: Vec<usize> = (0..batch.len()).filter(|&i| accepted[i]).collect();
        if fresh.is_empty() {
            return Ok(Appended { accepted, ..Appended::default() });
        }
        let first_offset = self.last.load(Ordering::Acquire) + 1;
        let mut marked = Vec::new();
        let stored = db.transaction().during("append events").and_then(|tx| {
            for (n, run) in fresh.chunks(ROW).enumerate() {
                let mut encoder = codec::Encoder::new();
                run.iter().for_each(|&i| encoder.event(&batch[i]));
                let ids: Vec<Id> = run.iter().map(|&i| ids[i]).collect();
                let whose = |i: &usize| batch[*i].visitor.as_ref().map_or(0, |visitor| mark(visitor.as_bytes()));
                let marks: Marks = run.iter().map(whose).collect();
                let first = first_offset + (n * ROW) as u64;
                put(&tx, first, &ids, run.len(), &marks, &encoder.finish())?;
                marked.push((first, marks));
            }
            tx.commit().during("append events")
        });
        if let Err(error) = stored {
            for &i in &fresh {
                seen.remove(&ids[i]);
            }
            return Err(error);
        }
        self.marks.lock().append(&mut marked);
        let last_offset = first_offset + fresh.len() as u64 - 1;
        if let Some(reached) = reached {
            reached.set(last_offset);
        }
        self.last.store(last_offset, Ordering::Release);
        self.len.fetch_add(fresh.len() as u64, Ordering::AcqRel);
        Ok(Appended { accepted, first_offset, last_offset })
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(Chunk) -> ControlFlow<()>) -> Result<()> {
        let mut next = Some(from.max(1));
        while let Some(from) = next {
            let (chunk, after) = self.read(from)?;
            if !chunk.events.is_empty() && visit(chunk).is_break() {
                break;
            }
            next = after;
        }
        Ok(())
    }

    fn of(&self, visitors: &[Arc<str>], visit: &mut dyn FnMut(Chunk)) -> Result<()> {
        for first in self.rows_of(visitors) {
            let row = self.reading(|db| {
                db.prepare_cached(&format!("{} WHERE first = ?1", StoredRow::COLUMNS))
                    .and_then(|mut select| select.query_row([signed(first)], StoredRow::read))
                    .during("read events")
            })?;
            let mut chunk = Chunk::default();
            for (offset, slot) in (first..).zip(row.slots()?) {
                let slot = slot?;
                if is_of(slot, visitors) {
                    chunk.offsets.push(offset);
                    chunk.events.push(codec::decode(offset, slot)?);
                }
            }
            if !chunk.events.is_empty() {
                visit(chunk);
            }
        }
        Ok(())
    }

    fn erase(&self, visitors: &[Arc<str>]) -> Result<u64> {
        let mut write = self.write.lock();
        let WriteSide { db, .. } = write.as_mut().ok_or(StateError::ReadOnly)?;
        let tx = db.transaction().during("erase events")?;
        let (mut erased, mut marked) = (0, Vec::new());
        for first in self.rows_of(visitors) {
            let Some(row) = StoredRow::next(&tx, first)? else { continue };
            let written = row.rewrite(&tx, |slot| is_of(slot, visitors))?;
            erased += written.removed;
            marked.push((row.first, written.marks));
        }
        tx.commit().during("erase events")?;
        let mut marks = self.marks.lock();
        for (first, now) in marked {
            if let Ok(at) = marks.binary_search_by_key(&first, |(first, _)| *first) {
                marks[at].1 = now;
            }
        }
        self.len.fetch_sub(erased, Ordering::AcqRel);
        Ok(erased)
    }

    fn expire(&self, before: TimeMs) -> Result<u64> {
        let mut write = self.write.lock();
        let WriteSide { db, seen, .. } = write.as_mut().ok_or(StateError::ReadOnly)?;
        let tx = db.transaction().during("expire events")?;
        let (mut expired, mut from, mut forgotten) = (0, 0, Vec::<Id>::new());
        let mut left = Vec::new();
        // the last row stays, empty or not: offsets must not be given out twice
        let last = self.marks.lock().last().map_or(0, |(first, _)| *first);
        while let Some(row) = StoredRow::next(&tx, from)? {
            from = row.first + 1;
            let written = row.rewrite(&tx, |slot| codec::time(slot).is_some_and(|time| time < before))?;
            expired += written.removed;
            if written.kept == 0 && row.first != last {
                forgotten.extend(open_ids(row.first, &row.ids)?.1);
                tx.execute("DELETE FROM chunks WHERE first = ?1", [signed(row.first)]).during("expire events")?;
            } else {
                left.push((row.first, written.marks));
            }
        }
        tx.commit().during("expire events")?;
        for id in &forgotten {
            seen.remove(id);
        }
        *self.marks.lock() = left;
        self.len.fetch_sub(expired, Ordering::AcqRel);
        Ok(expired)
    }

    fn scrub(&self) -> Result<bool> {
        let write = self.write.lock();
        let WriteSide { db, .. } = write.as_ref().ok_or(StateError::ReadOnly)?;
        db::empty_journal(db)
    }

    fn id_at(&self, offset: u64) -> Result<Option<[u8; 16]>> {
        let found = self.reading(|db| {
            db.prepare_cached("SELECT first, ids FROM chunks WHERE first <= ?1 ORDER BY first DESC LIMIT 1")
                .and_then(|mut select| {
                    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?));
                    select.query_row([signed(offset)], row).optional()
                })
                .during("read event ids")
        })?;
        let Some((first, sealed)) = found else { return Ok(None) };
        let sealed: Vec<u8> = sealed;
        Ok(open_ids(first, &sealed)?.1.get((offset - first) as usize).map(|id| **id))
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn last_offset(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }
}

fn is_of(slot: &[u8], visitors: &[Arc<str>]) -> bool {
    codec::visitor(slot).is_some_and(|found| visitors.iter().any(|visitor| visitor.as_bytes() == found))
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
