//! Filters of every size, random and correlated with the queries: recall, and the cost against what it may be.

use crate::data::{Data, K, Random};
use crate::lines::{Better, Line, median};
use crate::peer::Peer;
use crate::speed::Files;
use cpu_time::ThreadTime;
use qianmian_core::ItemRow;
use qianmian_index::{Filter, Generation, Mode, Query};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Queries of each filter.
const QUERIES: usize = 200;

/// One result.
type Rows = Vec<(ItemRow, f32)>;

/// Microseconds a query takes, its results, and the ways they were found.
type Timed = (f64, Vec<Rows>, BTreeMap<String, usize>);

/// Shares that are let through, in percent.
const SHARES: [f64; 5] = [50.0, 10.0, 2.0, 1.0, 0.1];

fn run<'a>(data: &'a Data, generation: &Generation, change: impl Fn(Query<'a>) -> Query<'a>) -> anyhow::Result<Timed> {
    let mut found = Vec::with_capacity(QUERIES);
    let mut ways = BTreeMap::new();
    let began = ThreadTime::now();
    for vector in data.queries.chunks_exact(data.dim).take(QUERIES) {
        let one = generation.find(&change(Query::new(vector, K)))?;
        *ways.entry(format!("{:?}", one.plan.way)).or_insert(0) += 1;
        found.push(one.rows);
    }
    Ok((began.elapsed().as_secs_f64() * 1e6 / found.len() as f64, found, ways))
}

/// The rows one half-space away from a row: near it, so correlated with queries near it or far from it.
fn correlated(data: &Data, share: f64, nearest: bool) -> Filter {
    let of: Vec<f32> = data.queries.chunks_exact(data.dim).take(QUERIES).fold(vec![0.0; data.dim], |mut sum, query| {
        sum.iter_mut().zip(query).for_each(|(sum, x)| *sum += x);
        sum
    });
    let mut rows: Vec<(f32, u32)> = data
        .base
        .chunks_exact(data.dim)
        .map(|row| row.iter().zip(&of).map(|(x, y)| x * y).sum::<f32>() * if nearest { -1.0 } else { 1.0 })
        .zip(0..)
        .collect();
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let kept = (rows.len() as f64 * share / 100.0) as usize;
    Filter::new(rows[..kept].iter().map(|row| ItemRow(row.1)))
}

/// All lines of one data set.
pub fn measure(
    data: &Data,
    generation: &Generation,
    mut peer: Option<&mut Peer>,
    work: &Path,
    runs: usize,
) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut random = Random(3);
    for share in SHARES {
        let some =
            (0..data.rows() as u32).filter(|_| ((random.next() >> 11) as f64 / (1u64 << 53) as f64) < share / 100.0);
        let filters = [
            ("random", Filter::new(some.map(ItemRow))),
            ("near", correlated(data, share, true)),
            ("far", correlated(data, share, false)),
        ];
        for (kind, filter) in &filters {
            let case = format!("{}/k10/filter{share}%/{kind}", data.name);
            let (mut ours, mut least) = (Vec::new(), Vec::new());
            let (mut recall, mut ways) = (0.0, BTreeMap::new());
            for _ in 0..runs {
                let (walk, ..) = run(data, generation, |query| Query { mode: Mode::Graph, ..query })?;
                let exact = |query| Query { filter: Some(filter), mode: Mode::Exact, ..query };
                let (gather, truth, _) = run(data, generation, exact)?;
                let (took, found, how) = run(data, generation, |query| Query { filter: Some(filter), ..query })?;
                let hits = |(found, truth): (&Rows, &Rows)| {
                    truth.iter().filter(|t| found.iter().any(|f| f.0 == t.0)).count() as f64 / truth.len().max(1) as f64
                };
                recall = found.iter().zip(&truth).map(hits).sum::<f64>() / found.len() as f64;
                ways = how;
                ours.push(took);
                least.push(gather.min(walk / (filter.len() as f64 / data.rows() as f64)));
            }
            eprintln!("bench-index: {case}: {:.1} us, {ways:?}", median(&ours));
            lines.push(Line::alone(("index", &case, "recall@10"), Better::Higher, &[recall], Some(0.99)));
            let peer = "own lower of exact gather and walk/share";
            lines.push(Line::against(("index", &case, "us"), Better::Lower, &ours, (peer, &least), 1.2));
        }
        if let (Some(peer), (_, filter)) = (peer.as_deref_mut(), &filters[0]) {
            lines.extend(against_hnswlib(data, generation, filter, share, peer, work)?);
        }
    }
    Ok(lines)
}

/// hnswlib's filtered search of the same rows, at ef 100.
fn against_hnswlib(
    data: &Data,
    generation: &Generation,
    filter: &Filter,
    share: f64,
    peer: &mut Peer,
    work: &Path,
) -> anyhow::Result<Vec<Line>> {
    let files = Files { folder: work, dim: data.dim };
    let few =
        Data { queries: data.queries[..data.dim * 50.min(data.queries.len() / data.dim)].to_vec(), ..data.named() };
    let truth = few.truth(generation, Some(&|row| filter.contains(row)))?;
    files.write("few", &few.queries, f32::to_le_bytes)?;
    files.write("few-truth", &truth, u32::to_le_bytes)?;
    let allowed: Vec<u8> = (0..data.rows() as u32).map(|row| u8::from(filter.contains(ItemRow(row)))).collect();
    std::fs::write(work.join("allowed"), allowed)?;
    let more = json!({"ef": 100, "queries": work.join("few"), "truth": work.join("few-truth"), "allowed": work.join("allowed")});
    let answer = peer.ask(&files.command("query", "hnswlib", &more))?;
    let (theirs, recall) = (1e6 / answer["qps"].as_f64().unwrap_or(f64::NAN), answer["recall"].as_f64().unwrap_or(0.0));
    let (ours, ..) = run(&few, generation, |query| Query { filter: Some(filter), ..query })?;
    let case = format!("{}/k10/filter{share}%/random", data.name);
    let name = format!("hnswlib 0.8.0, a Python filter, recall {recall:.3}");
    Ok(vec![Line::against(("index", &case, "us"), Better::Lower, &[ours], (&name, &[theirs]), 1.0)])
}
