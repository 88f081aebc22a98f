//! Vectors that changed after their space was stored whole: on disk before they are acknowledged, read again at the next
//! start.

use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

const FILE: &str = "vectors.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE changes(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, space TEXT NOT NULL, id TEXT NOT NULL, sealed BLOB NOT NULL);
    CREATE INDEX changes_space ON changes(space, seq)";

/// An item's vector is another one from now on, or gone.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorChange {
    /// The item.
    pub id: String,
    /// Its vector; `None` takes it out of the space.
    pub vector: Option<Vec<f32>>,
}

/// The changes of every space, in the order they came.
pub struct VectorLog {
    db: Mutex<Connection>,
}

impl VectorLog {
    /// Opens the log in `dir`, or an empty one in memory.
    ///
    /// # Errors
    /// [`StateError::Database`] or [`StateError::Format`].
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        Ok(Self { db: Mutex::new(db::open(&Place::new(dir, FILE), FILE, FORMAT, SCHEMA, Journal::Rollback)?) })
    }

    /// A view of the log in `dir`, or of an empty one where there is none yet.
    ///
    /// # Errors
    /// As [`VectorLog::open`].
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        Ok(Self { db: Mutex::new(db::open_read_only_or_empty(dir, FILE, FORMAT, SCHEMA)?) })
    }

    /// Appends changes, all or none; they are on disk when this returns. Returns the number of the last one.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn append(&self, space: &str, changes: &[VectorChange]) -> Result<u64> {
        let mut db = self.db.lock();
        let tx = db.transaction().during("store vectors")?;
        for change in changes {
            let sealed = db::seal(&key(space, &change.id), &payload(change.vector.as_deref()));
            tx.prepare_cached("INSERT INTO changes(space, id, sealed) VALUES(?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![space, change.id, sealed]))
                .during("store a vector")?;
        }
        let last = tx.last_insert_rowid();
        tx.commit().during("store vectors")?;
        Ok(last.unsigned_abs())
    }

    /// The number of the last change of any space, 0 when there never was one.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn last(&self) -> Result<u64> {
        let db = self.db.lock();
        // numbers of changes that were forgotten are not given out again
        let last: Option<i64> = db
            .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'changes'", [], |row| row.get(0))
            .optional()
            .during("read the vectors' log")?;
        Ok(last.unwrap_or(0).unsigned_abs())
    }

    /// The changes of a space after a number, in order.
    ///
    /// # Errors
    /// [`StateError::Damaged`] when one fails its checksum; [`StateError::Database`].
    pub fn since(&self, space: &str, after: u64) -> Result<Vec<VectorChange>> {
        let db = self.db.lock();
        let mut select = db
            .prepare_cached("SELECT id, sealed FROM changes WHERE space = ?1 AND seq > ?2 ORDER BY seq")
            .during("read vectors")?;
        let rows = select
            .query_map(params![space, i64::try_from(after).unwrap_or(i64::MAX)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .during("read vectors")?;
        rows.map(|row| {
            let (id, sealed) = row.during("read a vector")?;
            let key = key(space, &id);
            let bytes = db::unseal("vector", &key, &sealed)?;
            let wrong = || StateError::Damaged { what: format!("vector {id}"), detail: "not whole numbers".to_owned() };
            Ok(VectorChange { vector: vector(bytes).ok_or_else(wrong)?, id })
        })
        .collect()
    }

    /// Forgets the changes of a space up to a number: they are part of what is stored whole.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn forget(&self, space: &str, through: u64) -> Result<usize> {
        let db = self.db.lock();
        let through = i64::try_from(through).unwrap_or(i64::MAX);
        db.execute("DELETE FROM changes WHERE space = ?1 AND seq <= ?2", params![space, through])
            .during("forget vectors")
    }
}

fn key(space: &str, id: &str) -> Vec<u8> {
    [space.as_bytes(), b"/", id.as_bytes()].concat()
}

/// Nothing for none; else a one, and the numbers, little endian.
fn payload(vector: Option<&[f32]>) -> Vec<u8> {
    vector.map_or_else(Vec::new, |vector| {
        std::iter::once(1).chain(vector.iter().flat_map(|value| value.to_le_bytes())).collect()
    })
}

/// `None` for bytes that are none of [`payload`]'s.
fn vector(bytes: &[u8]) -> Option<Option<Vec<f32>>> {
    match bytes.split_first() {
        None => Some(None),
        Some((1, numbers)) => {
            let (numbers, rest) = numbers.as_chunks::<4>();
            rest.is_empty().then(|| Some(numbers.iter().map(|b| f32::from_le_bytes(*b)).collect()))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, vector: Option<&[f32]>) -> VectorChange {
        VectorChange { id: id.to_owned(), vector: vector.map(<[f32]>::to_vec) }
    }

    #[test]
    fn changes_come_back_in_order_by_space_and_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let log = VectorLog::open(Some(dir.path())).unwrap();
        assert_eq!(log.last().unwrap(), 0);
        let first = log.append("a", &[change("x", Some(&[1.0, -2.5])), change("乙", Some(&[]))]).unwrap();
        log.append("b", &[change("x", Some(&[9.0]))]).unwrap();
        let last = log.append("a", &[change("x", None)]).unwrap();
        drop(log);
        let log = VectorLog::open(Some(dir.path())).unwrap();
        let all = [change("x", Some(&[1.0, -2.5])), change("乙", Some(&[])), change("x", None)];
        assert_eq!(log.since("a", 0).unwrap(), all);
        assert_eq!(log.since("a", first).unwrap(), all[2..]);
        assert_eq!((log.last().unwrap(), log.forget("a", last).unwrap()), (last, 3));
        assert!(log.since("a", 0).unwrap().is_empty() && log.since("b", 0).unwrap().len() == 1);
        drop(log);
        let log = VectorLog::open(Some(dir.path())).unwrap();
        assert!(log.append("a", &[change("y", None)]).unwrap() > last, "numbers are not given out again");
    }

    #[test]
    fn a_vector_that_changed_on_disk_is_noticed() {
        let log = VectorLog::open(None).unwrap();
        log.append("a", &[change("x", Some(&[1.0]))]).unwrap();
        log.db.lock().execute("UPDATE changes SET id = 'y'", []).unwrap();
        assert!(matches!(log.since("a", 0), Err(StateError::Damaged { .. })));
    }
}
