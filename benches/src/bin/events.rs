//! `bench-events`: events taken a second, durable before the answer, against a Python peer on SQLite; and how soon an event
//! is seen.
//!
//! Rounds alternate, and only one server is under load at a time. Both sides get the same events with ids that never come
//! twice, over connections that stay open.

#![allow(clippy::disallowed_methods, reason = "a load generator waits until a batch is due")]

use anyhow::{Context, Result, ensure};
use clap::Parser;
use qianmian_benches::http1::{Connection, post_json};
use qianmian_benches::lines::{Better, Line, print};
use qianmian_benches::peer::Peer;
use qianmian_benches::place::Place;
use qianmian_benches::process::{Server, free_address};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Events of a batch in the bulk case.
const BULK: usize = 256;
/// Ours over theirs at least.
const BULK_TARGET: f64 = 3.0;
const SINGLE_TARGET: f64 = 10.0;
/// Events a second while it is measured how soon one is seen, and how soon that should be.
const BACKGROUND: usize = 10_000;
const VISIBLE_MS: f64 = 50.0;

/// Measures `POST /v1/events` against the Python peer and prints one JSON object a line.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Place,
    /// Alternated rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a round.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Connections that send batches; four times as many send single events.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Only this case: bulk, single or visible.
    #[arg(long)]
    only: Option<String>,
    /// Without the peer, to try something.
    #[arg(long)]
    alone: bool,
}

/// A server, and the number of the next event.
struct Side {
    server: Server,
    next: AtomicUsize,
}

impl Side {
    /// Events a second in batches of `size` over so many connections.
    fn rate(&self, connections: usize, size: usize, length: Duration) -> Result<f64> {
        let begun = Instant::now();
        let counts = std::thread::scope(|scope| {
            let sender = || {
                let mut connection = Connection::open(self.server.address)?;
                let mut taken = 0;
                while begun.elapsed() < length {
                    let first = self.next.fetch_add(size, Ordering::Relaxed);
                    taken += send(&mut connection, first, size)?;
                }
                Ok(taken)
            };
            let senders: Vec<_> = (0..connections).map(|_| scope.spawn(sender)).collect();
            senders.into_iter().map(|one| one.join().unwrap_or(Ok(0))).collect::<Result<Vec<usize>>>()
        });
        let taken: usize = counts.with_context(|| self.server.said())?.into_iter().sum();
        Ok(taken as f64 / begun.elapsed().as_secs_f64())
    }
}

fn send(connection: &mut Connection, first: usize, count: usize) -> Result<usize> {
    let mut events = String::with_capacity(count * 90);
    for n in first..first + count {
        let (comma, visitor, item) = (if n == first { "" } else { "," }, n * 7_919 % 50_000, n * 31 % 4_001);
        write!(
            events,
            r#"{comma}{{"id":"e{n}","type":"view","visitor":{{"id":"v{visitor}"}},"item":"p{item}","time":1320000000000}}"#
        )?;
    }
    let status = connection.call(&post_json("/v1/events", &format!(r#"{{"events":[{events}]}}"#)))?;
    ensure!(status == 202, "{status}: {}", String::from_utf8_lossy(connection.body()));
    Ok(count)
}

/// Milliseconds from sending an event to seeing it in the visitor's profile, beside [`BACKGROUND`] events a second.
fn visible(side: &Side, length: Duration) -> Result<Vec<f64>> {
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    std::thread::scope(|scope| {
        let background = scope.spawn(|| -> Result<()> {
            let mut connection = Connection::open(side.server.address)?;
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                let first = side.next.fetch_add(100, Ordering::Relaxed);
                sent += send(&mut connection, first, 100)?;
                let due = Duration::from_secs_f64(sent as f64 / BACKGROUND as f64);
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            }
            Ok(())
        });
        let times = watch(side.server.address, begun + length);
        stop.store(true, Ordering::Relaxed);
        background.join().unwrap_or(Ok(()))?;
        times
    })
}

fn watch(address: SocketAddr, until: Instant) -> Result<Vec<f64>> {
    let (mut times, mut connection) = (Vec::new(), Connection::open(address)?);
    while Instant::now() < until {
        times.push(seen(&mut connection, times.len())?);
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(times)
}

/// One event of a new visitor, and asking for the profile until it is there.
fn seen(connection: &mut Connection, n: usize) -> Result<f64> {
    let visitor = format!("seen{n}");
    let body =
        format!(r#"{{"events":[{{"id":"{visitor}","type":"view","visitor":{{"id":"{visitor}"}},"item":"p1"}}]}}"#);
    let ask = format!("GET /v1/visitors/{visitor} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let begun = Instant::now();
    let status = connection.call(&post_json("/v1/events", &body))?;
    ensure!(status == 202, "{status} to an event");
    while connection.call(ask.as_bytes())? == 404 {
        ensure!(begun.elapsed() < Duration::from_secs(10), "the event of {visitor} is not seen");
    }
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}

fn main() -> Result<()> {
    let options = Options::parse();
    let data = tempfile::tempdir_in(options.place.target())?;
    let theirs = if options.alone {
        None
    } else {
        let peer = Peer::prepare(&options.place.workspace)?;
        let server = peer.start_events(&data.path().join("peer.db"), &options.place.log("peer.log")?)?;
        Some((peer.name()?, Side { server, next: AtomicUsize::new(0) }))
    };
    let server = ours(&options.place, &data.path().join("data"))?;
    let ours = Side { server, next: AtomicUsize::new(0) };
    let length = Duration::from_secs_f64(options.seconds);
    let wanted = |case: &str| options.only.as_deref().is_none_or(|only| only == case);
    let cases =
        [("bulk", BULK, options.connections, BULK_TARGET), ("single", 1, options.connections * 4, SINGLE_TARGET)];
    let mut lines = Vec::new();
    for (case, size, connections, least) in cases.into_iter().filter(|(case, ..)| wanted(case)) {
        let (mut our, mut their) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            if let Some((_, theirs)) = &theirs {
                their.push(theirs.rate(connections, size, length)?);
            }
            our.push(ours.rate(connections, size, length)?);
            eprintln!("  {case}: {:.0}/s, the peer {:.0}/s", our[our.len() - 1], their.last().unwrap_or(&f64::NAN));
        }
        let what = ("events", case, "events_per_second");
        lines.push(match &theirs {
            Some((name, _)) => Line::against(what, Better::Higher, &our, (name, &their), least),
            None => Line::alone(what, Better::Higher, &our, None),
        });
    }
    if wanted("visible") {
        let mut times = visible(&ours, Duration::from_secs(10))?;
        times.sort_unstable_by(f64::total_cmp);
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
        lines.push(Line::alone(("events", "visible", "p99"), Better::Lower, &[p99], Some(VISIBLE_MS)));
    }
    print(&lines)
}

fn ours(place: &Place, data: &std::path::Path) -> Result<Server> {
    let address: SocketAddr = free_address()?;
    let mut command = Command::new(&place.qianmian);
    command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(data);
    let log = place.log("qianmian.log")?;
    Server::start(command, address, "/readyz", &log, Duration::from_secs(60))
}
