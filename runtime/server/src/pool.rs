//! The CPU pool: strategies and models run here and never on tokio's workers. Bounded; full means shed.

use crossbeam_channel::{Sender, TrySendError, bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Why a job gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The queue is full: the caller should come back later.
    #[error("the CPU pool's queue is full")]
    Full,
    /// The job panicked; the worker lives on.
    #[error("the job panicked")]
    Panicked,
}

/// A fixed number of threads behind one bounded queue.
#[derive(Debug)]
pub struct CpuPool {
    queue: Sender<Job>,
}

impl CpuPool {
    /// Starts `threads` workers (at least one) that share a queue of `waiting` jobs.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(threads: usize, waiting: usize) -> std::io::Result<Self> {
        let (queue, jobs) = bounded::<Job>(waiting.max(1));
        for number in 0..threads.max(1) {
            let jobs = jobs.clone();
            thread::Builder::new().name(format!("compose-{number}")).spawn(move || {
                for job in jobs {
                    // A job catches its own panic; this is the last net under a worker.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        }
        Ok(Self { queue })
    }

    /// Jobs that wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Runs `work` on the pool.
    ///
    /// # Errors
    /// [`PoolError::Full`] at once when the queue is full, [`PoolError::Panicked`] when `work` panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PoolError> {
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            if let Ok(value) = catch_unwind(AssertUnwindSafe(work)) {
                // The asker may have gone away; nobody misses the value then.
                let _ = done.send(value);
            }
        });
        match self.queue.try_send(job) {
            Ok(()) => result.await.map_err(|_| PoolError::Panicked),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(PoolError::Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_sheds_and_a_panic_is_reported() {
        let pool = Arc::new(CpuPool::new(1, 1).expect("threads"));
        let (release, wait) = bounded::<()>(1);
        let (started, running) = bounded::<()>(1);
        let busy = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                pool.run(move || {
                    started.send(()).expect("someone listens");
                    wait.recv().expect("released");
                })
                .await
            }
        });
        tokio::task::spawn_blocking(move || running.recv()).await.expect("joined").expect("started");
        let mut queued = Box::pin(pool.run(|| 7));
        let early = tokio::time::timeout(Duration::from_millis(20), &mut queued).await;
        assert!(early.is_err(), "queued behind the busy job");
        assert_eq!(pool.run(|| 8).await, Err(PoolError::Full));
        release.send(()).expect("the worker waits");
        assert_eq!(queued.await, Ok(7));
        assert_eq!(busy.await.expect("joined"), Ok(()));
        assert_eq!(pool.run(|| panic!("on purpose")).await, Err::<(), _>(PoolError::Panicked));
        assert_eq!(pool.run(|| 9).await, Ok(9));
    }
}
