//! The one thread that appends: what waits is committed together, answered, then folded, in log order.

use super::{Appended, EventLog};
use crate::error::{Result, StateError};
use qianmian_core::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Called once, on the writer's thread, when the events are on disk or could not be put there. It must not block.
pub type Done = Box<dyn FnOnce(Result<Appended>) + Send>;

/// Most events of one commit: enough to make the sync cheap, few enough to answer soon.
const GROUP: usize = 8192;

/// How long the writer waits for events before it tells the folds that none come.
pub const IDLE: Duration = Duration::from_secs(1);

enum Job {
    Append(Vec<Event>, Done),
    Run(Box<dyn FnOnce() + Send>),
}

/// Appends events to a log from any number of threads with few syncs.
///
/// Dropping it stores and folds what waits, then stops the thread.
pub struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    queued: Arc<AtomicUsize>,
    limit: usize,
}

impl Writer {
    /// Starts the thread. At most `limit` events wait at a time. `fold` gets the accepted events of each commit in log
    /// order, with the offset of the first; the others follow without gaps. When then none comes for [`IDLE`], it gets
    /// an empty slice, once.
    ///
    /// # Errors
    /// [`StateError::Io`] when no thread can be started.
    pub fn start(
        log: Arc<dyn EventLog>,
        limit: usize,
        fold: impl FnMut(u64, &[Event]) + Send + 'static,
    ) -> Result<Self> {
        let (jobs, waiting) = channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&queued);
        let thread = std::thread::Builder::new()
            .name("event-log".into())
            .spawn(move || run(&waiting, &*log, &counter, fold))
            .map_err(|source| StateError::Io { action: "start the thread of", path: "event-log".into(), source })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), queued, limit })
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

    /// Runs `work` on the writer's thread between two commits, when everything submitted before is stored and folded,
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
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the event writer had panicked");
        }
    }
}

fn run(jobs: &Receiver<Job>, log: &dyn EventLog, queued: &AtomicUsize, mut fold: impl FnMut(u64, &[Event])) {
    let mut quiet = true;
    loop {
        let job = if quiet { jobs.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { jobs.recv_timeout(IDLE) };
        let mut next = match job {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => {
                fold(log.last_offset(), &[]);
                quiet = true;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while let Some(job) = next.take() {
            match job {
                Job::Run(work) => work(),
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
                    commit(log, queued, batch, sizes, &mut fold);
                    quiet = false;
                }
            }
        }
    }
}

fn commit(
    log: &dyn EventLog,
    queued: &AtomicUsize,
    mut batch: Vec<Event>,
    sizes: Vec<(usize, Done)>,
    fold: &mut impl FnMut(u64, &[Event]),
) {
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
            return;
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
    if !batch.is_empty() {
        fold(appended.first_offset, &batch);
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
