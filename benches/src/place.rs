//! Where a bench finds the server and keeps its data: flags that all of them have.

use anyhow::{Context, Result};
use std::path::PathBuf;

/// The server and the workspace.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// The server's binary, built for release.
    #[arg(long)]
    pub qianmian: PathBuf,
    /// The root of the repository; data, logs and the peer's environment go to its target folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    pub workspace: PathBuf,
}

impl Place {
    /// The workspace's target folder.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.workspace.join("target")
    }

    /// Where a server's words are kept.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        let logs = self.target().join("bench-logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(logs.join(name))
    }
}
