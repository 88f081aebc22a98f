//! What is not a search: updates under load, opening a file, the memory it then takes.

use crate::data::{Data, K};
use crate::lines::{Better, Line, median};
use anyhow::Context;
use qianmian_core::ItemRow;
use qianmian_index::{Change, Generation, Query, Spaces};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Resident bytes of this process; 0 where that is not to be had.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
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

/// The 99th percentile of a search's time, in microseconds, while `until` is not set, or of `count` searches.
fn p99(data: &Data, spaces: &Spaces, until: &AtomicBool, count: usize) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for vector in data.queries.chunks_exact(data.dim).cycle() {
        if until.load(Ordering::Relaxed) || times.len() == count {
            break;
        }
        let began = Instant::now();
        spaces.space("bench").context("there")?.find(&Query::new(vector, K))?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() * 99 / 100).copied().context("no searches")
}

/// 2,000 upserts and 500 deletes a second beside searches that never pause; every upsert is looked for at once.
pub fn updates(data: &Data, spaces: &Spaces, seconds: u64) -> anyhow::Result<Vec<Line>> {
    let never = AtomicBool::new(false);
    let quiet: Vec<f64> = (0..3).map(|_| p99(data, spaces, &never, 5_000)).collect::<anyhow::Result<_>>()?;
    let stop = AtomicBool::new(false);
    let (busy, (made, unseen)) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let counts = write(data, spaces, seconds);
            stop.store(true, Ordering::Relaxed);
            counts
        });
        let busy = p99(data, spaces, &stop, usize::MAX);
        (busy, writer.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the writer died"))))
            .pipe(|(busy, counts)| anyhow::Ok((busy?, counts?)))
    })?;
    let case = format!("{}/updates", data.name);
    let quiet = [median(&quiet)];
    Ok(vec![
        Line::against(("index", &case, "p99 us"), Better::Lower, &[busy], ("the same, quiet", &quiet), 1.5),
        Line::alone(("index", &case, "updates a second"), Better::Higher, &[made / seconds as f64], Some(2_490.0)),
        Line::alone(("index", &case, "unseen upserts"), Better::Lower, &[unseen], Some(0.0)),
    ])
}

/// So that results are taken apart where they are made.
trait Pipe: Sized {
    fn pipe<T>(self, then: impl FnOnce(Self) -> T) -> T {
        then(self)
    }
}
impl<T> Pipe for T {}

/// Four upserts and a delete every two milliseconds; how many, and how many upserts the next search did not see.
fn write(data: &Data, spaces: &Spaces, seconds: u64) -> anyhow::Result<(f64, f64)> {
    let (mut made, mut unseen) = (0u32, 0u32);
    let began = Instant::now();
    let rows = data.rows() as u32;
    for turn in 0..seconds as u32 * 500 {
        let mut changes = Vec::new();
        for i in 0..4 {
            let row = (turn * 4 + i).wrapping_mul(7_919) % (rows + 10_000);
            let mut vector = data.base[(row % rows) as usize * data.dim..][..data.dim].to_vec();
            vector[0] += 0.01 * (turn + 1) as f32;
            changes.push(Change::Upsert(ItemRow(row), vector));
        }
        changes.push(Change::Delete(ItemRow((turn * 31 + 5) % rows)));
        spaces.update("bench", &changes)?;
        made += 5;
        // One in twenty, lest the looking be the load.
        if let (Some(Change::Upsert(row, vector)), 0) = (changes.first(), turn % 5) {
            let gone = matches!(changes[4], Change::Delete(other) if other == *row);
            let found = spaces.space("bench").context("there")?.find(&Query::new(vector, K))?;
            unseen += u32::from(!gone && !found.rows.iter().any(|f| f.0 == *row));
        }
        let due = Duration::from_millis(2) * (turn + 1);
        #[expect(clippy::disallowed_methods, reason = "a writer that keeps a pace must wait")]
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok((f64::from(made), f64::from(unseen)))
}
