//! Campaigns: items set aside for a time, each with a quota that stops exactly at its number.
//!
//! A reservation is taken under one lock and is on disk before it is answered, so that no crash and no crowd sells one
//! more than there is. Reservations that wait for the disk share a commit.

use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use qianmian_core::TimeMs;
use rusqlite::{Connection, params};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

const FILE: &str = "campaigns.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE campaigns(name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE reservations(campaign TEXT NOT NULL, id TEXT NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY(campaign, id)) WITHOUT ROWID";

/// A campaign: when, what, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Open from this moment on.
    pub from: TimeMs,
    /// Until just before this one.
    pub to: TimeMs,
    /// Units that may be reserved, by item.
    pub quotas: Vec<(String, u64)>,
    /// Units of all items one visitor may reserve; `None` for no limit.
    pub per_visitor: Option<u64>,
}

/// Units that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The item.
    pub item: String,
    /// How many.
    pub quantity: u64,
    /// For whom: the key of the id that reserved, so that links and their end are followed.
    pub visitor: Option<String>,
    /// When.
    pub time: TimeMs,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken; so many are left.
    Reserved {
        /// Units left of the item.
        left: u64,
    },
    /// It was taken before, by the same id.
    Known {
        /// Units left of the item.
        left: u64,
    },
    /// Not enough are left.
    SoldOut {
        /// Units left of the item.
        left: u64,
    },
    /// The visitor has as many as one may.
    OneMayNot {
        /// Units the visitor may still have.
        left: u64,
    },
    /// It is not the time.
    Closed,
    /// The item is not part of it.
    NotInIt,
    /// The id was used for another item or quantity.
    OtherUse,
}

/// A campaign with its counts.
struct Running {
    campaign: Campaign,
    /// Units reserved, aligned with the quotas.
    reserved: Vec<u64>,
    of_visitor: FxHashMap<String, u64>,
    ids: FxHashMap<String, Reservation>,
}

impl Running {
    fn new(campaign: Campaign) -> Self {
        let reserved = vec![0; campaign.quotas.len()];
        Self { campaign, reserved, of_visitor: FxHashMap::default(), ids: FxHashMap::default() }
    }

    fn place(&self, item: &str) -> Option<usize> {
        self.campaign.quotas.iter().position(|(known, _)| known == item)
    }

    fn left(&self, at: usize) -> u64 {
        self.campaign.quotas[at].1.saturating_sub(self.reserved[at])
    }

    fn book(&mut self, id: String, reservation: Reservation) {
        if let Some(at) = self.place(&reservation.item) {
            self.reserved[at] += reservation.quantity;
        }
        if let Some(visitor) = &reservation.visitor {
            *self.of_visitor.entry(visitor.clone()).or_default() += reservation.quantity;
        }
        self.ids.insert(id, reservation);
    }

    fn free(&mut self, id: &str) -> Option<Reservation> {
        let reservation = self.ids.remove(id)?;
        if let Some(at) = self.place(&reservation.item) {
            self.reserved[at] = self.reserved[at].saturating_sub(reservation.quantity);
        }
        if let Some(count) = reservation.visitor.as_ref().and_then(|visitor| self.of_visitor.get_mut(visitor)) {
            *count = count.saturating_sub(reservation.quantity);
        }
        Some(reservation)
    }
}

/// A change that waits for the disk.
enum Change {
    Reserve(Reservation),
    Release,
}

/// What waits, and what became of what waited.
#[derive(Default)]
struct Queue {
    waiting: Vec<(u64, String, String, Change)>,
    /// Everything up to this ticket is on disk.
    stored: u64,
    /// Tickets that could not be stored.
    failed: FxHashMap<u64, String>,
    next: u64,
    /// Somebody writes now.
    writing: bool,
}

/// Which items a campaign holds units of now: items by id, with the window and whether any are left.
pub type Open = FxHashMap<String, Vec<(TimeMs, TimeMs, bool)>>;

/// All campaigns.
pub struct Campaigns {
    running: Mutex<FxHashMap<String, Running>>,
    open: Arc<ArcSwap<Open>>,
    queue: Mutex<Queue>,
    stored: Condvar,
    db: Mutex<Connection>,
}

impl Campaigns {
    /// Opens the campaigns in `dir`, or none in memory.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::Format`], [`StateError::Damaged`].
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        let db = db::open(&Place::new(dir, FILE), FILE, FORMAT, SCHEMA, Journal::Rollback)?;
        Self::over(db)
    }

    /// A view of the campaigns in `dir`, or of none where there are none yet.
    ///
    /// # Errors
    /// As [`Campaigns::open`].
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        Self::over(db::open_read_only_or_empty(dir, FILE, FORMAT, SCHEMA)?)
    }

    fn over(db: Connection) -> Result<Self> {
        let running = load(&db)?;
        let open = Arc::new(ArcSwap::from_pointee(open_items(&running)));
        Ok(Self {
            running: Mutex::new(running),
            open,
            queue: Mutex::new(Queue { next: 1, ..Queue::default() }),
            stored: Condvar::new(),
            db: Mutex::new(db),
        })
    }

    /// Creates or changes a campaign. What is reserved stays reserved, above a quota that was lowered too.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn put(&self, name: &str, campaign: Campaign) -> Result<()> {
        let mut running = self.running.lock();
        let json = serde_json::to_vec(&campaign).unwrap_or_default();
        self.db
            .lock()
            .execute("INSERT OR REPLACE INTO campaigns VALUES(?1, ?2)", params![name, db::seal(name.as_bytes(), &json)])
            .during("store a campaign")?;
        let mut new = Running::new(campaign);
        if let Some(before) = running.remove(name) {
            before.ids.into_iter().for_each(|(id, reservation)| new.book(id, reservation));
        }
        running.insert(name.to_owned(), new);
        self.open.store(Arc::new(open_items(&running)));
        Ok(())
    }

    /// Takes a campaign and its reservations away; false when there is none.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn delete(&self, name: &str) -> Result<bool> {
        let mut running = self.running.lock();
        if !running.contains_key(name) {
            return Ok(false);
        }
        let mut db = self.db.lock();
        let tx = db.transaction().during("delete a campaign")?;
        tx.execute("DELETE FROM reservations WHERE campaign = ?1", [name]).during("delete a campaign")?;
        tx.execute("DELETE FROM campaigns WHERE name = ?1", [name]).during("delete a campaign")?;
        tx.commit().during("delete a campaign")?;
        running.remove(name);
        self.open.store(Arc::new(open_items(&running)));
        Ok(true)
    }

    /// A campaign with the units reserved of each item; `None` when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(Campaign, Vec<u64>)> {
        let running = self.running.lock();
        running.get(name).map(|one| (one.campaign.clone(), one.reserved.clone()))
    }

    /// The names of all campaigns.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.running.lock().keys().cloned().collect();
        names.sort();
        names
    }

    /// The items of campaigns as they change, for whether they may be shown.
    #[must_use]
    pub fn items(&self) -> Arc<ArcSwap<Open>> {
        Arc::clone(&self.open)
    }

    /// Takes units, durable when the call returns. The same id again is the same reservation. `None` without such a
    /// campaign. `person` are all keys of whom it is for: what any of them has reserved counts for the limit of one visitor.
    ///
    /// # Errors
    /// [`StateError::NotStored`]; nothing was taken then.
    pub fn reserve(&self, name: &str, id: &str, wanted: Reservation, person: &[Arc<str>]) -> Result<Option<Outcome>> {
        let ticket;
        let outcome;
        {
            let mut running = self.running.lock();
            let Some(one) = running.get_mut(name) else { return Ok(None) };
            let Some(at) = one.place(&wanted.item) else { return Ok(Some(Outcome::NotInIt)) };
            if let Some(known) = one.ids.get(id) {
                let same = known.item == wanted.item && known.quantity == wanted.quantity;
                let left = one.left(at);
                outcome = if same { Outcome::Known { left } } else { Outcome::OtherUse };
                // it may be another's that is still on its way to the disk
                ticket = self.queue.lock().next - 1;
            } else {
                if wanted.time < one.campaign.from || wanted.time >= one.campaign.to {
                    return Ok(Some(Outcome::Closed));
                }
                let left = one.left(at);
                if wanted.quantity > left {
                    return Ok(Some(Outcome::SoldOut { left }));
                }
                if let Some(most) = one.campaign.per_visitor {
                    let has: u64 = person.iter().filter_map(|key| one.of_visitor.get(&**key)).sum();
                    let room = most.saturating_sub(has);
                    if wanted.quantity > room {
                        return Ok(Some(Outcome::OneMayNot { left: room }));
                    }
                }
                one.book(id.to_owned(), wanted.clone());
                outcome = Outcome::Reserved { left: one.left(at) };
                ticket = self.enter(name, id, Change::Reserve(wanted));
                if one.left(at) == 0 {
                    self.open.store(Arc::new(open_items(&running)));
                }
            }
        }
        let own = matches!(outcome, Outcome::Reserved { .. });
        if let Err(error) = self.wait(ticket, own) {
            if own {
                let mut running = self.running.lock();
                running.get_mut(name).and_then(|one| one.free(id));
                self.open.store(Arc::new(open_items(&running)));
            }
            return Err(error);
        }
        Ok(Some(outcome))
    }

    /// Gives units back, durable when the call returns; `None` when nothing is reserved by this id.
    ///
    /// # Errors
    /// [`StateError::NotStored`]; the units are free until the state is next opened then.
    pub fn release(&self, name: &str, id: &str) -> Result<Option<Reservation>> {
        let (freed, ticket) = {
            let mut running = self.running.lock();
            let Some(freed) = running.get_mut(name).and_then(|one| one.free(id)) else { return Ok(None) };
            let ticket = self.enter(name, id, Change::Release);
            self.open.store(Arc::new(open_items(&running)));
            (freed, ticket)
        };
        self.wait(ticket, true)?;
        Ok(Some(freed))
    }

    /// Takes the names of erased visitors off their reservations, which stay: somebody has to deliver them. Returns how many.
    ///
    /// # Errors
    /// [`StateError::NotStored`].
    pub fn forget(&self, keys: &[Arc<str>]) -> Result<usize> {
        let (mut last, mut named) = (None, 0);
        {
            let mut running = self.running.lock();
            for (name, one) in running.iter_mut() {
                let theirs =
                    |of: &Option<String>| of.as_ref().is_some_and(|key| keys.iter().any(|gone| **gone == **key));
                for (id, reservation) in one.ids.iter_mut().filter(|(_, reservation)| theirs(&reservation.visitor)) {
                    reservation.visitor = None;
                    named += 1;
                    last = Some(self.enter(name, id, Change::Reserve(reservation.clone())));
                }
                for key in keys {
                    one.of_visitor.remove(&**key);
                }
            }
        }
        last.map_or(Ok(()), |ticket| self.wait(ticket, true))?;
        Ok(named)
    }

    fn enter(&self, name: &str, id: &str, change: Change) -> u64 {
        let mut queue = self.queue.lock();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push((ticket, name.to_owned(), id.to_owned(), change));
        ticket
    }

    /// Waits until everything up to a ticket is on disk; whoever finds nobody writing writes for all that wait.
    fn wait(&self, ticket: u64, own: bool) -> Result<()> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(detail) = queue.failed.get(&ticket).cloned() {
                if own {
                    queue.failed.remove(&ticket);
                }
                return Err(StateError::NotStored { detail });
            }
            if queue.stored >= ticket {
                return Ok(());
            }
            if queue.writing {
                self.stored.wait(&mut queue);
                continue;
            }
            queue.writing = true;
            let batch = std::mem::take(&mut queue.waiting);
            drop(queue);
            let written = self.write(&batch);
            queue = self.queue.lock();
            queue.writing = false;
            queue.stored = queue.stored.max(batch.last().map_or(ticket, |(last, ..)| *last));
            if let Err(error) = written {
                let detail = error.to_string();
                queue.failed.extend(batch.iter().map(|(ticket, ..)| (*ticket, detail.clone())));
            }
            self.stored.notify_all();
        }
    }

    fn write(&self, batch: &[(u64, String, String, Change)]) -> Result<()> {
        let mut db = self.db.lock();
        let tx = db.transaction().during("store reservations")?;
        for (_, campaign, id, change) in batch {
            match change {
                Change::Reserve(reservation) => {
                    let json = serde_json::to_vec(reservation).unwrap_or_default();
                    let sealed = db::seal(&key(campaign, id), &json);
                    tx.prepare_cached("INSERT OR REPLACE INTO reservations VALUES(?1, ?2, ?3)")
                        .and_then(|mut insert| insert.execute(params![campaign, id, sealed]))
                }
                Change::Release => tx
                    .prepare_cached("DELETE FROM reservations WHERE campaign = ?1 AND id = ?2")
                    .and_then(|mut delete| delete.execute(params![campaign, id])),
            }
            .during("store reservations")?;
        }
        tx.commit().during("store reservations")
    }
}

fn key(campaign: &str, id: &str) -> Vec<u8> {
    format!("{campaign}/{id}").into_bytes()
}

/// A stored reservation with another visitor: a backup holds none by name.
///
/// # Errors
/// [`StateError::Damaged`], and those of `rename`.
pub(crate) fn renamed(
    campaign: &str,
    id: &str,
    sealed: &[u8],
    rename: impl FnOnce(Option<String>) -> Result<Option<String>>,
) -> Result<Vec<u8>> {
    let key = key(campaign, id);
    let mut reservation: Reservation = serde_json::from_slice(db::unseal("reservation", &key, sealed)?)
        .map_err(|e| StateError::Damaged { what: format!("reservation {id}"), detail: e.to_string() })?;
    reservation.visitor = rename(reservation.visitor.take())?;
    Ok(db::seal(&key, &serde_json::to_vec(&reservation).unwrap_or_default()))
}

fn open_items(running: &FxHashMap<String, Running>) -> Open {
    let mut open = Open::default();
    for one in running.values() {
        for (at, (item, _)) in one.campaign.quotas.iter().enumerate() {
            let window = (one.campaign.from, one.campaign.to, one.left(at) > 0);
            open.entry(item.clone()).or_default().push(window);
        }
    }
    open
}

fn load(db: &Connection) -> Result<FxHashMap<String, Running>> {
    let damaged = |what: String, e: serde_json::Error| StateError::Damaged { what, detail: e.to_string() };
    let mut running = FxHashMap::default();
    let mut select = db.prepare("SELECT name, sealed FROM campaigns").during("read campaigns")?;
    let mut rows = select.query([]).during("read campaigns")?;
    while let Some(row) = rows.next().during("read campaigns")? {
        let (name, sealed): (String, Vec<u8>) = (|| Ok((row.get(0)?, row.get(1)?)))().during("read campaigns")?;
        let json = db::unseal("campaign", name.as_bytes(), &sealed)?;
        let campaign = serde_json::from_slice(json).map_err(|e| damaged(format!("campaign {name}"), e))?;
        running.insert(name, Running::new(campaign));
    }
    let mut select = db.prepare("SELECT campaign, id, sealed FROM reservations").during("read reservations")?;
    let mut rows = select.query([]).during("read reservations")?;
    while let Some(row) = rows.next().during("read reservations")? {
        let (campaign, id, sealed): (String, String, Vec<u8>) =
            (|| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))().during("read reservations")?;
        let json = db::unseal("reservation", &key(&campaign, &id), &sealed)?;
        let reservation = serde_json::from_slice(json).map_err(|e| damaged(format!("reservation {id}"), e))?;
        let gone = || StateError::Damaged {
            what: format!("reservation {id}"),
            detail: format!("its campaign {campaign:?} is not there"),
        };
        running.get_mut(&campaign).ok_or_else(gone)?.book(id.clone(), reservation);
    }
    Ok(running)
}

#[cfg(test)]
#[path = "campaigns_tests.rs"]
mod tests;
