//! A folder of generations: the newest that is whole serves, older ones stay behind it.

use super::FileError;
use crate::error::IndexError;
use crate::generation::Generation;
use crate::spaces::Spaces;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What [`Spaces::open`] did.
#[derive(Debug)]
pub struct Opened {
    /// The file that serves now.
    pub file: PathBuf,
    /// Number of its generation.
    pub generation: u64,
    /// Newer files, newest first, and what is wrong with each: to be reported.
    pub damaged: Vec<FileError>,
}

/// File names begin so; anything but letters, digits and `-` is written as `_` and its number.
fn prefix(space: &str) -> String {
    let mut prefix = String::new();
    for byte in space.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            prefix.push(char::from(byte));
        } else {
            prefix.push_str(&format!("_{byte:02x}"));
        }
    }
    prefix
}

/// The files of a space, newest first.
fn files(space: &str, folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let begin = format!("{}.", prefix(space));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| FileError::io(folder, source))? {
        let path = entry.map_err(|source| FileError::io(folder, source))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".index"));
        if number.is_some_and(|number| number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit())) {
            found.push(path);
        }
    }
    // All names of a space are equally long, so that the order of letters is that of numbers.
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

impl Spaces {
    /// Writes what a space serves into a folder, as the newest of its files, and leaves `keep` of them, at least 1.
    ///
    /// # Errors
    /// [`FileError::Index`] when there is no such space, [`FileError::Io`].
    pub fn save(&self, space: &str, folder: &Path, keep: usize) -> Result<PathBuf, FileError> {
        let unknown = || IndexError::Unknown { space: space.to_owned() };
        let generation = self.space(space).ok_or_else(unknown)?;
        let old = files(space, folder)?;
        let last = |path: &PathBuf| path.file_stem()?.to_str()?.rsplit('.').next()?.parse::<u64>().ok();
        let next = old.first().and_then(last).unwrap_or(0) + 1;
        let path = folder.join(format!("{}.{next:020}.index", prefix(space)));
        generation.save(&path)?;
        for old in old.iter().skip(keep.saturating_sub(1)) {
            std::fs::remove_file(old).map_err(|source| FileError::io(old, source))?;
        }
        Ok(path)
    }

    /// Removes every file of a space.
    ///
    /// # Errors
    /// [`FileError::Io`] when the folder cannot be read or a file not be removed.
    pub fn forget(space: &str, folder: &Path) -> Result<(), FileError> {
        let remove = |file: PathBuf| std::fs::remove_file(&file).map_err(|source| FileError::io(&file, source));
        files(space, folder)?.into_iter().try_for_each(remove)
    }

    /// Serves the newest file of a space that is whole.
    ///
    /// # Errors
    /// [`FileError::None`] when none is, [`FileError::Io`] when the folder cannot be read.
    pub fn open(&self, space: &str, folder: &Path) -> Result<Opened, FileError> {
        let mut damaged = Vec::new();
        for file in files(space, folder)? {
            match Generation::open(&file) {
                Ok(generation) if generation.name() == space => {
                    let number = self.next_number();
                    self.swap_in(Arc::from(space), Arc::new(generation.numbered(number)));
                    return Ok(Opened { file, generation: number, damaged });
                }
                Ok(_) => damaged.push(FileError::Damaged { path: file, what: "it is of another space".to_owned() }),
                Err(error) => damaged.push(error),
            }
        }
        Err(FileError::None { space: space.to_owned(), folder: folder.to_path_buf(), damaged: damaged.len() })
    }
}
