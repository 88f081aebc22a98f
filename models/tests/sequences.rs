//! Rankers over a visitor's history (DIN, SASRec, BST) with features of ids, held against what onnxruntime answered.

use qianmian_models::manifest::Rule;
use qianmian_models::{Golden, ItemIds, Kind, Manifest, Model, ModelError};
use serde_json::{Value, json};
use std::path::Path;

fn fixture(name: &str) -> (Vec<u8>, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/networks");
    let runs = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
    (std::fs::read(folder.join(format!("{name}.onnx"))).unwrap(), serde_json::from_slice(&runs).unwrap())
}

fn numbers(run: &Value, input: &str) -> Vec<f32> {
    run["inputs"][input].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn manifest(name: &str, tensors: Value) -> Manifest {
    Manifest {
        tensors: serde_json::from_value(tensors).unwrap(),
        item_ids: Some(ItemIds::Rule(Rule::Numeric)),
        vocabulary: Some(20),
        ..Manifest::new(name, Kind::Ranker)
    }
}

/// The rows of a run: each input's numbers side by side, those of one row for all of them repeated.
fn rows(run: &Value, inputs: &[(&str, usize)]) -> Vec<f32> {
    let n = run["n"].as_u64().unwrap() as usize;
    let all: Vec<(Vec<f32>, usize)> = inputs.iter().map(|(name, width)| (numbers(run, name), *width)).collect();
    let row = |row: usize| {
        all.iter().flat_map(move |(numbers, width)| {
            let from = if numbers.len() == *width { 0 } else { row * width };
            numbers[from..from + width].to_vec()
        })
    };
    (0..n).flat_map(row).collect()
}

/// All runs of a fixture, as golden cases where a row is a candidate, and as whole sets.
fn assert_answers(name: &str, manifest: &Manifest, inputs: &[(&str, usize)]) {
    let (bytes, fixture) = fixture(name);
    let model = Model::load(&bytes, manifest.clone()).unwrap_or_else(|error| panic!("{error}"));
    let width: usize = inputs.iter().map(|(_, width)| width).sum();
    assert_eq!(model.features().len(), width, "{name}");
    for run in fixture["runs"].as_array().unwrap() {
        let (rows, n) = (rows(run, inputs), run["n"].as_u64().unwrap() as usize);
        let want: Vec<f32> =
            run["outputs"]["score"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let got = model.rank(&rows, n).unwrap();
        for (got, want) in got.iter().zip(&want) {
            assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{name} of {n}: {got} for {want}");
        }
        let cases = rows.chunks_exact(width).map(|row| row.iter().map(|x| Some(*x)).collect()).collect();
        let outputs = want.iter().map(|x| vec![*x]).collect();
        let golden = Golden { rows: cases, ids: vec![], outputs, tolerance: 1e-5 };
        Model::load(&bytes, Manifest { golden: Some(golden), ..manifest.clone() }).unwrap();
    }
}

fn context() -> Vec<Value> {
    (0..16).map(|at| json!(format!("item.attributes.c{at}"))).collect()
}

fn din(length: usize) -> Manifest {
    manifest(
        "din",
        json!([
            {"name": "target", "features": [{"type": "item_id", "missing": 0}], "ids": {"vocabulary": 20}},
            {"name": "hist", "side": "visitor", "ids": {"vocabulary": 20},
             "features": [{"type": "history", "length": length, "pad": "right"}]},
            {"name": "context", "features": context()},
        ]),
    )
}

#[test]
fn din_attends_to_the_history() {
    assert_answers("din", &din(7), &[("target", 1), ("hist", 7), ("context", 16)]);
    let (bytes, _) = fixture("din");
    let error = Model::load(&bytes, din(6)).unwrap_err().to_string();
    assert!(error.contains("\"hist\" has 7 in dimension 1, the manifest says 6"), "{error}");
    let error = Model::load(&bytes, Manifest { vocabulary: None, ..din(7) }).unwrap_err();
    assert!(matches!(error, ModelError::Manifest { .. }), "{error}");
}

#[test]
fn sasrec_encodes_it() {
    let manifest = manifest(
        "sasrec",
        json!([
            {"name": "hist", "side": "visitor", "ids": {"vocabulary": 20}, "features": [{"type": "history", "length": 7}]},
            {"name": "candidates", "features": [{"type": "item_id", "missing": 0}], "ids": {"vocabulary": 20}},
        ]),
    );
    assert_answers("sasrec", &manifest, &[("hist", 7), ("candidates", 1)]);
}

#[test]
fn bst_puts_the_candidate_behind_it() {
    let of = |side: &str| {
        manifest(
            "bst",
            json!([
                {"name": "target", "features": [{"type": "item_id", "missing": 0}], "ids": {"vocabulary": 20}},
                {"name": "hist", "side": side, "ids": {"vocabulary": 20},
                 "features": [{"type": "history", "length": 2, "pad": "right"}]},
                {"name": "context", "features": context()},
            ]),
        )
    };
    assert_answers("bst", &of("candidate"), &[("target", 1), ("hist", 2), ("context", 16)]);
    // As the visitor's the same for one history: the file repeats it for each candidate.
    let (bytes, fixture) = fixture("bst");
    let model = Model::load(&bytes, of("visitor")).unwrap();
    let run = &fixture["runs"][0];
    let one = rows(run, &[("target", 1), ("hist", 2), ("context", 16)]);
    let want = run["outputs"]["score"][0].as_f64().unwrap() as f32;
    for got in model.rank(&one.repeat(3), 3).unwrap() {
        assert!((got - want).abs() < 1e-5, "{got} for {want}");
    }
}
