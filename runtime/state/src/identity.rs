//! What is done to a person as a whole: linking ids, unlinking one, erasing all that is known.
//!
//! Each runs between two commits of the log, so that no event is stored but not folded yet, and leaves its trace in the
//! audit trail.

use crate::audit::{Audit, AuditFilter};
use crate::backup;
use crate::campaigns::Campaigns;
use crate::captures::Captures;
use crate::error::Result;
use crate::fold::Folds;
use crate::log::EventLog;
use crate::people::{Member, People, Regrouped};
use crate::state::State;
use qianmian_core::{Event, TimeMs};
use rustc_hash::FxHashSet;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const ERASING: &str = "visitor.erase";
const ERASED: &str = "visitor.erased";
/// Erasures looked through for unfinished ones when the state is opened.
const LATEST: usize = 10_000;

/// What an erasure took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Ids that were linked, the one named included.
    pub ids: usize,
    /// Events of the log.
    pub events: u64,
    /// Captured answers.
    pub captures: usize,
    /// Secrets without which backups cannot be read about them.
    pub secrets: usize,
    /// Reservations that named them.
    pub reservations: usize,
    /// Lists that named them.
    pub lists: usize,
    /// They had a profile.
    pub profile: bool,
}

impl Erased {
    /// Whether there was anything of them.
    #[must_use]
    pub fn found(&self) -> bool {
        let counts = [self.captures, self.secrets, self.reservations, self.lists];
        self.profile || self.ids > 1 || self.events > 0 || counts.iter().any(|count| *count > 0)
    }
}

/// A person after a change of links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The key that stands for them.
    pub person: Arc<str>,
    /// All their ids; empty when nothing is linked.
    pub ids: Vec<Member>,
    /// Events their profile was folded from.
    pub events: u64,
}

impl State {
    /// Makes one person of these ids, each with what it is (`login`, `device` ...), and folds their profile anew from
    /// the events of all of them.
    ///
    /// # Errors
    /// As [`People::link`], and [`crate::StateError::Stopped`].
    pub fn link_visitors(&self, ids: &[(String, String)]) -> Result<Linked> {
        let (people, audit) = (Arc::clone(&self.people), Arc::clone(&self.audit));
        let (log, folds) = (Arc::clone(&self.log), Arc::clone(&self.folds));
        let keys: Vec<(String, String)> = ids.iter().map(|(id, kind)| (people.key(id), kind.clone())).collect();
        self.writer()?.between_commits(move || {
            let now = now();
            let regrouped = people.link(&keys, now)?;
            let events = refold(&regrouped, &people, &*log, &folds)?;
            let person = people.person(keys.first().map_or("", |(key, _)| key));
            for (key, kind) in &keys {
                let detail = json!({ "kind": kind, "person": &*person, "events": events });
                audit.add(now, "visitor.link", Some(key), detail)?;
            }
            Ok(Linked { ids: people.members(&person), person, events })
        })?
    }

    /// Makes a visitor of its own of an id that was linked; both profiles are folded anew. `None` when it is not linked.
    ///
    /// # Errors
    /// As [`People::unlink`], and [`crate::StateError::Stopped`].
    pub fn unlink_visitor(&self, id: &str) -> Result<Option<Linked>> {
        let (people, audit) = (Arc::clone(&self.people), Arc::clone(&self.audit));
        let (log, folds, key) = (Arc::clone(&self.log), Arc::clone(&self.folds), self.people.key(id));
        self.writer()?.between_commits(move || {
            let from = people.person(&key);
            let Some(regrouped) = people.unlink(&key)? else { return Ok(None) };
            refold(&regrouped, &people, &*log, &folds)?;
            audit.add(now(), "visitor.unlink", Some(&key), json!({ "person": &*from }))?;
            let mut events = 0;
            log.of(&[key.as_str().into()], &mut |chunk| events += chunk.events.len() as u64)?;
            Ok(Some(Linked { person: key.as_str().into(), ids: vec![], events }))
        })?
    }

    /// Erases a person with all their ids: their events from the log, their captures, their profile, their links, their
    /// share of the sums over all visitors (an item's orders), and what backups hold of them.
    ///
    /// # Errors
    /// As [`EventLog::erase`], and [`crate::StateError::Stopped`]. What was begun is finished when the state is next opened.
    pub fn erase_visitor(&self, id: &str) -> Result<Erased> {
        self.erase_listed(id, 0)
    }

    /// As [`State::erase_visitor`], of somebody whose keys were taken off so many lists already.
    ///
    /// # Errors
    /// As [`State::erase_visitor`].
    pub fn erase_listed(&self, id: &str, lists: usize) -> Result<Erased> {
        let (people, audit) = (Arc::clone(&self.people), Arc::clone(&self.audit));
        let (log, folds) = (Arc::clone(&self.log), Arc::clone(&self.folds));
        let (captures, person) = (Arc::clone(&self.captures), self.people.of(id));
        let (campaigns, folder) = (Arc::clone(&self.campaigns), self.folder().map(Path::to_path_buf));
        let (keys, erased) = self.writer()?.between_commits(move || -> Result<_> {
            let keys = people.keys(&person);
            let profile = !folds.visitor(&person).is_unknown();
            if profile || keys.len() > 1 || lists > 0 {
                for key in &keys {
                    audit.add(now(), ERASING, Some(key), json!({ "person": &*person }))?;
                }
            }
            let mut events = Vec::new();
            log.of(&keys, &mut |chunk| events.extend(chunk.events))?;
            // the log first: what is tried again after a failure must not be taken out of the sums twice
            let mut erased = erase(&keys, &*log, &captures)?;
            folds.erase(&person, &events)?;
            people.forget(&person)?;
            (erased.lists, erased.profile) = (lists, profile);
            erased.reservations = campaigns.forget(&keys)?;
            erased.secrets = backup::destroy(folder.as_deref(), &keys)?;
            // what was not known but captured or reserved, or is in backups only, leaves its proof too
            if erased.found() {
                prove(&audit, &keys, erased)?;
            }
            Ok((keys, erased))
        })??;
        if let Some(keeper) = self.keeper() {
            keeper.sweep(keys);
        }
        Ok(erased)
    }
}

/// Takes everything of these keys from the disk.
fn erase(keys: &[Arc<str>], log: &dyn EventLog, captures: &Captures) -> Result<Erased> {
    let events = log.erase(keys)?;
    let captured = keys.iter().map(|key| captures.erase_visitor(key)).sum::<Result<usize>>()?;
    if events > 0 && !log.scrub()? {
        tracing::warn!("erased events linger in the write-ahead log: a reader is active; it is tried again");
    }
    Ok(Erased { ids: keys.len(), events, captures: captured, ..Erased::default() })
}

fn prove(audit: &Audit, keys: &[Arc<str>], erased: Erased) -> Result<()> {
    let Erased { ids, events, captures, secrets, reservations, lists, .. } = erased;
    for key in keys {
        let detail = json!({
            "ids": ids, "events": events, "captures": captures, "backup_secrets": secrets, "reservations": reservations,
            "lists": lists,
        });
        audit.add(now(), ERASED, Some(key), detail)?;
    }
    Ok(())
}

/// Finishes the erasures that a crash cut short; `clear` empties what is kept of the folds, which may still hold them.
pub(crate) fn finish_erasures(
    audit: &Audit,
    log: &dyn EventLog,
    captures: &Captures,
    (people, campaigns): (&People, &Campaigns),
    dir: Option<&Path>,
    clear: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let filter = AuditFilter { action: Some(ERASING.into()), limit: LATEST, ..AuditFilter::default() };
    let mut done = FxHashSet::default();
    let mut left: Vec<Arc<str>> = Vec::new();
    for entry in audit.list(&filter)? {
        let Some(subject) = entry.subject else { continue };
        if entry.action == ERASED {
            done.insert(subject);
        } else if !done.remove(&subject) {
            left.push(subject.into());
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    tracing::warn!(visitors = left.len(), "finishing erasures that were cut short");
    let mut erased = erase(&left, log, captures)?;
    for key in &left {
        people.forget(&people.person(key))?;
    }
    erased.reservations = campaigns.forget(&left)?;
    // no proof before the last of it is gone
    clear()?;
    erased.secrets = backup::destroy(dir, &left)?;
    prove(audit, &left, erased)
}

/// Folds the persons of a change anew, and forgets those that are none any more; returns the first one's events.
fn refold(regrouped: &Regrouped, people: &People, log: &dyn EventLog, folds: &Folds) -> Result<u64> {
    let mut first = None;
    for person in &regrouped.persons {
        let mut events: Vec<Event> = Vec::new();
        log.of(&people.keys(person), &mut |chunk| events.extend(chunk.events))?;
        first.get_or_insert(events.len() as u64);
        folds.refold(person, &events);
    }
    for person in &regrouped.gone {
        folds.remove_visitor(person);
    }
    folds.settle(people.changes());
    Ok(first.unwrap_or(0))
}

/// Milliseconds since 1970 UTC, now.
pub(crate) fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs::try_from(since.as_millis()).unwrap_or(TimeMs::MAX)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
