//! `bench-serve`: recommendations over HTTP, ours against a Python peer with the same data, lists and ranker.
//!
//! Rounds alternate and only one server is under load at a time. First closed loops find each one's peak; then open
//! loops at half of the peer's peak measure the time answers take at the same load.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use qianmian_benches::lines::{Better, Line, median, summary};
use qianmian_benches::load::{Load, Outcome, Target, run};
use qianmian_benches::peer::Peer;
use qianmian_benches::process::{Server, free_address};
use qianmian_benches::shop::{self, NAME};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Visitors of the bundle.
const VISITORS: usize = 5_000;
/// Pages compared before anything is measured.
const COMPARED: usize = 200;
/// Ours over theirs: throughput at least, p99 at most.
const THROUGHPUT_TARGET: f64 = 4.0;
const P99_TARGET: f64 = 0.3;

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
    /// The strategy of the scenario.
    #[arg(long, default_value = "home")]
    strategy: String,
    /// Its parameters as JSON, instead of those of this bench.
    #[arg(long)]
    parameters: Option<String>,
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
            "  {:<9} {:>7.0}/s  p50 {:>7.2} ms  p99 {:>7.2} ms  errors {}",
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
    let requests = shop::requests(NAME, VISITORS);
    let theirs = {
        let server = peer.start(options.workers, &options.scorer, &logs.join("peer.log"))?;
        Side { name: peer.name()?, target: Target { address: server.address, requests: requests.clone() }, server }
    };
    let data = tempfile::tempdir_in(options.workspace.join("target"))?;
    let ours = match &options.qianmian {
        Some(binary) => {
            let server = start(binary, data.path(), &logs.join("qianmian.log"))?;
            eprintln!("loading the shop");
            shop::load(server.address, &peer.bundle, &options.strategy, &parameters(&options)?)
                .with_context(|| server.said())?;
            Some(Side { name: "qianmian".to_owned(), target: Target { address: server.address, requests }, server })
        }
        None => None,
    };
    let lines = match &ours {
        Some(ours) => compare(&options, ours, &theirs)?,
        None => alone(&options, &theirs)?,
    };
    let mut out = std::io::stdout().lock();
    for line in &lines {
        writeln!(out, "{}", serde_json::to_string(line)?)?;
    }
    writeln!(out, "{}", summary(&lines))?;
    Ok(())
}

/// Peaks, then times at half of the peer's peak, alternated; which side begins changes from round to round.
fn compare(options: &Options, ours: &Side, theirs: &Side) -> Result<Vec<Line>> {
    let pages = |side: &Side| shop::pages(side.target.address, &side.target.requests, COMPARED);
    let same = shop::overlap(&pages(ours)?, &pages(theirs)?);
    eprintln!("overlap@{} of {COMPARED} pages: {same:.3}", shop::SLOTS);

    let mut lines = vec![Line::alone(("serve", "lists", "overlap@20"), Better::Higher, &[same], None)];
    let (our_peaks, their_peaks) = alternate(options, ours, theirs, None)?;
    let throughputs = |of: &[Outcome]| of.iter().map(|o| o.throughput).collect::<Vec<_>>();
    let (our_peaks, their_peaks) = (throughputs(&our_peaks), throughputs(&their_peaks));
    let rate = median(&their_peaks) / 2.0;
    let case = format!("{} candidates, 200 trees x 31 leaves x 30 features, {} slots", 300, shop::SLOTS);
    lines.push(Line::against(
        ("serve", &case, "throughput"),
        Better::Higher,
        &our_peaks,
        (&theirs.name, &their_peaks),
        THROUGHPUT_TARGET,
    ));
    let (our_times, their_times) = alternate(options, ours, theirs, Some(rate))?;
    let times = |of: &[Outcome]| of.iter().map(|o| o.p99_ms).collect::<Vec<_>>();
    lines.push(Line::against(
        ("serve", &format!("at {rate:.0} requests/s, ms"), "p99"),
        Better::Lower,
        &times(&our_times),
        (&theirs.name, &times(&their_times)),
        P99_TARGET,
    ));
    Ok(lines)
}

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
    let pick = |of: &[Outcome], what: fn(&Outcome) -> f64| of.iter().map(what).collect::<Vec<f64>>();
    let peak = all(None)?;
    let rate = median(&pick(&peak, |o| o.throughput)) / 2.0;
    let half = all(Some(rate))?;
    let line = |case: &str, metric, better, values: &[f64]| Line::alone(("serve-peer", case, metric), better, values, None);
    Ok(vec![
        line(&side.name, "throughput", Better::Higher, &pick(&peak, |o| o.throughput)),
        line("closed loop, ms", "p50", Better::Lower, &pick(&peak, |o| o.p50_ms)),
        line("closed loop, ms", "p99", Better::Lower, &pick(&peak, |o| o.p99_ms)),
        line(&format!("at {rate:.0} requests/s, ms"), "p50", Better::Lower, &pick(&half, |o| o.p50_ms)),
        line(&format!("at {rate:.0} requests/s, ms"), "p99", Better::Lower, &pick(&half, |o| o.p99_ms)),
    ])
}

fn start(binary: &Path, data: &Path, log: &Path) -> Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(data);
    Server::start(command, address, "/readyz", log, Duration::from_secs(60))
}

/// 300 nearest to the visitor, the ranker, at most four of a category.
fn parameters(options: &Options) -> Result<Value> {
    match &options.parameters {
        Some(text) => serde_json::from_str(text).with_context(|| format!("--parameters {text:?} is not JSON")),
        None => Ok(json!({"flat": true, "space": NAME, "model": NAME})),
    }
}
