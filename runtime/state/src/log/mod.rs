//! The event log: the source of truth. What is acknowledged is on disk; what was seen once is not taken twice.
//!
//! [`EventLog`] is the store, [`SqliteLog`] its embedded implementation, [`Writer`] the one thread that appends:
//! it gathers what waits into one commit, answers after the sync, and hands the new events to the folds in log order.

mod codec;
mod mark;
mod rows;
pub(crate) mod sealed;
mod seen;
mod sqlite;
mod writer;

pub use sqlite::SqliteLog;
pub use writer::{Done, Writer};

use crate::error::Result;
use qianmian_core::{Event, TimeMs};
use sha2::{Digest, Sha256};
use std::ops::ControlFlow;
use std::sync::Arc;

/// What an event is called in short: a hash of its id. Collisions must not be constructible, or one sender could silence
/// another's events.
pub(crate) fn short_id(id: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(id.as_bytes())[..16]);
    short
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Aligned with the batch; false for a duplicate of an earlier event, in the log or in the batch itself.
    pub accepted: Vec<bool>,
    /// Offset of the first accepted event; 0 when none was.
    pub first_offset: u64,
    /// Offset of the last accepted event; 0 when none was. Accepted events of one batch have consecutive offsets.
    pub last_offset: u64,
}

/// A run of stored events, in log order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// Rising, aligned with `events`; erased events leave gaps.
    pub offsets: Vec<u64>,
    /// The events.
    pub events: Vec<Event>,
}

/// Keeps events in the order they came, by offset from 1.
pub trait EventLog: Send + Sync {
    /// Stores the events that are not there yet, all or none. They are durable when the call returns.
    ///
    /// # Errors
    /// [`crate::StateError::Database`], [`crate::StateError::ReadOnly`]; nothing was stored then.
    fn append(&self, batch: &[Event]) -> Result<Appended>;

    /// Visits the stored events from an offset on, in chunks of a few thousand, until the end of the log or until
    /// `visit` breaks. Events appended meanwhile may be visited; no lock is held during a visit.
    ///
    /// # Errors
    /// [`crate::StateError::Damaged`] when a chunk fails its checksum, [`crate::StateError::Database`].
    fn scan(&self, from: u64, visit: &mut dyn FnMut(Chunk) -> ControlFlow<()>) -> Result<()>;

    /// Visits the stored events of these visitors in log order, without reading the whole log.
    ///
    /// # Errors
    /// As [`EventLog::scan`].
    fn of(&self, visitors: &[Arc<str>], visit: &mut dyn FnMut(Chunk)) -> Result<()>;

    /// Removes every event of these visitors from the disk and returns how many there were. Their offsets stay unused
    /// and their ids stay known (as hashes), so that a delayed retry does not bring them back.
    ///
    /// # Errors
    /// As [`EventLog::append`] and [`EventLog::scan`]; nothing was removed then.
    fn erase(&self, visitors: &[Arc<str>]) -> Result<u64>;

    /// Removes the events that happened before `before` from the disk and returns how many there were. Ids of runs that
    /// are gone as a whole are forgotten: what is older must not be taken any more.
    ///
    /// # Errors
    /// As [`EventLog::erase`].
    fn expire(&self, before: TimeMs) -> Result<u64>;

    /// Takes what was removed out of the places where a database keeps older copies. False when a reader is in the way:
    /// try again.
    ///
    /// # Errors
    /// [`crate::StateError::Database`], [`crate::StateError::ReadOnly`].
    fn scrub(&self) -> Result<bool>;

    /// What the event at an offset was called, in short, erased or not; `None` where the log has none. It tells whether
    /// something folded up to there was folded from this log.
    ///
    /// # Errors
    /// As [`EventLog::scan`].
    fn id_at(&self, offset: u64) -> Result<Option<[u8; 16]>>;

    /// Number of events, without the erased ones.
    fn len(&self) -> u64;

    /// True when there is no event.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The highest offset given out; 0 before the first event.
    fn last_offset(&self) -> u64;
}
