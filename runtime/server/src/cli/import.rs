//! `qianmian import`.

use super::{Data, moment};
use crate::import::feed::feed;
use crate::import::{amazon_beauty, events, online_retail, store};
use qianmian_core::TimeMs;
use qianmian_state::State;
use std::path::PathBuf;

/// What an import knows how to read.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Preset {
    /// The UCI Online Retail order lines (CSV, also .gz or .zst).
    OnlineRetail,
    /// A folder with items.tsv.gz and sequences.txt.gz.
    AmazonBeauty,
    /// Events as NDJSON, lines as of `POST /v1/events` and `export events` (also .gz or .zst).
    Events,
}

/// Flags of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// How to read the file.
    preset: Preset,
    /// The file or folder.
    file: PathBuf,
    #[command(flatten)]
    data: Data,
    /// Only what happened before this moment.
    #[arg(long, value_parser = moment)]
    until: Option<TimeMs>,
    /// Feed it to a running server as if it happened now, so many times as fast: 3600 is an hour a second.
    #[arg(long, requires = "server")]
    speed: Option<f64>,
    /// The running server to feed, instead of a data folder.
    #[arg(long, requires = "speed")]
    server: Option<String>,
    /// Where to list the rows that were left out [default: rejects.csv in the data folder].
    #[arg(long)]
    rejects: Option<PathBuf>,
}

impl Import {
    #[allow(clippy::print_stdout, reason = "this is the command's output")]
    pub fn run(self) -> anyhow::Result<()> {
        let imported = match self.preset {
            Preset::OnlineRetail => online_retail::read(&self.file, self.until)?,
            Preset::AmazonBeauty => amazon_beauty::read(&self.file)?,
            Preset::Events => events::read(&self.file, self.until)?,
        };
        if let (Some(server), Some(speed)) = (&self.server, self.speed) {
            if let Some(path) = &self.rejects {
                imported.rejects.write(path)?;
            }
            println!("{}", serde_json::to_string_pretty(&feed(&imported, server, speed)?)?);
            return Ok(());
        }
        let state = State::open(&self.data.data)?;
        let path = self.rejects.unwrap_or_else(|| self.data.data.join("rejects.csv"));
        imported.rejects.write(&path)?;
        let report = store(&state, imported)?;
        println!("{}", serde_json::to_string_pretty(&report)?);
        if !report.rejected.is_empty() {
            eprintln!("rows that were left out, with reasons: {}", path.display());
        }
        Ok(())
    }
}
