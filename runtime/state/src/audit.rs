//! The audit trail: what was done to people's data and by which rule, each entry bound to the one before it.
//!
//! An entry holds the SHA-256 of its predecessor, so that one that was changed, left out or put in later is noticed when
//! the trail is opened. Entries name visitors by key only.

use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::Mutex;
use qianmian_core::TimeMs;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

const FILE: &str = "audit.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE entries(seq INTEGER PRIMARY KEY, subject TEXT, sealed BLOB NOT NULL);
    CREATE INDEX entries_subject ON entries(subject, seq)";

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1 without gaps.
    #[serde(skip)]
    pub seq: u64,
    /// When.
    pub time: TimeMs,
    /// What: `visitor.link`, `visitor.erase` ...
    pub action: String,
    /// To whom or what: a visitor's key, a segment's name.
    pub subject: Option<String>,
    /// The circumstances.
    pub detail: Value,
    /// SHA-256 of the entry before it, hexadecimal; empty in the first.
    pub previous: String,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// At or after this moment.
    pub since: TimeMs,
    /// Only of actions that begin so.
    pub action: Option<String>,
    /// Only about one of these.
    pub subjects: Option<Vec<String>>,
    /// At most so many, newest first.
    pub limit: usize,
}

struct Trail {
    db: Connection,
    seq: u64,
    head: String,
}

/// Keeps the trail in one database of the data directory.
pub struct Audit {
    trail: Mutex<Trail>,
}

impl Audit {
    /// Opens the trail in `dir`, or an empty one in memory, and checks it from end to end.
    ///
    /// # Errors
    /// [`StateError::Damaged`] naming the first entry that does not follow from the one before;
    /// [`StateError::Database`]; [`StateError::Format`].
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        Self::over(db::open(&Place::new(dir, FILE), FILE, FORMAT, SCHEMA, Journal::Rollback)?)
    }

    /// A view of the trail in `dir`.
    ///
    /// # Errors
    /// As [`Audit::open`], and when there is none.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        Self::over(db::open_read_only(&Place::new(Some(dir), FILE), FILE, FORMAT)?)
    }

    fn over(db: Connection) -> Result<Self> {
        let (mut seq, mut head) = (0, String::new());
        {
            let mut select =
                db.prepare("SELECT seq, subject, sealed FROM entries ORDER BY seq").during("read the audit")?;
            let mut rows = select.query([]).during("read the audit")?;
            while let Some(row) = rows.next().during("read the audit")? {
                let (entry, digest) = entry(row)?;
                if entry.seq != seq + 1 || entry.previous != head {
                    let detail = "it does not follow from the entry before it".into();
                    return Err(StateError::Damaged { what: format!("audit entry {}", entry.seq), detail });
                }
                (seq, head) = (entry.seq, digest);
            }
        }
        Ok(Self { trail: Mutex::new(Trail { db, seq, head }) })
    }

    /// Adds an entry, durable when the call returns; returns its number.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::ReadOnly`].
    pub fn add(&self, time: TimeMs, action: &str, subject: Option<&str>, detail: Value) -> Result<u64> {
        let mut trail = self.trail.lock();
        let seq = trail.seq + 1;
        let subject = subject.map(str::to_owned);
        let entry = Entry { seq, time, action: action.into(), subject, detail, previous: trail.head.clone() };
        let json = serde_json::to_vec(&entry).unwrap_or_default();
        trail
            .db
            .execute(
                "INSERT INTO entries VALUES(?1, ?2, ?3)",
                params![seq.cast_signed(), entry.subject, db::seal(&seq.to_le_bytes(), &json)],
            )
            .during("write the audit")?;
        (trail.seq, trail.head) = (seq, hex::encode(Sha256::digest(&json)));
        Ok(seq)
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// [`StateError::Damaged`]; [`StateError::Database`].
    pub fn list(&self, filter: &AuditFilter) -> Result<Vec<Entry>> {
        let trail = self.trail.lock();
        let mut found = Vec::new();
        let subjects = filter.subjects.as_ref().map(|subjects| {
            let listed: Vec<Value> = subjects.iter().map(|subject| Value::from(subject.as_str())).collect();
            Value::from(listed).to_string()
        });
        let mut select = trail
            .db
            .prepare(
                "SELECT seq, subject, sealed FROM entries
                 WHERE ?1 IS NULL OR subject IN (SELECT value FROM json_each(?1)) ORDER BY seq DESC",
            )
            .during("read the audit")?;
        let mut rows = select.query([subjects]).during("read the audit")?;
        while found.len() < filter.limit
            && let Some(row) = rows.next().during("read the audit")?
        {
            let (entry, _) = entry(row)?;
            // clocks may step back a little; entries are in order of their numbers
            let of_action = filter.action.as_ref().is_none_or(|action| entry.action.starts_with(action.as_str()));
            if entry.time >= filter.since && of_action {
                found.push(entry);
            }
        }
        Ok(found)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.trail.lock().seq
    }

    /// True when there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The entry of a row, and its digest.
fn entry(row: &Row<'_>) -> Result<(Entry, String)> {
    let (seq, subject, sealed): (i64, Option<String>, Vec<u8>) =
        (|| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))().during("read the audit")?;
    let json = db::unseal("audit entry", &seq.to_le_bytes(), &sealed)?;
    let damaged = |detail: String| StateError::Damaged { what: format!("audit entry {seq}"), detail };
    let mut entry: Entry = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
    entry.seq = seq.cast_unsigned();
    if entry.subject != subject {
        return Err(damaged("its subject was changed".into()));
    }
    Ok((entry, hex::encode(Sha256::digest(json))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn entries_are_found_and_stay() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(Some(dir.path())).unwrap();
        for (time, action, subject) in [(10, "visitor.link", "a"), (20, "visitor.erase", "a"), (30, "segment.put", "s")]
        {
            audit.add(time, action, Some(subject), json!({ "n": time })).unwrap();
        }
        drop(audit);
        let audit = Audit::open(Some(dir.path())).unwrap();
        assert_eq!(audit.len(), 3);
        let found = |filter: AuditFilter| -> Vec<u64> {
            audit.list(&AuditFilter { limit: 9, ..filter }).unwrap().iter().map(|entry| entry.seq).collect()
        };
        assert_eq!(found(AuditFilter::default()), [3, 2, 1]);
        assert_eq!(found(AuditFilter { since: 20, ..AuditFilter::default() }), [3, 2]);
        assert_eq!(found(AuditFilter { action: Some("visitor.".into()), ..AuditFilter::default() }), [2, 1]);
        let about = |subject: &str| AuditFilter { subjects: Some(vec![subject.into()]), ..AuditFilter::default() };
        assert_eq!((found(about("a")), found(about("x"))), (vec![2, 1], vec![]));
        assert_eq!(audit.list(&AuditFilter { limit: 1, ..AuditFilter::default() }).unwrap().len(), 1);
    }

    #[test]
    fn a_trail_that_was_touched_is_refused() {
        for change in [
            "DELETE FROM entries WHERE seq = 2",
            "UPDATE entries SET subject = 'b' WHERE seq = 2",
            "UPDATE entries SET sealed = (SELECT sealed FROM entries WHERE seq = 1) WHERE seq = 2",
            "UPDATE entries SET seq = 9 WHERE seq = 3",
        ] {
            let dir = tempfile::tempdir().unwrap();
            let audit = Audit::open(Some(dir.path())).unwrap();
            for n in 0..3 {
                audit.add(n, "visitor.link", Some("a"), json!({})).unwrap();
            }
            audit.trail.lock().db.execute(change, []).unwrap();
            drop(audit);
            assert!(matches!(Audit::open(Some(dir.path())), Err(StateError::Damaged { .. })), "{change}");
        }
    }
}
