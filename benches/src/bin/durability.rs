//! `bench-durability`: what a server that is killed again and again loses, and how long it takes to come back.

use anyhow::{Result, ensure};
use clap::Parser;
use qianmian::import::{online_retail, store};
use qianmian_benches::bitflips::damage;
use qianmian_benches::kills::{Audit, Found, audit, new_audit, start_with};
use qianmian_benches::lines::{Better, Line, print};
use qianmian_benches::place::Place;
use qianmian_state::State;
use std::path::PathBuf;
use std::time::Instant;

/// Kills a server under load and prints one JSON object a line.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Place,
    /// Kills.
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Events in the log of the start that is timed.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Damaged copies of a data folder.
    #[arg(long, default_value_t = 1_000)]
    flips: usize,
    /// The online-retail CSV: imported live, then folded from nothing.
    #[arg(long)]
    online_retail: Option<PathBuf>,
    /// Of the moments of the kills, and of what is damaged.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(options.place.target())?;
    let found = if options.kills == 0 {
        Found::default()
    } else {
        audit(&new_audit(&options.place.qianmian, folder.path(), options.kills, options.seed))?
    };
    eprintln!("{found:?}");
    ensure!(options.kills == 0 || found.acknowledged > 0, "no event was acknowledged");
    let alone =
        |metric, value: f64, target| Line::alone(("durability", "kills", metric), Better::Lower, &[value], target);
    let mut lines = vec![
        Line::alone(("durability", "kills", "acknowledged"), Better::Higher, &[found.acknowledged as f64], None),
        alone("lost", found.lost as f64, Some(0.0)),
        alone("doubled", found.doubled as f64, Some(0.0)),
        alone("forgotten", found.forgotten as f64, Some(0.0)),
        alone("slowest_start_s", found.slowest_start.as_secs_f64(), None),
    ];
    let folder = tempfile::tempdir_in(options.place.target())?;
    let audit = Audit { checkpoint_seconds: 600, ..new_audit(&options.place.qianmian, folder.path(), 0, 1) };
    let millions = options.events as f64 / 1e6;
    for (metric, took) in ["s_per_million", "s_per_million_kept"].into_iter().zip(start_with(&audit, options.events)?) {
        let million = took.as_secs_f64() / millions;
        lines.push(Line::alone(("durability", "restart", metric), Better::Lower, &[million], Some(5.0)));
    }
    lines.extend(flipped(&options)?);
    lines.extend(rebuilt(&options)?);
    print(&lines)
}

/// Damage to every file of a data folder.
fn flipped(options: &Options) -> Result<Vec<Line>> {
    let folder = tempfile::tempdir_in(options.place.target())?;
    // a panic is a finding, and is counted: its words need not stand here a thousand times
    std::panic::set_hook(Box::new(|_| {}));
    let found = damage(folder.path(), options.flips, options.seed)?;
    drop(std::panic::take_hook());
    eprintln!("{found:#?}");
    let line = |metric, value: usize, target| {
        Line::alone(("durability", "bitflips", metric), Better::Lower, &[value as f64], target)
    };
    Ok(vec![
        line("silently_wrong", found.silent, Some(0.0)),
        line("panicked", found.panicked, Some(0.0)),
        line("refused", found.refused, None),
        line("unharmed", found.unharmed, None),
    ])
}

/// Real orders, folded as they come and folded from nothing.
fn rebuilt(options: &Options) -> Result<Vec<Line>> {
    let Some(file) = &options.online_retail else { return Ok(Vec::new()) };
    let folder = tempfile::tempdir_in(options.place.target())?;
    let state = State::open(folder.path())?;
    store(&state, online_retail::read(file, None)?)?;
    let (offset, live) = state.digest()?;
    let begun = Instant::now();
    let anew = State::open_at(folder.path(), offset)?;
    let took = begun.elapsed().as_secs_f64();
    let equal = anew.folds.digest() == live;
    eprintln!("{offset} events, {} visitors, rebuilt in {took:.2} s: {live:?}", state.folds.visitors());
    let what = ("durability", "rebuild/online-retail", "equal");
    Ok(vec![Line::alone(what, Better::Higher, &[f64::from(u8::from(equal))], Some(1.0))])
}
