//! Files by digest: strategies, models, vector generations.

use crate::error::{Result, StateError};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Immutable bytes by the lower-case hexadecimal SHA-256 of their content.
///
/// A blob appears whole or not at all, and what is read is what was written: the digest is checked on every read.
pub trait BlobStore: Send + Sync {
    /// Stores bytes and returns their digest. Bytes that are already there are not written again.
    ///
    /// # Errors
    /// [`StateError::Io`].
    fn put(&self, bytes: &[u8]) -> Result<String>;

    /// The bytes of a digest.
    ///
    /// # Errors
    /// [`StateError::Unknown`]; [`StateError::Damaged`] when they no longer match; [`StateError::Rejected`] when
    /// `digest` is not one; [`StateError::Io`].
    fn get(&self, digest: &str) -> Result<Vec<u8>>;

    /// True when there is a blob of this digest; its content is not checked.
    fn contains(&self, digest: &str) -> bool;

    /// Removes a blob. True when it was there.
    ///
    /// # Errors
    /// [`StateError::Rejected`] when `digest` is not one; [`StateError::Io`].
    fn delete(&self, digest: &str) -> Result<bool>;
}

/// [`BlobStore`] in a folder.
pub struct FolderBlobs {
    root: PathBuf,
    /// Makes names of unfinished files differ within this process.
    unfinished: AtomicU64,
    /// Holds the directory of a store in memory, and deletes it at the end.
    _temporary: Option<tempfile::TempDir>,
}

impl FolderBlobs {
    /// Opens the store under `dir`, or one in a temporary directory that goes with it.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn open(dir: Option<&Path>) -> Result<Self> {
        let (root, temporary) = match dir {
            Some(dir) => (dir.join("blobs"), None),
            None => {
                let temporary = tempfile::tempdir().map_err(|e| io("create", &std::env::temp_dir(), e))?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        let unfinished = root.join("unfinished");
        fs::create_dir_all(&unfinished).map_err(|e| io("create", &unfinished, e))?;
        Ok(Self { root, unfinished: AtomicU64::new(0), _temporary: temporary })
    }

    /// The digest `bytes` would be stored under.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    /// Where a digest is kept. Anything but a digest is refused, so that no name can leave the store.
    fn path(&self, digest: &str) -> Result<PathBuf> {
        let is_digest = digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_digest {
            Ok(self.root.join(&digest[..2]).join(digest))
        } else {
            Err(StateError::Rejected {
                what: "blob",
                name: digest.chars().take(80).collect(),
                code: "bad_digest",
                detail: "64 lower-case hexadecimal digits expected".into(),
            })
        }
    }
}

impl BlobStore for FolderBlobs {
    fn put(&self, bytes: &[u8]) -> Result<String> {
        let digest = Self::digest(bytes);
        // a damaged copy is replaced, so that sending a file again repairs it
        if self.get(&digest).is_ok() {
            return Ok(digest);
        }
        let path = self.path(&digest)?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(|e| io("create", folder, e))?;
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let part = self.root.join("unfinished").join(format!("{}-{number}", std::process::id()));
        let written = File::create(&part)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&part, &path));
        if let Err(error) = written {
            // the write error is the one worth reporting; a leftover part is never read
            let _ = fs::remove_file(&part);
            return Err(io("write", &path, error));
        }
        // the names are durable only when the folders that hold them are
        for folder in [folder, &self.root] {
            File::open(folder).and_then(|f| f.sync_all()).map_err(|e| io("sync", folder, e))?;
        }
        Ok(digest)
    }

    fn get(&self, digest: &str) -> Result<Vec<u8>> {
        let path = self.path(digest)?;
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(StateError::Unknown { what: "blob", name: digest.into() });
            }
            Err(e) => return Err(io("read", &path, e)),
        };
        let found = Self::digest(&bytes);
        if found == digest {
            Ok(bytes)
        } else {
            let detail = format!("its {} bytes have the digest {found}", bytes.len());
            Err(StateError::Damaged { what: format!("blob {digest}"), detail })
        }
    }

    fn contains(&self, digest: &str) -> bool {
        self.path(digest).is_ok_and(|path| path.exists())
    }

    fn delete(&self, digest: &str) -> Result<bool> {
        let path = self.path(digest)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(io("delete", &path, e)),
        }
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> StateError {
    StateError::Io { action, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_tampering_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(Some(dir.path())).unwrap();
        let digest = blobs.put(b"abc").unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(blobs.put(b"abc").unwrap(), digest);
        drop(blobs);
        let blobs = FolderBlobs::open(Some(dir.path())).unwrap();
        assert_eq!(blobs.get(&digest).unwrap(), b"abc");

        fs::write(blobs.path(&digest).unwrap(), b"abd").unwrap();
        assert!(matches!(blobs.get(&digest), Err(StateError::Damaged { .. })));
        blobs.put(b"abc").unwrap();
        assert_eq!(blobs.get(&digest).unwrap(), b"abc", "putting it again repairs it");
        assert_eq!(fs::read_dir(dir.path().join("blobs/unfinished")).unwrap().count(), 0);

        assert!(blobs.delete(&digest).unwrap() && !blobs.delete(&digest).unwrap());
        assert!(matches!(blobs.get(&digest), Err(StateError::Unknown { .. })));
        assert!(!blobs.contains(&digest));
    }

    #[test]
    fn only_digests_are_names() {
        let blobs = FolderBlobs::open(None).unwrap();
        for name in ["", "../../etc/passwd", &"A".repeat(64), &"é".repeat(32)] {
            assert!(matches!(blobs.get(name), Err(StateError::Rejected { code: "bad_digest", .. })), "{name}");
        }
    }
}
