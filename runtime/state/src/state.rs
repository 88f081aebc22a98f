//! A data directory, opened: the parts of this crate put together.

use crate::blobs::BlobStore;
use crate::captures::Captures;
use crate::catalogue::CatalogueStore;
use crate::error::{Result, StateError};
use crate::fold::Folds;
use crate::log::{Appended, Chunk, Done, EventLog, IDLE, SqliteLog, Writer};
use crate::registry::{Registry, SqliteRegistry};
use qianmian_core::{Event, TimeMs, Visitor};
use std::fs::{self, File, TryLockError};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

/// Events that may wait to be stored before [`State::submit`] says busy: about a second of what the log takes.
const QUEUE: usize = 262_144;

/// What an erasure took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Events of the log.
    pub events: u64,
    /// Captured answers.
    pub captures: usize,
}

/// Everything the host remembers.
///
/// Appended events are durable when acknowledged and folded a moment later, in log order, on the writer's thread.
/// Dropping the state stores and folds what waits.
pub struct State {
    /// Items.
    pub catalogue: Arc<CatalogueStore>,
    /// Visitors and statistics, folded from the log; derived lists follow within seconds, see [`State::refresh`].
    pub folds: Arc<Folds>,
    /// The event log, for reading. Append through the state, or the folds will not know.
    pub log: Arc<dyn EventLog>,
    /// Documents.
    pub registry: Arc<dyn Registry>,
    /// Files by digest.
    pub blobs: Arc<BlobStore>,
    /// Answers with everything they depended on.
    pub captures: Arc<Captures>,
    /// `None` in memory and in a read-only view.
    folder: Option<PathBuf>,
    /// `None` in a read-only view.
    writer: Option<Writer>,
    /// Keeps other processes out until the writer has stopped.
    _lock: Option<File>,
}

impl State {
    /// Opens a data directory, made when missing, and rebuilds the folds from its log.
    ///
    /// # Errors
    /// [`StateError::InUse`] by another process, [`StateError::Damaged`], [`StateError::Format`],
    /// [`StateError::Database`], [`StateError::Io`].
    pub fn open(dir: &Path) -> Result<Self> {
        let lock = lock(dir)?;
        Self::writable(Some(dir), Some(lock))
    }

    /// An empty state that leaves nothing behind.
    ///
    /// # Errors
    /// As [`State::open`].
    pub fn in_memory() -> Result<Self> {
        Self::writable(None, None)
    }

    /// A read-only view of a data directory, beside the process that writes it: the catalogue as it is now, the folds
    /// over the events that happened before `until` only.
    ///
    /// # Errors
    /// As [`State::open`], and when the directory holds no state.
    pub fn open_until(dir: &Path, until: TimeMs) -> Result<Self> {
        let catalogue = Arc::new(CatalogueStore::open_read_only(dir)?);
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open_read_only(dir)?);
        let registry = Arc::new(SqliteRegistry::open_read_only(dir)?);
        let blobs = Arc::new(BlobStore::open(Some(dir))?);
        let captures = Arc::new(Captures::open_read_only(dir)?);
        let folds = Arc::new(Folds::new(Arc::clone(&catalogue)));
        rebuild(&*log, &folds, until)?;
        Ok(Self { catalogue, folds, log, registry, blobs, captures, folder: None, writer: None, _lock: None })
    }

    fn writable(dir: Option<&Path>, lock: Option<File>) -> Result<Self> {
        let catalogue = Arc::new(CatalogueStore::open(dir)?);
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(dir)?);
        let registry = Arc::new(SqliteRegistry::open(dir)?);
        let blobs = Arc::new(BlobStore::open(dir)?);
        let captures = Arc::new(Captures::open(dir)?);
        let folds = Arc::new(Folds::new(Arc::clone(&catalogue)));
        rebuild(&*log, &folds, TimeMs::MAX)?;
        let writer = Writer::start(Arc::clone(&log), QUEUE, consumer(Arc::clone(&folds)))?;
        let folder = dir.map(Path::to_path_buf);
        Ok(Self { catalogue, folds, log, registry, blobs, captures, folder, writer: Some(writer), _lock: lock })
    }

    /// The data directory, where this process may write to it.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Hands events over and returns at once. `done` is called on the writer's thread when they are on disk; they are
    /// folded right after. It must not block.
    ///
    /// # Errors
    /// [`StateError::Busy`], [`StateError::Stopped`], [`StateError::ReadOnly`]; `done` is not called then.
    pub fn submit(&self, events: Vec<Event>, done: Done) -> Result<()> {
        self.writer()?.submit(events, done)
    }

    /// Stores events and waits until they are on disk and folded. Not for async threads: see [`State::submit`].
    ///
    /// # Errors
    /// As [`State::submit`], and [`StateError::NotStored`].
    pub fn append(&self, events: Vec<Event>) -> Result<Appended> {
        let (answer, result) = sync_channel(1);
        // the receiver stands below; it cannot be gone before the answer
        self.submit(events, Box::new(move |appended| drop(answer.send(appended))))?;
        let appended = result.recv().map_err(|_| StateError::Stopped)??;
        self.flush()?;
        Ok(appended)
    }

    /// Waits until everything submitted before is stored and folded.
    ///
    /// # Errors
    /// [`StateError::Stopped`], [`StateError::ReadOnly`].
    pub fn flush(&self) -> Result<()> {
        self.writer()?.flush()
    }

    /// Waits as [`State::flush`] and makes the derived lists anew: for after bulk work and for tests.
    ///
    /// # Errors
    /// [`StateError::Stopped`], [`StateError::ReadOnly`].
    pub fn refresh(&self) -> Result<()> {
        self.flush()?;
        self.folds.refresh();
        Ok(())
    }

    /// Events that wait to be stored now; 0 in a read-only view.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.writer.as_ref().map_or(0, Writer::queued)
    }

    /// A visitor as folded so far; the empty visitor when unknown.
    #[must_use]
    pub fn visitor(&self, id: &str) -> Arc<Visitor> {
        self.folds.visitor(id)
    }

    /// Visits the stored events from an offset on, as [`EventLog::scan`].
    ///
    /// # Errors
    /// As [`EventLog::scan`].
    pub fn scan(&self, from: u64, visit: &mut dyn FnMut(Chunk) -> ControlFlow<()>) -> Result<()> {
        self.log.scan(from, visit)
    }

    /// Folds over the events that happened before `until` only, apart from the live ones.
    ///
    /// # Errors
    /// As [`EventLog::scan`].
    pub fn fold_until(&self, until: TimeMs) -> Result<Folds> {
        let folds = Folds::new(Arc::clone(&self.catalogue));
        rebuild(&*self.log, &folds, until)?;
        Ok(folds)
    }

    /// Erases a visitor: their events from the log, their captures, their profile from the folds. Sums over all visitors (an item's orders) lose the visitor's share when the state is next opened.
    ///
    /// # Errors
    /// As [`EventLog::erase`], and [`StateError::Stopped`].
    pub fn erase_visitor(&self, id: &str) -> Result<Erased> {
        let (log, folds, id) = (Arc::clone(&self.log), Arc::clone(&self.folds), id.to_owned());
        let captures = Arc::clone(&self.captures);
        // between commits, so that no event of theirs is stored but not folded yet
        self.writer()?.between_commits(move || {
            let events = log.erase(&id)?;
            folds.remove_visitor(&id);
            Ok(Erased { events, captures: captures.erase_visitor(&id)? })
        })?
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or(StateError::ReadOnly)
    }
}

/// Folds what is appended, and makes the derived lists anew: at most once a second, at most a tenth of the time, and
/// once more when no event comes.
fn consumer(folds: Arc<Folds>) -> impl FnMut(u64, &[Event]) + Send + 'static {
    let mut due = Instant::now();
    move |_, events| {
        folds.apply(events);
        let start = Instant::now();
        if events.is_empty() || start >= due {
            folds.refresh();
            due = Instant::now() + IDLE.max(start.elapsed() * 9);
        }
    }
}

/// Folds the stored events that happened before `until`. Decoding and folding share two threads.
fn rebuild(log: &dyn EventLog, folds: &Folds, until: TimeMs) -> Result<()> {
    let start = Instant::now();
    let mut events = 0;
    let (decoded, chunks) = sync_channel::<Vec<Event>>(2);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            log.scan(1, &mut |mut chunk| {
                chunk.events.retain(|e| e.time < until);
                if decoded.send(chunk.events).is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        });
        for chunk in chunks {
            events += chunk.len();
            folds.apply(&chunk);
        }
        reading.join().map_err(|_| StateError::Stopped)?
    })?;
    folds.refresh();
    let seconds = start.elapsed().as_secs_f64();
    tracing::info!(events, seconds, per_second = events as f64 / seconds.max(1e-9), "folded the event log");
    Ok(())
}

/// Makes the directory and takes it for this process until the file is closed.
fn lock(dir: &Path) -> Result<File> {
    let io = |action, path: &Path, source| StateError::Io { action, path: path.to_path_buf(), source };
    fs::create_dir_all(dir).map_err(|e| io("create", dir, e))?;
    let path = dir.join("lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(|e| io("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse { path: dir.to_path_buf() }),
        Err(TryLockError::Error(e)) => Err(io("lock", &path, e)),
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
