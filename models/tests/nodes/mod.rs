//! A node test of the ONNX project, run through [`Network`], the path a served model takes.

use qianmian_models::{Network, Numbers};
use serde::Deserialize;

/// The tolerances of the ONNX project's own runner.
const RELATIVE: f64 = 1e-3;
/// And what rounding may do to sums that cancel, of the largest number of an output: single precision ends there.
const ROUNDING: f64 = 2e-6;
const ABSOLUTE: f64 = 1e-7;

/// A tensor of a test; values only of the types that are fed.
#[derive(Deserialize)]
pub struct Tensor {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub values: Vec<Number>,
}

/// JSON has no NaN and no infinity: texts stand for them.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Number {
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Number {
    /// As a number.
    pub fn float(&self) -> f64 {
        match self {
            Self::Integer(value) => *value as f64,
            Self::Float(value) => *value,
            Self::Text(text) => text.parse().unwrap_or(f64::NAN),
        }
    }
}

/// What became of a test.
pub enum Outcome {
    Passed,
    Refused(String),
    Wrong(String),
}

/// Loads a model as one that serves is loaded, runs it once, and compares.
pub fn run(bytes: &[u8], inputs: &[&Tensor], outputs: &[Tensor]) -> Outcome {
    let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
    let network = match Network::load(bytes, &[], &names) {
        Ok(network) => network,
        Err(reason) => return Outcome::Refused(reason),
    };
    let floats: Vec<Vec<f32>> =
        inputs.iter().map(|tensor| tensor.values.iter().map(|value| value.float() as f32).collect()).collect();
    let integers: Vec<Vec<i64>> = inputs
        .iter()
        .map(|tensor| {
            let whole = |value: &Number| if let Number::Integer(value) = value { *value } else { 0 };
            tensor.values.iter().map(whole).collect()
        })
        .collect();
    let numbers: Vec<Numbers> = inputs
        .iter()
        .enumerate()
        .map(
            |(at, tensor)| {
                if tensor.kind == "FLOAT" { Numbers::Floats(&floats[at]) } else { Numbers::Integers(&integers[at]) }
            },
        )
        .collect();
    let got = match network.run(&numbers, 1) {
        Ok(got) => got,
        Err(reason) => return Outcome::Refused(format!("when run: {reason}")),
    };
    for (output, got) in outputs.iter().zip(&got) {
        if got.len() != output.values.len() {
            return Outcome::Wrong(format!(
                "{} numbers, expected {} ({})",
                got.len(),
                output.values.len(),
                network.describe()
            ));
        }
        let finite = output.values.iter().map(|value| value.float().abs()).filter(|value| value.is_finite());
        let slack = ABSOLUTE + ROUNDING * finite.fold(1.0, f64::max);
        for (at, (got, expected)) in got.iter().zip(&output.values).enumerate() {
            let (got, expected) = (f64::from(*got), expected.float());
            let same = got == expected || (got.is_nan() && expected.is_nan());
            let near = (got - expected).abs() <= slack + RELATIVE * expected.abs();
            if !same && !near {
                return Outcome::Wrong(format!("{got} at {at}, expected {expected} ({})", network.describe()));
            }
        }
    }
    Outcome::Passed
}
