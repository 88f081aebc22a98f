//! Queries per second of CPU at equal recall, build time and memory, against every peer. By the clocks of threads and
//! processes, which stand still while others have the core.

use crate::curve::{Point, at};
use crate::data::{Data, K};
use crate::life;
use crate::lines::{Better, Line};
use crate::peer::Peer;
use anyhow::Context;
use cpu_time::ThreadTime;
use qianmian_core::ItemRow;
use qianmian_index::{Generation, Mode, Query, SpaceSpec, Spaces};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Widths measured; the peers call it ef.
const WIDTHS: [usize; 14] = [10, 13, 17, 22, 28, 36, 48, 64, 90, 128, 180, 256, 400, 640];

/// Builds with one thread and with two, in turn, of sets of up to so many rows.
const BUILDS: usize = 3;
const MOST_BUILT_AGAIN: usize = 200_000;

/// Peers, and what our best plane and our f32 plane should be of them.
const PEERS: [(&str, f64, Option<f64>); 3] =
    [("hnswlib", 2.0, Some(1.5)), ("usearch", 3.5, None), ("faiss", 2.5, None)];

/// Files the peers read.
pub struct Files<'a> {
    pub folder: &'a Path,
    pub dim: usize,
}

impl Files<'_> {
    /// Writes numbers as numpy's `fromfile` reads them.
    pub fn write<T: Copy>(&self, name: &str, values: &[T], bytes: impl Fn(T) -> [u8; 4]) -> anyhow::Result<()> {
        let all: Vec<u8> = values.iter().flat_map(|&value| bytes(value)).collect();
        Ok(std::fs::write(self.folder.join(name), all)?)
    }

    /// A command about these files.
    pub fn command(&self, what: &str, engine: &str, more: &Value) -> Value {
        let mut command = json!({"do": what, "engine": engine, "dim": self.dim, "k": K,
            "base": self.folder.join("base"), "queries": self.folder.join("queries"),
            "truth": self.folder.join("truth")});
        if let (Some(command), Some(more)) = (command.as_object_mut(), more.as_object()) {
            command.extend(more.clone());
        }
        command
    }
}

/// Seconds of CPU, and on the wall.
struct Took {
    cpu: f64,
    wall: f64,
}

/// Builds with so many threads.
fn build(data: &Data, threads: usize) -> anyhow::Result<(Spaces, Arc<Generation>, Took)> {
    let rows: Vec<ItemRow> = (0..data.rows() as u32).map(ItemRow).collect();
    let spaces = Spaces::new();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (began, began_cpu) = (Instant::now(), life::cpu());
    let spec = SpaceSpec::new("bench", data.metric);
    pool.install(|| spaces.put(spec, rows, data.base.clone(), data.dim))?;
    let took = Took { cpu: life::cpu() - began_cpu, wall: began.elapsed().as_secs_f64() };
    let generation = spaces.space("bench").context("was built")?;
    Ok((spaces, generation, took))
}

/// Our walks at one width.
pub fn ours(data: &Data, generation: &Generation, truth: &[u32], width: usize, codes: bool) -> anyhow::Result<Point> {
    let mut hits = 0usize;
    let mut found = Vec::with_capacity(truth.len() / K);
    let began = ThreadTime::now();
    for vector in data.queries.chunks_exact(data.dim) {
        let query = Query { mode: Mode::Graph, width: Some(width), codes, ..Query::new(vector, K) };
        found.push(generation.find(&query)?.rows);
    }
    let took = began.elapsed().as_secs_f64();
    for (found, truth) in found.iter().zip(truth.chunks_exact(K)) {
        hits += found.iter().filter(|(row, _)| truth.contains(&row.0)).count();
    }
    Ok(Point { recall: hits as f64 / truth.len() as f64, qps: found.len() as f64 / took })
}

/// Bytes resident after hnswlib has loaded its index in a process of its own.
fn peer_memory(peer: &mut Peer, files: &Files<'_>) -> anyhow::Result<f64> {
    let command = files.command("memory", "hnswlib", &json!({"file": files.folder.join("hnswlib.index")}));
    peer.ask(&command)?["bytes"].as_f64().context("bytes")
}

/// All lines of one data set, and every point for the plot.
pub fn measure(
    data: &Data,
    mut peer: Option<&mut Peer>,
    work: &Path,
    quick: bool,
) -> anyhow::Result<(Vec<Line>, Vec<Value>)> {
    let runs = if quick { 3 } else { 5 };
    // The first build of a process pays for memory that the others find there.
    drop(build(data, 2)?);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let again = if data.rows() > MOST_BUILT_AGAIN { 0 } else { BUILDS - 1 };
    for _ in 0..again {
        two.push(build(data, 2)?.2.wall);
        one.push(build(data, 1)?.2.wall);
    }
    two.push(build(data, 2)?.2.wall);
    let (spaces, generation, Took { cpu: seconds, wall }) = build(data, 1)?;
    one.push(wall);
    let truth = data.truth(&generation, None)?;
    let (open, bytes) = life::file(data, &generation, work)?;
    eprintln!("bench-index: {}: built in {seconds:.1} s, {:.1} MB", data.name, bytes / 1e6);
    let files = Files { folder: work, dim: data.dim };
    let threads = ("index", data.name.as_str(), "build, seconds on the wall, one thread of two threads'");
    let mut lines = vec![open, Line::against(threads, Better::Higher, &one, ("two threads", &two), 1.8)];
    let mut names = Vec::new();
    let peers = PEERS.into_iter().filter(|(engine, ..)| peer.as_ref().is_some_and(|peer| peer.has(engine)));
    let peers: Vec<_> = peers.collect();
    if let Some(peer) = peer.as_deref_mut() {
        files.write("base", &data.base, f32::to_le_bytes)?;
        files.write("queries", &data.queries, f32::to_le_bytes)?;
        files.write("truth", &truth, u32::to_le_bytes)?;
        for &(engine, ..) in &peers {
            let built = peer.ask(&files.command("build", engine, &json!({"metric": data.metric_name()})))?;
            eprintln!("bench-index: {}: {engine} {built}", data.name);
            names.push(built["name"].as_str().unwrap_or(engine).to_owned());
            if engine == "hnswlib" {
                let name = names[0].as_str();
                let number = |what: &str| built[what].as_f64().context("a number");
                let line = |metric, ours, theirs, target| {
                    let what = ("index", data.name.as_str(), metric);
                    Line::against(what, Better::Lower, &[ours], (name, &[theirs]), target)
                };
                lines.push(line("build", seconds, number("seconds")?, 1.5));
                let memory = peer_memory(&mut *peer, &files)?;
                lines.push(line("memory", bytes, memory, 1.0));
            }
        }
    }
    // One run is all engines one after another, so that what slows one slows the others of that run too.
    let engines = ["codes", "f32"].into_iter().chain(names.iter().map(String::as_str));
    let engines: Vec<String> = engines.map(str::to_owned).collect();
    let mut curves = vec![Vec::new(); engines.len()];
    for _ in 0..runs {
        for (i, curves) in curves.iter_mut().enumerate() {
            let mut points = Vec::new();
            // The first width is asked for twice: whoever comes after another finds the caches full of that one's data.
            for (turn, width) in [WIDTHS[0]].into_iter().chain(WIDTHS).enumerate() {
                let point = match (i, peer.as_deref_mut()) {
                    (0 | 1, _) => ours(data, &generation, &truth, width, i == 0)?,
                    (_, Some(peer)) => {
                        let answer = peer.ask(&files.command("query", peers[i - 2].0, &json!({"ef": width})))?;
                        let number = |what: &str| answer[what].as_f64().context("a number");
                        Point { recall: number("recall")?, qps: number("qps")? }
                    }
                    (_, None) => continue,
                };
                if turn > 0 {
                    points.push(point);
                }
                if point.recall > 0.998 {
                    break;
                }
            }
            curves.push(points);
        }
    }
    for (recall, what) in [(0.95, "recall95"), (0.99, "recall99")] {
        let read = |engine: usize| curves[engine].iter().map(|points| at(points, recall)).collect::<Option<Vec<f64>>>();
        for (plane, name) in [(0, ""), (1, "/f32")] {
            let case = format!("{}/k10/{what}{name}", data.name);
            let what = ("index", case.as_str(), "qps");
            let Some(ours) = read(plane) else {
                eprintln!("bench-index: {case}: not reached by any width");
                continue;
            };
            if names.is_empty() {
                lines.push(Line::alone(what, Better::Higher, &ours, None));
            }
            for (i, name) in names.iter().enumerate() {
                let Some(target) = (if plane == 0 { Some(peers[i].1) } else { peers[i].2 }) else { continue };
                match read(i + 2) {
                    Some(theirs) => lines.push(Line::against(what, Better::Higher, &ours, (name, &theirs), target)),
                    None => eprintln!("bench-index: {case}: {name} does not reach it"),
                }
            }
        }
    }
    if data.rows() >= 30_000 {
        let hnswlib = peer.filter(|peer| peer.has("hnswlib"));
        lines.extend(crate::filters::measure(data, &generation, hnswlib, work, 7)?);
        drop(generation);
        lines.extend(crate::updates::updates(data, &spaces, if quick { 5 } else { 20 })?);
    }
    let points = engines.iter().zip(&curves).map(|(engine, runs)| {
        let last = runs.last().into_iter().flatten();
        json!({"data": data.name, "engine": engine,
               "points": last.map(|point| [point.recall, point.qps]).collect::<Vec<_>>()})
    });
    Ok((lines, points.collect()))
}
