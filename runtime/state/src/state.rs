//! A data directory, opened: the parts of this crate put together.

use crate::audience::Sweeper;
use crate::audit::Audit;
use crate::blobs::{BlobStore, FolderBlobs};
use crate::campaigns::Campaigns;
use crate::captures::Captures;
use crate::catalogue::CatalogueStore;
use crate::error::{Result, StateError};
use crate::fold::{Checkpointer, Digest, Folds, Lister};
use crate::identity;
use crate::keeper::{Keeper, Retention};
use crate::log::{Appended, Chunk, Done, EventLog, SqliteLog, Writer};
use crate::people::People;
use crate::registry::{Registry, SqliteRegistry};
use crate::store::{SqliteStore, StateStore};
use crate::vectors::VectorLog;
use qianmian_core::{Event, TimeMs, Visitor};
use std::fs::{self, File, TryLockError};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Events that may wait to be stored before [`State::submit`] says busy: about a second of what the log takes.
pub const QUEUE: usize = 262_144;

/// How much memory is used, and how often what is folded is kept on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// About so many bytes of visitors stay in memory; without a number, all of them.
    pub visitor_bytes: Option<usize>,
    /// Time between two checkpoints of the folds. What came after the last one is folded again after a crash.
    pub checkpoint: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { visitor_bytes: None, checkpoint: Duration::from_secs(60) }
    }
}

/// Everything the host remembers.
///
/// Appended events are durable when acknowledged and folded a moment later, in log order, on a thread of their own.
/// Dropping the state stores and folds what waits, and keeps the folds for the next start.
pub struct State {
    /// Items.
    pub catalogue: Arc<CatalogueStore>,
    /// Visitors and statistics, folded from the log; derived lists follow within seconds, see [`State::refresh`].
    pub folds: Arc<Folds>,
    /// The event log, for reading. Append through the state, or the folds will not know.
    pub log: Arc<dyn EventLog>,
    /// Quotas.
    pub campaigns: Arc<Campaigns>,
    /// Who is who.
    pub people: Arc<People>,
    /// What was done to people's data.
    pub audit: Arc<Audit>,
    /// Documents.
    pub registry: Arc<dyn Registry>,
    /// Files by digest.
    pub blobs: Arc<dyn BlobStore>,
    /// Answers with everything they depended on.
    pub captures: Arc<Captures>,
    /// Embeddings that changed.
    pub vectors: Arc<VectorLog>,
    /// `None` in memory and in a read-only view.
    folder: Option<PathBuf>,
    /// `None` in a read-only view.
    writer: Option<Writer>,
    /// Labels everybody when definitions change. `None` in a read-only view.
    sweeper: Option<Sweeper>,
    /// Makes lists. `None` in a read-only view.
    _lister: Option<Lister>,
    /// Stopped after what folds. `None` in a read-only view.
    _checkpointer: Option<Checkpointer>,
    keeper: OnceLock<Keeper>,
    /// Keeps other processes out until the writer has stopped.
    _lock: Option<File>,
}

impl State {
    /// Opens a data directory, made when missing, and folds what its log has beyond what is kept of the folds.
    ///
    /// # Errors
    /// [`StateError::InUse`] by another process, [`StateError::Damaged`], [`StateError::Format`],
    /// [`StateError::Database`], [`StateError::Io`].
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_within(dir, Limits::default())
    }

    /// As [`State::open`], within limits: visitors who are not needed are on disk only.
    ///
    /// # Errors
    /// As [`State::open`].
    pub fn open_within(dir: &Path, limits: Limits) -> Result<Self> {
        let lock = lock(dir)?;
        Self::writable(Some(dir), Some(lock), limits)
    }

    /// An empty state that leaves nothing behind.
    ///
    /// # Errors
    /// As [`State::open`].
    pub fn in_memory() -> Result<Self> {
        Self::writable(None, None, Limits::default())
    }

    /// A read-only view of a data directory, beside the process that writes it: the catalogue as it is now, the folds
    /// over the events that happened before `until` only.
    ///
    /// # Errors
    /// As [`State::open`], and when the directory holds no state.
    pub fn open_until(dir: &Path, until: TimeMs) -> Result<Self> {
        Self::view(dir, until, u64::MAX)
    }

    /// A read-only view of a data directory whose folds are made anew from the events up to an offset.
    ///
    /// # Errors
    /// As [`State::open_until`].
    pub fn open_at(dir: &Path, offset: u64) -> Result<Self> {
        Self::view(dir, TimeMs::MAX, offset)
    }

    fn view(dir: &Path, until: TimeMs, offset: u64) -> Result<Self> {
        let catalogue = Arc::new(CatalogueStore::open_read_only(dir)?);
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open_read_only(dir)?);
        let people = Arc::new(People::open_read_only(dir)?);
        let campaigns = Arc::new(Campaigns::open_read_only(dir)?);
        catalogue.watch(campaigns.items());
        let folds = Arc::new(Folds::new(Arc::clone(&catalogue), Arc::clone(&people)));
        rebuild(&*log, &folds, 1, until, offset)?;
        Ok(Self {
            catalogue,
            folds,
            log,
            people,
            campaigns,
            audit: Arc::new(Audit::open_read_only(dir)?),
            registry: Arc::new(SqliteRegistry::open_read_only(dir)?),
            blobs: Arc::new(FolderBlobs::open(Some(dir))?),
            captures: Arc::new(Captures::open_read_only(dir)?),
            vectors: Arc::new(VectorLog::open_read_only(dir)?),
            folder: None,
            writer: None,
            sweeper: None,
            _lister: None,
            _checkpointer: None,
            keeper: OnceLock::new(),
            _lock: None,
        })
    }

    fn writable(dir: Option<&Path>, lock: Option<File>, limits: Limits) -> Result<Self> {
        let catalogue = Arc::new(CatalogueStore::open(dir)?);
        let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(dir)?);
        // what is stored names visitors by the secret: a new one would make strangers of all
        let people = Arc::new(People::open(dir, log.last_offset() == 0)?);
        let campaigns = Arc::new(Campaigns::open(dir)?);
        catalogue.watch(campaigns.items());
        let (audit, captures) = (Arc::new(Audit::open(dir)?), Arc::new(Captures::open(dir)?));
        let store = match dir {
            Some(_) => Some(Arc::new(SqliteStore::open(dir)?) as Arc<dyn StateStore>),
            None => None,
        };
        let clear = || store.as_ref().map_or(Ok(()), |store| store.clear());
        identity::finish_erasures(&audit, &*log, &captures, (&people, &campaigns), dir, clear)?;
        let folds = match &store {
            Some(store) => take_up(&catalogue, &people, &*log, store, limits.visitor_bytes)?,
            None => Folds::new(Arc::clone(&catalogue), Arc::clone(&people)),
        };
        let folds = Arc::new(folds);
        let checkpointer = Checkpointer::start(Arc::clone(&folds), limits.checkpoint)?;
        let sweeper = Sweeper::start(Arc::clone(&folds))?;
        let lister = Lister::start(Arc::clone(&folds))?;
        let consumer = Arc::clone(&folds);
        let fold = move |first: u64, events: &[Event]| consumer.apply_to(events, first + events.len() as u64 - 1);
        let writer = Writer::start(Arc::clone(&log), QUEUE, fold)?;
        Ok(Self {
            catalogue,
            folds,
            log,
            people,
            campaigns,
            audit,
            registry: Arc::new(SqliteRegistry::open(dir)?),
            blobs: Arc::new(FolderBlobs::open(dir)?),
            captures,
            vectors: Arc::new(VectorLog::open(dir)?),
            folder: dir.map(Path::to_path_buf),
            writer: Some(writer),
            sweeper: Some(sweeper),
            _lister: Some(lister),
            _checkpointer: Some(checkpointer),
            keeper: OnceLock::new(),
            _lock: lock,
        })
    }

    /// Starts the thread that removes what is too old. Once; later calls change nothing.
    ///
    /// # Errors
    /// [`StateError::ReadOnly`]; [`StateError::Io`] when no thread can be started.
    pub fn keep(&self, retention: Retention) -> Result<()> {
        self.writer()?;
        let keeper = Keeper::start(
            retention,
            Arc::clone(&self.log),
            Arc::clone(&self.folds),
            Arc::clone(&self.captures),
            Arc::clone(&self.audit),
            self.folder.clone(),
        )?;
        // a second keeper is dropped here, which stops it
        drop(self.keeper.set(keeper));
        Ok(())
    }

    /// The data directory, where this process may write to it.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Hands events over, their visitors named by id, and returns at once. `done` is called on the log's thread when they are
    /// on disk; they are folded right after. It must not block.
    ///
    /// # Errors
    /// [`StateError::Busy`], [`StateError::Stopped`], [`StateError::ReadOnly`]; `done` is not called then.
    pub fn submit(&self, mut events: Vec<Event>, done: Done) -> Result<()> {
        for visitor in events.iter_mut().filter_map(|event| event.visitor.as_mut()) {
            *visitor = self.people.key(visitor);
        }
        self.writer()?.submit(events, done)
    }

    /// The offset of the last event that is folded, and the digest of the folds as of it.
    ///
    /// # Errors
    /// [`StateError::Stopped`], [`StateError::ReadOnly`].
    pub fn digest(&self) -> Result<(u64, Digest)> {
        let (log, folds) = (Arc::clone(&self.log), Arc::clone(&self.folds));
        self.writer()?.between_commits(move || (log.last_offset(), folds.digest()))
    }

    /// Keeps what is folded now on disk, for the next start; it is done by itself every so often. False when nothing
    /// changed since the last time.
    ///
    /// # Errors
    /// [`StateError::Database`], [`StateError::Stopped`], [`StateError::ReadOnly`].
    pub fn checkpoint(&self) -> Result<bool> {
        self.flush()?;
        self.folds.checkpoint()
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
        self.folds.visitor(&self.people.key(id))
    }

    /// Waits until everybody carries the tags and segments that are defined.
    pub fn label_everybody(&self) {
        if self.sweeper.is_some() {
            self.folds.audience.wait();
        } else {
            self.folds.label_everybody();
        }
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
        let folds = Folds::new(Arc::clone(&self.catalogue), Arc::clone(&self.people));
        rebuild(&*self.log, &folds, 1, until, u64::MAX)?;
        Ok(folds)
    }

    /// The keeper, where one was started.
    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        self.keeper.get()
    }

    pub(crate) fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or(StateError::ReadOnly)
    }
}

/// The folds as they are kept in `store`, and what the log has beyond; all of the log where what is kept cannot be used.
fn take_up(
    catalogue: &Arc<CatalogueStore>,
    people: &Arc<People>,
    log: &dyn EventLog,
    store: &Arc<dyn StateStore>,
    bytes: Option<usize>,
) -> Result<Folds> {
    let begun = Instant::now();
    let empty = || Folds::kept(Arc::clone(catalogue), Arc::clone(people), bytes, Arc::clone(store));
    let mut folds = empty();
    match folds.restore(log) {
        Ok(offset) => {
            let (visitors, seconds) = (folds.visitors(), begun.elapsed().as_secs_f64());
            tracing::info!(offset, visitors, seconds, "took up the folds as they were kept");
            folds.settle(people.changes());
            rebuild(log, &folds, offset + 1, TimeMs::MAX, u64::MAX)?;
        }
        Err(error) => {
            tracing::warn!(%error, "the event log is folded from its beginning");
            store.clear()?;
            folds = empty();
            folds.settle(people.changes());
            rebuild(log, &folds, 1, TimeMs::MAX, u64::MAX)?;
        }
    }
    Ok(folds)
}

/// Folds the stored events from the offset `first` to `last` that happened before `until`. Decoding and folding share two
/// threads.
fn rebuild(log: &dyn EventLog, folds: &Folds, first: u64, until: TimeMs, last: u64) -> Result<()> {
    let start = Instant::now();
    let mut events = 0;
    let (decoded, chunks) = sync_channel::<(Vec<Event>, u64)>(2);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            log.scan(first, &mut |mut chunk| {
                let within = chunk.offsets.partition_point(|offset| *offset <= last);
                let ends = within < chunk.events.len();
                chunk.events.truncate(within);
                let reached = chunk.offsets[..within].last().copied().unwrap_or_default();
                chunk.events.retain(|e| e.time < until);
                let goes_on = decoded.send((chunk.events, reached)).is_ok() && !ends;
                if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })
        });
        for (chunk, reached) in chunks.iter().filter(|(chunk, _)| !chunk.is_empty()) {
            events += chunk.len();
            folds.apply_to(&chunk, reached);
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
