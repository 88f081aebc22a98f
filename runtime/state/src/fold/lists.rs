//! The thread that makes lists from counts, beside the folding.

use super::Folds;
use crate::error::{Result, StateError};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Least time between two times that lists are made; a tenth of the time is spent on them at most.
const EVERY: Duration = Duration::from_secs(1);

/// What is asked of the thread.
#[derive(Default)]
pub(super) struct Lists {
    asked: Mutex<Asked>,
    changed: Condvar,
    one: Mutex<()>,
}

#[derive(Default)]
struct Asked {
    /// Something was folded.
    wanted: bool,
    /// So much waits to be counted that it must not wait.
    soon: bool,
    stop: bool,
}

impl Lists {
    /// Says that something was folded, and whether its counts must be merged soon.
    pub fn want(&self, soon: bool) {
        let mut asked = self.asked.lock();
        if !asked.wanted || soon && !asked.soon {
            (asked.wanted, asked.soon) = (true, soon);
            self.changed.notify_all();
        }
    }

    /// Lists are made one time after the other.
    pub fn one(&self) -> MutexGuard<'_, ()> {
        self.one.lock()
    }

    /// Waits until something was folded, and until `due` unless it cannot wait; false when the thread is to end.
    fn wait(&self, due: Instant) -> bool {
        let mut asked = self.asked.lock();
        loop {
            if asked.stop {
                return false;
            }
            if asked.wanted && (asked.soon || Instant::now() >= due) {
                (asked.wanted, asked.soon) = (false, false);
                return true;
            }
            if asked.wanted {
                self.changed.wait_until(&mut asked, due);
            } else {
                self.changed.wait(&mut asked);
            }
        }
    }
}

/// The thread. Dropping it stops it.
pub(crate) struct Lister {
    folds: Arc<Folds>,
    thread: Option<JoinHandle<()>>,
}

impl Lister {
    /// Makes the lists follow what is folded.
    ///
    /// # Errors
    /// [`StateError::Io`] when no thread can be started.
    pub fn start(folds: Arc<Folds>) -> Result<Self> {
        let shared = Arc::clone(&folds);
        let thread = std::thread::Builder::new()
            .name("lists".into())
            .spawn(move || run(&shared))
            .map_err(|source| StateError::Io { action: "start the thread of", path: "lists".into(), source })?;
        Ok(Self { folds, thread: Some(thread) })
    }
}

fn run(folds: &Folds) {
    let mut due = Instant::now();
    while folds.lists.wait(due) {
        let begun = Instant::now();
        if begun < due {
            folds.merge_beside();
            folds.lists.want(false);
        } else {
            folds.refresh();
            due = Instant::now() + EVERY.max(begun.elapsed() * 9);
        }
    }
}

impl Drop for Lister {
    fn drop(&mut self) {
        self.folds.lists.asked.lock().stop = true;
        self.folds.lists.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of lists had panicked");
        }
    }
}
