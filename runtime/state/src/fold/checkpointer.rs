//! The thread that keeps the folds on disk beside the folding.

use super::Folds;
use crate::error::{Result, StateError};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The thread. Dropping it takes a last checkpoint, once nothing is folded any more.
pub(crate) struct Checkpointer {
    folds: Arc<Folds>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Takes a checkpoint every so often.
    ///
    /// # Errors
    /// [`StateError::Io`] when no thread can be started.
    pub fn start(folds: Arc<Folds>, every: Duration) -> Result<Self> {
        folds.are_served(true);
        let shared = Arc::clone(&folds);
        let thread = std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || shared.serve_checkpoints(every))
            .map_err(|source| StateError::Io { action: "start the thread of", path: "checkpoints".into(), source })?;
        Ok(Self { folds, thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.folds.are_served(false);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of checkpoints had panicked");
        }
    }
}
