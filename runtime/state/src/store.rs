//! Where the folds are kept between starts: cells by space and number, changed all or none.
//!
//! What is kept is derived: the event log is the truth, so a store that is damaged or of another format is emptied, and the
//! log folded again.

use crate::db::{self, Place};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

const NAME: &str = "folds.db";
/// Raised with what is kept, and with what folding makes of an event: 3, the stars of a rating are no price.
const FORMAT: i64 = 3;
const SCHEMA: &str = "CREATE TABLE cells(at INTEGER PRIMARY KEY, sealed BLOB NOT NULL)";
/// Connections that read beside the writer.
const READERS: usize = 4;

/// What cells are about. The numbers stand on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Space {
    /// How far the log is folded, and sums over all.
    Head = 0,
    /// The names of items.
    Items = 1,
    /// The names of categories and brands.
    Symbols = 2,
    /// Statistics of items.
    Statistics = 3,
    /// Pairs bought together.
    Bought = 4,
    /// Pairs viewed together.
    Viewed = 5,
    /// Pairs one after the other.
    Next = 6,
    /// What is popular, by scope.
    Trends = 7,
    /// Visitors.
    Visitors = 8,
    /// Visitors, the second place of each (`fold/cold.rs`).
    VisitorsToo = 9,
}

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    /// What it is about.
    pub space: Space,
    /// Which one.
    pub number: u32,
}

impl Cell {
    fn at(self) -> i64 {
        (i64::from(self.space as u8) << 32) | i64::from(self.number)
    }
}

/// Takes changes of cells: what a cell holds from now on, or that it goes.
pub type Put<'a> = &'a mut dyn FnMut(Cell, Option<&[u8]>) -> Result<()>;

/// Keeps values by cell.
pub trait StateStore: Send + Sync {
    /// Changes cells, all or none: `changes` calls what it is given once for each. They are durable when it returns, and
    /// seen by readers from then on; readers see the cells as they were meanwhile.
    ///
    /// # Errors
    /// [`StateError::Database`], or what `changes` returned; nothing was changed then.
    fn change(&self, changes: &mut dyn FnMut(Put<'_>) -> Result<()>) -> Result<()>;

    /// The value of a cell; `None` where there is none.
    ///
    /// # Errors
    /// [`StateError::Damaged`], [`StateError::Database`].
    fn get(&self, cell: Cell) -> Result<Option<Vec<u8>>>;

    /// Visits the cells of a space by number. No other call may be made meanwhile.
    ///
    /// # Errors
    /// As [`StateStore::get`], and what `visit` returns.
    fn scan(&self, space: Space, visit: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()>;

    /// Empties it.
    ///
    /// # Errors
    /// [`StateError::Database`].
    fn clear(&self) -> Result<()>;

    /// Takes what was removed out of the places where a database keeps older copies. False when a reader is in the way:
    /// try again.
    ///
    /// # Errors
    /// [`StateError::Database`].
    fn scrub(&self) -> Result<bool>;
}

/// [`StateStore`] on SQLite.
pub struct SqliteStore {
    path: PathBuf,
    write: Mutex<Connection>,
    read: Vec<Mutex<Connection>>,
    turn: AtomicUsize,
    /// Removed with the store.
    _passing: Option<tempfile::TempDir>,
}

impl SqliteStore {
    /// Opens the store in `dir`, or one that goes with the process. One that cannot be read is made anew, and that is logged.
    ///
    /// # Errors
    /// [`StateError::Io`], [`StateError::Database`].
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        let made = || {
            let io = |source| StateError::Io { action: "create", path: std::env::temp_dir(), source };
            tempfile::tempdir().map_err(io)
        };
        let passing = if dir.is_none() { Some(made()?) } else { None };
        let folder = dir.or(passing.as_ref().map(tempfile::TempDir::path)).unwrap_or_else(|| Path::new("."));
        let path = folder.join(NAME);
        let (write, read) = match connect(&path) {
            Err(error) => {
                tracing::warn!(%error, "{NAME} is made anew: the event log will be folded from its beginning");
                remove(&path)?;
                connect(&path)?
            }
            Ok(connected) => connected,
        };
        let read = read.into_iter().map(Mutex::new).collect();
        Ok(Self { path, write: Mutex::new(write), read, turn: AtomicUsize::new(0), _passing: passing })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let free = self.read.iter().find_map(Mutex::try_lock);
        free.unwrap_or_else(|| self.read[self.turn.fetch_add(1, Ordering::Relaxed) % self.read.len()].lock())
    }
}

/// The connection that writes, and those that read.
fn connect(path: &Path) -> Result<(Connection, Vec<Connection>)> {
    let place = Place::File(path.to_owned());
    let write = db::open_derived(&place, NAME, FORMAT, SCHEMA)?;
    // a large change leaves a large journal behind, which is cut back
    write.execute_batch("PRAGMA journal_size_limit=67108864").during("configure the database")?;
    let read = (0..READERS).map(|_| db::open_read_only(&place, NAME, FORMAT)).collect::<Result<_>>()?;
    Ok((write, read))
}

/// Removes a database with its journals.
fn remove(path: &Path) -> Result<()> {
    for end in ["", "-wal", "-shm", "-journal"] {
        let path = PathBuf::from(format!("{}{end}", path.display()));
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StateError::Io { action: "remove", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

fn open(cell: Cell, sealed: &[u8]) -> Result<&[u8]> {
    db::unseal("folded state", &cell.at().to_le_bytes(), sealed)
}

impl StateStore for SqliteStore {
    fn change(&self, changes: &mut dyn FnMut(Put<'_>) -> Result<()>) -> Result<()> {
        let mut db = self.write.lock();
        let tx = db.transaction().during("keep the folds")?;
        {
            let mut put = tx.prepare_cached("INSERT OR REPLACE INTO cells VALUES(?1, ?2)").during("keep the folds")?;
            let mut take = tx.prepare_cached("DELETE FROM cells WHERE at = ?1").during("keep the folds")?;
            changes(&mut |cell, value| {
                match value {
                    Some(value) => put.execute(params![cell.at(), db::seal(&cell.at().to_le_bytes(), value)]),
                    None => take.execute([cell.at()]),
                }
                .during("keep the folds")
                .map(drop)
            })?;
        }
        tx.commit().during("keep the folds")
    }

    fn get(&self, cell: Cell) -> Result<Option<Vec<u8>>> {
        let db = self.reader();
        let mut select = db.prepare_cached("SELECT sealed FROM cells WHERE at = ?1").during("read the folds")?;
        let mut rows = select.query([cell.at()]).during("read the folds")?;
        let Some(row) = rows.next().during("read the folds")? else { return Ok(None) };
        let sealed = row.get_ref(0).and_then(|value| Ok(value.as_blob()?)).during("read the folds")?;
        open(cell, sealed).map(|value| Some(value.to_vec()))
    }

    fn scan(&self, space: Space, visit: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
        let db = self.reader();
        let (from, to) = (Cell { space, number: 0 }.at(), Cell { space, number: u32::MAX }.at());
        let mut select = db
            .prepare_cached("SELECT at, sealed FROM cells WHERE at BETWEEN ?1 AND ?2 ORDER BY at")
            .during("read the folds")?;
        let mut rows = select.query([from, to]).during("read the folds")?;
        while let Some(row) = rows.next().during("read the folds")? {
            let at: i64 = row.get(0).during("read the folds")?;
            let cell = Cell { space, number: at as u32 };
            let sealed = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).during("read the folds")?;
            visit(cell.number, open(cell, sealed)?)?;
        }
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        let mut write = self.write.lock();
        let mut readers: Vec<_> = self.read.iter().map(Mutex::lock).collect();
        // made anew, because of a damaged one nothing can be deleted; so it is closed first
        let nothing = || Connection::open_in_memory().during("close the folds");
        *write = nothing()?;
        for reader in &mut readers {
            **reader = nothing()?;
        }
        remove(&self.path)?;
        let (made, read) = connect(&self.path)?;
        *write = made;
        readers.iter_mut().zip(read).for_each(|(reader, made)| **reader = made);
        Ok(())
    }

    fn scrub(&self) -> Result<bool> {
        db::empty_journal(&self.write.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let cell = Cell { space: Space::Head, number: 7 };
        let fill = || {
            let store = SqliteStore::open(Some(dir.path())).unwrap();
            store.change(&mut |put| put(cell, Some(&[1; 9_000]))).unwrap();
            assert!(store.scrub().unwrap());
        };
        fill();
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        let store = SqliteStore::open(Some(dir.path())).unwrap();
        store.clear().unwrap();
        assert_eq!(store.get(cell).unwrap(), None);
        drop(store);
        fill();
        for spoilt in [vec![], whole[..whole.len() - 5_000].to_vec(), b"no database at all".to_vec()] {
            std::fs::write(&path, spoilt).unwrap();
            let store = SqliteStore::open(Some(dir.path())).unwrap();
            assert!(!matches!(store.get(cell), Ok(Some(_))), "gone, or damaged");
            drop(store);
            fill();
        }
        let db = Connection::open(&path).unwrap();
        db.execute("UPDATE cells SET at = at + 1", []).unwrap();
        let store = SqliteStore::open(Some(dir.path())).unwrap();
        let moved = Cell { number: 8, ..cell };
        assert!(matches!(store.get(moved), Err(StateError::Damaged { .. })), "moved to another cell");
        assert!(store.scan(Space::Head, &mut |_, _| Ok(())).is_err());
        db.pragma_update(None, "user_version", FORMAT + 1).unwrap();
        drop((db, store));
        assert_eq!(SqliteStore::open(Some(dir.path())).unwrap().get(moved).unwrap(), None, "of another format");
    }
}
