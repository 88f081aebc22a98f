//! The bench's shop, loaded into a server over HTTP the way its users would, and the requests both sides get.

use crate::http1::{Connection, post_json};
use crate::process::{Server, free_address};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Visitors of the bundle, `v0` and so on.
pub const VISITORS: usize = 5_000;
/// Candidates retrieved for a page.
pub const CANDIDATES: usize = 300;
/// Slots on a page.
pub const SLOTS: usize = 20;
/// The scenario, the embedding space and the model.
pub const NAME: &str = "bench";
/// Lines in one body of the catalogue and of events.
const BATCH: usize = 5_000;
/// How long events may take to show in profiles.
const VISIBLE: Duration = Duration::from_secs(120);

/// Starts a server over an empty `data` folder and loads the bundle into it.
///
/// # Errors
/// When it does not start, or refuses something; with the end of its log.
pub fn start(binary: &Path, data: &Path, log: &Path, bundle: &Path) -> Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(data);
    let server = Server::start(command, address, "/readyz", log, Duration::from_secs(60))?;
    load(address, bundle).with_context(|| format!("the server said:\n{}", server.said()))?;
    Ok(server)
}

/// One prepared request a visitor, in an order that visits all of them before the first comes again.
#[must_use]
pub fn requests(scenario: &str, visitors: usize) -> Vec<Vec<u8>> {
    // A step that shares no divisor with the count walks through all; this one is prime.
    const STEP: usize = 7_919;
    (0..visitors)
        .map(|n| {
            let visitor = n * STEP % visitors;
            let body = json!({"scenario": scenario, "visitor": {"id": format!("v{visitor}")}, "limit": SLOTS});
            post_json("/v1/recommend", &body.to_string())
        })
        .collect()
}

/// Loads items, embeddings, events, model and scenario, and waits until the events show in the visitors' profiles.
///
/// # Errors
/// When the server refuses any of it, saying what and why.
pub fn load(address: SocketAddr, bundle: &Path) -> Result<()> {
    let text = |name: &str| fs::read_to_string(bundle.join(name)).with_context(|| format!("no {name} in the bundle"));
    for batch in batches(&text("items.ndjson")?) {
        let report = send("PUT", address, "/v1/catalog/items", "application/x-ndjson", batch.as_bytes())?;
        ensure!(report["rejected"].as_array().is_none_or(Vec::is_empty), "items were refused: {report}");
    }
    let vectors = text("embeddings.ndjson")?;
    let space = format!("/v1/embeddings/{NAME}?metric=cosine&visitor=mean");
    let report = send("PUT", address, &space, "application/x-ndjson", vectors.as_bytes())?;
    ensure!(report["rejected"].as_array().is_none_or(Vec::is_empty), "vectors were refused: {report}");
    let events = text("events.ndjson")?;
    for batch in batches(&events) {
        let report = send("POST", address, "/v1/events", "application/x-ndjson", batch.as_bytes())?;
        ensure!(report["rejected"].as_array().is_none_or(Vec::is_empty), "events were refused: {report}");
    }
    let model = fs::read(bundle.join("model.onnx")).context("no model.onnx in the bundle")?;
    let (boundary, form) = multipart(&[("model", &model), ("manifest", text("manifest.json")?.as_bytes())]);
    let kind = format!("multipart/form-data; boundary={boundary}");
    send("PUT", address, &format!("/v1/models/{NAME}/versions/1"), &kind, &form)?;
    let scenario = json!({"strategy": "home", "parameters": parameters()}).to_string();
    send("PUT", address, &format!("/v1/scenarios/{NAME}"), "application/json", scenario.as_bytes())?;
    wait_until_visible(address, &events)
}

/// The scenario's parameters for `home`: as the peer does, the 300 nearest to the visitor, the ranker, and at most four
/// of a category.
#[must_use]
pub fn parameters() -> Value {
    let others = [
        "bought_together",
        "viewed_together",
        "next_after",
        "buy_again",
        "same_category",
        "trending",
        "trending_region",
        "newest",
        "exploration",
    ];
    let mut sources: serde_json::Map<String, Value> = others.iter().map(|&name| (name.to_owned(), json!(0))).collect();
    sources.insert("near".to_owned(), json!(CANDIDATES));
    json!({"flat": true, "space": NAME, "model": NAME, "sources": sources, "spread": 0.0, "per_category": 4})
}

/// Answers so far that the strategy did not compose: the fallback did, or something was missing.
///
/// # Errors
/// When the server's metrics cannot be read.
pub fn fallbacks(address: SocketAddr) -> Result<u64> {
    let text =
        ureq::get(format!("http://{address}/metrics")).call().context("GET /metrics")?.body_mut().read_to_string()?;
    Ok(count_fallbacks(&text))
}

fn count_fallbacks(metrics: &str) -> u64 {
    let counted = ["qianmian_strategy_faults_total", "qianmian_degraded_total"];
    let lines = metrics.lines().filter(|line| counted.iter().any(|name| line.starts_with(name)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

/// The item ids of the first `count` answers, in order of position.
///
/// # Errors
/// When an answer is not a page of `SLOTS` slots.
pub fn pages(address: SocketAddr, requests: &[Vec<u8>], count: usize) -> Result<Vec<Vec<String>>> {
    let mut connection = Connection::open(address)?;
    requests.iter().take(count).map(|request| page(&mut connection, request)).collect()
}

fn page(connection: &mut Connection, request: &[u8]) -> Result<Vec<String>> {
    let status = connection.call(request)?;
    let answer: Value = serde_json::from_slice(connection.body()).context("the answer is not JSON")?;
    ensure!(status == 200, "status {status}: {answer}");
    ensure!(answer["fallback"].is_null(), "answered by the fallback: {answer}");
    ensure!(answer["degraded"].as_array().is_none_or(Vec::is_empty), "degraded: {answer}");
    let slots = answer["shelves"].as_array().into_iter().flatten().filter_map(|shelf| shelf["slots"].as_array());
    let items: Vec<String> = slots.flatten().filter_map(|slot| slot["item"].as_str()).map(str::to_owned).collect();
    ensure!(items.len() == SLOTS, "{} slots instead of {SLOTS}: {answer}", items.len());
    Ok(items)
}

/// Mean share of items that two lists of pages have in common, page by page.
#[must_use]
pub fn overlap(a: &[Vec<String>], b: &[Vec<String>]) -> f64 {
    let shares =
        a.iter().zip(b).map(|(a, b)| a.iter().filter(|item| b.contains(item)).count() as f64 / a.len().max(1) as f64);
    shares.sum::<f64>() / a.len().min(b.len()).max(1) as f64
}

/// The last visitors of the log have all their events in their profiles, so everything before is folded too.
fn wait_until_visible(address: SocketAddr, events: &str) -> Result<()> {
    let visitor_of = |line: &str| -> Option<String> {
        Some(serde_json::from_str::<Value>(line).ok()?["visitor"]["id"].as_str()?.to_owned())
    };
    let last = events.lines().last().and_then(visitor_of).context("events.ndjson has no visitors")?;
    let wanted = events.lines().filter(|line| visitor_of(line).as_ref() == Some(&last)).count();
    let deadline = Instant::now() + VISIBLE;
    loop {
        let profile = send("GET", address, &format!("/v1/visitors/{last}"), "", &[]).unwrap_or_default();
        if profile["events"].as_u64() == Some(wanted as u64) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{wanted} events of {last} are not in the profile after {VISIBLE:?}: {profile}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One request; the decoded answer.
///
/// # Errors
/// When there is no answer, or it is none of success or no JSON.
pub fn send(method: &str, address: SocketAddr, path: &str, kind: &str, body: &[u8]) -> Result<Value> {
    let url = format!("http://{address}{path}");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = match method {
        "GET" => agent.get(&url).call(),
        "PUT" => agent.put(&url).content_type(kind).send(body),
        _ => agent.post(&url).content_type(kind).send(body),
    };
    let mut answer = answer.with_context(|| format!("{method} {path}"))?;
    let text = answer.body_mut().read_to_string().with_context(|| format!("{method} {path}"))?;
    ensure!(answer.status().is_success(), "{method} {path} answered {}: {text}", answer.status());
    serde_json::from_str(&text).with_context(|| format!("{method} {path} answered {text}"))
}

/// Whole lines, [`BATCH`] at a time.
fn batches(text: &str) -> impl Iterator<Item = String> {
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks(BATCH).map(|batch| batch.join("\n")).collect::<Vec<_>>().into_iter()
}

/// A boundary and a `multipart/form-data` body.
fn multipart(parts: &[(&str, &[u8])]) -> (&'static str, Vec<u8>) {
    const BOUNDARY: &str = "qianmian-bench-5f1d7a3c9b";
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (BOUNDARY, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn requests_visit_every_visitor_once() {
        for visitors in [1, 500, 5_000] {
            let all = requests("bench", visitors);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), visitors);
        }
    }

    #[test]
    fn fallbacks_are_read_from_the_metrics() {
        let text = "# TYPE qianmian_strategy_faults_total counter\n\
            qianmian_strategy_faults_total{code=\"timeout\",strategy=\"home\"} 3\n\
            qianmian_degraded_total{what=\"source\"} 2\nqianmian_shed_total{queue=\"compose\"} 9\n";
        assert_eq!(count_fallbacks(text), 5);
    }

    #[test]
    fn batches_keep_every_line() {
        let text: String = (0..12_345).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        let again: Vec<String> = batches(&text).collect();
        assert_eq!(again.len(), 3);
        assert_eq!(again.join("\n") + "\n", text);
    }

    #[test]
    fn overlap_is_the_mean_share() {
        let page = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        let (a, b) = ([page(&["a", "b"]), page(&["c", "d"])], [page(&["b", "a"]), page(&["c", "x"])]);
        assert!((overlap(&a, &b) - 0.75).abs() < 1e-12);
        assert_eq!(overlap(&[], &b), 0.0);
    }

    #[test]
    fn forms_end_with_their_boundary() {
        let (boundary, body) = multipart(&[("model", b"\x00\r\n--x"), ("manifest", b"{}")]);
        let text = String::from_utf8_lossy(&body);
        assert_eq!(text.matches(boundary).count(), 3);
        assert!(text.ends_with("--\r\n") && text.contains("name=\"manifest\""));
    }
}
