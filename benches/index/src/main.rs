//! `bench-index`: the vector index against hnswlib, usearch and faiss, one thread, alternated; JSON lines.
//!
//! `--python PATH` has the peers; without it only ours is measured. `--quick` is small and takes under three minutes,
//! `--large` adds a million rows, `--set NAME` is that data set alone, `--peer NAME` that peer. `--data FOLDER` holds the real embeddings,
//! `--curves FILE` gets every point measured.

#![expect(clippy::print_stdout, reason = "figures go to standard output")]

mod curve;
mod data;
mod filters;
mod life;
#[path = "../../src/lines.rs"]
mod lines;
mod peer;
mod speed;
mod updates;

use anyhow::Context;
use data::Data;
use lines::Line;
use peer::Peer;
use std::path::{Path, PathBuf};

/// What was asked for on the command line.
#[derive(Default)]
struct Options {
    python: Option<PathBuf>,
    data: Option<PathBuf>,
    curves: Option<PathBuf>,
    /// The only data set.
    set: Option<String>,
    /// The only peer.
    peer: Option<String>,
    quick: bool,
    large: bool,
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut path = || words.next().map(PathBuf::from).with_context(|| format!("{word} needs a path"));
        match word.as_str() {
            "--python" => options.python = Some(path()?),
            "--data" => options.data = Some(path()?),
            "--curves" => options.curves = Some(path()?),
            "--set" => options.set = Some(words.next().context("--set needs a name")?),
            "--peer" => options.peer = Some(words.next().context("--peer needs a name")?),
            "--quick" => options.quick = true,
            "--large" => options.large = true,
            other => anyhow::bail!("unknown option {other:?}"),
        }
    }
    Ok(options)
}

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args_os().skip(1);
    if let (Some(word), Some(file)) = (words.next(), words.next())
        && word == "--open"
    {
        println!("{}", life::open(Path::new(&file))?);
        return Ok(());
    }
    let options = options()?;
    let mut peer = options.python.as_deref().map(|python| Peer::start(python, options.peer.clone())).transpose()?;
    let work = tempfile::tempdir()?;
    let mut all: Vec<Line> = Vec::new();
    let mut curves = Vec::new();
    let sets = sets(&options, peer.as_mut(), work.path())?;
    for make in sets {
        let data = make();
        let (lines, points) = speed::measure(&data, peer.as_mut(), work.path(), options.quick)?;
        curves.extend(points);
        all.extend(lines);
    }
    if let Some(file) = options.curves {
        std::fs::write(file, serde_json::to_string(&curves)?)?;
    }
    lines::print(&all)?;
    let missed = all.iter().filter(|line| line.missed()).count();
    eprintln!("bench-index: {missed} targets missed");
    Ok(())
}

type Make = Box<dyn FnOnce() -> Data>;

/// The data sets, each made when its turn comes.
fn sets(options: &Options, peer: Option<&mut Peer>, work: &Path) -> anyhow::Result<Vec<Make>> {
    let mut sets: Vec<Make> = Vec::new();
    let wanted = |name: &str, otherwise: bool| options.set.as_deref().map_or(otherwise, |set| set == name);
    if let (Some(folder), Some(peer), true) = (&options.data, peer, wanted("beauty", true)) {
        let data = beauty(folder, peer, work)?;
        sets.push(Box::new(move || data));
    }
    let mixtures = [
        ("mixture-30k-64", 30_000, 64, options.quick),
        ("mixture-200k-64", 200_000, 64, !options.quick),
        ("mixture-100k-128", 100_000, 128, !options.quick),
        ("mixture-1m-64", 1_000_000, 64, options.large),
    ];
    for (name, rows, dim, otherwise) in mixtures {
        if wanted(name, otherwise) {
            sets.push(Box::new(move || Data::mixture(name, rows, dim, 1_000)));
        }
    }
    anyhow::ensure!(!sets.is_empty(), "no data set named {:?}; beauty needs --data and --python", options.set);
    Ok(sets)
}

/// The items of a published model, and its visitors as queries.
fn beauty(folder: &Path, peer: &mut Peer, work: &Path) -> anyhow::Result<Data> {
    let (base, queries) = (work.join("beauty.base"), work.join("beauty.queries"));
    let command = serde_json::json!({"do": "beauty", "folder": folder.join("amazon-beauty"), "count": 1_000,
                                     "base": base, "queries": queries});
    let answer = peer.ask(&command)?;
    let dim = answer["dim"].as_u64().context("dim")? as usize;
    let metric = qianmian_index::Metric::Dot;
    Ok(Data { name: "beauty".to_owned(), metric, dim, base: read(&base)?, queries: read(&queries)? })
}

/// Numbers as numpy's `tofile` writes them.
fn read(file: &Path) -> anyhow::Result<Vec<f32>> {
    let bytes = std::fs::read(file)?;
    Ok(bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
}
