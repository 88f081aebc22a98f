//! Runs the ONNX project's node tests through [`qianmian_models::Network`], the path a served model takes, and prints the pass rate by
//! operator as Markdown.
//!
//! `cargo run --example operators -- target/onnx-nodes`, after `models/tests/tools/onnx_nodes.py`. Exits with 1 when what
//! was loaded answered wrongly.

#[path = "../tests/nodes/mod.rs"]
mod nodes;

use nodes::{Outcome, Tensor, run};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A test, as `tools/onnx_nodes.py` wrote it.
#[derive(Deserialize)]
struct Case {
    /// Of the only node; empty for several.
    operator: String,
    /// Of the first node.
    domain: String,
    /// None where one is no tensor.
    inputs: Option<Vec<Tensor>>,
    /// Likewise.
    outputs: Option<Vec<Tensor>>,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    refused: usize,
    wrong: usize,
    other_type: usize,
    reason: String,
}

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from("target/onnx-nodes"), PathBuf::from);
    // Panics of the engine are caught and told as refusals; their traces would drown the table.
    std::panic::set_hook(Box::new(|_| {}));
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("cannot read {}: run models/tests/tools/onnx_nodes.py first", folder.display());
        return ExitCode::FAILURE;
    };
    let mut names: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort();
    let mut wrong = Vec::new();
    for (at, path) in names.iter().enumerate() {
        if at % 100 == 0 {
            eprintln!("{at} of {}", names.len());
        }
        let Some(case) =
            std::fs::read(path.join("case.json")).ok().and_then(|text| serde_json::from_slice::<Case>(&text).ok())
        else {
            eprintln!("{} cannot be read", path.display());
            return ExitCode::FAILURE;
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let operator = match (case.operator.as_str(), case.domain.as_str()) {
            ("", _) => "several in one graph".to_owned(),
            (operator, "") => operator.to_owned(),
            (operator, domain) => format!("{operator} ({domain})"),
        };
        let tally = tallies.entry(operator).or_default();
        match attempt(path, &case) {
            None => tally.other_type += 1,
            Some(Outcome::Passed) => tally.passed += 1,
            Some(Outcome::Refused(reason)) => {
                tally.refused += 1;
                tally.reason = reason;
            }
            Some(Outcome::Wrong(detail)) => {
                tally.wrong += 1;
                wrong.push(format!("{name}: {detail}"));
            }
        }
    }
    print(&tallies, &wrong);
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// As it is written; where that is refused, with shapes, axes and indices as constants. None for types that a served model
/// is never given: not tried.
fn attempt(path: &Path, case: &Case) -> Option<Outcome> {
    let (inputs, outputs) = (case.inputs.as_ref()?, case.outputs.as_ref()?);
    let fed = |tensor: &Tensor| matches!(tensor.kind.as_str(), "FLOAT" | "INT64");
    if !inputs.iter().all(fed) || outputs.iter().any(|tensor| tensor.kind != "FLOAT") {
        return None;
    }
    let all: Vec<&Tensor> = inputs.iter().collect();
    let first = load(&path.join("model.onnx"), &all, outputs);
    if !matches!(first, Outcome::Refused(_)) || !path.join("frozen.onnx").exists() {
        return Some(first);
    }
    let place = |(at, tensor): &(usize, &Tensor)| *at == 0 || tensor.kind == "FLOAT";
    let kept: Vec<&Tensor> = inputs.iter().enumerate().filter(place).map(|(_, tensor)| tensor).collect();
    Some(load(&path.join("frozen.onnx"), &kept, outputs))
}

fn load(file: &Path, inputs: &[&Tensor], outputs: &[Tensor]) -> Outcome {
    match std::fs::read(file) {
        Ok(bytes) => run(&bytes, inputs, outputs),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

#[allow(clippy::print_stdout, reason = "this is the command's output")]
fn print(tallies: &BTreeMap<String, Tally>, wrong: &[String]) {
    let sum = |part: &dyn Fn(&Tally) -> usize| tallies.values().map(part).sum::<usize>();
    let (passed, refused, other) = (sum(&|t| t.passed), sum(&|t| t.refused), sum(&|t| t.other_type));
    println!("| passed | refused | wrong | other types |\n|---|---|---|---|");
    println!("| {passed} | {refused} | {} | {other} |\n", wrong.len());
    println!("| operator | passed | refused | wrong | other types | a reason |\n|---|---|---|---|---|---|");
    for (operator, tally) in tallies {
        let first = tally.reason.lines().next().unwrap_or_default();
        let reason: String = first.replace('|', "/").chars().take(90).collect();
        println!(
            "| {operator} | {} | {} | {} | {} | {reason} |",
            tally.passed, tally.refused, tally.wrong, tally.other_type
        );
    }
    for line in wrong {
        println!("\nwrong: {line}");
    }
}
