//! A row of the log as it stands on disk: up to a thousand events, the hashes of their ids, and whose they are in short.

use super::codec;
use crate::db;
use crate::error::{DatabaseContext, Result, StateError};
use rusqlite::{Connection, Transaction, params};

/// A hash of an event's id.
pub(super) type Id = [u8; 16];

/// Whose the events of a row are: a short hash each, 0 for nobody's; different visitors may share one.
pub(super) type Marks = Box<[u32]>;

/// The short hash of a visitor.
pub(super) fn mark(visitor: &[u8]) -> u32 {
    crc32fast::hash(visitor).max(1)
}

/// A row, its values sealed.
pub(super) struct StoredRow {
    pub first: u64,
    pub ids: Vec<u8>,
    events: Vec<u8>,
}

impl StoredRow {
    pub const COLUMNS: &'static str = "SELECT first, ids, events FROM chunks";

    pub fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { first: row.get::<_, i64>(0)?.cast_unsigned(), ids: row.get(1)?, events: row.get(2)? })
    }

    /// The row that begins at or after `from`.
    pub fn next(tx: &Transaction<'_>, from: u64) -> Result<Option<Self>> {
        let mut select = tx
            .prepare_cached(&format!("{} WHERE first >= ?1 ORDER BY first LIMIT 1", Self::COLUMNS))
            .during("read events")?;
        let mut rows = select.query([signed(from)]).during("read events")?;
        rows.next().and_then(|row| row.map(Self::read).transpose()).during("read events")
    }

    pub fn events(&self) -> Result<&[u8]> {
        db::unseal("event chunk", &key("events", self.first), &self.events)
    }

    pub fn slots(&self) -> Result<impl Iterator<Item = Result<&[u8]>>> {
        codec::slots(self.first, self.events()?)
    }

    /// Writes the row anew without the slots that `gone` says; returns how many those were and what is left.
    pub fn rewrite(&self, tx: &Transaction<'_>, gone: impl Fn(&[u8]) -> bool) -> Result<Rewritten> {
        let mut encoder = codec::Encoder::new();
        let (mut kept, mut removed, mut marks) = (0, 0, Vec::new());
        for slot in self.slots()? {
            let slot = slot?;
            let leaves = !slot.is_empty() && gone(slot);
            removed += u64::from(leaves);
            kept += usize::from(!leaves && !slot.is_empty());
            let slot = if leaves { &[] } else { slot };
            marks.push(codec::visitor(slot).map_or(0, mark));
            encoder.slot(slot);
        }
        let marks: Marks = marks.into();
        if removed > 0 {
            let (_, ids) = open_ids(self.first, &self.ids)?;
            let ids: Vec<Id> = ids.into_iter().copied().collect();
            put(tx, self.first, &ids, kept, &marks, &encoder.finish())?;
        }
        Ok(Rewritten { removed, kept, marks })
    }
}

/// What became of a row.
pub(super) struct Rewritten {
    pub removed: u64,
    pub kept: usize,
    pub marks: Marks,
}

/// How many events of a row are left, and the hashes of all its ids, erased ones included.
pub(super) fn open_ids(first: u64, sealed: &[u8]) -> Result<(u32, Vec<&Id>)> {
    let payload = db::unseal("event ids", &key("ids", first), sealed)?;
    let split = payload.split_first_chunk::<4>().filter(|(_, ids)| ids.len().is_multiple_of(size_of::<Id>()));
    let (kept, ids) = split.ok_or_else(|| StateError::Damaged {
        what: format!("event ids {first}"),
        detail: format!("{} bytes cannot be a count and hashes", payload.len()),
    })?;
    Ok((u32::from_le_bytes(*kept), ids.as_chunks().0.iter().collect()))
}

fn open_marks(first: u64, sealed: &[u8]) -> Result<Marks> {
    let payload = db::unseal("event marks", &key("marks", first), sealed)?;
    Ok(payload.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}

pub(super) fn put(
    tx: &Transaction<'_>,
    first: u64,
    ids: &[Id],
    kept: usize,
    marks: &[u32],
    events: &[u8],
) -> Result<()> {
    let mut with_count = u32::try_from(kept).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    with_count.extend_from_slice(ids.as_flattened());
    let marks: Vec<u8> = marks.iter().flat_map(|mark| mark.to_le_bytes()).collect();
    let ids = db::seal(&key("ids", first), &with_count);
    let marks = db::seal(&key("marks", first), &marks);
    let events = db::seal(&key("events", first), events);
    tx.prepare_cached("INSERT OR REPLACE INTO chunks VALUES(?1, ?2, ?3, ?4)")
        .and_then(|mut insert| insert.execute(params![signed(first), ids, marks, events]))
        .during("store events")?;
    Ok(())
}

/// What is held in memory of a log.
#[derive(Default)]
pub(super) struct Loaded {
    pub len: u64,
    pub last: u64,
    /// By row: its first offset, and whose its events are.
    pub marks: Vec<(u64, Marks)>,
}

/// Calls `each` with every known id.
pub(super) fn load(db: &Connection, mut each: impl FnMut(&Id)) -> Result<Loaded> {
    let mut select = db.prepare("SELECT first, ids, marks FROM chunks ORDER BY first").during("read event ids")?;
    let mut rows = select.query([]).during("read event ids")?;
    let mut loaded = Loaded::default();
    while let Some(row) = rows.next().during("read event ids")? {
        let first = row.get::<_, i64>(0).during("read event ids")?.cast_unsigned();
        let sealed = row.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during("read event ids")?;
        let (kept, ids) = open_ids(first, sealed)?;
        if first <= loaded.last {
            let detail = format!("it overlaps the chunk before it, which ends at {}", loaded.last);
            return Err(StateError::Damaged { what: format!("event chunk {first}"), detail });
        }
        let sealed = row.get_ref(2).and_then(|v| Ok(v.as_blob()?)).during("read event ids")?;
        loaded.marks.push((first, open_marks(first, sealed)?));
        loaded.len += u64::from(kept);
        loaded.last = first + ids.len() as u64 - 1;
        ids.into_iter().for_each(&mut each);
    }
    Ok(loaded)
}

pub(super) fn key(what: &str, first: u64) -> Vec<u8> {
    format!("{what}/{first}").into_bytes()
}

/// SQLite's integers are signed; offsets stay far below 2^63.
pub(super) fn signed(offset: u64) -> i64 {
    offset.min(i64::MAX as u64).cast_signed()
}
