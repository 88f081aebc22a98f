//! What is not a search: opening a file, the memory it then takes, the CPU a build takes.

use crate::data::Data;
use crate::lines::{Better, Line};
use anyhow::Context;
use qianmian_index::Generation;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Bytes of this process's own memory that are resident, without those of its program; 0 where that is not to be had.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Vec<f64> = text.split(' ').skip(1).take(2).filter_map(|pages| pages.parse().ok()).collect();
    if let [resident, shared] = pages[..] { (resident - shared) * 4096.0 } else { 0.0 }
}

/// Seconds of CPU this process has used; 0 where that is not to be had.
pub fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(") ").next().unwrap_or_default();
    let ticks = after.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// What `--open FILE` does in a process of its own: opens it once, prints seconds and bytes.
pub fn open(file: &Path) -> anyhow::Result<String> {
    let before = resident();
    let began = Instant::now();
    let generation = Generation::open(file)?;
    let took = began.elapsed().as_secs_f64();
    let bytes = resident() - before;
    anyhow::ensure!(!generation.is_empty(), "an empty generation");
    Ok(format!("{took} {bytes}"))
}

/// Opens the file three times; seconds, and bytes of the last.
fn opened(file: &Path) -> anyhow::Result<(Vec<f64>, f64)> {
    let (mut seconds, mut bytes) = (Vec::new(), 0.0);
    for _ in 0..3 {
        let output = Command::new(std::env::current_exe()?).arg("--open").arg(file).output()?;
        let text = String::from_utf8(output.stdout)?;
        let (took, held) = text.trim().split_once(' ').context("no figures")?;
        seconds.push(took.parse()?);
        bytes = held.parse()?;
    }
    Ok((seconds, bytes))
}

/// Files: time to open, and bytes resident after.
pub fn file(data: &Data, generation: &Generation, work: &Path) -> anyhow::Result<(Line, f64)> {
    let file = work.join("generation.index");
    generation.save(&file)?;
    let (seconds, bytes) = opened(&file)?;
    let case = format!("{}/open", data.name);
    Ok((Line::alone(("index", &case, "seconds"), Better::Lower, &seconds, Some(1.0)), bytes))
}
