//! `bench-load`: the load generator by itself, against any server that answers `POST /v1/recommend`.

use anyhow::{Context, Result};
use clap::Parser;
use qianmian_benches::load::{Load, Target, run};
use qianmian_benches::shop;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Sends recommendation requests of many visitors and prints what it measured as JSON.
#[derive(Parser)]
struct Options {
    /// The server.
    address: SocketAddr,
    /// Requests a second at even intervals, timed from when each was due. Without it: as fast as answers come.
    #[arg(long)]
    rate: Option<f64>,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Seconds that count.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// The scenario.
    #[arg(long, default_value = "bench")]
    scenario: String,
    /// Visitors are v0, v1 and so on to this many.
    #[arg(long, default_value_t = 5_000)]
    visitors: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let target = Target { address: options.address, requests: shop::requests(&options.scenario, options.visitors) };
    let load = Load {
        connections: options.connections,
        rate: options.rate,
        warm_up: Duration::from_secs_f64(options.warm_up),
        duration: Duration::from_secs_f64(options.seconds),
    };
    let outcome = run(&target, load)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&outcome)?).context("cannot write")
}
