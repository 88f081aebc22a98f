//! How far the log had come, in a file of its own: commits that a damaged database lost are missed.
//!
//! It is written after the commit and not synced, so it is never ahead of what is on disk: a crash may leave it behind,
//! which says nothing; a log that ends before it has lost events that were acknowledged.

use crate::db;
use crate::error::{Result, StateError};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

const FILE: &str = "events.mark";

pub(super) struct Mark(File);

impl Mark {
    /// Opens the mark in `dir` of a log that ends at `last`. A mark that is damaged is written anew.
    ///
    /// # Errors
    /// [`StateError::Damaged`] when the log ends before it; [`StateError::Io`].
    pub fn open(dir: &Path, last: u64) -> Result<Self> {
        let path = dir.join(FILE);
        let io = |source| StateError::Io { action: "open", path: path.clone(), source };
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let known = db::unseal(FILE, b"mark", &bytes).ok().and_then(|payload| payload.try_into().ok());
        if known.is_none() {
            file.set_len(0).map_err(io)?;
        }
        let known = known.map_or(0, u64::from_le_bytes);
        if known > last {
            let detail = format!("it ends at {last}, and events up to {known} were acknowledged");
            return Err(StateError::Damaged { what: "events.db".into(), detail });
        }
        let mut mark = Self(file);
        mark.set(last);
        Ok(mark)
    }

    pub fn set(&mut self, last: u64) {
        let sealed = db::seal(b"mark", &last.to_le_bytes());
        let written = self.0.seek(SeekFrom::Start(0)).and_then(|_| self.0.write_all(&sealed));
        if let Err(error) = written {
            // the events are stored; only the watch over them is not
            tracing::warn!(%error, "{FILE} cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_ends_too_early_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Mark::open(dir.path(), 5).unwrap().set(9);
        assert!(matches!(Mark::open(dir.path(), 8), Err(StateError::Damaged { .. })));
        drop(Mark::open(dir.path(), 12).unwrap());
        let path = dir.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(Mark::open(dir.path(), 3).is_ok(), "a damaged mark says nothing");
    }
}
