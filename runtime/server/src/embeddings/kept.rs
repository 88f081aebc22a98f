//! Graphs that were built before: a file a space, opened at the next start where it is of the same vectors and rows.

use anyhow::Context;
use qianmian_core::ItemRow;
use qianmian_index::Spaces;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Beside the file of a space: what it was built of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The stored set.
    digest: String,
    /// The rows its items had, which are given out anew at each start.
    rows: String,
}

impl Origin {
    /// Of a stored set whose items have these rows.
    pub fn new(digest: &str, rows: &[ItemRow]) -> Self {
        let mut hash = Sha256::new();
        rows.iter().for_each(|row| hash.update(row.0.to_le_bytes()));
        Self { digest: digest.to_owned(), rows: hex::encode(hash.finalize()) }
    }
}

/// The folder of built graphs.
pub(super) struct Kept(PathBuf);

impl Kept {
    /// In the data folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(data: &Path) -> anyhow::Result<Self> {
        let folder = data.join("spaces");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn note(&self, space: &str) -> PathBuf {
        self.0.join(format!("{space}.json"))
    }

    /// Keeps what a space serves.
    ///
    /// # Errors
    /// When it cannot be written; what was kept before may be gone then.
    pub fn keep(&self, spaces: &Spaces, space: &str, origin: &Origin) -> anyhow::Result<()> {
        // A file without its note is not opened: first the old note goes, last the new one comes.
        let note = self.note(space);
        if note.exists() {
            fs::remove_file(&note)?;
        }
        spaces.save(space, &self.0, 1)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        serde_json::to_writer(&mut file, origin)?;
        file.as_file().sync_all()?;
        file.persist(&note)?;
        Ok(())
    }

    /// Takes out what was kept of a space.
    pub fn forget(&self, space: &str) {
        // A file without its note is not opened: what is left over only takes room.
        let gone = fs::remove_file(self.note(space)).map_err(anyhow::Error::from);
        if let Err(error) = gone.and_then(|()| Ok(Spaces::forget(space, &self.0)?)) {
            tracing::warn!(space, %error, "what was kept of a space that is gone");
        }
    }

    /// Serves what was kept of a space; false when it is of other vectors or rows, is not there, or is damaged.
    pub fn open(&self, spaces: &Spaces, space: &str, origin: &Origin) -> bool {
        let note = fs::read(self.note(space)).ok().and_then(|bytes| serde_json::from_slice::<Origin>(&bytes).ok());
        if note.as_ref() != Some(origin) {
            return false;
        }
        match spaces.open(space, &self.0) {
            Ok(opened) => opened.damaged.is_empty(),
            Err(error) => {
                tracing::warn!(space, %error, "a kept graph is not used: it is built again");
                false
            }
        }
    }
}
