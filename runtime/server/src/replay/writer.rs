//! Keeping captures: off the request's path, on one thread, in groups.

use super::capture::{Capture, Taken};
use crate::recommend::Answer;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use qianmian_core::DAY_MS;
use qianmian_state::{CaptureHead, Captures, StateError};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Captures that may wait; more are dropped and counted.
const QUEUE: usize = 1_024;
/// Captures in one transaction at most.
const GROUP: usize = 64;
/// How often old ones are removed.
const EXPIRY: Duration = Duration::from_secs(600);

enum Job {
    Keep(Box<(Taken, Answer)>),
    Flush(mpsc::Sender<()>),
}

/// Hands captures to their thread.
pub(crate) struct CaptureWriter {
    queue: Sender<Job>,
}

impl CaptureWriter {
    /// Starts the thread; captures older than `days` are removed now and then.
    pub fn start(store: Arc<Captures>, days: u32) -> std::io::Result<Self> {
        let (queue, jobs) = bounded(QUEUE);
        std::thread::Builder::new().name("captures".to_owned()).spawn(move || work(&store, &jobs, days))?;
        Ok(Self { queue })
    }

    /// False when the queue is full: the capture is lost, the answer is not.
    pub fn keep(&self, taken: Taken, answer: Answer) -> bool {
        self.queue.try_send(Job::Keep(Box::new((taken, answer)))).is_ok()
    }

    /// Waits until everything handed over before is stored.
    pub fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.queue.send(Job::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }
}

fn work(store: &Captures, jobs: &Receiver<Job>, days: u32) {
    let mut expiry = Instant::now();
    loop {
        if expiry <= Instant::now() {
            expire(store, days);
            expiry = Instant::now() + EXPIRY;
        }
        let first = match jobs.recv_timeout(EXPIRY) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let (mut group, mut flushed) = (Vec::new(), Vec::new());
        for job in std::iter::once(first).chain(jobs.try_iter()).take(GROUP) {
            match job {
                Job::Keep(one) => group.extend(stored(&one.0, &one.1)),
                Job::Flush(done) => flushed.push(done),
            }
        }
        if !group.is_empty()
            && let Err(error) = store.put(&group)
        {
            tracing::error!(%error, captures = group.len(), "captures are lost");
        }
        for done in flushed {
            // Whoever asked may be gone.
            let _ = done.send(());
        }
    }
}

fn expire(store: &Captures, days: u32) {
    let before = crate::recommend::now_ms() - i64::from(days) * DAY_MS;
    match store.expire(before) {
        // A view keeps and removes nothing.
        Ok(0) | Err(StateError::ReadOnly) => {}
        Ok(removed) => tracing::info!(removed, days, "old captures removed"),
        Err(error) => tracing::error!(%error, "old captures cannot be removed"),
    }
}

fn stored(taken: &Taken, answer: &Answer) -> Option<(CaptureHead, Vec<u8>)> {
    let request = &taken.ctx.request;
    let head = CaptureHead {
        id: request.id.clone(),
        time: taken.ctx.now,
        scenario: request.scenario.clone(),
        visitor: request.visitor.clone(),
        fault: answer.fallback.as_ref().map(|fallback| fallback.code.clone()),
    };
    match Capture::of(taken, answer).and_then(|capture| capture.encode()) {
        Ok(content) => Some((head, content)),
        Err(error) => {
            tracing::error!(%error, request = head.id, "a capture cannot be encoded");
            None
        }
    }
}
