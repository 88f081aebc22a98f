//! Backups in which every visitor's part is sealed with a secret of theirs, so that destroying the secret erases them from
//! all backups there are.
//!
//! | module | what |
//! |---|---|
//! | `vault` | the secrets, in the data folder and in a file of their own; never in a backup |
//! | `records` | the files of a backup |
//! | `create` | from a data folder, beside the process that may be writing it |
//! | `restore` | to a new data folder |
//!
//! | in a backup | how |
//! |---|---|
//! | events, links and captures of a visitor | sealed |
//! | the visitor of a reservation, the members of a list | by the label of their secret |
//! | events and captures of nobody, everything else | as it is stored |
//! | whom the log is of (`visitors.key`), the secrets | in the file of secrets only |
//! | what is made of the rest: folds, machine code, graphs | not at all |
//!
//! The audit trail stays as it is: it names visitors by key, and keeps the proof of an erasure in the data folder as well.

mod create;
mod records;
mod restore;
mod vault;

pub use create::{Created, create};
pub use restore::{Restored, restore};
pub(crate) use vault::destroy;
pub use vault::write_keys;

use crate::error::{Result, StateError};
use qianmian_core::TimeMs;
use records::{Part, io};
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use tempfile::TempDir;

const FORMAT: u32 = 1;
/// What a backup holds, as a line of JSON, and the digest of that line. It is written last.
const MANIFEST: &str = "manifest";
/// The lists of visitors that segments are made of.
const LISTS: &str = "lists";

/// The kind of document that names such a list.
const SEGMENT: &str = "segment";

/// A database of the data folder.
struct Store {
    file: &'static str,
    tables: &'static [Table],
    /// Its rows make sense as of one moment only. The others are read a page at a time, so that nobody waits.
    at_once: bool,
}

struct Table {
    name: &'static str,
    whose: Whose,
}

/// Whose a row of a table is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Nobodys,
    /// The visitor's whose key is in this column, where there is one.
    Column(usize),
    /// That of each event in it.
    Events,
    /// Its visitor's, in its name only.
    Reservation,
}

const fn table(name: &'static str, whose: Whose) -> Table {
    Table { name, whose }
}

/// The set-up: vectors and blobs are of the documents that name them.
const REGISTRY: Store = Store { file: "registry.db", tables: &[table("documents", Whose::Nobodys)], at_once: true };
/// Numbers that were given out once are not given out again, so the sequence comes first.
const VECTORS: Store = Store {
    file: "vectors.db",
    tables: &[table("sqlite_sequence", Whose::Nobodys), table("changes", Whose::Nobodys)],
    at_once: false,
};
/// Everything else. The proof of an erasure is read before what was erased.
const STORES: [Store; 6] = [
    Store { file: "audit.db", tables: &[table("entries", Whose::Nobodys)], at_once: false },
    Store { file: "people.db", tables: &[table("links", Whose::Column(0))], at_once: true },
    Store {
        file: "campaigns.db",
        tables: &[table("campaigns", Whose::Nobodys), table("reservations", Whose::Reservation)],
        at_once: true,
    },
    Store { file: "events.db", tables: &[table("chunks", Whose::Events)], at_once: false },
    Store { file: "captures.db", tables: &[table("captures", Whose::Column(4))], at_once: false },
    Store { file: "catalogue.db", tables: &[table("items", Whose::Nobodys)], at_once: false },
];

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    made: TimeMs,
    /// Of whose secrets.
    vault: String,
    /// Backups made with them, this one included.
    backups: u64,
    events: u64,
    files: BTreeMap<String, Part>,
    blobs: BTreeSet<String>,
}

impl Manifest {
    fn write(&self, dir: &Path) -> Result<()> {
        let line = serde_json::to_string(self).unwrap_or_default();
        let digest = hex::encode(Sha256::digest(&line));
        let path = dir.join(MANIFEST);
        fs::write(&path, format!("{line}\n{digest}\n"))
            .and_then(|()| File::open(&path)?.sync_all())
            .map_err(io("write", &path))
    }

    fn read(dir: &Path) -> Result<Self> {
        let refused = |detail: String| StateError::Backup { path: dir.to_path_buf(), detail };
        let damaged = || refused(format!("its {MANIFEST} is damaged; take another copy of it"));
        let text = match fs::read(dir.join(MANIFEST)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(format!("it has no {MANIFEST}: it is no backup, or not all of one")));
            }
            Err(error) => return Err(io("read", &dir.join(MANIFEST))(error)),
        };
        let text = String::from_utf8(text).map_err(|_| damaged())?;
        let (line, digest) = text.split_once('\n').ok_or_else(damaged)?;
        if digest != format!("{}\n", hex::encode(Sha256::digest(line))) {
            return Err(damaged());
        }
        let format =
            serde_json::from_str::<serde_json::Value>(line).ok().and_then(|manifest| manifest["format"].as_i64());
        if format != Some(FORMAT.into()) {
            let found = format.unwrap_or(-1);
            return Err(StateError::Format { what: "the backup".into(), found, expected: FORMAT.into() });
        }
        serde_json::from_str(line).map_err(|_| damaged())
    }
}

/// A folder to fill beside `target`, which is not there yet, or empty; it goes away when it is not finished.
fn begin(target: &Path) -> Result<TempDir> {
    let taken = match fs::read_dir(target) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => target.exists(),
    };
    if taken {
        let detail = "it is there already, and not empty; name a folder that is not there yet".into();
        return Err(StateError::Backup { path: target.to_path_buf(), detail });
    }
    let beside = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(beside).map_err(io("create", beside))?;
    tempfile::Builder::new().prefix(".unfinished-").tempdir_in(beside).map_err(io("create a folder in", beside))
}

/// Gives the folder its name.
fn finish(folder: TempDir, target: &Path) -> Result<()> {
    File::open(folder.path()).and_then(|dir| dir.sync_all()).map_err(io("sync", folder.path()))?;
    fs::rename(folder.path(), target).map_err(io("make", target))?;
    // under its new name nothing takes it away
    drop(folder.keep());
    let beside = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(beside).and_then(|dir| dir.sync_all()).map_err(io("sync", beside))
}

/// A value that must be a text or a blob of a certain row.
fn blob<'a>(row: &'a [Value], at: usize, what: &str) -> Result<&'a [u8]> {
    match row.get(at) {
        Some(Value::Blob(blob)) => Ok(blob),
        _ => Err(odd(what)),
    }
}

fn text<'a>(row: &'a [Value], at: usize, what: &str) -> Result<&'a str> {
    match row.get(at) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(odd(what)),
    }
}

fn number(row: &[Value], at: usize, what: &str) -> Result<i64> {
    match row.get(at) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Err(odd(what)),
    }
}

fn odd(what: &str) -> StateError {
    StateError::Damaged { what: format!("a row of {what}"), detail: "its columns are not what they should be".into() }
}

#[cfg(test)]
mod tests;
