//! The operators that supported models are made of, by node tests of the ONNX project (fixtures/nodes.json, chosen by
//! tools/onnx_nodes.py; all of them: docs/operators.md).

mod nodes;

use nodes::{Outcome, Tensor, run};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Chosen {
    name: String,
    operator: String,
    model: String,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn operators_of_supported_models_pass() {
    let text = include_str!("fixtures/nodes.json");
    let chosen: Vec<Chosen> = serde_json::from_str(text).unwrap();
    for case in &chosen {
        let inputs: Vec<&Tensor> = case.inputs.iter().collect();
        match run(&bytes(&case.model), &inputs, &case.outputs) {
            Outcome::Passed => {}
            Outcome::Refused(reason) => panic!("{} refused: {reason}", case.name),
            Outcome::Wrong(detail) => panic!("{}: {detail}", case.name),
        }
    }
    let operators: BTreeSet<&str> = chosen.iter().map(|case| case.operator.as_str()).collect();
    for needed in
        ["Gemm", "MatMul", "Add", "Relu", "Softmax", "Gather", "LayerNormalization", "Sigmoid", "GRU", "ReduceSum"]
    {
        assert!(operators.contains(needed), "{needed} is among them");
    }
}

#[test]
fn a_wrong_answer_is_told() {
    let mut chosen: Vec<Chosen> = serde_json::from_str(include_str!("fixtures/nodes.json")).unwrap();
    let case = chosen.iter_mut().find(|case| case.operator == "Relu").unwrap();
    let inputs: Vec<&Tensor> = case.inputs.iter().collect();
    let first = &mut case.outputs[0].values[0];
    *first = nodes::Number::Float(first.float() + 1.0);
    assert!(matches!(run(&bytes(&case.model), &inputs, &case.outputs), Outcome::Wrong(_)));
}
