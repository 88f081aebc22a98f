//! A generation as one file: what was built, so that opening it builds nothing, and what changed since.
//!
//! The file is a header and sections, each with its length and the CRC-32 of its bytes; the header and every section's
//! own head have theirs. It is read in large pieces straight into aligned memory, and every byte is checked: a safe
//! program cannot map a file that somebody else might write to, and reading 1M x 64 takes well under a second.

mod folder;
mod read;
mod write;

pub use folder::Opened;

use crate::error::IndexError;
use std::path::{Path, PathBuf};

/// First bytes of a file; the last digit is the format's version.
const MAGIC: [u8; 8] = *b"QMINDEX1";

/// The version this writes and reads.
const VERSION: u32 = 1;

/// What a section holds. Every base has the first eight in this order, then the file has one of recent rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Tag {
    Shape = 1,
    Name,
    Rows,
    Vectors,
    Codes,
    Ranges,
    Links,
    Entries,
    Dead,
    Gram,
    RecentRows,
    RecentVectors,
}

/// Why a file could not be written or opened.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The bytes are not those that were written.
    #[error("{}: damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong.
        what: String,
    },
    /// A version this does not read.
    #[error("{}: format {received}, expected {expected}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        received: u32,
        /// The version that is read.
        expected: u32,
    },
    /// The folder has no file of the space that can be opened.
    #[error("{}: no usable generation of space {space:?}, {damaged} damaged", .folder.display())]
    None {
        /// The space.
        space: String,
        /// Where it was looked for.
        folder: PathBuf,
        /// Files that are damaged.
        damaged: usize,
    },
    /// There is no such space to write.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl FileError {
    fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

/// The CRC-32 of some bytes.
fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(test)]
mod tests;
