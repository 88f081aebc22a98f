//! Making a backup, beside whoever writes the data folder: the larger databases are read a page at a time, so that nobody waits.
//!
//! Links, reservations and the set-up are each as of one moment; of the log it holds what was there when its end was reached,
//! of items and captures each as it was when it was read.

use super::records::{Part, Row, Writer, encode};
use super::vault::{Label, Vault};
use super::{FORMAT, LISTS, Manifest, REGISTRY, SEGMENT, STORES, Store, Table, VECTORS, Whose};
use super::{begin, blob, finish, number, odd, text};
use crate::audit::Audit;
use crate::blobs::{BlobStore, FolderBlobs};
use crate::campaigns::{self, Campaigns};
use crate::catalogue::CatalogueStore;
use crate::db::{self, Place};
use crate::error::{DatabaseContext, Result, StateError};
use crate::identity::now;
use crate::log::sealed;
use crate::people::People;
use rusqlite::types::Value;
use rusqlite::{Connection, Params};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Rows that are read at a time.
const PAGE: i64 = 64;
/// Times the set-up is read again because it changed meanwhile.
const TRIES: usize = 20;
/// Bytes of a key in a list.
const KEY: usize = 16;

/// A backup that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// Events in it.
    pub events: u64,
    /// Ids of visitors whose parts are sealed in it.
    pub visitors: usize,
    /// Components, models, sets of vectors.
    pub blobs: usize,
}

/// Makes a backup of a data folder in a folder `to` that is not there yet, beside the process that may be serving it.
///
/// # Errors
/// [`StateError::Backup`] when `to` is there, or the set-up keeps changing; [`StateError::Damaged`] when the data folder is;
/// [`StateError::Database`], [`StateError::Io`]. Nothing is left of it then.
pub fn create(data: &Path, to: &Path) -> Result<Created> {
    // what cannot be opened is not worth a backup
    drop((CatalogueStore::open_read_only(data)?, People::open_read_only(data)?));
    drop((Campaigns::open_read_only(data)?, Audit::open_read_only(data)?));
    let folder = begin(to)?;
    let mut making = Making { data, dir: folder.path(), vault: Vault::open(data)?, events: 0 };
    let mut files = BTreeMap::new();
    for store in &STORES {
        let part = making.store(store)?;
        files.insert(store.file.to_owned(), part);
    }
    let blobs = making.set_up(&mut files)?;
    let visitors = making.vault.visitors();
    let standing = making.vault.count()?;
    let created = Created { events: making.events, visitors, blobs: blobs.len() };
    let manifest = Manifest {
        format: FORMAT,
        made: now(),
        vault: hex::encode(standing.id),
        backups: standing.backups,
        events: making.events,
        files,
        blobs,
    };
    manifest.write(folder.path())?;
    finish(folder, to)?;
    Ok(created)
}

struct Making<'a> {
    data: &'a Path,
    dir: &'a Path,
    vault: Vault,
    events: u64,
}

impl Making<'_> {
    /// Copies a database.
    fn store(&mut self, store: &Store) -> Result<Part> {
        let (mut db, format) = db::open_any_format(&Place::new(Some(self.data), store.file))?;
        let mut writer = Writer::create(self.dir.join(store.file))?;
        if store.at_once {
            for (table, rows) in at_once(&mut db, store)?.into_iter().enumerate() {
                self.rows(&mut writer, table, &store.tables[table], rows)?;
            }
            return writer.finish(format);
        }
        for (at, table) in store.tables.iter().enumerate() {
            let statement = format!("SELECT rowid, * FROM {} WHERE rowid > ?1 ORDER BY rowid LIMIT {PAGE}", table.name);
            let mut after = i64::MIN;
            loop {
                let mut rows = select(&db, &statement, [after])?;
                let Some(last) = rows.last() else { break };
                after = number(last, 0, table.name)?;
                rows.iter_mut().for_each(|row| drop(row.remove(0)));
                self.rows(&mut writer, at, table, rows)?;
            }
        }
        writer.finish(format)
    }

    /// Writes rows of a table: its number, whether they are sealed, their values.
    fn rows(&mut self, writer: &mut Writer, at: usize, table: &Table, rows: Vec<Row>) -> Result<()> {
        for row in rows {
            let (is_sealed, payload) = match table.whose {
                Whose::Nobodys => (0, encode(&row)),
                Whose::Column(column) => match row.get(column) {
                    Some(Value::Text(key)) => match self.vault.secret(key)? {
                        Some(secret) => (1, secret.seal(table.name, &encode(&row))),
                        None => continue,
                    },
                    _ => (0, encode(&row)),
                },
                Whose::Events => (0, encode(&self.events(&row, table)?)),
                Whose::Reservation => (0, encode(&self.reservation(&row, table)?)),
            };
            writer.put(&[&[at as u8, is_sealed], &payload[..]].concat())?;
        }
        self.vault.keep()
    }

    fn events(&mut self, row: &[Value], table: &Table) -> Result<Row> {
        let first = number(row, 0, table.name)?;
        let (packed, count) = sealed::pack(first.cast_unsigned(), blob(row, 3, table.name)?, |visitor, slot| {
            Ok(self.vault.secret(visitor)?.map(|secret| secret.seal(table.name, slot)))
        })?;
        self.events += count;
        Ok(vec![Value::Integer(first), Value::Blob(blob(row, 1, table.name)?.to_vec()), Value::Blob(packed)])
    }

    fn reservation(&mut self, row: &[Value], table: &Table) -> Result<Row> {
        let (campaign, id) = (text(row, 0, table.name)?, text(row, 1, table.name)?);
        let mut whose = Value::Null;
        let sealed = campaigns::renamed(campaign, id, blob(row, 2, table.name)?, |visitor| {
            if let Some(label) = visitor.map(|key| self.label(&key)).transpose()?.flatten() {
                whose = Value::Blob(label.to_vec());
            }
            Ok(None)
        })?;
        Ok(vec![row[0].clone(), row[1].clone(), Value::Blob(sealed), whose])
    }

    fn label(&mut self, key: &str) -> Result<Option<Label>> {
        Ok(self.vault.secret(key)?.map(|secret| secret.label()))
    }

    /// Copies the registry, and the vectors and blobs of its documents: once more where it changed meanwhile, because then what
    /// it named may be gone. Returns which blobs there are.
    fn set_up(&mut self, files: &mut BTreeMap<String, Part>) -> Result<BTreeSet<String>> {
        let (from, to) = (FolderBlobs::open(Some(self.data))?, FolderBlobs::open(Some(self.dir))?);
        let mut copied = BTreeSet::new();
        let (mut db, format) = db::open_any_format(&Place::new(Some(self.data), REGISTRY.file))?;
        for _ in 0..TRIES {
            let documents = at_once(&mut db, &REGISTRY)?.swap_remove(0);
            let (named, lists) = named(&documents)?;
            files.insert(VECTORS.file.to_owned(), self.store(&VECTORS)?);
            files.insert(LISTS.to_owned(), self.lists(&from, &lists)?);
            for digest in named.difference(&lists).filter(|digest| from.contains(digest)) {
                if !copied.contains(digest) {
                    to.put(&from.get(digest)?)?;
                    copied.insert(digest.clone());
                }
            }
            if documents == at_once(&mut db, &REGISTRY)?.swap_remove(0) {
                let mut writer = Writer::create(self.dir.join(REGISTRY.file))?;
                self.rows(&mut writer, 0, &REGISTRY.tables[0], documents)?;
                files.insert(REGISTRY.file.to_owned(), writer.finish(format)?);
                return Ok(copied);
            }
        }
        let detail =
            format!("scenarios, models or vectors changed {TRIES} times while they were read; try again later");
        Err(StateError::Backup { path: self.data.to_path_buf(), detail })
    }

    /// The lists of visitors, by the labels of their secrets.
    fn lists(&mut self, blobs: &FolderBlobs, lists: &BTreeSet<String>) -> Result<Part> {
        let mut writer = Writer::create(self.dir.join(LISTS))?;
        for digest in lists.iter().filter(|digest| blobs.contains(digest)) {
            let mut labels = Vec::new();
            for key in blobs.get(digest)?.as_chunks::<KEY>().0 {
                labels.extend(self.label(&hex::encode(key))?.into_iter().flatten());
            }
            self.vault.keep()?;
            writer.put(&encode(&[Value::Text(digest.clone()), Value::Blob(labels)]))?;
        }
        writer.finish(0)
    }
}

/// Every row of a store as of one moment, table by table.
fn at_once(db: &mut Connection, store: &Store) -> Result<Vec<Vec<Row>>> {
    let tx = db.transaction().during("read a database")?;
    store.tables.iter().map(|table| select(&tx, &format!("SELECT * FROM {}", table.name), [])).collect()
}

fn select(db: &Connection, statement: &str, with: impl Params) -> Result<Vec<Row>> {
    let mut select = db.prepare_cached(statement).during("read a database")?;
    let columns = select.column_count();
    let rows =
        select.query_map(with, |row| (0..columns).map(|column| row.get(column)).collect()).during("read a database")?;
    rows.collect::<rusqlite::Result<_>>().during("read a database")
}

/// The blobs that any version of a document names, and those among them that are lists of visitors.
fn named(documents: &[Row]) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let (mut named, mut lists) = (BTreeSet::new(), BTreeSet::new());
    for row in documents {
        let (_, json) = blob(row, 4, "documents")?.split_first_chunk::<4>().ok_or_else(|| odd("documents"))?;
        let words = json.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == 64);
        let words = words.map(|word| String::from_utf8_lossy(word).into_owned());
        if text(row, 0, "documents")? == SEGMENT {
            lists.extend(words.clone());
        }
        named.extend(words);
    }
    Ok((named, lists))
}
