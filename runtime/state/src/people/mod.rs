//! Who is who: ids as pseudonymous keys, and keys linked into one person.
//!
//! A *key* stands for one id (a login, a device, a store card); a *person* is the key that stands for a group of linked
//! ones, the first that was linked. The log keeps the key an event came with, so that links can be undone.

mod key;

pub(crate) use key::write_private;
pub use key::{FILE as KEY_FILE, Pseudonyms};

use crate::bytes::{Reader, put_text};
use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::{Mutex, RwLock};
use qianmian_core::TimeMs;
use rusqlite::{Connection, Transaction, params};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FILE: &str = "people.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE links(key TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID";
/// Which keys were linked or unlinked since the folds were last kept: their visitors are to be folded anew at a start.
const CHANGES: &str = "CREATE TABLE IF NOT EXISTS changes(number INTEGER PRIMARY KEY, sealed BLOB NOT NULL)";
/// Most ids of one person: more are a shared device, not a person.
pub const MOST_IDS: usize = 64;
/// The kind of an id of which a person has one only.
pub const LOGIN: &str = "login";

/// One id of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The id's key.
    pub key: Arc<str>,
    /// What it is: login, device, mini-program, store-card, phone-hash ...
    pub kind: String,
    /// When it was linked.
    pub since: TimeMs,
}

/// A link as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    person: Arc<str>,
    kind: String,
    since: TimeMs,
}

/// What a change of links did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regrouped {
    /// The persons there are now, whose profiles must be folded anew.
    pub persons: Vec<Arc<str>>,
    /// Those that are no persons any more.
    pub gone: Vec<Arc<str>>,
}

#[derive(Default)]
struct Links {
    person: FxHashMap<Arc<str>, Arc<str>>,
    members: FxHashMap<Arc<str>, Vec<Member>>,
}

/// The ids of all visitors.
pub struct People {
    pseudonyms: Pseudonyms,
    links: RwLock<Links>,
    /// `None` in a read-only view.
    db: Mutex<Option<Connection>>,
    /// The number of the last change of links.
    last: AtomicU64,
}

impl People {
    /// Opens the links in `dir`, or none in memory. The secret is made when `may_make`: when nothing is stored yet.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::Format`], [`StateError::Damaged`], [`StateError::Io`].
    pub fn open(dir: Option<&Path>, may_make: bool) -> Result<Self> {
        let pseudonyms = match dir {
            Some(dir) => Pseudonyms::open(dir, may_make)?,
            None => Pseudonyms::new(rand::random()),
        };
        let db = db::open(&Place::new(dir, FILE), FILE, FORMAT, SCHEMA, Journal::Rollback)?;
        db.execute_batch(CHANGES).during("create the tables")?;
        let last: i64 = db
            .query_row("SELECT coalesce(max(number), 0) FROM changes", [], |row| row.get(0))
            .during("read changes of links")?;
        let (links, last) = (RwLock::new(load(&db)?), AtomicU64::new(last.cast_unsigned()));
        Ok(Self { pseudonyms, links, db: Mutex::new(Some(db)), last })
    }

    /// A view of the links in `dir` that refuses changes.
    ///
    /// # Errors
    /// As [`People::open`], and when there are none.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        let db = db::open_read_only(&Place::new(Some(dir), FILE), FILE, FORMAT)?;
        let (pseudonyms, links) = (Pseudonyms::open(dir, false)?, RwLock::new(load(&db)?));
        Ok(Self { pseudonyms, links, db: Mutex::new(None), last: AtomicU64::new(0) })
    }

    /// The key of an id.
    #[must_use]
    pub fn key(&self, id: &str) -> String {
        self.pseudonyms.key(id)
    }

    /// The person a key belongs to; the key itself when it is not linked.
    #[must_use]
    pub fn person(&self, key: &str) -> Arc<str> {
        self.links.read().person.get(key).map_or_else(|| key.into(), Arc::clone)
    }

    /// What `work` makes of the person a key belongs to, without a copy of the key.
    pub fn with_person<T>(&self, key: &str, work: impl FnOnce(&str) -> T) -> T {
        let links = self.links.read();
        match links.person.get(key).map(Arc::clone) {
            Some(person) => {
                drop(links);
                work(&person)
            }
            None => {
                drop(links);
                work(key)
            }
        }
    }

    /// The person an id belongs to.
    #[must_use]
    pub fn of(&self, id: &str) -> Arc<str> {
        self.person(&self.key(id))
    }

    /// The linked ids of a person, the oldest first; nothing for a key that is not linked.
    #[must_use]
    pub fn members(&self, person: &str) -> Vec<Member> {
        self.links.read().members.get(person).cloned().unwrap_or_default()
    }

    /// All keys of a person, at least their own.
    #[must_use]
    pub fn keys(&self, person: &str) -> Vec<Arc<str>> {
        match self.links.read().members.get(person) {
            Some(members) => members.iter().map(|member| Arc::clone(&member.key)).collect(),
            None => vec![person.into()],
        }
    }

    /// Number of linked ids.
    #[must_use]
    pub fn linked(&self) -> usize {
        self.links.read().person.len()
    }

    /// Makes one person of these keys, each with its kind, and of everybody they are linked with. The first key's person
    /// stays.
    ///
    /// # Errors
    /// [`StateError::Rejected`] with `two_logins` or `too_many_ids`, nothing is changed then; [`StateError::Database`],
    /// [`StateError::ReadOnly`].
    pub fn link(&self, ids: &[(String, String)], now: TimeMs) -> Result<Regrouped> {
        let Some((first, _)) = ids.first() else { return Ok(Regrouped { persons: vec![], gone: vec![] }) };
        let person = self.person(first);
        let mut members: Vec<Member> = Vec::new();
        let mut gone = Vec::new();
        for (key, kind) in ids {
            let other = self.person(key);
            if members.iter().any(|member| member.key == other) || gone.contains(&other) {
                continue;
            }
            let known = self.members(&other);
            if known.is_empty() {
                members.push(Member { key: Arc::clone(&other), kind: kind.clone(), since: now });
            }
            members.extend(known);
            if other != person {
                gone.push(other);
            }
        }
        // a kind that is told anew stands
        for member in &mut members {
            if let Some((_, kind)) = ids.iter().rev().find(|(key, _)| **key == *member.key) {
                member.kind.clone_from(kind);
            }
        }
        let refused =
            |code, detail| Err(StateError::Rejected { what: "visitor", name: person.to_string(), code, detail });
        if members.len() > MOST_IDS {
            return refused("too_many_ids", format!("{} ids would be one visitor, at most {MOST_IDS}", members.len()));
        }
        let logins = members.iter().filter(|member| member.kind == LOGIN).count();
        if logins > 1 {
            let detail = format!(
                "{logins} logins would be one visitor: a shared device links people who are not one; unlink it from the \
                 other login first"
            );
            return refused("two_logins", detail);
        }
        self.write(&members, &person, &[])?;
        let mut links = self.links.write();
        for person in &gone {
            links.members.remove(person);
        }
        links.person.extend(members.iter().map(|member| (Arc::clone(&member.key), Arc::clone(&person))));
        links.members.insert(Arc::clone(&person), members);
        Ok(Regrouped { persons: vec![person], gone })
    }

    /// Takes a key out of its person; `None` when it is not linked.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::ReadOnly`].
    pub fn unlink(&self, key: &str) -> Result<Option<Regrouped>> {
        let before = self.person(key);
        let mut rest = self.members(&before);
        let Some(at) = rest.iter().position(|member| *member.key == *key) else { return Ok(None) };
        let alone = rest.remove(at).key;
        // the others go on under their own name when the one that stood for them leaves
        let person =
            if alone == before { rest.first().map(|member| Arc::clone(&member.key)) } else { Some(before.clone()) };
        let single = rest.len() == 1;
        let leaving: Vec<Arc<str>> =
            rest.iter().filter(|_| single).map(|member| Arc::clone(&member.key)).chain([Arc::clone(&alone)]).collect();
        let staying: &[Member] = if single { &[] } else { &rest };
        let person = person.unwrap_or_else(|| Arc::clone(&alone));
        self.write(staying, &person, &leaving)?;
        let mut links = self.links.write();
        links.members.remove(&before);
        for key in &leaving {
            links.person.remove(key);
        }
        for member in staying {
            links.person.insert(Arc::clone(&member.key), Arc::clone(&person));
        }
        if !staying.is_empty() {
            links.members.insert(Arc::clone(&person), staying.to_vec());
        }
        let persons = if person == alone { vec![alone] } else { vec![person, alone] };
        Ok(Some(Regrouped { gone: if persons.contains(&before) { vec![] } else { vec![before] }, persons }))
    }

    /// Forgets the links of a person; returns all keys they had.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::ReadOnly`].
    pub fn forget(&self, person: &str) -> Result<Vec<Arc<str>>> {
        let keys = self.keys(person);
        self.write(&[], person, &keys)?;
        // neither may the list of changes name them
        self.rewrite_changes(|_, named| {
            let left: Vec<Arc<str>> = named.iter().filter(|key| !keys.contains(key)).map(Arc::clone).collect();
            (!left.is_empty()).then_some(left)
        })?;
        let mut links = self.links.write();
        links.members.remove(person);
        for key in &keys {
            links.person.remove(key);
        }
        Ok(keys)
    }

    fn write(&self, members: &[Member], person: &str, leaving: &[Arc<str>]) -> Result<()> {
        let mut db = self.db.lock();
        let db = db.as_mut().ok_or(StateError::ReadOnly)?;
        let tx = db.transaction().during("write links")?;
        for key in leaving {
            tx.execute("DELETE FROM links WHERE key = ?1", [&**key]).during("write links")?;
        }
        for member in members {
            let stored = Stored { person: person.into(), kind: member.kind.clone(), since: member.since };
            let json = serde_json::to_vec(&stored).unwrap_or_default();
            let sealed = db::seal(member.key.as_bytes(), &json);
            tx.execute("INSERT OR REPLACE INTO links VALUES(?1, ?2)", params![&*member.key, sealed])
                .during("write links")?;
        }
        let number = self.last.load(Ordering::Relaxed) + 1;
        let keys: Vec<&str> =
            members.iter().map(|member| &*member.key).chain(leaving.iter().map(|key| &**key)).collect();
        put_change(&tx, number, &keys)?;
        tx.commit().during("write links")?;
        self.last.store(number, Ordering::Relaxed);
        Ok(())
    }

    /// The number of the last change of links, and whom the changes are about that were not settled yet.
    ///
    /// # Errors
    /// [`StateError::Damaged`], [`StateError::Database`].
    pub(crate) fn unsettled(&self) -> Result<(u64, Vec<Arc<str>>)> {
        let db = self.db.lock();
        let Some(db) = db.as_ref() else { return Ok((0, Vec::new())) };
        let mut keys: Vec<Arc<str>> = changes(db)?.into_iter().flat_map(|(_, keys)| keys).collect();
        keys.sort_unstable();
        keys.dedup();
        Ok((self.last.load(Ordering::Relaxed), keys))
    }

    /// The number of the last change of links.
    pub(crate) fn changes(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    /// The folds are kept as they are after a change: it and those before need not be known any more.
    ///
    /// # Errors
    /// [`StateError::Damaged`], [`StateError::Database`].
    pub(crate) fn settle(&self, last: u64) -> Result<()> {
        self.rewrite_changes(|number, keys| (number > last).then(|| keys.to_vec()))
    }

    /// Leaves of each change what `left` makes of it.
    fn rewrite_changes(&self, left: impl Fn(u64, &[Arc<str>]) -> Option<Vec<Arc<str>>>) -> Result<()> {
        let mut db = self.db.lock();
        let db = db.as_mut().ok_or(StateError::ReadOnly)?;
        let all = changes(db)?;
        if all.is_empty() {
            return Ok(());
        }
        let tx = db.transaction().during("write links")?;
        for (number, keys) in all {
            match left(number, &keys) {
                Some(left) if left == keys => {}
                Some(left) => put_change(&tx, number, &left)?,
                None => {
                    tx.execute("DELETE FROM changes WHERE number = ?1", [number.cast_signed()])
                        .during("write links")?;
                }
            }
        }
        tx.commit().during("write links")
    }
}

fn put_change<K: AsRef<str>>(tx: &Transaction<'_>, number: u64, keys: &[K]) -> Result<()> {
    let mut bytes = Vec::new();
    keys.iter().for_each(|key| put_text(&mut bytes, key.as_ref()));
    let sealed = db::seal(&number.to_le_bytes(), &bytes);
    tx.execute("INSERT OR REPLACE INTO changes VALUES(?1, ?2)", params![number.cast_signed(), sealed])
        .during("write links")
        .map(drop)
}

/// Every change of links that is not settled: its number and the keys it is about.
fn changes(db: &Connection) -> Result<Vec<(u64, Vec<Arc<str>>)>> {
    let mut select = db.prepare("SELECT number, sealed FROM changes ORDER BY number").during("read links")?;
    let mut rows = select.query([]).during("read links")?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().during("read links")? {
        let (number, sealed): (i64, Vec<u8>) = row.get(0).and_then(|n| Ok((n, row.get(1)?))).during("read links")?;
        let number = number.cast_unsigned();
        let mut from = Reader { bytes: db::unseal("change of links", &number.to_le_bytes(), &sealed)? };
        let mut keys = Vec::new();
        while !from.bytes.is_empty() {
            let damaged =
                || StateError::Damaged { what: format!("change of links {number}"), detail: "it is cut".into() };
            keys.push(from.str().ok_or_else(damaged)?.into());
        }
        all.push((number, keys));
    }
    Ok(all)
}

fn load(db: &Connection) -> Result<Links> {
    let mut links = Links::default();
    let mut select = db.prepare("SELECT key, sealed FROM links").during("read links")?;
    let mut rows = select.query([]).during("read links")?;
    while let Some(row) = rows.next().during("read links")? {
        let (key, sealed): (String, Vec<u8>) =
            row.get(0).and_then(|key| Ok((key, row.get(1)?))).during("read links")?;
        let json = db::unseal("link", key.as_bytes(), &sealed)?;
        let Stored { person, kind, since } = serde_json::from_slice(json)
            .map_err(|e| StateError::Damaged { what: format!("link {key}"), detail: e.to_string() })?;
        let key: Arc<str> = key.into();
        links.person.insert(Arc::clone(&key), Arc::clone(&person));
        links.members.entry(person).or_default().push(Member { key, kind, since });
    }
    for (person, members) in &mut links.members {
        members.sort_by(|a, b| (a.key != *person, a.since, &a.key).cmp(&(b.key != *person, b.since, &b.key)));
    }
    Ok(links)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
