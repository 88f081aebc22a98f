//! Keeps the data folder within what was agreed: events and profiles that are too old go, and so does what an erasure
//! left behind in a corner.

use crate::audit::Audit;
use crate::backup;
use crate::captures::Captures;
use crate::error::{Result, StateError};
use crate::fold::Folds;
use crate::identity::now;
use crate::log::EventLog;
use qianmian_core::DAY_MS;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often ages are looked at.
const EVERY: Duration = Duration::from_secs(3600);
/// When an erasure is looked after: an answer that was being composed then may have been captured since.
const LATER: Duration = Duration::from_secs(20);

/// How long things are kept; `None` means for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events of the log, by when they happened.
    pub log_days: Option<u32>,
    /// Profiles, by when the visitor was last seen.
    pub idle_days: Option<u32>,
}

/// The thread that does it. Dropping it stops it.
pub(crate) struct Keeper {
    swept: Option<Sender<Vec<Arc<str>>>>,
    thread: Option<JoinHandle<()>>,
}

struct Work {
    retention: Retention,
    log: Arc<dyn EventLog>,
    folds: Arc<Folds>,
    captures: Arc<Captures>,
    audit: Arc<Audit>,
    /// Where secrets of backups are.
    folder: Option<PathBuf>,
}

impl Keeper {
    pub fn start(
        retention: Retention,
        log: Arc<dyn EventLog>,
        folds: Arc<Folds>,
        captures: Arc<Captures>,
        audit: Arc<Audit>,
        folder: Option<PathBuf>,
    ) -> Result<Self> {
        let (swept, erased) = channel();
        let work = Work { retention, log, folds, captures, audit, folder };
        let thread = std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || work.run(&erased))
            .map_err(|source| StateError::Io { action: "start the thread of", path: "keeper".into(), source })?;
        Ok(Self { swept: Some(swept), thread: Some(thread) })
    }

    /// Looks after an erasure once more, a little later.
    pub fn sweep(&self, keys: Vec<Arc<str>>) {
        if let Some(swept) = &self.swept {
            // a keeper that is gone had a reason, which its log tells
            drop(swept.send(keys));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.swept = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the keeper had panicked");
        }
    }
}

impl Work {
    fn run(&self, erased: &Receiver<Vec<Arc<str>>>) {
        let mut ages = Instant::now();
        let mut sweeps: Vec<(Instant, Vec<Arc<str>>)> = Vec::new();
        loop {
            let now = Instant::now();
            if ages <= now {
                if let Err(error) = self.expire() {
                    tracing::error!(%error, "what is too old cannot be removed; it is tried again in an hour");
                }
                ages = now + EVERY;
            }
            sweeps.retain(|(due, keys)| *due > now || !self.sweep(keys));
            let next = sweeps.iter().map(|(due, _)| (*due).max(now + LATER / 4)).chain([ages]).min().unwrap_or(ages);
            match erased.recv_timeout(next.saturating_duration_since(now)) {
                Ok(keys) => sweeps.push((Instant::now() + LATER, keys)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// True when nothing is left.
    fn sweep(&self, keys: &[Arc<str>]) -> bool {
        let captured = keys.iter().map(|key| self.captures.erase_visitor(key)).sum::<Result<usize>>();
        let clean = captured.and_then(|captures| {
            // a backup may have read what was only now taken away
            if captures > 0 {
                backup::destroy(self.folder.as_deref(), keys)?;
            }
            Ok(self.log.scrub()? & self.folds.scrub()?)
        });
        clean.unwrap_or_else(|error| {
            tracing::error!(%error, "an erasure cannot be looked after; it is tried again");
            false
        })
    }

    fn expire(&self) -> Result<()> {
        if let Some(days) = self.retention.idle_days {
            let profiles = self.folds.expire_visitors(now() - i64::from(days) * DAY_MS);
            if profiles > 0 {
                tracing::info!(profiles, days, "idle profiles removed");
                self.audit.add(now(), "retention.profiles", None, json!({ "profiles": profiles, "days": days }))?;
            }
        }
        if let Some(days) = self.retention.log_days {
            let events = self.log.expire(now() - i64::from(days) * DAY_MS)?;
            if events > 0 {
                self.log.scrub()?;
                tracing::info!(events, days, "old events removed");
                self.audit.add(now(), "retention.events", None, json!({ "events": events, "days": days }))?;
            }
        }
        Ok(())
    }
}
