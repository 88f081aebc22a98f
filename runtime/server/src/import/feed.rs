//! Feeding history to a running server as if it happened now: in its own rhythm, so many times as fast.

use super::{Imported, events::line, progress};
use anyhow::{Context, ensure};
use qianmian_core::TimeMs;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most events of one request.
const BATCH: usize = 2_000;
/// How often what is due is sent.
const TICK: Duration = Duration::from_millis(100);
/// Seconds behind from which on it is told, and told again whenever it has doubled.
const BEHIND: f64 = 2.0;
/// Patience with a server that is busy.
const TRIES: u32 = 60;

/// Counts of a feed.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Fed {
    /// Items taken.
    pub items: usize,
    /// Events taken.
    pub events: usize,
    /// Events that were there already.
    pub duplicates: usize,
    /// Events refused.
    pub refused: usize,
    /// Lines of the file that were left out, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// Seconds it took.
    pub seconds: f64,
    /// How many times as fast as it happened it was fed; less than asked for where the server could not follow.
    pub speed: f64,
    /// Most seconds that an event was taken after it was due.
    pub lag_seconds: f64,
}

/// Puts the items, then sends the events: one that happened `t` after the first is sent `t / speed` after the start, and
/// bears that moment as its time.
///
/// # Errors
/// When the server does not take them.
#[allow(clippy::disallowed_methods, reason = "a client that keeps a rhythm waits")]
pub fn feed(imported: &Imported, server: &str, speed: f64) -> anyhow::Result<Fed> {
    ensure!(speed.is_finite() && speed > 0.0, "--speed {speed}: a number above 0 expected, 3600 is an hour a second");
    let server = server.trim_end_matches('/');
    let mut fed = Fed { rejected: imported.rejects.counts(), ..Fed::default() };
    for items in imported.items.chunks(BATCH) {
        let lines = items.iter().map(|item| Ok(format!("{}\n", serde_json::to_string(item)?)));
        let body = lines.collect::<anyhow::Result<String>>()?;
        let answer = send("PUT", &format!("{server}/v1/catalog/items"), "application/x-ndjson", &body)?;
        fed.items += answer["upserted"].as_u64().unwrap_or(0) as usize;
    }
    let Some(first) = imported.events.first().map(|event| event.time) else { return Ok(fed) };
    let bar = progress(imported.events.len() as u64, "events");
    let (begun, began) = (Instant::now(), crate::recommend::now_ms());
    let mut rest = imported.events.as_slice();
    let mut told = BEHIND;
    while !rest.is_empty() {
        let passed = begun.elapsed().as_secs_f64() * 1e3 * speed;
        let due = rest.partition_point(|event| ((event.time - first) as f64) <= passed).min(BATCH);
        if due == 0 {
            std::thread::sleep(TICK);
            continue;
        }
        let (now, later) = rest.split_at(due);
        rest = later;
        let moment = |time: TimeMs| began + ((time - first) as f64 / speed) as TimeMs;
        let events: Vec<Value> = now.iter().map(|event| line(event, moment(event.time))).collect();
        let body = json!({ "events": events }).to_string();
        let answer = send("POST", &format!("{server}/v1/events"), "application/json", &body)?;
        let count = |name: &str| answer[name].as_u64().unwrap_or(0) as usize;
        fed.events += count("accepted");
        fed.duplicates += count("duplicates");
        fed.refused += answer["rejected"].as_array().map_or(0, Vec::len);
        bar.inc(due as u64);
        let passed = (now.last().map_or(first, |event| event.time) - first) as f64 / 1e3;
        fed.seconds = begun.elapsed().as_secs_f64();
        fed.speed = passed / fed.seconds.max(1e-9);
        let lag = fed.seconds - passed / speed;
        fed.lag_seconds = fed.lag_seconds.max(lag);
        if lag > told {
            told = 2.0 * lag;
            let reached = fed.speed;
            tracing::warn!(lag, asked = speed, reached, "the server is slower than --speed asks: seconds behind");
        }
    }
    bar.finish_and_clear();
    Ok(fed)
}

/// Sends until the server is not busy any more.
#[allow(clippy::disallowed_methods, reason = "a client that is told to wait waits")]
fn send(method: &str, url: &str, kind: &str, body: &str) -> anyhow::Result<Value> {
    for _ in 0..TRIES {
        let request = if method == "PUT" { ureq::put(url) } else { ureq::post(url) };
        match request.content_type(kind).send(body) {
            Ok(mut answer) => return Ok(answer.body_mut().read_json()?),
            Err(ureq::Error::StatusCode(503)) => std::thread::sleep(Duration::from_secs(1)),
            Err(error) => return Err(error).with_context(|| format!("{method} {url}")),
        }
    }
    anyhow::bail!("{url} is busy for more than {TRIES} seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_no_time_and_no_speed_is_refused() {
        let nothing = Imported::default();
        assert_eq!(feed(&nothing, "http://localhost:1", 5.0).map(|fed| fed.events).ok(), Some(0));
        assert!(
            feed(&nothing, "http://localhost:1", 0.0).is_err()
                && feed(&nothing, "http://localhost:1", f64::NAN).is_err()
        );
    }
}
