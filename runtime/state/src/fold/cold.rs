//! Visitors that memory has no room for: packed, in files that last as long as the process. The log is the truth; what is
//! here is only where the folds keep what they do not need at hand.

use super::packed::{pack, unpack};
use crate::db::{seal, unseal};
use crate::error::{DatabaseContext, Result, StateError};
use parking_lot::Mutex;
use qianmian_core::Visitor;
use rusqlite::{Connection, OptionalExtension, params};
use std::fs;
use std::path::{Path, PathBuf};

/// Files, so that one visitor is read while others are written.
const FILES: usize = 16;
/// The folder in the data folder.
const FOLDER: &str = "cold";

/// Visitors by number.
pub(crate) struct Cold {
    files: Vec<Mutex<Connection>>,
    folder: PathBuf,
}

impl Drop for Cold {
    fn drop(&mut self) {
        // the next start would remove it as well
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Cold {
    /// An empty store; what an earlier process left is removed.
    ///
    /// # Errors
    /// [`StateError::Io`], [`StateError::Database`].
    pub fn new(data: &Path) -> Result<Self> {
        let folder = data.join(FOLDER);
        let io = |action, source| StateError::Io { action, path: folder.clone(), source };
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|source| io("remove", source))?;
        }
        fs::create_dir_all(&folder).map_err(|source| io("create", source))?;
        let open = |at: usize| {
            let db = Connection::open(folder.join(format!("{at}.db"))).during("open the cold visitors")?;
            // nothing here outlives the process, so nothing is synced; what is erased must not linger
            db.execute_batch(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;
                 PRAGMA secure_delete=ON; PRAGMA cache_size=-2000;
                 CREATE TABLE visitors(number INTEGER PRIMARY KEY, sealed BLOB NOT NULL);",
            )
            .during("make the cold visitors")?;
            Ok(Mutex::new(db))
        };
        let files = (0..FILES).map(open).collect::<Result<_>>()?;
        Ok(Self { files, folder })
    }

    fn file(&self, number: u32) -> &Mutex<Connection> {
        &self.files[number as usize % FILES]
    }

    /// Keeps visitors whose numbers fall into one file.
    ///
    /// # Errors
    /// [`StateError::Database`]: the disk is full, for one. Some may be kept then.
    fn keep(&self, file: usize, visitors: &[(u32, &Visitor)]) -> Result<()> {
        let mut db = self.files[file].lock();
        let tx = db.transaction().during("keep a visitor")?;
        for (number, visitor) in visitors {
            let sealed = seal(&number.to_le_bytes(), &pack(visitor));
            tx.prepare_cached("INSERT OR REPLACE INTO visitors(number, sealed) VALUES(?1, ?2)")
                .and_then(|mut insert| insert.execute(params![number, sealed]))
                .during("keep a visitor")?;
        }
        tx.commit().during("keep a visitor")
    }

    /// Keeps visitors.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub fn put(&self, visitors: &[(u32, &Visitor)]) -> Result<()> {
        let mut by_file: Vec<Vec<(u32, &Visitor)>> = vec![Vec::new(); FILES];
        visitors.iter().for_each(|one| by_file[one.0 as usize % FILES].push(*one));
        let some = by_file.iter().enumerate().filter(|(_, visitors)| !visitors.is_empty());
        some.into_iter().try_for_each(|(file, visitors)| self.keep(file, visitors))
    }

    /// A visitor that was kept.
    ///
    /// # Errors
    /// [`StateError::Damaged`] when the bytes are not what was written, or not there; [`StateError::Database`].
    pub fn get(&self, number: u32) -> Result<Visitor> {
        let damaged = |detail: &str| StateError::Damaged { what: format!("visitor {number}"), detail: detail.into() };
        let sealed: Option<Vec<u8>> = {
            let db = self.file(number).lock();
            db.prepare_cached("SELECT sealed FROM visitors WHERE number = ?1")
                .and_then(|mut select| select.query_row([number], |row| row.get(0)).optional())
                .during("read a visitor")?
        };
        let sealed = sealed.ok_or_else(|| damaged("it is not there"))?;
        unpack(unseal("visitor", &number.to_le_bytes(), &sealed)?).ok_or_else(|| damaged("it cannot be unpacked"))
    }

    /// Forgets a visitor, on disk too.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn remove(&self, number: u32) -> Result<()> {
        let db = self.file(number).lock();
        db.prepare_cached("DELETE FROM visitors WHERE number = ?1")
            .and_then(|mut delete| delete.execute([number]))
            .during("forget a visitor")
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cold = Cold::new(dir.path()).unwrap();
        let visitor = |events| Visitor { events, ..Visitor::default() };
        let visitors: Vec<(u32, Visitor)> = (0..40).map(|n| (n, visitor(n + 1))).collect();
        cold.put(&visitors.iter().map(|(n, v)| (*n, v)).collect::<Vec<_>>()).unwrap();
        cold.put(&[(3, &visitor(99))]).unwrap();
        assert_eq!([cold.get(3).unwrap().events, cold.get(39).unwrap().events], [99, 40]);
        cold.remove(3).unwrap();
        assert!(matches!(cold.get(3), Err(StateError::Damaged { .. })));
        cold.files[4].lock().execute("UPDATE visitors SET sealed = x'0102030405' WHERE number = 4", []).unwrap();
        assert!(matches!(cold.get(4), Err(StateError::Damaged { .. })), "damage is noticed");
        drop(cold);
        assert!(!dir.path().join(FOLDER).exists(), "nothing is left behind");
    }
}
