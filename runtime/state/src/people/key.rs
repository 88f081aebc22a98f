//! Pseudonyms: a visitor's key is an HMAC of the id under a secret of this installation.
//!
//! The log, the folds and the captures know keys only, so a copy of them names nobody without the secret.

use crate::db;
use crate::error::{Result, StateError};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs;
use std::io::Write;
use std::path::Path;

/// The file of the secret.
pub const FILE: &str = "visitors.key";
/// Raised when what a key is made of changes.
const FORMAT: &[u8] = b"qmvisit1";
const SECRET: usize = 32;
/// Bytes of the HMAC that are kept: two visitors in 2^64 would share a key by chance.
const KEPT: usize = 16;

/// Makes keys of ids.
#[derive(Clone)]
pub struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    /// Over 32 random bytes.
    #[must_use]
    pub fn new(secret: [u8; SECRET]) -> Self {
        let mut block = [0; 64];
        block[..SECRET].copy_from_slice(&secret);
        Self(Hmac::new(&block.into()))
    }

    /// The key of an id: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn key(&self, id: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        let mut digits = [0; 2 * KEPT];
        // twice as many digits as bytes: it cannot fail
        let _ = hex::encode_to_slice(&mac.finalize().into_bytes()[..KEPT], &mut digits);
        String::from_utf8_lossy(&digits).into_owned()
    }

    /// The secret in `dir`, made when `may_make`.
    ///
    /// # Errors
    /// [`StateError::Io`]; [`StateError::Damaged`] when it is not what was written, or missing and must not be made.
    pub fn open(dir: &Path, may_make: bool) -> Result<Self> {
        let path = dir.join(FILE);
        let io = |action, source| StateError::Io { action, path: path.clone(), source };
        let damaged = |detail: String| StateError::Damaged { what: FILE.into(), detail };
        if !path.exists() {
            if !may_make {
                return Err(damaged("it is missing, and what is stored names visitors by it".into()));
            }
            let sealed = [FORMAT, &db::seal(FORMAT, &rand::random::<[u8; SECRET]>())].concat();
            write_private(&path, &sealed).map_err(|e| io("write", e))?;
        }
        let bytes = fs::read(&path).map_err(|e| io("read", e))?;
        let sealed = bytes.strip_prefix(FORMAT).ok_or_else(|| damaged("it does not begin as it should".into()))?;
        let secret = <[u8; SECRET]>::try_from(db::unseal(FILE, FORMAT, sealed)?);
        secret.map(Self::new).map_err(|_| damaged(format!("{} bytes, {SECRET} expected", sealed.len())))
    }
}

/// Writes a file that only this user can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // a temporary file is made for its owner alone
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_stable_and_say_nothing_of_the_id() {
        let dir = tempfile::tempdir().unwrap();
        let key = Pseudonyms::open(dir.path(), true).unwrap().key("ann@example.org");
        assert_eq!(Pseudonyms::open(dir.path(), false).unwrap().key("ann@example.org"), key);
        assert!(key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
        assert_ne!(Pseudonyms::new([1; 32]).key("ann"), Pseudonyms::new([2; 32]).key("ann"));
    }

    #[test]
    fn a_secret_that_is_missing_or_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Pseudonyms::open(dir.path(), false), Err(StateError::Damaged { .. })));
        drop(Pseudonyms::open(dir.path(), true).unwrap());
        let path = dir.path().join(FILE);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            fs::write(&path, bad).unwrap();
            assert!(matches!(Pseudonyms::open(dir.path(), true), Err(StateError::Damaged { .. })), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(matches!(Pseudonyms::open(dir.path(), true), Err(StateError::Damaged { .. })), "cut at {at}");
        }
    }
}
