//! Named JSON documents with every version kept: scenarios, manifests of plugins and models, embedding spaces.

use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::Mutex;
use qianmian_core::TimeMs;
use rusqlite::{Connection, Row, params};
use serde_json::Value;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// One version of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it describes: "scenario", "plugin", "model" ...
    pub kind: String,
    /// Its name, unique within the kind.
    pub name: String,
    /// From 1, one more with every change.
    pub version: u32,
    /// When this version was written.
    pub time: TimeMs,
    /// The content; `None` marks the deletion of the document.
    pub value: Option<Value>,
}

/// Keeps documents. A version once written never changes.
pub trait Registry: Send + Sync {
    /// Writes the next version of a document and returns its number. Durable when the call returns.
    ///
    /// # Errors
    /// [`StateError::Rejected`] for an empty or overlong kind or name; [`StateError::Database`].
    fn put(&self, kind: &str, name: &str, value: &Value) -> Result<u32>;

    /// The latest version; `None` when there never was one or it was deleted.
    ///
    /// # Errors
    /// [`StateError::Damaged`]; [`StateError::Database`].
    fn get(&self, kind: &str, name: &str) -> Result<Option<Document>>;

    /// One version, a deletion included.
    ///
    /// # Errors
    /// [`StateError::Damaged`]; [`StateError::Database`].
    fn version(&self, kind: &str, name: &str, version: u32) -> Result<Option<Document>>;

    /// The latest version of every document of a kind that is not deleted, by name.
    ///
    /// # Errors
    /// [`StateError::Damaged`]; [`StateError::Database`].
    fn list(&self, kind: &str) -> Result<Vec<Document>>;

    /// Every version of one document, oldest first.
    ///
    /// # Errors
    /// [`StateError::Damaged`]; [`StateError::Database`].
    fn history(&self, kind: &str, name: &str) -> Result<Vec<Document>>;

    /// Marks a document as deleted; its history stays. False when there was none.
    ///
    /// # Errors
    /// [`StateError::Database`].
    fn delete(&self, kind: &str, name: &str) -> Result<bool>;
}

const FILE: &str = "registry.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE documents(
    kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, time INTEGER NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY(kind, name, version)) WITHOUT ROWID";
const COLUMNS: &str = "SELECT kind, name, version, time, sealed FROM documents";
const LONGEST_NAME: usize = 256;

/// [`Registry`] on SQLite.
pub struct SqliteRegistry {
    db: Mutex<Connection>,
}

impl SqliteRegistry {
    /// Opens the registry in `dir`, or an empty one in memory.
    ///
    /// # Errors
    /// [`StateError::Database`] or [`StateError::Format`].
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        Ok(Self { db: Mutex::new(db::open(&Place::new(dir, FILE), FILE, FORMAT, SCHEMA, Journal::Rollback)?) })
    }

    /// A view of the registry in `dir` that refuses changes.
    ///
    /// # Errors
    /// As [`SqliteRegistry::open`], and when there is none.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        Ok(Self { db: Mutex::new(db::open_read_only(&Place::new(Some(dir), FILE), FILE, FORMAT)?) })
    }

    fn write(&self, kind: &str, name: &str, value: Option<&Value>) -> Result<u32> {
        for (what, text) in [("document kind", kind), ("document name", name)] {
            if text.is_empty() || text.len() > LONGEST_NAME {
                let detail = format!("{} bytes, 1 to {LONGEST_NAME} expected", text.len());
                return Err(StateError::Rejected {
                    what,
                    name: text.chars().take(80).collect(),
                    code: "bad_name",
                    detail,
                });
            }
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = TimeMs::try_from(since.as_millis()).unwrap_or(TimeMs::MAX);
        let mut db = self.db.lock();
        let tx = db.transaction().during("write a document")?;
        let last: u32 = tx
            .query_row(
                "SELECT coalesce(max(version), 0) FROM documents WHERE kind = ?1 AND name = ?2",
                params![kind, name],
                |row| row.get(0),
            )
            .during("write a document")?;
        let version = last + 1;
        let json = value.map(Value::to_string).unwrap_or_default();
        let sealed = db::seal(&key(kind, name, version, time), json.as_bytes());
        tx.execute("INSERT INTO documents VALUES(?1, ?2, ?3, ?4, ?5)", params![kind, name, version, time, sealed])
            .during("write a document")?;
        tx.commit().during("write a document")?;
        Ok(version)
    }

    fn query(&self, condition: &str, with: impl rusqlite::Params) -> Result<Vec<Document>> {
        let db = self.db.lock();
        let mut select = db.prepare_cached(&format!("{COLUMNS} {condition}")).during("read documents")?;
        let mut rows = select.query(with).during("read documents")?;
        let mut documents = Vec::new();
        while let Some(row) = rows.next().during("read documents")? {
            documents.push(document(row)?);
        }
        Ok(documents)
    }
}

impl Registry for SqliteRegistry {
    fn put(&self, kind: &str, name: &str, value: &Value) -> Result<u32> {
        self.write(kind, name, Some(value))
    }

    fn get(&self, kind: &str, name: &str) -> Result<Option<Document>> {
        let latest = self.query("WHERE kind = ?1 AND name = ?2 ORDER BY version DESC LIMIT 1", params![kind, name])?;
        Ok(latest.into_iter().next().filter(|d| d.value.is_some()))
    }

    fn version(&self, kind: &str, name: &str, version: u32) -> Result<Option<Document>> {
        let found = self.query("WHERE kind = ?1 AND name = ?2 AND version = ?3", params![kind, name, version])?;
        Ok(found.into_iter().next())
    }

    fn list(&self, kind: &str) -> Result<Vec<Document>> {
        let latest = "d WHERE kind = ?1 AND version =
            (SELECT max(version) FROM documents WHERE kind = d.kind AND name = d.name) ORDER BY name";
        let mut documents = self.query(latest, params![kind])?;
        documents.retain(|d| d.value.is_some());
        Ok(documents)
    }

    fn history(&self, kind: &str, name: &str) -> Result<Vec<Document>> {
        self.query("WHERE kind = ?1 AND name = ?2 ORDER BY version", params![kind, name])
    }

    fn delete(&self, kind: &str, name: &str) -> Result<bool> {
        if self.get(kind, name)?.is_none() {
            return Ok(false);
        }
        self.write(kind, name, None)?;
        Ok(true)
    }
}

fn key(kind: &str, name: &str, version: u32, time: TimeMs) -> Vec<u8> {
    format!("{kind}/{name}/{version}/{time}").into_bytes()
}

fn document(row: &Row<'_>) -> Result<Document> {
    let (kind, name, version, time, sealed): (String, String, u32, TimeMs, Vec<u8>) =
        (|| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))().during("read a document")?;
    let json = db::unseal("document", &key(&kind, &name, version, time), &sealed)?;
    let value = if json.is_empty() {
        None
    } else {
        let damaged =
            |e: serde_json::Error| StateError::Damaged { what: format!("{kind} {name}"), detail: e.to_string() };
        Some(serde_json::from_slice(json).map_err(damaged)?)
    };
    Ok(Document { kind, name, version, time, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_version_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let registry = SqliteRegistry::open(Some(dir.path())).unwrap();
        assert_eq!(registry.put("scenario", "home", &json!({"a": 1})).unwrap(), 1);
        assert_eq!(registry.put("scenario", "home", &json!({"a": 2})).unwrap(), 2);
        assert_eq!(registry.put("scenario", "cart", &json!(null)).unwrap(), 1);
        assert_eq!(registry.put("model", "home", &json!([])).unwrap(), 1);
        drop(registry);
        let registry = SqliteRegistry::open(Some(dir.path())).unwrap();
        assert_eq!(registry.get("scenario", "home").unwrap().unwrap().value, Some(json!({"a": 2})));
        assert_eq!(registry.version("scenario", "home", 1).unwrap().unwrap().value, Some(json!({"a": 1})));
        assert_eq!(registry.version("scenario", "home", 3).unwrap(), None);
        let names = |r: &SqliteRegistry| r.list("scenario").unwrap().into_iter().map(|d| d.name).collect::<Vec<_>>();
        assert_eq!(names(&registry), ["cart", "home"]);

        assert!(registry.delete("scenario", "home").unwrap());
        assert!(!registry.delete("scenario", "home").unwrap() && !registry.delete("scenario", "never").unwrap());
        assert_eq!(registry.get("scenario", "home").unwrap(), None);
        assert_eq!(names(&registry), ["cart"]);
        assert_eq!(registry.put("scenario", "home", &json!(4)).unwrap(), 4, "numbers are not used twice");
        let history = registry.history("scenario", "home").unwrap();
        assert_eq!(history.iter().map(|d| d.value.is_some()).collect::<Vec<_>>(), [true, true, false, true]);
        assert!(registry.put("scenario", "", &json!(1)).is_err());
    }

    #[test]
    fn a_null_document_is_not_a_deleted_one() {
        let registry = SqliteRegistry::open(None).unwrap();
        registry.put("k", "n", &json!(null)).unwrap();
        assert_eq!(registry.get("k", "n").unwrap().unwrap().value, Some(json!(null)));
    }

    #[test]
    fn damage_is_noticed() {
        let registry = SqliteRegistry::open(None).unwrap();
        registry.put("k", "n", &json!({"share": 10})).unwrap();
        registry.db.lock().execute("UPDATE documents SET time = time + 1", []).unwrap();
        assert!(matches!(registry.get("k", "n"), Err(StateError::Damaged { .. })));
    }
}
