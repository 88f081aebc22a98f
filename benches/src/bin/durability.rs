//! `bench-durability`: what a server that is killed again and again loses, and how long it takes to come back.

use anyhow::{Result, ensure};
use clap::Parser;
use qianmian_benches::kills::{audit, new_audit, start_with};
use qianmian_benches::lines::{Better, Line, print};
use std::path::PathBuf;

/// Kills a server under load and prints one JSON object a line.
#[derive(Parser)]
struct Options {
    /// The server's binary, built for release.
    #[arg(long)]
    qianmian: PathBuf,
    /// The root of the repository; data goes to its target folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    workspace: PathBuf,
    /// Kills.
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Events in the log of the start that is timed.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Of the moments of the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(options.workspace.join("target"))?;
    let found = audit(&new_audit(&options.qianmian, folder.path(), options.kills, options.seed))?;
    eprintln!("{found:?}");
    ensure!(found.acknowledged > 0, "no event was acknowledged");
    let alone =
        |metric, value: f64, target| Line::alone(("durability", "kills", metric), Better::Lower, &[value], target);
    let mut lines = vec![
        Line::alone(("durability", "kills", "acknowledged"), Better::Higher, &[found.acknowledged as f64], None),
        alone("lost", found.lost as f64, Some(0.0)),
        alone("doubled", found.doubled as f64, Some(0.0)),
        alone("forgotten", found.forgotten as f64, Some(0.0)),
        alone("slowest_start_s", found.slowest_start.as_secs_f64(), None),
    ];
    let folder = tempfile::tempdir_in(options.workspace.join("target"))?;
    let took = start_with(&new_audit(&options.qianmian, folder.path(), 0, 1), options.events)?;
    let million = took.as_secs_f64() / options.events as f64 * 1e6;
    lines.push(Line::alone(("durability", "restart", "s_per_million"), Better::Lower, &[million], Some(5.0)));
    print(&lines)
}
