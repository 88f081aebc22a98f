//! What can go wrong with stored state.

use std::path::PathBuf;

/// An error of this crate. It names the thing, what was found and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: "open", "write" ...
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database refused.
    #[error("database: cannot {action}: {source}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
    /// A stored value is not what was written.
    #[error("{what} is damaged: {detail}; restore the data directory from a backup")]
    Damaged {
        /// Which value.
        what: String,
        /// How it shows.
        detail: String,
    },
    /// A backup, or the file of secrets it is opened with, cannot be used.
    #[error("{path}: {detail}", path = path.display())]
    Backup {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        detail: String,
    },
    /// Written by a version of the program this one does not know.
    #[error("{what} has format {found}, this program reads format {expected}; start the version that wrote it")]
    Format {
        /// Which file or value.
        what: String,
        /// The number found.
        found: i64,
        /// The number expected.
        expected: i64,
    },
    /// Another process has the directory open.
    #[error("{path} is in use by another process; stop it or choose another data directory", path = path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// There is no such thing.
    #[error("no {what} named {name:?}")]
    Unknown {
        /// Item, document, blob ...
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The caller's value breaks a rule; nothing was changed.
    #[error("{what} {name:?}: {detail}")]
    Rejected {
        /// Item, document, blob ...
        what: &'static str,
        /// Which one.
        name: String,
        /// A stable word for programs.
        code: &'static str,
        /// The rule, for people.
        detail: String,
    },
    /// The event queue is full; try again shortly.
    #[error("the event queue holds {queued} events of at most {limit}; try again shortly")]
    Busy {
        /// Events waiting now.
        queued: usize,
        /// The most that may wait.
        limit: usize,
    },
    /// The events were not stored, because the commit they were part of failed.
    #[error("events not stored: {detail}")]
    NotStored {
        /// Why.
        detail: String,
    },
    /// The event writer has stopped.
    #[error("the event writer has stopped; restart the server and look for the reason in its log")]
    Stopped,
    /// This state was opened for reading only.
    #[error("this state is a read-only view")]
    ReadOnly,
}

/// `Result` with this crate's error.
pub type Result<T> = std::result::Result<T, StateError>;

/// Turns a database error into ours, saying what was being done.
pub(crate) trait DatabaseContext<T> {
    fn during(self, action: &'static str) -> Result<T>;
}

impl<T> DatabaseContext<T> for rusqlite::Result<T> {
    fn during(self, action: &'static str) -> Result<T> {
        self.map_err(|source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ReadOnly) => StateError::ReadOnly,
            _ => StateError::Database { action, source },
        })
    }
}
