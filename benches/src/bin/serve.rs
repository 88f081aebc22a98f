//! `bench-serve`: recommendations over HTTP, ours against a Python peer with the same data, lists and ranker; and the
//! sandbox against its native twin.
//!
//! Rounds alternate and only one server is under load at a time. First closed loops find each one's peak; then open
//! loops at half of the peer's peak measure the time answers take at the same load.

use anyhow::{Result, ensure};
use clap::Parser;
use qianmian_benches::lines::{Better, Line, median, print};
use qianmian_benches::load::{Load, Outcome, Target, run};
use qianmian_benches::peer::Peer;
use qianmian_benches::process::Server;
use qianmian_benches::sandbox::Pair;
use qianmian_benches::shop::{self, NAME, VISITORS};
use std::path::PathBuf;
use std::time::Duration;

/// The server's: the sandbox and its twin are measured over what they run on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pages compared before anything is measured.
const COMPARED: usize = 200;
/// Ours over theirs: throughput at least, p99 at most.
const THROUGHPUT_TARGET: f64 = 4.0;
const P99_TARGET: f64 = 0.3;
/// Share of answers that may come from the fallback: a strategy that overran on a busy machine.
const MOST_FALLBACKS: f64 = 0.01;

/// Measures `POST /v1/recommend` against the Python peer and prints one JSON object a line.
#[derive(Parser)]
struct Options {
    /// The server's binary, built for release. Without it the peer is measured alone.
    #[arg(long)]
    qianmian: Option<PathBuf>,
    /// The root of the repository; the peer's environment and data go to its target folder.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    workspace: PathBuf,
    /// Alternated rounds.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds a round counts, after one to warm up.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Connections of the closed loop; the open loop has twice as many.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Processes of the peer.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// How the peer scores: onnxruntime (the faster) or lightgbm.
    #[arg(long, default_value = "onnxruntime")]
    scorer: String,
}

/// A server under load.
struct Side {
    name: String,
    target: Target,
    server: Server,
}

impl Side {
    fn run(&self, options: &Options, rate: Option<f64>) -> Result<Outcome> {
        let connections = if rate.is_some() { options.connections * 2 } else { options.connections };
        let load = Load {
            connections,
            rate,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs_f64(options.seconds),
        };
        let outcome = run(&self.target, load)?;
        eprintln!(
            "  {:<8} {:<6} {:>7.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  errors {}",
            self.name.split(' ').next().unwrap_or_default(),
            if rate.is_some() { "open" } else { "closed" },
            outcome.throughput,
            outcome.p50_ms,
            outcome.p99_ms,
            outcome.errors
        );
        ensure!(
            outcome.errors == 0,
            "{}: {} errors, the first: {}\n{}",
            self.name,
            outcome.errors,
            outcome.first_error.as_deref().unwrap_or_default(),
            self.server.said()
        );
        Ok(outcome)
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.rounds > 0, "--rounds is 0: expected at least 1");
    let logs = options.workspace.join("target/bench-logs");
    std::fs::create_dir_all(&logs)?;
    let peer = Peer::prepare(&options.workspace)?;
    let server = peer.start(options.workers, &options.scorer, &logs.join("peer.log"))?;
    let requests = shop::requests(NAME, VISITORS);
    let theirs =
        Side { name: peer.name()?, target: Target { address: server.address, requests: requests.clone() }, server };
    let lines = match &options.qianmian {
        Some(binary) => {
            let data = tempfile::tempdir_in(options.workspace.join("target"))?;
            let server = shop::start(binary, data.path(), &logs.join("qianmian.log"), &peer.bundle)?;
            let target = Target { address: server.address, requests };
            let ours = Side { name: "qianmian".to_owned(), target, server };
            let mut lines = compare(&options, &ours, &theirs)?;
            drop((ours, theirs));
            lines.push(Pair::open(data.path(), VISITORS)?.throughput(
                "serve",
                options.rounds,
                Duration::from_secs(2),
            )?);
            lines
        }
        None => alone(&options, &theirs)?,
    };
    print(&lines)
}

/// Peaks, then times at half of the peer's peak.
fn compare(options: &Options, ours: &Side, theirs: &Side) -> Result<Vec<Line>> {
    let pages = |side: &Side| shop::pages(side.target.address, &side.target.requests, COMPARED);
    let same = shop::overlap(&pages(ours)?, &pages(theirs)?);
    eprintln!("{same:.3} of the items on {COMPARED} pages are the same on both sides");
    let before = shop::fallbacks(ours.target.address)?;

    let (our_peaks, their_peaks) = alternate(options, ours, theirs, None)?;
    let (peaks, their_rates) = (pick(&our_peaks, |o| o.throughput), pick(&their_peaks, |o| o.throughput));
    let rate = median(&their_rates) / 2.0;
    eprintln!("at {rate:.0} requests a second, half of the peer's peak");
    let (our_times, their_times) = alternate(options, ours, theirs, Some(rate))?;
    let (times, their_ms) = (pick(&our_times, |o| o.p99_ms), pick(&their_times, |o| o.p99_ms));

    let answers: usize = our_peaks.iter().chain(&our_times).map(|outcome| outcome.answers).sum();
    let fallbacks = shop::fallbacks(ours.target.address)? - before;
    let share = fallbacks as f64 / answers.max(1) as f64;
    ensure!(share <= MOST_FALLBACKS, "{fallbacks} faults in {answers} answers: the strategy was not what was measured");
    Ok(vec![
        Line::alone(("serve", "home", "overlap@20"), Better::Higher, &[same], None),
        Line::alone(("serve", "home", "fallbacks"), Better::Lower, &[share], Some(MOST_FALLBACKS)),
        Line::against(
            ("serve", "home", "throughput"),
            Better::Higher,
            &peaks,
            (&theirs.name, &their_rates),
            THROUGHPUT_TARGET,
        ),
        Line::against(("serve", "home", "p99"), Better::Lower, &times, (&theirs.name, &their_ms), P99_TARGET),
    ])
}

/// Which side begins changes from round to round.
fn alternate(options: &Options, ours: &Side, theirs: &Side, rate: Option<f64>) -> Result<(Vec<Outcome>, Vec<Outcome>)> {
    let (mut our_outcomes, mut their_outcomes) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        if round % 2 == 0 {
            our_outcomes.push(ours.run(options, rate)?);
            their_outcomes.push(theirs.run(options, rate)?);
        } else {
            their_outcomes.push(theirs.run(options, rate)?);
            our_outcomes.push(ours.run(options, rate)?);
        }
    }
    Ok((our_outcomes, their_outcomes))
}

/// The peer by itself.
fn alone(options: &Options, side: &Side) -> Result<Vec<Line>> {
    shop::pages(side.target.address, &side.target.requests, COMPARED)?;
    let all = |rate| (0..options.rounds).map(|_| side.run(options, rate)).collect::<Result<Vec<Outcome>>>();
    let peak = all(None)?;
    let rate = median(&pick(&peak, |o| o.throughput)) / 2.0;
    let half = all(Some(rate))?;
    let line =
        |case: &str, metric, better, values: &[f64]| Line::alone(("serve-peer", case, metric), better, values, None);
    let half_peak = format!("at {rate:.0} requests/s, ms");
    Ok(vec![
        line(&side.name, "throughput", Better::Higher, &pick(&peak, |o| o.throughput)),
        line("closed loop, ms", "p50", Better::Lower, &pick(&peak, |o| o.p50_ms)),
        line("closed loop, ms", "p99", Better::Lower, &pick(&peak, |o| o.p99_ms)),
        line(&half_peak, "p50", Better::Lower, &pick(&half, |o| o.p50_ms)),
        line(&half_peak, "p99", Better::Lower, &pick(&half, |o| o.p99_ms)),
    ])
}

fn pick(of: &[Outcome], what: fn(&Outcome) -> f64) -> Vec<f64> {
    of.iter().map(what).collect()
}
