//! The load generator: blocking threads, one a connection, because two system calls a request is the least a client on
//! the server's own cores can cost.

use crate::http1::Connection;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is sent, and where.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// Prepared requests, sent in order, over and over.
    pub requests: Vec<Vec<u8>>,
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Keep-alive connections; at most one request is under way on each.
    pub connections: usize,
    /// Requests a second at even intervals, each one's time counted from when it should have been sent, so that a slow
    /// server cannot hide the wait it causes. `None`: the next request follows the answer, which finds the peak.
    pub rate: Option<f64>,
    /// Sent before anything is counted.
    pub warm_up: Duration,
    /// Counted.
    pub duration: Duration,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Answers with status 200.
    pub answers: usize,
    /// Other statuses and broken connections.
    pub errors: usize,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// Answers a second.
    pub throughput: f64,
    /// Milliseconds.
    pub p50_ms: f64,
    /// Milliseconds.
    pub p90_ms: f64,
    /// Milliseconds.
    pub p99_ms: f64,
    /// Milliseconds.
    pub max_ms: f64,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    seconds: Vec<f32>,
    errors: usize,
    first_error: Option<String>,
}

/// Runs `load` on `target`. Connections that break are opened again and count as errors.
///
/// # Errors
/// When the server cannot be reached at the start, or there is nothing to send.
pub fn run(target: &Target, load: Load) -> Result<Outcome> {
    ensure!(!target.requests.is_empty() && load.connections > 0, "nothing to send: no requests or no connections");
    ensure!(load.rate.is_none_or(|r| r > 0.0), "rate {:?}: expected requests a second above 0", load.rate);
    let connections = balanced(target.address, load.connections)?;
    let (next, barrier) = (AtomicUsize::new(0), Barrier::new(connections.len()));
    let start = Instant::now() + Duration::from_millis(20);
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .into_iter()
            .map(|connection| {
                scope.spawn(|| {
                    barrier.wait();
                    drive(connection, target, load, &next, start)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    Ok(summary(seen, load.duration))
}

/// One connection's part.
fn drive(mut connection: Connection, target: &Target, load: Load, next: &AtomicUsize, start: Instant) -> Seen {
    let (from, until) = (start + load.warm_up, start + load.warm_up + load.duration);
    let mut seen = Seen::default();
    sleep_until(start);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let intended = match load.rate {
            Some(rate) => start + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        if intended >= until {
            return seen;
        }
        sleep_until(intended);
        let answer = connection.call(&target.requests[number % target.requests.len()]);
        let done = Instant::now();
        // Open loop: everything that was due is counted, however late; closed loop: what ended within the time.
        let counted = intended >= from && (load.rate.is_some() || done < until);
        match answer {
            Ok(200) if counted => seen.seconds.push(done.duration_since(intended).as_secs_f32()),
            Ok(200) => {}
            other => {
                seen.errors += 1;
                seen.first_error.get_or_insert_with(|| match &other {
                    Ok(status) => format!("status {status}: {}", String::from_utf8_lossy(connection.body())),
                    Err(error) => format!("{error:#}"),
                });
                if other.is_err() {
                    match Connection::open(target.address) {
                        Ok(again) => connection = again,
                        Err(_) => return seen,
                    }
                }
            }
        }
    }
}

fn sleep_until(when: Instant) {
    let left = when.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}

/// `count` connections. A server of several processes names them in `X-Worker`; then each gets its even share, which
/// the kernel does not see to and without which such a server would look worse than it is.
fn balanced(address: SocketAddr, count: usize) -> Result<Vec<Connection>> {
    let mut by_worker: BTreeMap<String, Vec<Connection>> = BTreeMap::new();
    for opened in 1..=count * 8 {
        let mut connection = Connection::open(address)?;
        let status = connection.call(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").context("GET /healthz")?;
        ensure!(status == 200, "GET /healthz answered {status}");
        let worker = connection.header("x-worker").unwrap_or_default().to_owned();
        let single = worker.is_empty();
        by_worker.entry(worker).or_default().push(connection);
        let share = count.div_ceil(by_worker.len());
        let enough = by_worker.values().all(|own| own.len() >= share);
        if opened >= count && enough && (single || by_worker.len() > 1) {
            break;
        }
    }
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let before = chosen.len();
        for own in by_worker.values_mut() {
            if chosen.len() < count {
                chosen.extend(own.pop());
            }
        }
        ensure!(chosen.len() > before, "could not open {count} connections to {address}");
    }
    Ok(chosen)
}

fn summary(seen: Vec<Seen>, duration: Duration) -> Outcome {
    let errors = seen.iter().map(|s| s.errors).sum();
    let first_error = seen.iter().find_map(|s| s.first_error.clone());
    let mut seconds: Vec<f32> = seen.into_iter().flat_map(|s| s.seconds).collect();
    seconds.sort_unstable_by(f32::total_cmp);
    Outcome {
        answers: seconds.len(),
        errors,
        first_error,
        throughput: seconds.len() as f64 / duration.as_secs_f64(),
        p50_ms: percentile(&seconds, 0.5) * 1e3,
        p90_ms: percentile(&seconds, 0.9) * 1e3,
        p99_ms: percentile(&seconds, 0.99) * 1e3,
        max_ms: percentile(&seconds, 1.0) * 1e3,
    }
}

/// The smallest value that at least the share `p` of `sorted` does not exceed; 0 of nothing.
fn percentile(sorted: &[f32], p: f64) -> f64 {
    let rank = (p * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |&v| f64::from(v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{post_json, tests};

    fn target(answer: fn(&[u8]) -> Vec<u8>) -> Target {
        let address = tests::serve(100_000, answer);
        Target { address, requests: vec![post_json("/a", "{}"), post_json("/a", "{\"x\":1}")] }
    }

    fn slow(body: &[u8]) -> Vec<u8> {
        if !body.is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        tests::echo(body)
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let sorted: Vec<f32> = (1..=100).map(|v| v as f32).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|p| percentile(&sorted, p)), [50.0, 99.0, 100.0]);
        assert_eq!(percentile(&[], 0.5), 0.0);
        assert_eq!(percentile(&[3.0], 0.01), 3.0);
    }

    #[test]
    fn a_closed_loop_counts_what_was_answered() {
        let load = Load {
            connections: 3,
            rate: None,
            warm_up: Duration::from_millis(50),
            duration: Duration::from_millis(400),
        };
        let outcome = run(&target(slow), load).expect("run");
        assert_eq!(outcome.errors, 0, "{outcome:?}");
        assert!(outcome.throughput > 40.0 && outcome.throughput <= 150.0, "{outcome:?}");
        assert!(outcome.p50_ms >= 20.0 && outcome.p50_ms <= outcome.p99_ms && outcome.p99_ms <= outcome.max_ms);
    }

    #[test]
    fn an_open_loop_counts_the_wait_a_slow_server_causes() {
        // One connection answers 50 a second at most; asked for 100, the last of 0.4 s waits about 0.4 s.
        let load =
            Load { connections: 1, rate: Some(100.0), warm_up: Duration::ZERO, duration: Duration::from_millis(400) };
        let outcome = run(&target(slow), load).expect("run");
        assert_eq!((outcome.answers, outcome.errors), (40, 0), "{outcome:?}");
        assert!(outcome.max_ms > 350.0, "{outcome:?}");
    }

    #[test]
    fn refusals_are_errors_with_their_text() {
        let refuse = |body: &[u8]| {
            if body.is_empty() {
                tests::echo(body)
            } else {
                b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nfull".to_vec()
            }
        };
        let load =
            Load { connections: 2, rate: Some(200.0), warm_up: Duration::ZERO, duration: Duration::from_millis(100) };
        let outcome = run(&target(refuse), load).expect("run");
        assert_eq!((outcome.answers, outcome.errors), (0, 20), "{outcome:?}");
        assert_eq!(outcome.first_error.as_deref(), Some("status 503: full"));
    }

    #[test]
    fn nothing_to_send_or_nobody_there_is_said() {
        let load = Load { connections: 1, rate: None, warm_up: Duration::ZERO, duration: Duration::ZERO };
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        assert!(run(&Target { address, requests: vec![] }, load).is_err());
        assert!(run(&Target { address, requests: vec![post_json("/", "")] }, load).is_err());
    }
}
