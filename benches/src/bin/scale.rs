//! `bench-scale`: a million visitors and twenty million events: memory as they come, pages as quick as with few, sizes of
//! segments.

#![allow(clippy::disallowed_methods, reason = "a bench waits for its server")]

use anyhow::{Context, Result, ensure};
use clap::Parser;
use qianmian_benches::http1::{Connection, post_json};
use qianmian_benches::lines::{Better, Line, print};
use qianmian_benches::place::Place;
use qianmian_benches::process::{Server, free_address};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

/// Fills a server and prints one JSON object a line.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    place: Place,
    /// Visitors of the large case; the small one has a hundredth.
    #[arg(long, default_value_t = 1_000_000)]
    visitors: usize,
    /// Events of each.
    #[arg(long, default_value_t = 20)]
    events: usize,
    /// Items.
    #[arg(long, default_value_t = 20_000)]
    items: usize,
    /// Megabytes of memory for visitors' profiles.
    #[arg(long, default_value_t = 1_024)]
    memory: usize,
    /// Pages asked for in each case.
    #[arg(long, default_value_t = 3_000)]
    pages: usize,
}

/// Events of one request.
const BATCH: usize = 2_000;

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir_in(options.place.target())?;
    let address = free_address()?;
    let mut command = Command::new(&options.place.qianmian);
    command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(folder.path().join("data"));
    command.env("QIANMIAN_STRATEGY_WALL_MS", "1000");
    command.env("QIANMIAN_VISITOR_MEMORY_MB", options.memory.to_string());
    let log = options.place.log("scale.log")?;
    let server = Server::start(command, address, "/readyz", &log, Duration::from_secs(60))?;
    let mut connection = Connection::open(address)?;
    let begun = Instant::now();
    for first in (0..options.items).step_by(5_000) {
        let mut lines = String::new();
        for n in first..(first + 5_000).min(options.items) {
            // writing to a text cannot fail
            let _ = writeln!(
                lines,
                r#"{{"id":"p{n}","title":"Item {n}","price":{},"categories":["c{}"],"brand":"b{}"}}"#,
                1 + n % 200,
                n % 60,
                n % 300
            );
        }
        put(address, "/v1/catalog/items", "application/x-ndjson", &lines)?;
    }
    let upserted = options.items as f64 / begun.elapsed().as_secs_f64();
    for (path, spec) in [
        (
            "tags/value",
            json!({ "kind": "layered", "of": "visitor.spend", "layers": [{ "name": "some", "from": 1 }, { "name": "much", "from": 250 }] }),
        ),
        ("tags/likes", json!({ "kind": "preference", "of": "category" })),
        ("segments/loyal", json!({ "when": "'value:much' in visitor.tags && visitor.orders >= 2.0" })),
    ] {
        put(address, &format!("/v1/{path}"), "application/json", &spec.to_string())?;
    }
    let mut curve = Vec::new();
    let mut waits = Vec::new();
    let mut small = 0.0;
    let total = options.visitors * options.events;
    let begun = Instant::now();
    let mut sent = 0;
    // visitors of the small case first, so that both cases ask for the same people
    let few = (options.visitors / 100).max(1);
    for (from, to) in [(0, few), (few, options.visitors)] {
        let count = (to - from) * options.events;
        for first in (0..count).step_by(BATCH) {
            let mut body = String::from("{\"events\":[");
            for n in first..(first + BATCH).min(count) {
                let visitor = from + n % (to - from);
                let round = n / (to - from);
                let item = (visitor * 7_919 + round * round * 31 + round * 977) % options.items;
                let kind = if round % 7 == 6 { "purchase" } else { "view" };
                let comma = if n == first { "" } else { "," };
                let _ = write!(
                    body,
                    r#"{comma}{{"id":"{visitor}-{round}","type":"{kind}","visitor":{{"id":"u{visitor}"}},"item":"p{item}","channel":"app"}}"#
                );
            }
            body.push_str("]}");
            let asked = Instant::now();
            loop {
                let status = connection.call(&post_json("/v1/events", &body))?;
                if status == 202 {
                    break;
                }
                ensure!(status == 503, "the server answers {status} to events");
                std::thread::sleep(Duration::from_millis(200));
            }
            waits.push(asked.elapsed().as_secs_f64());
            sent += BATCH.min(count - first);
            if sent * 20 / total > curve.len() || sent == total {
                let memory = server.memory()?;
                eprintln!("{sent} events, {} MB resident, {:.0} s", memory >> 20, begun.elapsed().as_secs_f64());
                curve.push((sent, memory));
            }
        }
        settle(address)?;
        let p99 = pages(&mut connection, options.pages, few)?;
        eprintln!("p99 of a page: {p99:.2} ms with {to} visitors");
        if to == few {
            small = p99;
        } else {
            let mut lines = large(&options, address, (small, p99, upserted), &curve, begun.elapsed())?;
            waits.sort_by(f64::total_cmp);
            let case = format!("{} visitors", options.visitors);
            for (metric, at) in
                [("events_wait_p99_s", waits.len() * 99 / 100), ("events_wait_longest_s", waits.len() - 1)]
            {
                lines.push(Line::alone(("scale", &case, metric), Better::Lower, &[waits[at]], None));
            }
            print(&lines)?;
        }
    }
    Ok(())
}

fn large(
    options: &Options,
    address: SocketAddr,
    (small, p99, upserted): (f64, f64, f64),
    curve: &[(usize, u64)],
    took: Duration,
) -> Result<Vec<Line>> {
    let visitors = format!("{} visitors", options.visitors);
    let total = (options.visitors * options.events) as f64;
    let size = timed(|| get(address, "/v1/segments/loyal/size"))?;
    let estimate = timed(|| {
        let when = json!({ "when": "visitor.orders >= 2.0 && visitor.category.c7 > 0.1" }).to_string();
        let url = format!("http://{address}/v1/segments/size");
        let mut answer = ureq::post(url).content_type("application/json").send(&when)?;
        Ok(answer.body_mut().read_json()?)
    })?;
    eprintln!("segment: {}; estimate: {}", size.1, estimate.1);
    let (_, last) = curve.last().copied().unwrap_or_default();
    let line = |metric, value: f64, better, target| Line::alone(("scale", &visitors, metric), better, &[value], target);
    // the curve, at each quarter of the events
    let quarters = (1..=4).filter_map(|quarter| {
        let (sent, memory) = curve.iter().find(|(sent, _)| *sent as f64 >= total * f64::from(quarter) / 4.0)?;
        let case = format!("{visitors}, {:.1} million events", *sent as f64 / 1e6);
        Some(Line::alone(("scale", &case, "resident_mb"), Better::Lower, &[(memory >> 20) as f64], None))
    });
    let mut lines: Vec<Line> = quarters.collect();
    lines.extend([
        line("resident_mb", (last >> 20) as f64, Better::Lower, None),
        line("resident_bytes_per_visitor", last as f64 / options.visitors as f64, Better::Lower, None),
        line("p99_over_small", p99 / small, Better::Lower, Some(1.5)),
        line("p99_ms", p99, Better::Lower, None),
        line("segment_size_s", size.0, Better::Lower, Some(1.0)),
        line("segment_estimate_s", estimate.0, Better::Lower, Some(1.0)),
        line("events_per_s", total / took.as_secs_f64(), Better::Higher, None),
        line("items_upserted_per_s", upserted, Better::Higher, Some(50_000.0)),
    ]);
    Ok(lines)
}

fn timed(work: impl FnOnce() -> Result<Value>) -> Result<(f64, Value)> {
    let begun = Instant::now();
    let value = work()?;
    Ok((begun.elapsed().as_secs_f64(), value))
}

fn get(address: SocketAddr, path: &str) -> Result<Value> {
    Ok(ureq::get(format!("http://{address}{path}")).call()?.body_mut().read_json()?)
}

fn put(address: SocketAddr, path: &str, kind: &str, body: &str) -> Result<()> {
    let url = format!("http://{address}{path}");
    ureq::put(&url).content_type(kind).send(body).with_context(|| format!("PUT {path}"))?;
    Ok(())
}

/// Waits until the back-fill has looked at everybody.
fn settle(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while get(address, "/v1/segments/loyal")?["backfill"]["finished"] != json!(true) {
        ensure!(Instant::now() < deadline, "the back-fill does not end");
        std::thread::sleep(Duration::from_millis(200));
    }
    // the lists that are made when it is quiet
    std::thread::sleep(Duration::from_secs(5));
    Ok(())
}

/// The 99th percentile of a page's time, milliseconds, for some visitors in turn.
fn pages(connection: &mut Connection, count: usize, visitors: usize) -> Result<f64> {
    let mut times = Vec::with_capacity(count);
    for n in 0..count + 200 {
        let visitor = n * 7_919 % visitors;
        let body =
            json!({ "scenario": "home", "visitor": { "id": format!("u{visitor}") }, "channel": "app", "limit": 20 });
        let begun = Instant::now();
        let status = connection.call(&post_json("/v1/recommend", &body.to_string()))?;
        ensure!(status == 200, "the server answers {status} to a page");
        if n >= 200 {
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() * 99 / 100])
}
