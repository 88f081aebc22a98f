//! The thread that goes over everybody: after a change of definitions, and now and then where time alone makes a
//! condition true.

use super::members;
use super::rfm::Buyers;
use crate::error::{Result, StateError};
use crate::fold::Folds;
use crate::fold::crowd::SHARDS;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time alone changes what conditions say of days; they are looked at so often, and at most a twentieth of the time.
const EVERY: Duration = Duration::from_secs(30);
/// After somebody was forgotten what members do is counted again, so long and so many times the last look after that.
const SOON: Duration = Duration::from_secs(1);
const REST: u32 = 4;
/// Visitors labelled under one lock of the folds.
const PORTION: usize = 2_048;

/// The thread. Dropping it stops it.
pub(crate) struct Sweeper {
    stop: Arc<AtomicBool>,
    folds: Arc<Folds>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    pub fn start(folds: Arc<Folds>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&folds), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("audience".into())
            .spawn(move || run(&shared, &stopped))
            .map_err(|source| StateError::Io { action: "start the thread of", path: "audience".into(), source })?;
        Ok(Self { stop, folds, thread: Some(thread) })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // under the lock: the thread is either waiting, or looks at `stop` before it waits
        drop(self.folds.audience.progress.lock());
        self.folds.audience.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audience's thread had panicked");
        }
    }
}

fn run(folds: &Folds, stop: &AtomicBool) {
    let audience = &folds.audience;
    let (mut due, mut soon) = (Instant::now(), Instant::now());
    loop {
        {
            let mut progress = audience.progress.lock();
            // without a definition there is nothing to follow, once those that were are swept away
            loop {
                let next = if audience.left.load(Ordering::Relaxed) { soon.min(due) } else { due };
                let rest = next.saturating_duration_since(Instant::now());
                let nothing = audience.rules.load().generation == 0 || progress.finished && audience.is_idle();
                if !nothing && (rest.is_zero() || !progress.finished) {
                    break;
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // who is forgotten is told without the lock, and may be missed until then
                audience.changed.wait_for(&mut progress, if nothing { EVERY } else { rest.min(EVERY) });
            }
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let begun = Instant::now();
        let moves = audience.rules.load().follow_time() && begun >= due;
        if moves || !audience.progress.lock().finished {
            sweep(folds, stop);
        } else {
            look_at_members(folds, stop);
        }
        let took = begun.elapsed();
        due = Instant::now() + EVERY.max(took * 19);
        soon = Instant::now() + (took * REST).clamp(SOON, EVERY);
    }
}

impl Folds {
    /// Labels everybody before it returns: in a view, which no thread goes over.
    pub(crate) fn label_everybody(&self) {
        sweep(self, &AtomicBool::new(false));
    }
}

/// Labels everybody with the definitions as they are when it begins; when they change meanwhile it is not the last.
fn sweep(folds: &Folds, stop: &AtomicBool) {
    let audience = &folds.audience;
    let generation = audience.rules.load().generation;
    {
        let mut progress = audience.progress.lock();
        (progress.done, progress.of) = (0, folds.visitors());
    }
    let mut buyers = Buyers::default();
    for shard in 0..SHARDS {
        for portion in folds.crowd.numbers(shard).chunks(PORTION) {
            if stop.load(Ordering::Relaxed) || audience.rules.load().generation != generation {
                return;
            }
            folds.relabel(portion, |visitor| buyers.add(visitor));
            audience.progress.lock().done += portion.len();
        }
        // cuts of the first shard are better than none: the others of a first sweep are labelled by them
        if shard == 0 || shard == SHARDS - 1 {
            audience.rfm.store(Arc::new(buyers.cut()));
        }
    }
    if !look_at_members(folds, stop) {
        return;
    }
    let mut progress = audience.progress.lock();
    if audience.rules.load().generation == generation {
        progress.finished = true;
        progress.swept = crate::identity::now();
        audience.changed.notify_all();
    }
}

/// Looks at what the members of segments do; false when it is told to stop.
fn look_at_members(folds: &Folds, stop: &AtomicBool) -> bool {
    // before the look: who is forgotten while it lasts may be in it
    folds.audience.left.store(false, Ordering::Relaxed);
    let looked = members::look(folds, stop);
    looked.map(|members| folds.audience.members.store(Arc::new(members))).is_some()
}
