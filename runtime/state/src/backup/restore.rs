//! Making a data folder of a backup and the secrets there are: whoever's secret was destroyed is left out.

use super::records::{self, Part, Row, decode, io};
use super::vault::{Keys, Label, Vault, read_keys};
use super::{LISTS, Manifest, REGISTRY, SEGMENT, STORES, Store, Table, VECTORS, Whose};
use super::{begin, blob, finish, number, text};
use crate::blobs::{BlobStore, FolderBlobs};
use crate::campaigns;
use crate::db::{self, Place};
use crate::error::{DatabaseContext, Result, StateError};
use crate::identity::now;
use crate::log::sealed;
use crate::people::{KEY_FILE, write_private};
use crate::registry::Registry;
use crate::state::State;
use qianmian_core::TimeMs;
use rusqlite::types::Value;
use rusqlite::{Transaction, params_from_iter};
use rustc_hash::FxHashSet;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was made.
    pub made: TimeMs,
    /// Events that are there again.
    pub events: u64,
    /// Ids of visitors whose parts were opened.
    pub visitors: usize,
    /// Ids of visitors who were erased since: nothing of them came back.
    pub erased: usize,
}

/// Makes the data folder `to`, which is not there yet, of a backup and a file of secrets. What is folded is folded anew; the
/// audit trail goes on with an entry of this.
///
/// # Errors
/// [`StateError::Backup`] when the backup or the file of secrets is damaged or they do not belong together, or when `to` is
/// there; [`StateError::Format`] of another version; [`StateError::Io`], [`StateError::Database`]. Nothing is left then.
pub fn restore(backup: &Path, keys: &Path, to: &Path) -> Result<Restored> {
    let manifest = Manifest::read(backup)?;
    let secrets = read_keys(keys)?;
    belong_together(&manifest, &secrets, keys)?;
    check(&manifest, backup)?;
    let folder = begin(to)?;
    let dir = folder.path();
    let path = dir.join(KEY_FILE);
    write_private(&path, &secrets.pseudonyms).map_err(io("write", &path))?;
    // every database with its tables
    drop(State::open(dir)?);
    for name in ["folds.db", "folds.db-wal", "folds.db-shm"] {
        let path = dir.join(name);
        if path.exists() {
            fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    Vault::open(dir)?.fill(&secrets)?;
    let mut opening = Opening { backup, dir, secrets, opened: FxHashSet::default(), erased: FxHashSet::default() };
    let mut events = 0;
    for store in STORES.iter().chain([&REGISTRY, &VECTORS]) {
        events += opening.store(store, part(&manifest, store.file, backup)?)?;
    }
    let (from, blobs) = (FolderBlobs::open(Some(backup))?, FolderBlobs::open(Some(dir))?);
    for digest in &manifest.blobs {
        blobs.put(&from.get(digest)?)?;
    }
    let lists = opening.lists(&blobs, part(&manifest, LISTS, backup)?)?;
    let (visitors, erased) = (opening.opened.len(), opening.erased.len());
    let state = State::open(dir)?;
    shorten(&*state.registry, &lists)?;
    let detail = json!({ "made": manifest.made, "events": events, "visitors": visitors, "erased": erased });
    state.audit.add(now(), "backup.restored", None, detail)?;
    drop(state);
    finish(folder, to)?;
    Ok(Restored { made: manifest.made, events, visitors, erased })
}

fn belong_together(manifest: &Manifest, secrets: &Keys, keys: &Path) -> Result<()> {
    let refused = |detail: &str| Err(StateError::Backup { path: keys.to_path_buf(), detail: detail.into() });
    if hex::encode(secrets.standing.id) != manifest.vault {
        return refused(
            "its secrets are those of another data folder; take the file that was written beside this backup's",
        );
    }
    if secrets.standing.backups < manifest.backups {
        return refused(
            "it was written before this backup was made, and lacks visitors who came since; take the newest one",
        );
    }
    Ok(())
}

fn part<'a>(manifest: &'a Manifest, name: &str, backup: &Path) -> Result<&'a Part> {
    let refused = || StateError::Backup { path: backup.join(name), detail: "the manifest does not name it".into() };
    manifest.files.get(name).ok_or_else(refused)
}

/// Holds every file against the manifest.
fn check(manifest: &Manifest, backup: &Path) -> Result<()> {
    let missing = |path: &Path| StateError::Backup {
        path: path.to_path_buf(),
        detail: "it is missing, and the manifest names it; take another copy of the backup".into(),
    };
    for (name, part) in &manifest.files {
        let path = backup.join(name);
        if !path.is_file() {
            return Err(missing(&path));
        }
        let found = records::digest(&path)?;
        if found != part.sha256 {
            let detail = format!("it is damaged: its SHA-256 is {found}, {} expected; take another copy", part.sha256);
            return Err(StateError::Backup { path, detail });
        }
    }
    let blobs = FolderBlobs::open(Some(backup))?;
    for digest in &manifest.blobs {
        match blobs.get(digest) {
            Ok(_) => {}
            Err(StateError::Unknown { .. }) => return Err(missing(&backup.join("blobs").join(digest))),
            Err(StateError::Damaged { what, detail }) => {
                let detail = format!("{what} is damaged: {detail}; take another copy of the backup");
                return Err(StateError::Backup { path: backup.to_path_buf(), detail });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Opening<'a> {
    backup: &'a Path,
    dir: &'a Path,
    secrets: Keys,
    opened: FxHashSet<Label>,
    erased: FxHashSet<Label>,
}

impl Opening<'_> {
    /// Fills a database; returns how many events it has.
    fn store(&mut self, store: &Store, part: &Part) -> Result<u64> {
        let path = self.backup.join(store.file);
        let (mut db, format) = db::open_any_format(&Place::new(Some(self.dir), store.file))?;
        if format != part.format {
            let what = format!("{} of the backup", store.file);
            return Err(StateError::Format { what, found: part.format, expected: format });
        }
        let tx = db.transaction().during("fill a database")?;
        let mut events = 0;
        records::each(&path, part, |record| {
            let odd = || super::odd(store.file);
            let (&[table, is_sealed], payload) = record.split_first_chunk().ok_or_else(odd)?;
            let table = store.tables.get(usize::from(table)).ok_or_else(odd)?;
            let opened = if is_sealed == 0 { Some(payload.to_vec()) } else { self.open(table.name, payload)? };
            let Some(payload) = opened else { return Ok(()) };
            let row = decode(&payload).ok_or_else(odd)?;
            match table.whose {
                Whose::Nobodys | Whose::Column(_) => insert(&tx, table, row),
                Whose::Reservation => insert(&tx, table, self.reservation(row, table)?),
                Whose::Events => {
                    let first = number(&row, 0, table.name)?.cast_unsigned();
                    let (ids, packed) = (blob(&row, 1, table.name)?, blob(&row, 2, table.name)?);
                    events += sealed::unpack(&tx, first, ids, packed, |slot| self.open(table.name, slot))?;
                    Ok(())
                }
            }
        })?;
        tx.commit().during("fill a database")?;
        Ok(events)
    }

    /// Opens what is sealed; `None` when its secret is there no more.
    fn open(&mut self, place: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        let label = sealed.first_chunk().ok_or_else(|| super::odd(place))?;
        if self.key(label).is_none() {
            return Ok(None);
        }
        let opened = self.secrets.secrets.get(label).and_then(|(_, secret)| secret.open(place, sealed));
        opened.map(Some).ok_or_else(|| StateError::Backup {
            path: self.backup.to_path_buf(),
            detail: format!("a row of {place} does not open with its secret; take another copy of the backup"),
        })
    }

    /// The key of whose secret this is the label.
    fn key(&mut self, label: &Label) -> Option<&str> {
        let found = self.secrets.secrets.get(label).map(|(key, _)| key.as_str());
        let seen = if found.is_some() { &mut self.opened } else { &mut self.erased };
        seen.insert(*label);
        found
    }

    fn reservation(&mut self, mut row: Row, table: &Table) -> Result<Row> {
        let key = match row.pop() {
            Some(Value::Blob(label)) => {
                let label = label.try_into().map_err(|_| super::odd(table.name))?;
                self.key(&label).map(str::to_owned)
            }
            _ => None,
        };
        let (campaign, id) = (text(&row, 0, table.name)?, text(&row, 1, table.name)?);
        let sealed = campaigns::renamed(campaign, id, blob(&row, 2, table.name)?, |_| Ok(key))?;
        row[2] = Value::Blob(sealed);
        Ok(row)
    }

    /// Stores the lists of visitors; returns what became of those that are shorter: their digest and length.
    fn lists(&mut self, blobs: &FolderBlobs, part: &Part) -> Result<BTreeMap<String, (String, usize)>> {
        let mut changed = BTreeMap::new();
        records::each(&self.backup.join(LISTS), part, |record| {
            let row = decode(record).ok_or_else(|| super::odd(LISTS))?;
            let digest = text(&row, 0, LISTS)?;
            let labels = blob(&row, 1, LISTS)?.as_chunks().0;
            let keys = labels.iter().filter_map(|label| hex::decode(self.key(label)?).ok());
            let mut keys: Vec<Vec<u8>> = keys.collect();
            keys.sort_unstable();
            let now = blobs.put(&keys.concat())?;
            if now != digest {
                changed.insert(digest.to_owned(), (now, keys.len()));
            }
            Ok(())
        })?;
        Ok(changed)
    }
}

fn insert(tx: &Transaction<'_>, table: &Table, row: Row) -> Result<()> {
    let places = vec!["?"; row.len()].join(", ");
    tx.prepare_cached(&format!("INSERT INTO {} VALUES({places})", table.name))
        .and_then(|mut insert| insert.execute(params_from_iter(row)))
        .during("fill a database")
        .map(drop)
}

/// Has segments name the lists as they are without the erased.
fn shorten(registry: &dyn Registry, lists: &BTreeMap<String, (String, usize)>) -> Result<()> {
    for document in registry.list(SEGMENT)? {
        let Some(mut value) = document.value else { continue };
        if let Some((list, count)) = value["list"].as_str().and_then(|list| lists.get(list)) {
            (value["list"], value["count"]) = (json!(list), json!(count));
            registry.put(SEGMENT, &document.name, &value)?;
        }
    }
    Ok(())
}
