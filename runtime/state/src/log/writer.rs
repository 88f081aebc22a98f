//! The one thread that appends: what waits is committed together, then answered; a second thread folds it, in log order,
//! while the next commit is on its way to the disk.

use super::{Appended, EventLog};
use crate::error::{Result, StateError};
use qianmian_core::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

/// Called once, on the writer's thread, when the events are on disk or could not be put there. It must not block.
pub type Done = Box<dyn FnOnce(Result<Appended>) + Send>;

/// Most events of one commit: enough to make the sync cheap, few enough to answer soon.
const GROUP: usize = 8192;

/// Commits that may wait to be folded; then the next one waits.
const AHEAD: usize = 4;

enum Job {
    Append(Vec<Event>, Done),
    Run(Box<dyn FnOnce() + Send>),
}

/// What the second thread is to do.
enum Fold {
    /// Fold the events of one commit, the first of which has this offset.
    Events(u64, Vec<Event>),
    /// Say that everything before is folded.
    Tell(SyncSender<()>),
}

/// Appends events to a log from any number of threads with few syncs.
///
/// Dropping it stores and folds what waits, then stops the thread.
pub struct Writer {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    queued: Arc<AtomicUsize>,
    limit: usize,
}

impl Writer {
    /// Starts the threads. At most `limit` events wait at a time. `fold` gets the accepted events of each commit in log
    /// order, at least one, with the offset of the first; the others follow without gaps.
    ///
    /// # Errors
    /// [`StateError::Io`] when a thread cannot be started.
    pub fn start(
        log: Arc<dyn EventLog>,
        limit: usize,
        fold: impl FnMut(u64, &[Event]) + Send + 'static,
    ) -> Result<Self> {
        let (jobs, waiting) = channel();
        let (folds, stored) = sync_channel(AHEAD);
        let queued = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&queued);
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let failed = |source| StateError::Io { action: "start the thread of", path: name.into(), source };
            std::thread::Builder::new().name(name.into()).spawn(work).map_err(failed)
        };
        let threads = vec![
            start("event-log", Box::new(move || run(&waiting, &*log, &counter, &folds)))?,
            start("folds", Box::new(move || follow(&stored, fold)))?,
        ];
        Ok(Self { jobs: Some(jobs), threads, queued, limit })
    }

    /// Hands events over and returns at once; `done` is called after the sync, before the events are folded.
    ///
    /// # Errors
    /// [`StateError::Busy`] when the queue is full (a single batch above the limit is taken when nothing waits),
    /// [`StateError::Stopped`]. `done` is not called then.
    pub fn submit(&self, events: Vec<Event>, done: Done) -> Result<()> {
        let n = events.len();
        self.queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |queued| {
                (queued == 0 || queued + n <= self.limit).then_some(queued + n)
            })
            .map_err(|queued| StateError::Busy { queued, limit: self.limit })?;
        self.send(Job::Append(events, done))
    }

    /// Runs `work` on the log's thread between two commits, when everything submitted before is stored and folded,
    /// and waits for its result. `work` must not call the writer.
    ///
    /// # Errors
    /// [`StateError::Stopped`].
    pub fn between_commits<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, result) = std::sync::mpsc::sync_channel(1);
        // the caller waits for the answer below; if it is gone nobody misses it
        self.send(Job::Run(Box::new(move || drop(answer.send(work())))))?;
        result.recv().map_err(|_| StateError::Stopped)
    }

    /// Waits until everything submitted before is stored and folded.
    ///
    /// # Errors
    /// [`StateError::Stopped`].
    pub fn flush(&self) -> Result<()> {
        self.between_commits(|| ())
    }

    /// Events that wait to be stored now.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or(StateError::Stopped)?;
        jobs.send(job).map_err(|_| StateError::Stopped)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("the event writer had panicked");
            }
        }
    }
}

/// The second thread: folds until there is no first one.
fn follow(stored: &Receiver<Fold>, mut fold: impl FnMut(u64, &[Event])) {
    for work in stored {
        match work {
            Fold::Events(first, events) => fold(first, &events),
            // whoever asked is waiting, or gone
            Fold::Tell(done) => drop(done.send(())),
        }
    }
}

fn run(jobs: &Receiver<Job>, log: &dyn EventLog, queued: &AtomicUsize, folds: &SyncSender<Fold>) {
    while let Ok(job) = jobs.recv() {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            match job {
                Job::Run(work) => {
                    let (told, done) = sync_channel(1);
                    if folds.send(Fold::Tell(told)).is_err() || done.recv().is_err() {
                        return;
                    }
                    work();
                }
                Job::Append(events, done) => {
                    let mut sizes = vec![(events.len(), done)];
                    let mut batch = events;
                    while batch.len() < GROUP {
                        match jobs.try_recv() {
                            Ok(Job::Append(mut events, done)) => {
                                sizes.push((events.len(), done));
                                batch.append(&mut events);
                            }
                            Ok(run) => {
                                next = Some(run);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    // folds that panicked: nothing more is taken, because nobody would know of it
                    if commit(log, queued, batch, sizes).is_some_and(|stored| folds.send(stored).is_err()) {
                        return;
                    }
                }
            }
        }
    }
}

/// Stores a batch and answers; what is to be folded then.
fn commit(log: &dyn EventLog, queued: &AtomicUsize, mut batch: Vec<Event>, sizes: Vec<(usize, Done)>) -> Option<Fold> {
    let result = log.append(&batch);
    queued.fetch_sub(batch.len(), Ordering::AcqRel);
    let appended = match result {
        Ok(appended) => appended,
        Err(error) => {
            tracing::error!(%error, events = batch.len(), "events could not be stored");
            let detail = error.to_string();
            for (_, done) in sizes {
                done(Err(StateError::NotStored { detail: detail.clone() }));
            }
            return None;
        }
    };
    let (mut rest, mut offset) = (appended.accepted.as_slice(), appended.first_offset);
    for (size, done) in sizes {
        let (mine, others) = rest.split_at(size);
        rest = others;
        let fresh = mine.iter().filter(|&&a| a).count() as u64;
        let (first_offset, last_offset) = if fresh == 0 { (0, 0) } else { (offset, offset + fresh - 1) };
        offset += fresh;
        done(Ok(Appended { accepted: mine.to_vec(), first_offset, last_offset }));
    }
    let mut accepted = appended.accepted.iter();
    batch.retain(|_| accepted.next().is_some_and(|&a| a));
    (!batch.is_empty()).then_some(Fold::Events(appended.first_offset, batch))
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
