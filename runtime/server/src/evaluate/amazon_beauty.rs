//! Protocol `amazon-beauty`: leave one out, full ranking, with a published sequential model served by us. The same
//! encoder is asked once over an exact scan and once over the graph. [`ranked`] asks a server that the training kit
//! prepared instead: candidates of many sources and a ranker, fitted on what precedes the last two items.

use super::{Client, Line, Ranked, mean};
use crate::import::amazon_beauty::{read, sequences};
use crate::recommend::{RecommendRequest, answer::VisitorIds};
use anyhow::Context;
use qianmian_core::{Event, TimeMs};
use serde_json::json;
use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

/// Published by the authors of the checkpoint: hit rate and NDCG at 5, 10, 20.
const PUBLISHED: [(usize, f64, f64); 3] = [(5, 0.0500, 0.0326), (10, 0.0744, 0.0403), (20, 0.1058, 0.0483)];
/// What the graph may lose against the published figure.
const GRAPH_LOSS: f64 = 0.0005;

/// Loads the shop through HTTP, asks for every visitor, and compares.
///
/// # Errors
/// When a file cannot be read or a request fails.
pub fn run(client: &Client, folder: &Path) -> anyhow::Result<Vec<Line>> {
    prepare(client, folder)?;
    let sequences = sequences(folder)?;
    let mut report = Vec::new();
    for (case, scenario) in [("amazon-beauty/exact", "beauty-exact"), ("amazon-beauty/hnsw", "beauty-hnsw")] {
        let requests: Vec<RecommendRequest> = sequences
            .iter()
            .map(|(visitor, _)| RecommendRequest {
                scenario: scenario.to_owned(),
                visitor: Some(VisitorIds { id: Some(visitor.clone()), anonymous_id: None }),
                limit: Some(20),
                ..RecommendRequest::default()
            })
            .collect();
        let ranked = last_items(client, &requests, scenario, &sequences)?;
        let loss = if scenario == "beauty-hnsw" { GRAPH_LOSS } else { 0.0 };
        for (k, hit, ndcg) in PUBLISHED {
            for (metric, ours, published) in
                [("hr", mean(&ranked, |r| r.hit(k)), hit), ("ndcg", mean(&ranked, |r| r.ndcg(k)), ndcg)]
            {
                let mut line = Line::quality(
                    case,
                    &format!("{metric}@{k}"),
                    ours,
                    "published checkpoint",
                    published,
                    Some(published),
                );
                // Equal is the aim: better than published would be as wrong as worse.
                line.met = Some((line.ours - published).abs() <= loss + 1e-9);
                report.push(line);
            }
        }
    }
    Ok(report)
}

/// Asks, and looks where each visitor's last item stands in the answer.
fn last_items(
    client: &Client,
    requests: &[RecommendRequest],
    what: &'static str,
    sequences: &[(String, Vec<String>)],
) -> anyhow::Result<Vec<Ranked>> {
    let place = |(list, (_, items)): (&Vec<String>, &(String, Vec<String>))| {
        let last = items.last().map(String::as_str).unwrap_or_default();
        Ranked::new(list, &HashSet::from([last]))
    };
    Ok(client.recommend_all(requests, what)?.iter().zip(sequences).map(place).collect())
}

/// The scenario of [`ranked`].
pub const RANKED: &str = "beauty-next";
/// When [`ranked`] asks: a day after the last item any visitor is known by.
pub const RANKED_AT: TimeMs = 1_388_534_400_000 + 30 * 86_400_000;
/// Items a question brings; older ones are only kept out of the answer.
const BROUGHT: usize = 100;

/// Asks [`RANKED`] of a server whose data folder the training kit made. Each visitor brings every item but the last, in
/// order, and the last is to be found among all items they have not had.
///
/// # Errors
/// When a file cannot be read or a request fails.
pub fn ranked(client: &Client, folder: &Path) -> anyhow::Result<Vec<Line>> {
    let sequences = sequences(folder)?;
    let requests: Vec<RecommendRequest> = sequences
        .iter()
        .map(|(visitor, items)| {
            let known = &items[..items.len() - 1];
            let (older, brought) = known.split_at(known.len().saturating_sub(BROUGHT));
            RecommendRequest {
                scenario: RANKED.to_owned(),
                visitor: Some(VisitorIds { id: Some(visitor.clone()), anonymous_id: None }),
                items: brought.to_vec(),
                exclude: older.to_vec(),
                limit: Some(20),
                ..RecommendRequest::default()
            }
        })
        .collect();
    let ranked = last_items(client, &requests, RANKED, &sequences)?;
    // Sequential rules, the best simple baseline of the data when fitted on the same part of it.
    let references = [("hr", 5, 0.0552, None), ("hr", 10, 0.0744, Some(0.115)), ("hr", 20, 0.0964, None)]
        .into_iter()
        .chain([("ndcg", 5, 0.0405, None), ("ndcg", 10, 0.0467, Some(0.070)), ("ndcg", 20, 0.0522, None)]);
    let line = |(metric, k, theirs, target): (&str, usize, f64, Option<f64>)| {
        let ours = if metric == "hr" { mean(&ranked, |r| r.hit(k)) } else { mean(&ranked, |r| r.ndcg(k)) };
        Line::quality(
            "amazon-beauty/ranked",
            &format!("{metric}@{k}"),
            ours,
            "sequential rules (numpy)",
            theirs,
            target,
        )
    };
    Ok(references.map(line).collect())
}

fn prepare(client: &Client, folder: &Path) -> anyhow::Result<()> {
    const NDJSON: &str = "application/x-ndjson";
    let imported = read(folder)?;
    let mut body = String::new();
    for item in &imported.items {
        writeln!(body, "{}", json!({ "id": item.id, "title": item.title, "created": item.created }))?;
    }
    client.put("/v1/catalog/items", NDJSON, body.as_bytes())?;
    for chunk in imported.events.chunks(20_000) {
        let mut body = String::new();
        for event in chunk {
            writeln!(body, "{}", wire(event))?;
        }
        client.post("/v1/events", NDJSON, body.as_bytes())?;
    }
    let onnx = std::fs::read(folder.join("onnx/encoder.onnx")).context("cannot read onnx/encoder.onnx")?;
    let manifest = json!({
        "name": "beauty-encoder", "kind": "encoder", "length": 50, "item_ids": "numeric", "vocabulary": 12_103, "space": "beauty-exact",
    });
    client.put_model("beauty-encoder", "1", &onnx, &manifest)?;
    let file = std::fs::read(folder.join("onnx/items.npy")).context("cannot read onnx/items.npy")?;
    let array = npyz::NpyFile::new(&file[..])?;
    let dim = *array.shape().get(1).context("items.npy is not a matrix")? as usize;
    let values: Vec<f32> = array.into_vec()?;
    let mut body = String::new();
    // Row 0 is padding and the last row is the mask: neither is an item.
    let count = values.len() / dim;
    for (row, vector) in values.chunks_exact(dim).enumerate().take(count - 1).skip(1) {
        writeln!(body, "{}", json!({ "id": row.to_string(), "vector": vector }))?;
    }
    // The longest history has to be taken out and 20 left. A graph is asked for so few that walking it beats a scan of
    // these 12,101 items, or the index would scan.
    for (space, exact, limit) in [("beauty-exact", true, 320), ("beauty-hnsw", false, 70)] {
        let path = format!("/v1/embeddings/{space}?metric=dot&visitor=encoder&model=beauty-encoder&exact={exact}");
        client.put(&path, NDJSON, body.as_bytes())?;
        let scenario = json!({
            "strategy": "compose", "wall_ms": 5_000,
            "parameters": { "shelves": [ { "id": "next", "steps": [
                { "retrieve": [ { "source": "near_visitor", "space": space, "limit": limit } ] },
                { "without_seen": ["purchase"] }, { "take": 20 },
            ] } ] },
        });
        client.put(&format!("/v1/scenarios/{space}"), "application/json", scenario.to_string().as_bytes())?;
    }
    Ok(())
}

fn wire(event: &Event) -> serde_json::Value {
    json!({
        "id": event.id, "type": event.kind.as_str(), "time": event.time,
        "visitor": { "id": event.visitor }, "items": event.items,
    })
}
