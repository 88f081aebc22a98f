//! The kill audit: a server killed at random moments under load, again and again; nothing acknowledged may be lost, and
//! nothing counted twice.
//!
//! Writers send batches of events with ids of their own and, as a good client does, send a batch again until it is
//! acknowledged. At the end every batch is sent once more: an event that is taken then, although it was acknowledged, was
//! lost. Orders in the visitors' profiles are held against the orders sent: more would be counted twice, fewer forgotten.

use crate::http1::{Connection, post_json};
use crate::process::free_address;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Threads that send events.
const WRITERS: usize = 4;
/// Visitors of each.
const VISITORS: usize = 5;
/// What the writers are told at the end: to have the last batch acknowledged, or that there is no server to do it.
const FINISH: u8 = 1;
const GIVE_UP: u8 = 2;
/// A server that takes longer to answer after a kill is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The server's binary.
    pub binary: PathBuf,
    /// The data folder, new.
    pub data: PathBuf,
    /// Where the server's words go.
    pub log: PathBuf,
    /// How often it is killed.
    pub kills: usize,
    /// Of the moments.
    pub seed: u64,
    /// Time between two checkpoints; 0 for one after the other, so that kills fall into them.
    pub checkpoint_seconds: u32,
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// Kills.
    pub kills: usize,
    /// Of these, while it was still starting.
    pub in_recovery: usize,
    /// Events acknowledged.
    pub acknowledged: usize,
    /// Acknowledged, and not there at the end.
    pub lost: usize,
    /// Orders in profiles beyond those sent.
    pub doubled: usize,
    /// Orders sent that no profile counts.
    pub forgotten: usize,
    /// The slowest start, from the process to its first answer.
    pub slowest_start: Duration,
}

/// A batch: its events are `first..first + count` of its writer.
#[derive(Clone, Copy)]
struct Batch {
    writer: usize,
    first: usize,
    count: usize,
}

impl Batch {
    /// Orders of one item each, by the writer's visitors in turn.
    fn request(self) -> Vec<u8> {
        let mut events = String::new();
        for n in self.first..self.first + self.count {
            let (writer, visitor, item) = (self.writer, n % VISITORS, n % 97);
            let comma = if events.is_empty() { "" } else { "," };
            // Writing to a text cannot fail.
            let _ = write!(
                events,
                r#"{comma}{{"id":"w{writer}-{n}","type":"purchase","visitor":{{"id":"w{writer}v{visitor}"}},"item":"p{item}"}}"#
            );
        }
        post_json("/v1/events", &format!(r#"{{"events":[{events}]}}"#))
    }

    /// How many of its events were new; `None` when it was not acknowledged.
    fn send(self, connection: &mut Connection) -> Option<usize> {
        let status = connection.call(&self.request()).ok()?;
        let answer: Value = serde_json::from_slice(connection.body()).ok()?;
        let count = |name: &str| answer[name].as_u64().unwrap_or(0) as usize;
        (status == 202 && count("accepted") + count("duplicates") == self.count).then(|| count("accepted"))
    }
}

/// Runs the audit.
///
/// # Errors
/// When the server does not start, or does not come back.
pub fn audit(audit: &Audit) -> Result<Found> {
    let address = free_address()?;
    let stop = AtomicU8::new(0);
    let mut found = Found { kills: audit.kills, ..Found::default() };
    let mut random = audit.seed;
    let batches = std::thread::scope(|scope| -> Result<Vec<Batch>> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let stop = &stop;
                    move || write(writer, address, stop)
                })
            })
            .collect();
        let killed = (0..audit.kills).try_for_each(|_| kill_once(audit, address, &mut random, &mut found));
        // The writers need a server to finish with.
        let server = killed.and_then(|()| start(audit, address));
        let answered = server.and_then(|server| Ok((server, ready(address)?)));
        stop.store(if answered.is_ok() { FINISH } else { GIVE_UP }, Ordering::Relaxed);
        let (mut server, took) = answered?;
        found.slowest_start = found.slowest_start.max(took);
        let batches = writers.into_iter().flat_map(|writer| writer.join().unwrap_or_default()).collect();
        kill(&mut server)?;
        Ok(batches)
    })?;
    let mut server = start(audit, address)?;
    found.slowest_start = found.slowest_start.max(ready(address)?);
    let checked = check(address, &batches, &mut found);
    kill(&mut server)?;
    checked.map(|()| found)
}

/// Sends batches until it is told to stop; each until it is acknowledged.
fn write(writer: usize, address: SocketAddr, stop: &AtomicU8) -> Vec<Batch> {
    let (mut batches, mut next, mut random) = (Vec::new(), 0, writer as u64 + 1);
    let mut connection = None;
    while stop.load(Ordering::Relaxed) == 0 {
        let batch = Batch { writer, first: next, count: 1 + (next_random(&mut random) % 40) as usize };
        next += batch.count;
        loop {
            if connection.is_none() {
                connection = Connection::open(address).ok();
            }
            if connection.as_mut().and_then(|connection| batch.send(connection)).is_some() {
                batches.push(batch);
                break;
            }
            connection = None;
            if stop.load(Ordering::Relaxed) == GIVE_UP {
                return batches;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    batches
}

/// A server from start to kill. One in four dies while it starts.
fn kill_once(audit: &Audit, address: SocketAddr, random: &mut u64, found: &mut Found) -> Result<()> {
    let mut server = start(audit, address)?;
    if next_random(random).is_multiple_of(4) {
        std::thread::sleep(Duration::from_millis(next_random(random) % 150));
        found.in_recovery += 1;
    } else {
        found.slowest_start = found.slowest_start.max(ready(address)?);
        std::thread::sleep(Duration::from_millis(20 + next_random(random) % 400));
    }
    kill(&mut server)
}

fn start(audit: &Audit, address: SocketAddr) -> Result<Child> {
    let file = File::create(&audit.log).with_context(|| format!("cannot write {}", audit.log.display()))?;
    let mut command = Command::new(&audit.binary);
    command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(&audit.data);
    command.env("QIANMIAN_CHECKPOINT_SECONDS", audit.checkpoint_seconds.to_string());
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command.spawn().with_context(|| format!("cannot start {}", audit.binary.display()))
}

fn kill(server: &mut Child) -> Result<()> {
    // SIGKILL: nothing of the process gets to tidy up.
    server.kill().context("cannot kill the server")?;
    server.wait().context("cannot wait for the server")?;
    Ok(())
}

/// Waits for the first answer.
fn ready(address: SocketAddr) -> Result<Duration> {
    let begun = Instant::now();
    while ureq::get(format!("http://{address}/readyz")).call().is_err() {
        ensure!(begun.elapsed() < PATIENCE, "the server does not answer {PATIENCE:?} after its start");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(begun.elapsed())
}

/// Sends everything once more, and counts orders.
fn check(address: SocketAddr, batches: &[Batch], found: &mut Found) -> Result<()> {
    let mut connection = Connection::open(address)?;
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    for batch in batches {
        found.acknowledged += batch.count;
        found.lost += batch.send(&mut connection).context("a batch is refused after the last start")?;
        for n in batch.first..batch.first + batch.count {
            *sent.entry(format!("w{}v{}", batch.writer, n % VISITORS)).or_default() += 1;
        }
    }
    for (visitor, orders) in sent {
        let url = format!("http://{address}/v1/visitors/{visitor}");
        let mut answer = ureq::get(url).call().with_context(|| format!("no profile of {visitor}"))?;
        let counted = answer.body_mut().read_json::<Value>()?["orders"].as_u64().unwrap_or(0) as usize;
        found.doubled += counted.saturating_sub(orders);
        found.forgotten += orders.saturating_sub(counted);
    }
    Ok(())
}

/// Splitmix64.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// How long a start takes with so many events in the log: the time to the first answer, where all of them are folded, and
/// where they were kept folded.
///
/// # Errors
/// When the server does not start, or refuses events.
pub fn start_with(audit: &Audit, events: usize) -> Result<[Duration; 2]> {
    let address = free_address()?;
    let mut server = start(audit, address)?;
    ready(address)?;
    let mut connection = Connection::open(address)?;
    for first in (0..events).step_by(1_000) {
        let body = json!({ "events": (first..(first + 1_000).min(events)).map(|n| json!({
            "id": format!("s{n}"), "type": if n % 20 == 0 { "purchase" } else { "view" },
            "visitor": { "id": format!("s{}", n * 7_919 % 50_000) }, "item": format!("p{}", n * 31 % 4_001),
        })).collect::<Vec<_>>() });
        let status = connection.call(&post_json("/v1/events", &body.to_string()))?;
        ensure!(status == 202, "the server answers {status} to events");
    }
    kill(&mut server)?;
    // without the folds, or what is kept of them, all of the log is folded
    for end in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(audit.data.join(format!("folds.db{end}"))));
    }
    let often = Audit { checkpoint_seconds: 1, ..audit.clone() };
    let mut server = start(&often, address)?;
    let all = ready(address)?;
    let begun = Instant::now();
    while std::fs::metadata(audit.data.join("folds.db-wal")).map_or(0, |file| file.len()) < 1 << 20 {
        ensure!(begun.elapsed() < PATIENCE, "no checkpoint is taken within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(10));
    kill(&mut server)?;
    let mut server = start(audit, address)?;
    let kept = ready(address)?;
    kill(&mut server)?;
    Ok([all, kept])
}

/// A data folder and a log file in `folder`.
#[must_use]
pub fn new_audit(binary: &Path, folder: &Path, kills: usize, seed: u64) -> Audit {
    let (data, log) = (folder.join("data"), folder.join("server.log"));
    Audit { binary: binary.to_owned(), data, log, kills, seed, checkpoint_seconds: 0 }
}
