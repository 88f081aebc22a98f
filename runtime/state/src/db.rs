//! How this crate uses SQLite: one file a store, full sync, and every value sealed with a checksum.

use crate::error::{DatabaseContext, Result, StateError};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// "QMst", so that `file` and a curious operator recognise our databases.
const APPLICATION_ID: i64 = 0x514d_7374;

/// Where a database lives.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In memory, gone when closed.
    Memory,
    /// In this file.
    File(PathBuf),
}

impl Place {
    /// `name` in `dir`, or memory when there is no directory.
    pub fn new(dir: Option<&Path>, name: &str) -> Self {
        dir.map_or(Self::Memory, |d| Self::File(d.join(name)))
    }

    fn connect(&self) -> Result<Connection> {
        match self {
            Self::Memory => Connection::open_in_memory(),
            Self::File(path) => Connection::open(path),
        }
        .during("open the database")
    }
}

/// How a store gets its changes onto the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Journal {
    /// A write-ahead log: quick, read beside its writer; a flipped bit in the log hides the commits behind it, so the store
    /// must notice by itself when its newest are missing.
    Ahead,
    /// A rollback journal: when a commit returns, all of it is in the one file.
    Rollback,
}

/// Opens for writing and creates the tables of `schema` in a new file. A file that was made before and is empty now is
/// damaged, not new; of one that is there the structure is checked.
///
/// # Errors
/// [`StateError::Format`] when the file was written with another `format`, [`StateError::Damaged`], or
/// [`StateError::Database`].
pub(crate) fn open(place: &Place, name: &str, format: i64, schema: &str, journal: Journal) -> Result<Connection> {
    let made = made_before(place, name)?;
    let db = open_any(place, name, format, schema, journal, Some(made))?;
    remember(place, name)?;
    Ok(db)
}

/// As [`open`] of what can be made again: an empty file is a new one, and whoever reads counts what should be there, so the
/// structure is not checked. Written ahead.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_derived(place: &Place, name: &str, format: i64, schema: &str) -> Result<Connection> {
    open_any(place, name, format, schema, Journal::Ahead, None)
}

/// `made` says whether the file was made before; none for what is derived.
fn open_any(
    place: &Place,
    name: &str,
    format: i64,
    schema: &str,
    journal: Journal,
    made: Option<bool>,
) -> Result<Connection> {
    let mut db = place.connect()?;
    let mode = if journal == Journal::Ahead { "WAL" } else { "DELETE" };
    // what is written ahead comes in large values: larger pages (of a new file), fewer of them.
    // secure_delete: what is erased on a visitor's request must not linger in free pages
    let page = if journal == Journal::Ahead { 16_384 } else { 4_096 };
    db.execute_batch(&format!(
        "PRAGMA page_size={page}; PRAGMA journal_mode={mode}; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;
         PRAGMA busy_timeout=5000;"
    ))
    .during("configure the database")?;
    let found: i64 = pragma(&db, "user_version")?;
    if found == 0 && made == Some(true) {
        let detail = "it is empty, though it was written before".into();
        return Err(StateError::Damaged { what: name.into(), detail });
    }
    if found == format && made.is_some() {
        check(&db, name)?;
    }
    if found == 0 {
        let tx = db.transaction().during("create the tables")?;
        tx.execute_batch(schema).during("create the tables")?;
        tx.pragma_update(None, "application_id", APPLICATION_ID).during("create the tables")?;
        tx.pragma_update(None, "user_version", format).during("create the tables")?;
        tx.commit().during("create the tables")?;
    } else if found != format {
        return Err(StateError::Format { what: name.into(), found, expected: format });
    }
    Ok(db)
}

/// Empties the write-ahead log, where older copies of what was removed stand. False when a reader is in the way.
///
/// # Errors
/// [`StateError::Database`].
pub(crate) fn empty_journal(db: &Connection) -> Result<bool> {
    let busy: i64 =
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).during("empty the write-ahead log")?;
    Ok(busy == 0)
}

/// Largest database whose structure is checked from end to end when it is opened; of larger ones every value still
/// carries its checksum.
const CHECKED: u64 = 256 << 20;

/// Looks for pages, rows and index entries that are not where they should be.
fn check(db: &Connection, name: &str) -> Result<()> {
    let pages: i64 = pragma(db, "page_count")?;
    let size: i64 = pragma(db, "page_size")?;
    if (pages * size).cast_unsigned() > CHECKED {
        return Ok(());
    }
    let verdict: String =
        db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).during("check the database")?;
    if verdict == "ok" { Ok(()) } else { Err(StateError::Damaged { what: name.into(), detail: verdict }) }
}

/// The file that says which databases there are, so that an empty one is not taken for a new one.
const STORES: &str = "stores";

fn stores(dir: &Path) -> Vec<String> {
    let read = std::fs::read(dir.join(STORES)).unwrap_or_default();
    // a damaged list is written anew: it only ever says more than the files themselves
    let text = unseal(STORES, b"stores", &read).map(<[u8]>::to_vec).unwrap_or_default();
    String::from_utf8(text).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn made_before(place: &Place, name: &str) -> Result<bool> {
    let Place::File(path) = place else { return Ok(false) };
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    Ok(stores(dir).iter().any(|known| known == name))
}

fn remember(place: &Place, name: &str) -> Result<()> {
    let Place::File(path) = place else { return Ok(()) };
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let mut known = stores(dir);
    if known.iter().any(|one| one == name) {
        return Ok(());
    }
    known.push(name.to_owned());
    let list = dir.join(STORES);
    let part = dir.join("stores.part");
    let io = |source| StateError::Io { action: "write", path: list.clone(), source };
    std::fs::write(&part, seal(b"stores", known.join("\n").as_bytes())).map_err(io)?;
    std::fs::File::open(&part).and_then(|file| file.sync_all()).map_err(io)?;
    std::fs::rename(&part, &list).map_err(io)
}

/// Opens an existing file for reading beside its writer.
///
/// # Errors
/// As [`open`]; a file that does not exist is an error.
pub(crate) fn open_read_only(place: &Place, name: &str, format: i64) -> Result<Connection> {
    let db = open_existing(place, name, format)?;
    db.execute_batch("PRAGMA query_only=ON;").during("configure the database")?;
    Ok(db)
}

/// Opens an existing file beside others that read and write it, without a look at its structure.
///
/// # Errors
/// As [`open_read_only`].
pub(crate) fn open_existing(place: &Place, name: &str, format: i64) -> Result<Connection> {
    let (db, found) = open_any_format(place)?;
    if found == format { Ok(db) } else { Err(StateError::Format { what: name.into(), found, expected: format }) }
}

/// As [`open_existing`], whatever the format, which it tells.
///
/// # Errors
/// As [`open_read_only`].
pub(crate) fn open_any_format(place: &Place) -> Result<(Connection, i64)> {
    if let Place::File(path) = place
        && !path.exists()
    {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(StateError::Io { action: "open", path: path.clone(), source });
    }
    let db = place.connect()?;
    db.execute_batch("PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA busy_timeout=5000;")
        .during("configure the database")?;
    let found = pragma(&db, "user_version")?;
    Ok((db, found))
}

/// As [`open_read_only`] of a file in `dir`; where there is none yet, an empty store with the tables of `schema`.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_read_only_or_empty(dir: &Path, name: &str, format: i64, schema: &str) -> Result<Connection> {
    match open_read_only(&Place::new(Some(dir), name), name, format) {
        Err(StateError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            open(&Place::Memory, name, format, schema, Journal::Rollback)
        }
        opened => opened,
    }
}

fn pragma(db: &Connection, name: &str) -> Result<i64> {
    db.pragma_query_value(None, name, |row| row.get(0)).during("read the format version")
}

/// `payload` behind a CRC-32 over `key` and itself: a value that was changed, cut or moved to another key is noticed.
pub(crate) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(payload.len() + 4);
    sealed.extend_from_slice(&checksum(key, payload).to_le_bytes());
    sealed.extend_from_slice(payload);
    sealed
}

/// The payload of a sealed value.
///
/// # Errors
/// [`StateError::Damaged`] naming `what` and the key.
pub(crate) fn unseal<'a>(what: &str, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8]> {
    let damaged = |detail: String| StateError::Damaged { what: format!("{what} {}", key.escape_ascii()), detail };
    let Some((crc, payload)) = sealed.split_first_chunk::<4>() else {
        return Err(damaged(format!("{} bytes stored, at least 4 expected", sealed.len())));
    };
    let (stored, computed) = (u32::from_le_bytes(*crc), checksum(key, payload));
    if stored == computed {
        Ok(payload)
    } else {
        Err(damaged(format!("checksum {computed:08x}, {stored:08x} expected")))
    }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&(key.len() as u64).to_le_bytes());
    crc.update(key);
    crc.update(payload);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let sealed = seal(b"k", b"value");
        assert_eq!(unseal("v", b"k", &sealed).unwrap(), b"value");
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(unseal("v", b"k", &bad), Err(StateError::Damaged { .. })), "bit {bit}");
        }
        assert!(unseal("v", b"other", &sealed).is_err(), "moved to another key");
        assert!(unseal("v", b"k", &sealed[..3]).is_err(), "cut");
    }

    #[test]
    fn another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(Some(dir.path()), "x.db");
        drop(open(&place, "x.db", 1, "CREATE TABLE t(a)", Journal::Ahead).unwrap());
        let error = open(&place, "x.db", 2, "", Journal::Ahead).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.db has format 1, this program reads format 2; start the version that wrote it"
        );
        assert!(open_read_only(&Place::new(Some(dir.path()), "none.db"), "none.db", 1).is_err());
    }

    #[test]
    fn a_file_that_was_emptied_or_torn_is_not_a_new_one() {
        for journal in [Journal::Ahead, Journal::Rollback] {
            let dir = tempfile::tempdir().unwrap();
            let place = Place::new(Some(dir.path()), "x.db");
            let again = || open(&place, "x.db", 1, "CREATE TABLE t(a)", journal);
            let db = again().unwrap();
            db.execute("INSERT INTO t VALUES(zeroblob(9000))", []).unwrap();
            drop(db);
            drop(again().unwrap());
            let path = dir.path().join("x.db");
            let whole = std::fs::read(&path).unwrap();
            for keep in [0, 512, 4096, whole.len() - 16_384] {
                std::fs::write(&path, &whole[..keep]).unwrap();
                assert!(again().is_err(), "{journal:?}, {keep} bytes");
            }
        }
    }
}
