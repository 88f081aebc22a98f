//! `bench-releases`: what releases cost those who ask meanwhile: a thousand swaps at seven tenths of the peak, and a canary
//! that traps and takes itself out.
//!
//! The demo's shop is served; its home page is asked for by visitors in turn, in an open loop.

#![allow(clippy::disallowed_methods, reason = "the bench looks at the server from time to time")]

use anyhow::{Context, Result, ensure};
use clap::Parser;
use qianmian_benches::http1::post_json;
use qianmian_benches::lines::{Better, Line, print};
use qianmian_benches::load::{Load, Outcome, Target, run};
use qianmian_benches::place::Place;
use qianmian_benches::process::{Server, free_address};
use qianmian_benches::shop::{fallbacks, send};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Of the peak, the load under which releases are swapped.
const SHARE: f64 = 0.7;
const CONNECTIONS: usize = 16;
const SECONDS: u64 = 60;

/// Measures releases under load and prints one JSON object a line.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Place,
    /// Swaps.
    #[arg(long, default_value_t = 1_000)]
    swaps: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let address = free_address()?;
    let mut command = Command::new(&options.place.qianmian);
    command.args(["demo", "--port", &address.port().to_string()]);
    let log = options.place.log("releases.log")?;
    let server = Server::start(command, address, "/readyz", &log, Duration::from_secs(120))?;
    let mut lines = swaps(address, options.swaps).with_context(|| server.said())?;
    lines.extend(canary(address, &options.place.target().join("hostile/trap.wasm")).with_context(|| server.said())?);
    print(&lines)
}

/// A thousand releases while others ask.
fn swaps(address: SocketAddr, count: usize) -> Result<Vec<Line>> {
    let peak = ask(address, None, 5)?.throughput;
    let quiet = ask(address, Some(peak * SHARE), 10)?;
    let live = get(address, "/v1/scenarios/home")?;
    let spec = json!({ "strategy": live["strategy"], "parameters": live["parameters"] });
    let mut other = spec.clone();
    other["parameters"]["only_new"] = json!(true);
    let before = fallbacks(address)?;
    let done = AtomicBool::new(false);
    let (swapped, loaded) = std::thread::scope(|scope| {
        let load = scope.spawn(|| ask(address, Some(peak * SHARE), SECONDS));
        let swapped = (0..count).try_for_each(|swap| {
            let spec = if swap % 2 == 0 { &other } else { &spec };
            send("PUT", address, "/v1/scenarios/home", "application/json", spec.to_string().as_bytes()).map(drop)?;
            // Spread over the time there is.
            std::thread::sleep(Duration::from_secs(SECONDS) / (count as u32 + count as u32 / 4));
            Ok::<_, anyhow::Error>(())
        });
        done.store(!load.is_finished(), Ordering::Relaxed);
        (swapped, load.join().map_err(|_| anyhow::anyhow!("the load panicked")))
    });
    swapped?;
    let loaded = loaded??;
    ensure!(done.into_inner(), "the swaps took longer than the load: they were not all under it");
    let alone =
        |metric, value: f64, target| Line::alone(("releases", "swaps", metric), Better::Lower, &[value], target);
    let failed = loaded.errors as f64 + (fallbacks(address)? - before) as f64;
    Ok(vec![
        Line::alone(("releases", "swaps", "count"), Better::Higher, &[count as f64], None),
        Line::alone(("releases", "swaps", "answers"), Better::Higher, &[loaded.answers as f64], None),
        alone("failed", failed, Some(0.0)),
        Line::against(
            ("releases", "swaps", "p99"),
            Better::Lower,
            &[loaded.p99_ms],
            ("no swaps", &[quiet.p99_ms]),
            2.0,
        ),
    ])
}

/// A tenth of the visitors get a strategy that traps, until it is taken out.
fn canary(address: SocketAddr, trap: &Path) -> Result<Vec<Line>> {
    let component = std::fs::read(trap).with_context(|| format!("cannot read {}", trap.display()))?;
    send("PUT", address, "/v1/plugins/trap/versions/1.0.0", "application/wasm", &component)?;
    let trial = json!({ "spec": { "strategy": "trap" }, "plan": { "share": 0.1, "min_answers": 50 } }).to_string();
    let (begun, took, loaded) = std::thread::scope(|scope| {
        let load = scope.spawn(|| ask(address, Some(500.0), 5));
        std::thread::sleep(Duration::from_secs(2));
        let begun = Instant::now();
        let sent = send("POST", address, "/v1/scenarios/home/releases", "application/json", trial.as_bytes());
        let took = sent.and_then(|_| {
            loop {
                if get(address, "/v1/scenarios/home")?["candidate"]["running"] == json!(false) {
                    return Ok(begun.elapsed());
                }
                ensure!(begun.elapsed() < Duration::from_secs(30), "it is still there");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        (begun, took, load.join().map_err(|_| anyhow::anyhow!("the load panicked")))
    });
    let (took, loaded) = (took?, loaded??);
    let candidate = get(address, "/v1/scenarios/home")?["candidate"].clone();
    eprintln!(
        "the canary's timeline, {:.1} s after it began: {}",
        begun.elapsed().as_secs_f64(),
        candidate["timeline"]
    );
    let answers = candidate["answers"].as_f64().unwrap_or(f64::NAN);
    Ok(vec![
        Line::alone(("releases", "canary", "rollback_ms"), Better::Lower, &[took.as_secs_f64() * 1e3], None),
        Line::alone(("releases", "canary", "answers_before_it"), Better::Lower, &[answers], Some(50.0)),
        Line::alone(("releases", "canary", "errors"), Better::Lower, &[loaded.errors as f64], Some(0.0)),
    ])
}

fn ask(address: SocketAddr, rate: Option<f64>, seconds: u64) -> Result<Outcome> {
    let request = |n: usize| {
        let body =
            json!({ "scenario": "home", "visitor": { "id": format!("u{n:05}") }, "channel": "app", "limit": 12 });
        post_json("/v1/recommend", &body.to_string())
    };
    let target = Target { address, requests: (1..5_000).map(request).collect() };
    let connections = if rate.is_some() { CONNECTIONS * 2 } else { CONNECTIONS };
    let load = Load { connections, rate, warm_up: Duration::from_secs(1), duration: Duration::from_secs(seconds) };
    let outcome = run(&target, load)?;
    eprintln!("  {:?} requests a second: {outcome:?}", rate.map(f64::round));
    Ok(outcome)
}

fn get(address: SocketAddr, path: &str) -> Result<Value> {
    send("GET", address, path, "", &[])
}
