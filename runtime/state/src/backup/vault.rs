//! The secrets that visitors' parts of backups are sealed with: one a visitor's key, made by the first backup that holds
//! anything of them, destroyed with them. No backup contains one.
//!
//! A backup is made by a process of its own, beside the one that serves and erases; this database is where both meet. Who is
//! erased is noted, so that a backup which read them before makes no new secret for them afterwards.

use crate::bytes::{Reader, put_len, put_text};
use crate::db::{self, Journal, Place};
use crate::error::{DatabaseContext, Result, StateError};
use crate::identity::now;
use crate::people::{KEY_FILE, Pseudonyms, write_private};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use qianmian_core::DAY_MS;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

const FILE: &str = "secrets.db";
const FORMAT: i64 = 1;
const SCHEMA: &str = "CREATE TABLE secrets(key TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE gone(number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, time INTEGER NOT NULL);
    CREATE INDEX gone_key ON gone(key, number);
    CREATE TABLE vault(one INTEGER PRIMARY KEY, sealed BLOB NOT NULL)";
/// First bytes of a file of secrets; the last digit is the format's version.
const MAGIC: &[u8] = b"qmbkeys1";
/// How long it is noted who was erased: no backup takes as long.
const NOTED: i64 = 7 * DAY_MS;
const NONCE: usize = 12;
/// Secrets that are stored at a time: an erasure may have to wait for it.
const FRESH: usize = 8192;

/// What a secret is called in a backup. It tells neither the secret nor whose it is.
pub(super) type Label = [u8; 16];

/// What one visitor's parts are sealed with.
#[derive(Clone, Copy)]
pub(super) struct Secret([u8; 32]);

impl Secret {
    pub fn label(&self) -> Label {
        let digest = Sha256::new_with_prefix(b"qianmian label").chain_update(self.0).finalize();
        let mut label = [0; 16];
        label.copy_from_slice(&digest[..16]);
        label
    }

    /// The label, a random nonce and the ciphertext. `place` is where it may be opened again.
    pub fn seal(&self, place: &str, payload: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE] = rand::random();
        // only more than 64 GB cannot be sealed
        let sealed = Aes256Gcm::new(&self.0.into())
            .encrypt(&nonce.into(), Payload { msg: payload, aad: place.as_bytes() })
            .unwrap_or_default();
        [&self.label(), &nonce[..], &sealed].concat()
    }

    /// What was sealed; `None` when it was changed, or moved from another place.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.get(size_of::<Label>()..)?.split_first_chunk::<NONCE>()?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        Aes256Gcm::new(&self.0.into()).decrypt(&(*nonce).into(), payload).ok()
    }
}

/// Which secrets, and how many backups were made with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub id: [u8; 16],
    pub backups: u64,
}

/// The secrets of a data folder, open for making a backup or for filling a new folder.
pub(super) struct Vault {
    db: Connection,
    /// Erasures noted until it was opened: those are not in what is read from now on.
    since: i64,
    /// `None` for who was erased meanwhile.
    known: FxHashMap<String, Option<Secret>>,
    /// Made, and not stored yet.
    fresh: Vec<(String, Secret)>,
}

impl Vault {
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        if !path.exists() {
            write_private(&path, b"").map_err(super::records::io("create", &path))?;
        }
        let db = db::open(&Place::new(Some(dir), FILE), FILE, FORMAT, SCHEMA, Journal::Rollback)?;
        let standing = Standing { id: rand::random(), backups: 0 };
        db.execute("INSERT OR IGNORE INTO vault VALUES(1, ?1)", [standing.sealed()]).during("make secrets")?;
        let since =
            db.query_row("SELECT coalesce(max(number), 0) FROM gone", [], |row| row.get(0)).during("read secrets")?;
        Ok(Self { db, since, known: FxHashMap::default(), fresh: Vec::new() })
    }

    /// The secret of a visitor's key, made where there is none and stored by the next [`Vault::keep`]; `None` when they were
    /// erased since the vault was opened.
    pub fn secret(&mut self, key: &str) -> Result<Option<Secret>> {
        if let Some(known) = self.known.get(key) {
            return Ok(*known);
        }
        let stored = self
            .db
            .prepare_cached("SELECT sealed FROM secrets WHERE key = ?1")
            .and_then(|mut select| select.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional())
            .during("read secrets")?;
        let secret = match stored {
            Some(sealed) => secret_of(key, &sealed)?,
            None => {
                let secret = Secret(rand::random());
                self.fresh.push((key.to_owned(), secret));
                secret
            }
        };
        self.known.insert(key.to_owned(), Some(secret));
        if self.fresh.len() >= FRESH {
            self.keep()?;
        }
        Ok(Some(secret))
    }

    /// Stores the secrets that were made, but those of who was erased meanwhile: what they sealed nobody opens.
    pub fn keep(&mut self) -> Result<()> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).during("store secrets")?;
        for (key, secret) in self.fresh.drain(..) {
            let gone: bool = tx
                .prepare_cached("SELECT EXISTS(SELECT 1 FROM gone WHERE key = ?1 AND number > ?2)")
                .and_then(|mut select| select.query_row(params![key, self.since], |row| row.get(0)))
                .during("store secrets")?;
            if gone {
                self.known.insert(key, None);
            } else if put(&tx, &key, &secret)? == 0 {
                let detail = "another backup is being made at the same time; try again when it is finished".into();
                return Err(StateError::Backup { path: FILE.into(), detail });
            }
        }
        tx.commit().during("store secrets")
    }

    /// Visitors a secret was asked for.
    pub fn visitors(&self) -> usize {
        self.known.values().flatten().count()
    }

    /// Counts a backup that is whole; only files of secrets written from now on open it.
    pub fn count(&mut self) -> Result<Standing> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).during("write secrets")?;
        let Standing { id, backups } = standing(&tx)?;
        let counted = Standing { id, backups: backups + 1 };
        stand(&tx, counted)?;
        tx.commit().during("write secrets")?;
        Ok(counted)
    }

    /// Fills a vault that was just made.
    pub fn fill(&mut self, keys: &Keys) -> Result<()> {
        let tx = self.db.transaction().during("write secrets")?;
        stand(&tx, keys.standing)?;
        for (key, secret) in keys.secrets.values() {
            put(&tx, key, secret)?;
        }
        tx.commit().during("write secrets")
    }
}

impl Standing {
    fn bytes(&self) -> Vec<u8> {
        [&self.id[..], &self.backups.to_le_bytes()].concat()
    }

    fn sealed(&self) -> Vec<u8> {
        db::seal(b"vault", &self.bytes())
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader { bytes };
        Some(Self { id: from.array()?, backups: u64::from_le_bytes(from.array()?) })
    }
}

fn standing(db: &Connection) -> Result<Standing> {
    let sealed: Vec<u8> = db.query_row("SELECT sealed FROM vault", [], |row| row.get(0)).during("read secrets")?;
    Standing::read(db::unseal(FILE, b"vault", &sealed)?)
        .ok_or_else(|| StateError::Damaged { what: FILE.into(), detail: "its number is cut".into() })
}

fn stand(db: &Connection, standing: Standing) -> Result<()> {
    db.execute("UPDATE vault SET sealed = ?1", [standing.sealed()]).during("write secrets").map(drop)
}

/// 0 when there is one already.
fn put(db: &Connection, key: &str, secret: &Secret) -> Result<usize> {
    db.prepare_cached("INSERT OR IGNORE INTO secrets VALUES(?1, ?2)")
        .and_then(|mut insert| insert.execute(params![key, db::seal(key.as_bytes(), &secret.0)]))
        .during("store secrets")
}

fn secret_of(key: &str, sealed: &[u8]) -> Result<Secret> {
    let bytes = db::unseal("secret", key.as_bytes(), sealed)?;
    let damaged = |_| StateError::Damaged { what: format!("secret {key}"), detail: "it is no secret".into() };
    bytes.try_into().map(Secret).map_err(damaged)
}

/// Destroys the secrets of erased visitors, on the disk too: what backups hold of them cannot be read any more. Returns how
/// many there were. Called when nothing of them is left to be backed up.
pub(crate) fn destroy(dir: Option<&Path>, keys: &[Arc<str>]) -> Result<usize> {
    let Some(dir) = dir.filter(|dir| dir.join(FILE).exists()) else { return Ok(0) };
    let mut db = match db::open_existing(&Place::new(Some(dir), FILE), FILE, FORMAT) {
        // it is being made: whoever makes it has not begun to read
        Err(StateError::Format { found: 0, .. }) => return Ok(0),
        opened => opened?,
    };
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).during("destroy secrets")?;
    let mut destroyed = 0;
    for key in keys {
        destroyed += tx.execute("DELETE FROM secrets WHERE key = ?1", [&**key]).during("destroy secrets")?;
        tx.execute("INSERT INTO gone(key, time) VALUES(?1, ?2)", params![&**key, now()]).during("destroy secrets")?;
    }
    tx.execute("DELETE FROM gone WHERE time < ?1", [now() - NOTED]).during("destroy secrets")?;
    tx.commit().during("destroy secrets")?;
    Ok(destroyed)
}

/// What a file of secrets holds.
pub(super) struct Keys {
    pub standing: Standing,
    /// The bytes of the secret that visitors' keys are made with.
    pub pseudonyms: Vec<u8>,
    pub secrets: FxHashMap<Label, (String, Secret)>,
}

/// Writes the secrets of a data folder, and the one that visitors' keys are made with, into a file that only this user can
/// read. What a file of that name held before is overwritten: it may open what must stay shut.
///
/// # Errors
/// [`StateError::Damaged`], [`StateError::Database`], [`StateError::Io`].
pub fn write_keys(data: &Path, file: &Path) -> Result<usize> {
    drop(Pseudonyms::open(data, false)?);
    let path = data.join(KEY_FILE);
    let pseudonyms = fs::read(&path).map_err(super::records::io("read", &path))?;
    let mut vault = Vault::open(data)?;
    let tx = vault.db.transaction().during("read secrets")?;
    let mut payload = standing(&tx)?.bytes();
    put_len(&mut payload, pseudonyms.len());
    payload.extend_from_slice(&pseudonyms);
    let mut count = 0;
    {
        let mut select = tx.prepare("SELECT key, sealed FROM secrets").during("read secrets")?;
        let mut rows = select.query([]).during("read secrets")?;
        while let Some(row) = rows.next().during("read secrets")? {
            let (key, sealed): (String, Vec<u8>) =
                row.get(0).and_then(|key| Ok((key, row.get(1)?))).during("read secrets")?;
            put_text(&mut payload, &key);
            payload.extend_from_slice(&secret_of(&key, &sealed)?.0);
            count += 1;
        }
    }
    drop(tx);
    let before = File::options().write(true).open(file).ok();
    let bytes = [MAGIC, &db::seal(MAGIC, &payload)].concat();
    let written = write_private(file, &bytes).and_then(|()| before.map_or(Ok(()), overwrite));
    written.map_err(super::records::io("write", file))?;
    Ok(count)
}

fn overwrite(mut file: File) -> std::io::Result<()> {
    let length = file.metadata()?.len();
    file.write_all(&vec![0; usize::try_from(length).unwrap_or(0)])?;
    file.sync_all()
}

/// Reads what [`write_keys`] wrote.
pub(super) fn read_keys(file: &Path) -> Result<Keys> {
    let refused = |detail: &str| StateError::Backup { path: file.to_path_buf(), detail: detail.into() };
    let bytes = fs::read(file).map_err(super::records::io("read", file))?;
    let sealed = bytes.strip_prefix(MAGIC).ok_or_else(|| {
        refused("it is no file of secrets; `qianmian backup keys FILE` writes one from the data folder")
    })?;
    let cut = || refused("it is damaged; take another copy of it, or write it anew with `qianmian backup keys FILE`");
    let mut from = Reader { bytes: db::unseal("secrets", MAGIC, sealed).map_err(|_| cut())? };
    let standing = from.take(24).and_then(Standing::read).ok_or_else(cut)?;
    let pseudonyms = from.sized().ok_or_else(cut)?.to_vec();
    let mut secrets = FxHashMap::default();
    while !from.bytes.is_empty() {
        let (key, secret) = (from.text().ok_or_else(cut)?, Secret(from.array().ok_or_else(cut)?));
        secrets.insert(secret.label(), (key, secret));
    }
    Ok(Keys { standing, pseudonyms, secrets })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_secret_in_its_place_only() {
        let (secret, other) = (Secret([1; 32]), Secret([2; 32]));
        let sealed = secret.seal("links", b"payload");
        assert_eq!(sealed[..16], secret.label());
        assert_ne!(secret.label(), other.label());
        assert_eq!(secret.open("links", &sealed).unwrap(), b"payload");
        assert_eq!((other.open("links", &sealed), secret.open("captures", &sealed)), (None, None));
        assert_ne!(secret.seal("links", b"payload"), sealed, "another nonce");
        for at in 16..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert_eq!(secret.open("links", &bad), None, "byte {at}");
            assert_eq!(secret.open("links", &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn who_is_erased_while_a_backup_reads_gets_no_new_secret_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let ann: [Arc<str>; 1] = ["ann".into()];
        assert_eq!(destroy(Some(dir.path()), &ann).unwrap(), 0);
        assert!(!dir.path().join(FILE).exists(), "an erasure makes no vault");
        let secret = |vault: &mut Vault, key: &str| vault.secret(key).unwrap().unwrap().0;
        let mut first = Vault::open(dir.path()).unwrap();
        let (known, bob) = (secret(&mut first, "ann"), secret(&mut first, "bob"));
        first.keep().unwrap();
        let mut second = Vault::open(dir.path()).unwrap();
        assert_eq!((secret(&mut second, "ann"), secret(&mut second, "bob")), (known, bob), "whichever backup");
        let mut third = Vault::open(dir.path()).unwrap();
        assert_eq!(destroy(Some(dir.path()), &ann).unwrap(), 1);
        // it may have read them before they were erased
        let late = secret(&mut third, "ann");
        third.keep().unwrap();
        assert!(third.secret("ann").unwrap().is_none());
        let mut fourth = Vault::open(dir.path()).unwrap();
        let again = secret(&mut fourth, "ann");
        assert!(again != known && again != late, "who comes back is somebody new");
        let carl = (secret(&mut third, "carl"), secret(&mut fourth, "carl"));
        assert_ne!(carl.0, carl.1);
        fourth.keep().unwrap();
        assert!(matches!(third.keep(), Err(StateError::Backup { .. })), "two at once would seal with two secrets");
        let bytes = std::fs::read(dir.path().join(FILE)).unwrap();
        assert!(!bytes.windows(32).any(|window| window == known || window == late), "the secret lingers on the disk");
        assert!(bytes.windows(32).any(|window| window == bob), "as it would be found");
    }
}
