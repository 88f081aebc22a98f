//! `qianmian backup`: backups in which an erased visitor cannot be read, the secrets they are opened with, and the way back.

use super::{Data, say};
use anyhow::{Context, ensure};
use qianmian_state::backup;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What to do with backups.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Backup {
    /// Make a backup, beside the server that may be running.
    Create {
        /// The folder to make.
        folder: PathBuf,
        #[command(flatten)]
        data: Data,
        /// Write the secrets to this file too; keep it apart from the backups.
        #[arg(long)]
        keys: Option<PathBuf>,
    },
    /// Write the secrets that open backups to a file, in place of what it held.
    Keys {
        /// The file; keep the newest only, apart from the backups.
        file: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// Make a data folder of a backup. Who was erased since is left out.
    Restore {
        /// The backup.
        folder: PathBuf,
        /// The newest file of secrets.
        #[arg(long)]
        keys: PathBuf,
        /// The data folder to make.
        #[arg(long)]
        data: PathBuf,
    },
}

impl Backup {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create { folder, data, keys } => {
                let inside = keys.as_ref().is_some_and(|keys| keys.starts_with(&folder));
                ensure!(!inside, "--keys is in the backup, which it would open to whoever has it: write it elsewhere");
                let made = backup::create(&data.data, &folder)
                    .with_context(|| format!("no backup of {} was made", data.data.display()))?;
                let secrets = keys.map(|file| write_keys(&data.data, &file)).transpose()?;
                say(json!({
                    "events": made.events, "visitors": made.visitors, "blobs": made.blobs, "secrets": secrets,
                }));
            }
            Self::Keys { file, data } => say(json!({ "secrets": write_keys(&data.data, &file)? })),
            Self::Restore { folder, keys, data } => {
                let back = backup::restore(&folder, &keys, &data)
                    .with_context(|| format!("{} was not restored", folder.display()))?;
                say(json!({
                    "made": back.made, "events": back.events, "visitors": back.visitors, "erased": back.erased,
                }));
            }
        }
        Ok(())
    }
}

fn write_keys(data: &Path, file: &Path) -> anyhow::Result<usize> {
    backup::write_keys(data, file).with_context(|| format!("the secrets of {} were not written", data.display()))
}
