//! The files of a backup: rows of a database, one after the other, each behind its length; a digest over all of them.

use crate::bytes::{Reader, put_len, put_text};
use crate::error::{Result, StateError};
use rusqlite::types::Value;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// The values of a row, in the order of its columns.
pub(super) type Row = Vec<Value>;

/// What a backup says of one of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// The format of the database it was read from.
    pub format: i64,
    pub rows: u64,
    pub sha256: String,
}

pub(super) fn encode(row: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in row {
        match value {
            Value::Null => bytes.push(0),
            Value::Integer(number) => {
                bytes.push(1);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Value::Text(text) => {
                bytes.push(2);
                put_text(&mut bytes, text);
            }
            Value::Blob(blob) => {
                bytes.push(3);
                put_len(&mut bytes, blob.len());
                bytes.extend_from_slice(blob);
            }
            Value::Real(number) => {
                bytes.push(4);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
    bytes
}

/// The row of some bytes; `None` when they are none.
pub(super) fn decode(bytes: &[u8]) -> Option<Row> {
    let mut from = Reader { bytes };
    let mut row = Vec::new();
    while !from.bytes.is_empty() {
        row.push(match from.array()? {
            [0] => Value::Null,
            [1] => Value::Integer(i64::from_le_bytes(from.array()?)),
            [2] => Value::Text(from.text()?),
            [3] => Value::Blob(from.sized()?.to_vec()),
            [4] => Value::Real(f64::from_le_bytes(from.array()?)),
            _ => return None,
        });
    }
    Some(row)
}

pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> StateError {
    move |source| StateError::Io { action, path: path.to_path_buf(), source }
}

/// Writes one file.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    digest: Sha256,
    rows: u64,
}

impl Writer {
    pub fn create(path: PathBuf) -> Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(io("create", &path))?);
        Ok(Self { path, file, digest: Sha256::new(), rows: 0 })
    }

    pub fn put(&mut self, record: &[u8]) -> Result<()> {
        // a value of SQLite has at most 2^31 bytes
        let length = (record.len() as u32).to_le_bytes();
        for bytes in [&length, record] {
            self.digest.update(bytes);
            self.file.write_all(bytes).map_err(io("write", &self.path))?;
        }
        self.rows += 1;
        Ok(())
    }

    pub fn finish(mut self, format: i64) -> Result<Part> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(io("write", &self.path))?;
        Ok(Part { format, rows: self.rows, sha256: hex::encode(self.digest.finalize()) })
    }
}

/// The digest of a whole file.
pub(super) fn digest(path: &Path) -> Result<String> {
    let (mut file, mut digest) = (File::open(path).map_err(io("open", path))?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(io("read", path))? {
            0 => return Ok(hex::encode(digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

/// Visits the records of a file whose digest was found right.
pub(super) fn each(path: &Path, part: &Part, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path).map_err(io("open", path))?);
    let mut record = Vec::new();
    for _ in 0..part.rows {
        let mut length = [0; 4];
        file.read_exact(&mut length).map_err(io("read", path))?;
        record.resize(u32::from_le_bytes(length) as usize, 0);
        file.read_exact(&mut record).map_err(io("read", path))?;
        visit(&record)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Integer),
            ".{0,20}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..200).prop_map(Value::Blob),
            (-1e9f64..1e9).prop_map(Value::Real),
        ]
    }

    proptest! {
        #[test]
        fn rows_come_back_and_nonsense_is_none(
            row in proptest::collection::vec(any_value(), 0..6),
            nonsense in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let bytes = encode(&row);
            prop_assert_eq!(decode(&bytes), Some(row));
            if !bytes.is_empty() {
                prop_assert!(decode(&bytes[..bytes.len() - 1]).is_none_or(|less| encode(&less).len() < bytes.len()));
            }
            let _ = decode(&nonsense);
        }
    }
}
