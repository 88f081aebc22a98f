//! Updates beside searches that never pause: what they do to the slowest searches, and whether each is seen.
//!
//! Every search is timed twice, by the clock on the wall and by that of its thread, which stands still while the thread
//! waits for a core: the second is what the index takes, the first has what else runs on the machine in it.

use crate::data::{Data, K};
use crate::lines::{Better, Line, median};
use anyhow::Context;
use cpu_time::ThreadTime;
use qianmian_core::ItemRow;
use qianmian_index::{Change, Generation, IndexError, Query, Rebuilt, Spaces};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Searches of a quiet run.
const QUIET: usize = 5_000;

/// Percentiles of one run's searches, in microseconds.
#[derive(Clone, Copy)]
struct Times {
    wall_p50: f64,
    wall_p99: f64,
    cpu_p50: f64,
    cpu_p99: f64,
}

/// Searches while `until` is not set, or `count` times.
fn search(data: &Data, spaces: &Spaces, until: &AtomicBool, count: usize) -> anyhow::Result<Times> {
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for vector in data.queries.chunks_exact(data.dim).cycle() {
        if until.load(Ordering::Relaxed) || wall.len() == count {
            break;
        }
        let (began, began_cpu) = (Instant::now(), ThreadTime::now());
        spaces.space("bench").context("there")?.find(&Query::new(vector, K))?;
        cpu.push(began_cpu.elapsed().as_secs_f64() * 1e6);
        wall.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let at = |times: &mut Vec<f64>, share: usize| {
        times.sort_unstable_by(f64::total_cmp);
        times.get(times.len() * share / 100).copied().context("no searches")
    };
    Ok(Times {
        wall_p50: at(&mut wall, 50)?,
        wall_p99: at(&mut wall, 99)?,
        cpu_p50: at(&mut cpu, 50)?,
        cpu_p99: at(&mut cpu, 99)?,
    })
}

/// What a writer did.
struct Written {
    made: f64,
    unseen: f64,
    /// Seconds of CPU an update of five changes took.
    each: f64,
}

/// 2,000 upserts and 500 deletes a second beside searches that never pause, without rebuilds and with the server's.
pub fn updates(data: &Data, spaces: &Spaces, seconds: u64) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for rebuilds in [false, true] {
        // Without them no longer than until the server would begin one.
        let seconds = if rebuilds { seconds } else { seconds.min(2) };
        // Both begin with nothing recent.
        spaces.rebuild("bench")?;
        let never = AtomicBool::new(false);
        let quiet: Vec<Times> = (0..3).map(|_| search(data, spaces, &never, QUIET)).collect::<anyhow::Result<_>>()?;
        let stop = AtomicBool::new(false);
        let all: (Due, Build) = (Generation::is_due, Spaces::rebuild);
        let few: (Due, Build) = (Generation::scans_much, Spaces::fold);
        let (busy, written, rebuilt) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let written = write(data, spaces, seconds);
                stop.store(true, Ordering::Relaxed);
                written
            });
            let builder = scope.spawn(|| if rebuilds { rebuild(spaces, &stop, &all) } else { Ok(0) });
            let folder = scope.spawn(|| if rebuilds { rebuild(spaces, &stop, &few) } else { Ok(0) });
            let busy = search(data, spaces, &stop, usize::MAX);
            let died = || anyhow::anyhow!("a thread died");
            let count = [builder, folder].map(|builder| builder.join().unwrap_or_else(|_| Err(died())));
            (busy, writer.join().unwrap_or_else(|_| Err(died())), count)
        });
        let (busy, written) = (busy?, written?);
        let [rebuilt, folded] = rebuilt;
        let rebuilt = rebuilt? + folded?;
        let case = format!("{}/updates{}", data.name, if rebuilds { ", rebuilt meanwhile" } else { "" });
        let recent = spaces.space("bench").map_or(0, |space| space.recent());
        eprintln!(
            "bench-index: {case}: {rebuilt} rebuilds, {recent} recent at the end, {:.0} us an update; p50 {:.1} us ({:.1} of CPU)",
            written.each * 1e6,
            busy.wall_p50,
            busy.cpu_p50
        );
        let of = |what: fn(&Times) -> f64| median(&quiet.iter().map(what).collect::<Vec<_>>());
        let line = |metric, busy: f64, quiet: f64| {
            Line::against(("index", &case, metric), Better::Lower, &[busy], ("the same, quiet", &[quiet]), 1.5)
        };
        lines.push(line("p99 us", busy.wall_p99, of(|t| t.wall_p99)));
        lines.push(line("p99 us of CPU", busy.cpu_p99, of(|t| t.cpu_p99)));
        let made = written.made / seconds as f64;
        lines.push(Line::alone(("index", &case, "updates a second"), Better::Higher, &[made], Some(2_490.0)));
        lines.push(Line::alone(("index", &case, "unseen upserts"), Better::Lower, &[written.unseen], Some(0.0)));
    }
    Ok(lines)
}

/// When to take what is recent into a graph, and a way to.
type Due = fn(&Generation) -> bool;
type Build = fn(&Spaces, &str) -> Result<Option<Rebuilt>, IndexError>;

/// Takes what is recent into a graph whenever the server would, on one thread; how many times.
fn rebuild(spaces: &Spaces, stop: &AtomicBool, (due, build): &(Due, Build)) -> anyhow::Result<usize> {
    let pool = qianmian_index::background(1)?;
    let mut rebuilt = 0;
    while !stop.load(Ordering::Relaxed) {
        if due(&*spaces.space("bench").context("there")?) {
            rebuilt += usize::from(pool.install(|| build(spaces, "bench"))?.is_some());
        }
        pause(Duration::from_millis(5));
    }
    Ok(rebuilt)
}

/// Four upserts and a delete every two milliseconds.
fn write(data: &Data, spaces: &Spaces, seconds: u64) -> anyhow::Result<Written> {
    let (mut made, mut unseen, mut cpu) = (0u32, 0u32, 0.0);
    let began = Instant::now();
    let rows = data.rows() as u32;
    let turns = seconds as u32 * 500;
    for turn in 0..turns {
        let mut changes = Vec::new();
        for i in 0..4 {
            let row = (turn * 4 + i).wrapping_mul(7_919) % (rows + 10_000);
            let mut vector = data.base[(row % rows) as usize * data.dim..][..data.dim].to_vec();
            vector[0] += 0.01 * (turn + 1) as f32;
            changes.push(Change::Upsert(ItemRow(row), vector));
        }
        changes.push(Change::Delete(ItemRow((turn * 31 + 5) % rows)));
        let began_cpu = ThreadTime::now();
        spaces.update("bench", &changes)?;
        cpu += began_cpu.elapsed().as_secs_f64();
        made += 5;
        // One in twenty, lest the looking be the load.
        if let (Some(Change::Upsert(row, vector)), 0) = (changes.first(), turn % 5) {
            let gone = matches!(changes[4], Change::Delete(other) if other == *row);
            let found = spaces.space("bench").context("there")?.find(&Query::new(vector, K))?;
            unseen += u32::from(!gone && !found.rows.iter().any(|f| f.0 == *row));
        }
        let due = Duration::from_millis(2) * (turn + 1);
        pause(due.saturating_sub(began.elapsed()));
    }
    Ok(Written { made: f64::from(made), unseen: f64::from(unseen), each: cpu / f64::from(turns) })
}

#[expect(clippy::disallowed_methods, reason = "a writer that keeps a pace must wait")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
