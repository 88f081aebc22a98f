//! Captures: what a request was answered with and why, kept for audit and replay.
//!
//! They come after the answer and never before it, so they are grouped into transactions that are synced but not awaited;
//! what a crash takes is the last second of samples.

use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result};
use parking_lot::Mutex;
use qianmian_core::TimeMs;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;

const FILE: &str = "captures.db";
/// 2: the head is sealed too.
const FORMAT: i64 = 2;
const SCHEMA: &str = "CREATE TABLE captures(
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, time INTEGER NOT NULL, scenario TEXT NOT NULL, visitor TEXT,
    fault TEXT, head BLOB NOT NULL, sealed BLOB NOT NULL);
    CREATE INDEX captures_id ON captures(id);
    CREATE INDEX captures_time ON captures(time);
    CREATE INDEX captures_visitor ON captures(visitor)";
const HEAD: &str = "SELECT id, time, scenario, visitor, fault, head FROM captures";

/// What a capture is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureHead {
    /// The request.
    pub id: String,
    /// When it was answered.
    pub time: TimeMs,
    /// The scenario.
    pub scenario: String,
    /// Whose it was; erasing the visitor erases the capture.
    pub visitor: Option<String>,
    /// The fault's code when the strategy failed.
    pub fault: Option<String>,
}

/// Which captures are wanted.
#[derive(Clone, Debug, Default)]
pub struct CaptureFilter {
    /// Answered at or after this moment.
    pub since: TimeMs,
    /// Of this scenario only.
    pub scenario: Option<String>,
    /// Only those whose strategy failed.
    pub faults: bool,
    /// At most so many, newest first.
    pub limit: usize,
}

/// Keeps captures in one database of the data directory.
pub struct Captures {
    db: Mutex<Connection>,
}

impl Captures {
    /// Opens the captures in `dir`, or an empty store in memory.
    ///
    /// # Errors
    /// [`StateError::Database`](crate::StateError::Database) or [`StateError::Format`](crate::StateError::Format).
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        Ok(Self { db: Mutex::new(db::open(&Place::new(dir, FILE), FILE, FORMAT, SCHEMA, Journal::Rollback)?) })
    }

    /// A view of the captures in `dir`, or of none where there are none yet.
    ///
    /// # Errors
    /// As [`Captures::open`].
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        Ok(Self { db: Mutex::new(db::open_read_only_or_empty(dir, FILE, FORMAT, SCHEMA)?) })
    }

    /// Keeps captures with their contents, all or none of them.
    ///
    /// # Errors
    /// [`StateError::Database`](crate::StateError::Database).
    pub fn put(&self, captures: &[(CaptureHead, Vec<u8>)]) -> Result<()> {
        let mut db = self.db.lock();
        let tx = db.transaction().during("keep captures")?;
        for (head, content) in captures {
            tx.prepare_cached(
                "INSERT INTO captures(id, time, scenario, visitor, fault, head, sealed) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .and_then(|mut insert| {
                let sealed = db::seal(head.id.as_bytes(), content);
                let own = db::seal(&in_words(head), b"");
                insert.execute(params![head.id, head.time, head.scenario, head.visitor, head.fault, own, sealed])
            })
            .during("keep a capture")?;
        }
        tx.commit().during("keep captures")
    }

    /// The newest capture of a request: its head and content.
    ///
    /// # Errors
    /// [`StateError::Damaged`](crate::StateError::Damaged) when it fails its checksum; [`StateError::Database`](crate::StateError::Database).
    pub fn get(&self, id: &str) -> Result<Option<(CaptureHead, Vec<u8>)>> {
        let db = self.db.lock();
        let found = db
            .query_row(
                "SELECT id, time, scenario, visitor, fault, head, sealed FROM captures WHERE id = ?1 ORDER BY seq DESC LIMIT 1",
                [id],
                |row| Ok((head(row)?, row.get::<_, Vec<u8>>(6)?)),
            )
            .optional()
            .during("read a capture")?;
        found
            .map(|((head, own), sealed)| {
                db::unseal("capture", &in_words(&head), &own)?;
                let content = db::unseal("capture", head.id.as_bytes(), &sealed)?.to_vec();
                Ok((head, content))
            })
            .transpose()
    }

    /// The heads of captures, newest first.
    ///
    /// # Errors
    /// [`StateError::Database`](crate::StateError::Database).
    pub fn list(&self, filter: &CaptureFilter) -> Result<Vec<CaptureHead>> {
        let db = self.db.lock();
        let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
        let mut select = db
            .prepare(&format!(
                "{HEAD} WHERE time >= ?1 AND (?2 IS NULL OR scenario = ?2) AND (NOT ?3 OR fault IS NOT NULL)
                 ORDER BY seq DESC LIMIT ?4"
            ))
            .during("list captures")?;
        let rows = select
            .query_map(params![filter.since, filter.scenario, filter.faults, limit], head)
            .during("list captures")?;
        rows.map(|row| {
            let (head, own) = row.during("list captures")?;
            db::unseal("capture", &in_words(&head), &own)?;
            Ok(head)
        })
        .collect()
    }

    /// Removes a visitor's captures from the disk; returns how many there were.
    ///
    /// # Errors
    /// [`StateError::Database`](crate::StateError::Database).
    pub fn erase_visitor(&self, visitor: &str) -> Result<usize> {
        self.remove("DELETE FROM captures WHERE visitor = ?1", params![visitor])
    }

    /// Removes captures from before a moment; returns how many.
    ///
    /// # Errors
    /// [`StateError::Database`](crate::StateError::Database).
    pub fn expire(&self, before: TimeMs) -> Result<usize> {
        self.remove("DELETE FROM captures WHERE time < ?1", params![before])
    }

    fn remove(&self, statement: &str, arguments: &[&dyn rusqlite::ToSql]) -> Result<usize> {
        let db = self.db.lock();
        let removed = db.execute(statement, arguments).during("remove captures")?;
        if removed > 0 {
            // What is gone must not linger in the write-ahead log.
            db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").during("remove captures")?;
        }
        Ok(removed)
    }
}

/// The head as one text, to seal.
fn in_words(head: &CaptureHead) -> Vec<u8> {
    format!("{head:?}").into_bytes()
}

/// The head of a row, and its seal.
fn head(row: &Row<'_>) -> rusqlite::Result<(CaptureHead, Vec<u8>)> {
    let head = CaptureHead {
        id: row.get(0)?,
        time: row.get(1)?,
        scenario: row.get(2)?,
        visitor: row.get(3)?,
        fault: row.get(4)?,
    };
    Ok((head, row.get(5)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateError;

    fn capture(id: &str, time: TimeMs, visitor: Option<&str>, fault: Option<&str>) -> (CaptureHead, Vec<u8>) {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let head = CaptureHead {
            id: id.to_owned(),
            time,
            scenario: "home".to_owned(),
            visitor: text(visitor),
            fault: text(fault),
        };
        (head, format!("secret-content-of-{id}").into_bytes())
    }

    #[test]
    fn kept_found_erased_and_expired() {
        let dir = tempfile::tempdir().unwrap();
        let captures = Captures::open(Some(dir.path())).unwrap();
        let all = [
            capture("a", 10, Some("ann"), None),
            capture("b", 20, Some("bob"), Some("strategy_trap")),
            capture("a", 30, Some("ann"), None),
        ];
        captures.put(&all).unwrap();
        assert_eq!(captures.get("a").unwrap().unwrap().0.time, 30, "the newest of one id");
        assert_eq!(captures.get("none").unwrap(), None);
        let ids = |filter: CaptureFilter| -> Vec<String> {
            captures.list(&filter).unwrap().into_iter().map(|head| head.id).collect()
        };
        assert_eq!(ids(CaptureFilter { limit: 10, ..CaptureFilter::default() }), ["a", "b", "a"]);
        assert_eq!(ids(CaptureFilter { since: 20, limit: 1, ..CaptureFilter::default() }), ["a"]);
        assert_eq!(ids(CaptureFilter { faults: true, limit: 10, ..CaptureFilter::default() }), ["b"]);
        let other = CaptureFilter { scenario: Some("cart".to_owned()), limit: 10, ..CaptureFilter::default() };
        assert!(ids(other).is_empty());

        let view = Captures::open_read_only(dir.path()).unwrap();
        assert!(view.get("b").unwrap().is_some());
        assert!(view.expire(100).is_err(), "a view changes nothing");

        assert_eq!(captures.erase_visitor("ann").unwrap(), 2);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(19).any(|w| w == b"secret-content-of-a"), "nothing of ann is on the disk");
        }
        assert_eq!(captures.expire(21).unwrap(), 1);
        assert_eq!(captures.get("b").unwrap(), None);
    }

    #[test]
    fn damage_is_told() {
        let captures = Captures::open(None).unwrap();
        captures.put(&[capture("a", 1, None, None)]).unwrap();
        captures.db.lock().execute("UPDATE captures SET sealed = zeroblob(20)", []).unwrap();
        assert!(matches!(captures.get("a"), Err(StateError::Damaged { .. })));
    }
}
