//! The catalogue on disk, and the one place that makes its next snapshot.

use super::{Broken, Catalogue, Item, check::check};
use crate::campaigns::Open;
use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use qianmian_core::{ItemRow, TimeMs};
use rusqlite::{Connection, params};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const NAME: &str = "catalogue.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE items(
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sealed BLOB NOT NULL)";
/// First byte of a stored item: whether it is in the catalogue or was deleted.
const LIVE: u8 = 1;
const DELETED: u8 = 0;

/// An item that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Its id as sent.
    pub id: String,
    /// A stable word for programs: `bad_id`, `bad_price`, `bad_validity`, `bad_embedding`, `bad_attribute`, `too_large`.
    pub code: &'static str,
    /// The rule, for people.
    pub detail: String,
}

/// What became of a batch of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpsertReport {
    /// How many were taken.
    pub upserted: usize,
    /// The others.
    pub rejected: Vec<Rejected>,
}

/// Holds the current [`Catalogue`] and makes the next one.
///
/// Readers never wait. Writers take turns; when a call returns, its change is on disk and in every snapshot taken
/// from then on.
pub struct CatalogueStore {
    current: ArcSwap<Catalogue>,
    /// `None` in a read-only view. The lock is also what orders the snapshots.
    db: Mutex<Option<Connection>>,
}

impl CatalogueStore {
    /// Opens the catalogue in `dir`, or an empty one in memory.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::Format`], or [`StateError::Damaged`] when a stored item fails its checksum.
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        let db = db::open(&Place::new(dir, NAME), NAME, FORMAT, SCHEMA, Journal::Rollback)?;
        Ok(Self { current: ArcSwap::from_pointee(load(&db)?), db: Mutex::new(Some(db)) })
    }

    /// A view of the catalogue in `dir` as it is now. Changes are refused; placeholders can be reserved.
    ///
    /// # Errors
    /// As [`CatalogueStore::open`], and when there is no catalogue.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        let db = db::open_read_only(&Place::new(Some(dir), NAME), NAME, FORMAT)?;
        Ok(Self { current: ArcSwap::from_pointee(load(&db)?), db: Mutex::new(None) })
    }

    /// Has every snapshot from now on know which items campaigns hold units of.
    pub fn watch(&self, campaigns: Arc<ArcSwap<Open>>) {
        let _turn = self.db.lock();
        self.swap(|next| {
            next.campaigns = campaigns;
            false
        });
    }

    /// The catalogue now. Take it once a request and keep it.
    #[must_use]
    pub fn current(&self) -> Arc<Catalogue> {
        self.current.load_full()
    }

    /// Adds or replaces items, whole. Those that break a rule are left out and reported; of two with one id the later
    /// stands. `created` is kept from the item's first appearance unless the item brings its own.
    ///
    /// # Errors
    /// [`StateError::Database`] (nothing was changed) or [`StateError::ReadOnly`].
    pub fn upsert(&self, items: Vec<Item>) -> Result<UpsertReport> {
        self.upsert_where(items, |_| Ok(()))
    }

    /// As [`CatalogueStore::upsert`], with one more rule for items that keep all others.
    ///
    /// # Errors
    /// As [`CatalogueStore::upsert`].
    pub fn upsert_where(
        &self,
        items: Vec<Item>,
        mut rule: impl FnMut(&Item) -> std::result::Result<(), Broken>,
    ) -> Result<UpsertReport> {
        let mut report = UpsertReport::default();
        let mut taken = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match check(&item).and_then(|()| rule(&item)) {
                Ok(()) => taken.push(item),
                Err((code, detail)) => report.rejected.push(Rejected { index, id: item.id, code, detail }),
            }
        }
        report.upserted = taken.len();
        let mut db = self.db.lock();
        let db = db.as_mut().ok_or(StateError::ReadOnly)?;
        self.commit(db, taken)?;
        Ok(report)
    }

    /// Changes members of one live item as RFC 7396 says: `null` takes a member away, objects are merged, anything
    /// else replaces. Returns the item as it is now.
    ///
    /// # Errors
    /// [`StateError::Unknown`] item; [`StateError::Rejected`] with the codes of [`Rejected`] or `bad_patch` (not an
    /// object, an unknown member, a wrong type, another id); [`StateError::Database`]; [`StateError::ReadOnly`].
    pub fn patch(&self, id: &str, patch: &Value) -> Result<Arc<Item>> {
        self.patch_where(id, patch, |_| Ok(()))
    }

    /// As [`CatalogueStore::patch`], with one more rule for the item as it would be.
    ///
    /// # Errors
    /// As [`CatalogueStore::patch`].
    pub fn patch_where(
        &self,
        id: &str,
        patch: &Value,
        rule: impl FnOnce(&Item) -> std::result::Result<(), Broken>,
    ) -> Result<Arc<Item>> {
        let mut db = self.db.lock();
        let db = db.as_mut().ok_or(StateError::ReadOnly)?;
        let catalogue = self.current();
        let item = catalogue.item(id).ok_or_else(|| unknown(id))?;
        let item = patched(item, patch)
            .and_then(|item| check(&item).and_then(|()| rule(&item)).map(|()| item))
            .map_err(|(code, detail)| StateError::Rejected { what: "item", name: id.into(), code, detail })?;
        self.commit(db, vec![item])?;
        self.current().item(id).map(Arc::clone).ok_or_else(|| unknown(id))
    }

    /// Takes an item out of the catalogue. Its row and its last values stay for the events that name it.
    ///
    /// # Errors
    /// [`StateError::Unknown`] when it is not in the catalogue; [`StateError::Database`]; [`StateError::ReadOnly`].
    pub fn delete(&self, id: &str) -> Result<()> {
        let mut db = self.db.lock();
        let db = db.as_mut().ok_or(StateError::ReadOnly)?;
        let catalogue = self.current();
        let row = catalogue.live_row(id).ok_or_else(|| unknown(id))?;
        let tx = db.transaction().during("delete an item")?;
        store(&tx, &catalogue.items[row.index()], DELETED)?;
        tx.commit().during("delete an item")?;
        self.swap(|next| {
            next.retire(row);
            true
        });
        Ok(())
    }

    /// The row of each id, in order; ids the catalogue does not know get a placeholder row, which a later upsert of
    /// the item fills. Placeholders are not stored: they come back from the events that name them.
    pub fn reserve<S: AsRef<str>>(&self, ids: &[S]) -> Vec<ItemRow> {
        let known = |c: &Catalogue| ids.iter().map(|id| c.row(id.as_ref())).collect::<Option<Vec<_>>>();
        if let Some(rows) = known(&self.current.load()) {
            return rows;
        }
        let _turn = self.db.lock();
        let mut rows = Vec::new();
        self.swap(|next| {
            rows = ids.iter().map(|id| next.row_or_placeholder(id.as_ref())).collect();
            false
        });
        rows
    }

    /// The symbol of each text, in order, added where new.
    pub(crate) fn intern(&self, texts: &[String]) -> Vec<u32> {
        let _turn = self.db.lock();
        let mut symbols = Vec::new();
        self.swap(|next| {
            symbols = texts.iter().map(|text| next.symbols.intern(text)).collect();
            false
        });
        symbols
    }

    /// Stores checked items, then shows them. The caller holds the lock.
    fn commit(&self, db: &mut Connection, mut items: Vec<Item>) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let (before, now) = (self.current(), now());
        for item in &mut items {
            if item.created.is_none() {
                item.created = before.row(&item.id).and_then(|r| before.items[r.index()].created).or(Some(now));
            }
        }
        let tx = db.transaction().during("store items")?;
        for item in &items {
            store(&tx, item, LIVE)?;
        }
        tx.commit().during("store items")?;
        self.swap(|next| items.into_iter().fold(false, |lists, item| next.write(Arc::new(item), true) | lists));
        Ok(())
    }

    /// Puts the next snapshot in place; `change` says whether the lists must be made anew. The caller holds the lock.
    fn swap(&self, change: impl FnOnce(&mut Catalogue) -> bool) {
        let mut next = Catalogue::clone(&self.current.load());
        next.version += 1;
        if change(&mut next) {
            next.rebuild_lists();
        }
        self.current.store(Arc::new(next));
    }
}

fn unknown(id: &str) -> StateError {
    StateError::Unknown { what: "item", name: id.into() }
}

fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs::try_from(since.as_millis()).unwrap_or(TimeMs::MAX)
}

fn store(tx: &rusqlite::Transaction<'_>, item: &Item, state: u8) -> Result<()> {
    let mut payload = vec![state];
    serde_json::to_writer(&mut payload, item).map_err(|error| StateError::Rejected {
        what: "item",
        name: item.id.clone(),
        code: "bad_item",
        detail: error.to_string(),
    })?;
    tx.prepare_cached("INSERT INTO items(id, sealed) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET sealed = ?2")
        .and_then(|mut insert| insert.execute(params![item.id, db::seal(item.id.as_bytes(), &payload)]))
        .during("store an item")?;
    Ok(())
}

fn load(db: &Connection) -> Result<Catalogue> {
    let mut catalogue = Catalogue::default();
    let mut select = db.prepare("SELECT id, sealed FROM items ORDER BY row").during("read the catalogue")?;
    let mut stored = select.query([]).during("read the catalogue")?;
    while let Some(row) = stored.next().during("read the catalogue")? {
        let id = row.get_ref(0).and_then(|v| Ok(v.as_str()?)).during("read the catalogue")?;
        let sealed = row.get_ref(1).and_then(|v| Ok(v.as_blob()?)).during("read the catalogue")?;
        let payload = db::unseal("item", id.as_bytes(), sealed)?;
        let damaged = |detail: String| StateError::Damaged { what: format!("item {id}"), detail };
        let (state, json) = payload.split_first().ok_or_else(|| damaged("it is empty".into()))?;
        let item: Item = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
        catalogue.write(Arc::new(item), *state == LIVE);
    }
    catalogue.rebuild_lists();
    catalogue.version = 1;
    Ok(catalogue)
}

/// The item with a merge patch applied, and the rule the patch breaks if it does.
fn patched(item: &Item, patch: &Value) -> std::result::Result<Item, Broken> {
    let bad = |detail: String| ("bad_patch", detail);
    let Value::Object(members) = patch else {
        return Err(bad("a JSON object of members to change expected".into()));
    };
    let mut document = serde_json::to_value(item).map_err(|e| bad(e.to_string()))?;
    if let Some(name) = members.keys().find(|name| document.get(name.as_str()).is_none()) {
        return Err(bad(format!("items have no member {name:?}; put your own under \"attributes\"")));
    }
    merge(&mut document, patch);
    let patched: Item = serde_json::from_value(document).map_err(|e| bad(e.to_string()))?;
    if patched.id == item.id { Ok(patched) } else { Err(bad("the id of an item cannot be changed".into())) }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(object) = target else { return };
    for (name, value) in members {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
