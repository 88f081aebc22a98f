//! `cargo xtask operators`: the ONNX project's node tests through the models crate, published as docs/operators.md.

use crate::setup::{HOST_CRATES, cargo, root, run, target, venv};
use anyhow::{Context, ensure};
use std::process::Command;

const HEAD: &str = "\
# Operators

Which ONNX operators a model may use, by the ONNX project's own node tests. Written by `cargo xtask operators`.

Each test is a file of its own, loaded as a served model is (checked, rewritten, then a program of our own steps, or the
inference engine's plan) and run once. *Passed*: within the tolerance of the project's runner (a thousandth), or within two
millionths of the largest number of an output (at least 1), where single precision ends. *Refused*: it did not load, with a
reason; a file like it cannot go live. *Wrong*: it loaded and answered otherwise; there must be none. *Other types*: its inputs
or outputs are neither 32-bit floats nor 64-bit integers (outputs: floats), which is all that a served model is given, so it
was not tried; that an operator passes inside a network is then for the tests of whole models to show ([models.md](models.md)).
A test that gets shapes, axes or indices as inputs, and is refused, is tried again with them as constants, which is how
exporters write them.

Operators of the supported models that have tests of these types all pass: Gemm, MatMul, Add, Sub, Mul, Div, Pow, Sqrt, Exp,
Log, Erf, Abs, Neg, Relu, LeakyRelu, PRelu, Elu, Gelu, Sigmoid, HardSigmoid, Tanh, Softplus, Softmax, LogSoftmax,
LayerNormalization, Gather, GatherElements, Concat, Split, Slice, Reshape, Flatten, Transpose, Squeeze, Unsqueeze, Expand, Tile,
Identity, Clip, Min, Max, Mean, Sum, ReduceSum, ReduceMean, ReduceMax, GRU, LSTM, ArrayFeatureExtractor. Where, Equal, Not, Less,
Greater, Einsum, LabelEncoder, TreeEnsembleRegressor, TreeEnsembleClassifier, Scaler, Imputer, Normalizer, OneHotEncoder,
LinearRegressor and LinearClassifier have no test of these types, or none at all: whole models cover them.

";

/// Writes the tests out, runs them, and writes the document.
pub fn write() -> anyhow::Result<()> {
    let python = venv("venv-training", &root().join("sdk").join("training").join("requirements.txt"))?;
    let folder = target().join("onnx-nodes").to_string_lossy().into_owned();
    run(&python, &["models/tests/tools/onnx_nodes.py", &folder])?;
    let selection = ["build", "--example", "operators"].into_iter().chain(HOST_CRATES);
    cargo(&selection.collect::<Vec<_>>())?;
    let program = target().join("debug").join("examples").join("operators");
    let output =
        Command::new(&program).arg(&folder).output().with_context(|| format!("cannot start {}", program.display()))?;
    let table = String::from_utf8(output.stdout)?;
    let path = root().join("docs").join("operators.md");
    std::fs::write(&path, format!("{HEAD}{}\n", table.trim_end()))?;
    ensure!(output.status.success(), "an operator answers wrongly: see {}", path.display());
    println!("{}", path.display());
    Ok(())
}
