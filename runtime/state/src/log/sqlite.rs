//! The event log on SQLite: a row holds up to a thousand events, which is what makes bulk fast.
//!
//! Beside its events a row keeps the hashes of their ids. The hashes are held in memory (20 to 40 bytes an event) so
//! that a duplicate is found without touching the disk.

use super::{Appended, Chunk, EventLog, codec};
use crate::db::{self, Place};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::Mutex;
use qianmian_core::Event;
use rusqlite::{Connection, Transaction, params};
use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const NAME: &str = "events.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE chunks(first INTEGER PRIMARY KEY, ids BLOB NOT NULL, events BLOB NOT NULL)";
/// Most events of one row.
const ROW: usize = 1024;
/// Events a scan hands out at a time.
const SCAN: usize = 8192;

type Id = [u8; 16];

/// [`EventLog`] on SQLite.
pub struct SqliteLog {
    /// `None` in a read-only view.
    write: Mutex<Option<WriteSide>>,
    /// A second connection, so that scans and appends do not wait for each other; there is none in memory.
    read: Option<Mutex<Connection>>,
    len: AtomicU64,
    last: AtomicU64,
}

struct WriteSide {
    db: Connection,
    seen: FxHashSet<u128>,
}

impl SqliteLog {
    /// Opens the log in `dir`, or an empty one in memory.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::Format`], or [`StateError::Damaged`] when stored ids fail their checksum.
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        let place = Place::new(dir, NAME);
        let db = db::open(&place, NAME, FORMAT, SCHEMA)?;
        let read = match dir {
            Some(_) => Some(Mutex::new(db::open_read_only(&place, NAME, FORMAT)?)),
            None => None,
        };
        let mut seen = FxHashSet::default();
        let (len, last) = load_ids(&db, |id| {
            seen.insert(number(id));
        })?;
        Ok(Self { write: Mutex::new(Some(WriteSide { db, seen })), read, len: len.into(), last: last.into() })
    }

    /// A view of the log in `dir` beside its writer: [`EventLog::scan`] sees what is committed, changes are refused.
    ///
    /// # Errors
    /// As [`SqliteLog::open`], and when there is no log.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        let db = db::open_read_only(&Place::new(Some(dir), NAME), NAME, FORMAT)?;
        let (len, last) = load_ids(&db, |_| {})?;
        Ok(Self { write: Mutex::new(None), read: Some(Mutex::new(db)), len: len.into(), last: last.into() })
    }

    fn reading<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match &self.read {
            Some(db) => work(&db.lock()),
            None => work(&self.write.lock().as_ref().ok_or(StateError::ReadOnly)?.db),
        }
    }

    /// The events of the rows from the one that holds `from`, about [`SCAN`] of them, and where to go on.
    fn read(&self, from: u64) -> Result<(Chunk, Option<u64>)> {
        let rows = self.reading(|db| {
            let mut select = db
                .prepare_cached(
                    "SELECT first, ids, events FROM chunks
                     WHERE first >= coalesce((SELECT max(first) FROM chunks WHERE first <= ?1), 0) ORDER BY first",
                )
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
            let body = row.events()?;
            for (offset, slot) in (row.first..).zip(codec::slots(row.first, body)?) {
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
        let WriteSide { db, seen } = write.as_mut().ok_or(StateError::ReadOnly)?;
        let ids: Vec<Id> = batch.iter().map(|e| hash(&e.id)).collect();
        let accepted: Vec<bool> = ids.iter().map(|id| seen.insert(number(id))).collect();
        let fresh: Vec<usize> = (0..batch.len()).filter(|&i| accepted[i]).collect();
        if fresh.is_empty() {
            return Ok(Appended { accepted, ..Appended::default() });
        }
        let first_offset = self.last.load(Ordering::Acquire) + 1;
        let stored = db.transaction().during("append events").and_then(|tx| {
            for (n, run) in fresh.chunks(ROW).enumerate() {
                let mut encoder = codec::Encoder::new();
                run.iter().for_each(|&i| encoder.event(&batch[i]));
                let ids: Vec<Id> = run.iter().map(|&i| ids[i]).collect();
                put(&tx, first_offset + (n * ROW) as u64, &ids, run.len(), &encoder.finish())?;
            }
            tx.commit().during("append events")
        });
        if let Err(error) = stored {
            for &i in &fresh {
                seen.remove(&number(&ids[i]));
            }
            return Err(error);
        }
        let last_offset = first_offset + fresh.len() as u64 - 1;
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

    fn erase(&self, visitor: &str) -> Result<u64> {
        let mut write = self.write.lock();
        let WriteSide { db, .. } = write.as_mut().ok_or(StateError::ReadOnly)?;
        let tx = db.transaction().during("erase events")?;
        let mut erased = 0;
        let mut from = 0;
        while let Some(row) = next_row(&tx, from)? {
            from = row.first + 1;
            let (mut kept, mut gone) = (0, 0);
            let mut encoder = codec::Encoder::new();
            for slot in codec::slots(row.first, row.events()?)? {
                let slot = slot?;
                let of_visitor = codec::is_of(slot, visitor);
                gone += u64::from(of_visitor);
                kept += usize::from(!of_visitor && !slot.is_empty());
                encoder.slot(if of_visitor { &[] } else { slot });
            }
            if gone > 0 {
                let (_, ids) = row.ids()?;
                put(&tx, row.first, &ids.iter().map(|id| **id).collect::<Vec<_>>(), kept, &encoder.finish())?;
                erased += gone;
            }
        }
        tx.commit().during("erase events")?;
        self.len.fetch_sub(erased, Ordering::AcqRel);
        // older copies of the rows stand in the write-ahead log until it is emptied
        let busy: i64 = db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .during("empty the write-ahead log")?;
        if busy != 0 {
            tracing::warn!("erased events linger in the write-ahead log until its next checkpoint: a reader is active");
        }
        Ok(erased)
    }

    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn last_offset(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }
}

/// A row as it stands on disk, both values sealed.
struct StoredRow {
    first: u64,
    ids: Vec<u8>,
    events: Vec<u8>,
}

impl StoredRow {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { first: row.get::<_, i64>(0)?.cast_unsigned(), ids: row.get(1)?, events: row.get(2)? })
    }

    fn events(&self) -> Result<&[u8]> {
        db::unseal("event chunk", &key("events", self.first), &self.events)
    }

    fn ids(&self) -> Result<(u32, Vec<&Id>)> {
        open_ids(self.first, &self.ids)
    }
}

/// How many events of a row are left, and the hashes of all its ids, erased ones included.
fn open_ids(first: u64, sealed: &[u8]) -> Result<(u32, Vec<&Id>)> {
    let payload = db::unseal("event ids", &key("ids", first), sealed)?;
    let split = payload.split_first_chunk::<4>().filter(|(_, ids)| ids.len().is_multiple_of(size_of::<Id>()));
    let (kept, ids) = split.ok_or_else(|| StateError::Damaged {
        what: format!("event ids {first}"),
        detail: format!("{} bytes cannot be a count and hashes", payload.len()),
    })?;
    Ok((u32::from_le_bytes(*kept), ids.as_chunks().0.iter().collect()))
}

fn put(tx: &Transaction<'_>, first: u64, ids: &[Id], kept: usize, events: &[u8]) -> Result<()> {
    let mut with_count = u32::try_from(kept).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    with_count.extend_from_slice(ids.as_flattened());
    let ids = db::seal(&key("ids", first), &with_count);
    let events = db::seal(&key("events", first), events);
    tx.prepare_cached("INSERT OR REPLACE INTO chunks VALUES(?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![signed(first), ids, events]))
        .during("store events")?;
    Ok(())
}

fn next_row(tx: &Transaction<'_>, from: u64) -> Result<Option<StoredRow>> {
    let mut select = tx
        .prepare_cached("SELECT first, ids, events FROM chunks WHERE first >= ?1 ORDER BY first LIMIT 1")
        .during("read events")?;
    let mut rows = select.query([signed(from)]).during("read events")?;
    rows.next().and_then(|row| row.map(StoredRow::read).transpose()).during("read events")
}

/// Calls `each` with every known id; returns the number of events left and the last offset.
fn load_ids(db: &Connection, mut each: impl FnMut(&Id)) -> Result<(u64, u64)> {
    let mut select = db.prepare("SELECT first, ids FROM chunks ORDER BY first").during("read event ids")?;
    let mut rows = select.query([]).during("read event ids")?;
    let (mut len, mut last) = (0, 0);
    while let Some(row) = rows.next().during("read event ids")? {
        let first = row.get::<_, i64>(0).during("read event ids")?.cast_unsigned();
        let sealed = row.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during("read event ids")?;
        let (kept, ids) = open_ids(first, sealed)?;
        if first <= last {
            let detail = format!("it overlaps the chunk before it, which ends at {last}");
            return Err(StateError::Damaged { what: format!("event chunk {first}"), detail });
        }
        len += u64::from(kept);
        last = first + ids.len() as u64 - 1;
        ids.into_iter().for_each(&mut each);
    }
    Ok((len, last))
}

/// Collisions must not be constructible, or one sender could silence another's events.
fn hash(id: &str) -> Id {
    let mut short = Id::default();
    short.copy_from_slice(&Sha256::digest(id.as_bytes())[..size_of::<Id>()]);
    short
}

fn number(id: &Id) -> u128 {
    u128::from_le_bytes(*id)
}

fn key(what: &str, first: u64) -> Vec<u8> {
    format!("{what}/{first}").into_bytes()
}

/// SQLite's integers are signed; offsets stay far below 2^63.
fn signed(offset: u64) -> i64 {
    offset.min(i64::MAX as u64).cast_signed()
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
