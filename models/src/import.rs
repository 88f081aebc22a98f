//! From the bytes of an ONNX file to the engine's graph: what is refused before the engine sees it, and how the file's
//! inputs and outputs become those the manifest means.

use crate::graph::{Input, Side};
use crate::normalise;
use crate::trees::op::{self, TreeOp};
use crate::trees::{Ensemble, Finish};
use crate::validate;
use std::path::Path;
use std::sync::Arc;
use tract_onnx::Onnx;
use tract_onnx::data_resolver::ModelDataResolver;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::optim::Optimizer;
use tract_onnx::tract_hir::internal::*;

/// A graph with the shapes it will be run with, simplified.
pub(crate) struct Imported {
    pub(crate) model: TypedModel,
    /// Stands for the number of candidates.
    pub(crate) rows: Symbol,
    /// As the file has them.
    pub(crate) inputs: Vec<Input>,
    pub(crate) outputs: Vec<String>,
}

/// Imports `bytes`. `inputs` are what the manifest wants, in its order; those without a name are matched by place.
pub(crate) fn import(mut bytes: &[u8], inputs: &[Input], outputs: &[String]) -> TractResult<Imported> {
    let onnx = importer();
    let proto = read(&onnx, &mut bytes)?;
    let mut model = onnx.model_for_proto_model(&proto)?;
    let mut inputs = inputs.to_vec();
    select_inputs(&mut model, &mut inputs)?;
    let outputs = select_outputs(&mut model, outputs)?;
    let rows = model.symbols.new_with_prefix("rows");
    for (i, input) in inputs.iter().enumerate() {
        let shape: TVec<TDim> = input.shape.iter().map(|d| d.map_or_else(|| rows.to_dim(), |d| d.to_dim())).collect();
        model.set_input_fact(i, InferenceFact::dt_shape(input.datum, shape))?;
    }
    let mut model = model.into_typed()?;
    let mut simplify = Optimizer::declutter();
    // It multiplies things side by side one by one, which is slower than putting them together first.
    simplify.passes.retain(|pass| !format!("{pass:?}").starts_with("ConcatThenEinsum"));
    simplify.optimize(&mut model)?;
    Ok(Imported { model, rows, inputs, outputs })
}

/// What the file says of its inputs: name, type, and dimensions that are numbers; `None` for one that varies.
pub(crate) fn declared(mut bytes: &[u8], visitor: &[String]) -> TractResult<Vec<Input>> {
    let onnx = importer();
    let proto = read(&onnx, &mut bytes)?;
    let model = onnx.model_for_proto_model(&proto)?;
    let mut inputs = Vec::new();
    let mut firsts = Vec::new();
    for outlet in &model.inputs {
        let name = model.node(outlet.node).name.clone();
        let fact = model.outlet_fact(*outlet)?;
        let datum = fact.datum_type.concretize().with_context(|| format!("input {name:?} does not say its type"))?;
        fact.shape.rank().concretize().with_context(|| format!("input {name:?} does not say its dimensions"))?;
        let dims: Vec<Option<TDim>> = fact.shape.dims().map(|dim| dim.concretize()).collect();
        let shape = dims.iter().map(|dim| dim.as_ref().and_then(|dim| dim.to_usize().ok())).collect();
        let side = if visitor.contains(&name) { Side::Visitor } else { Side::Candidate };
        firsts.push(dims.first().cloned().flatten());
        inputs.push(Input { name: Some(name), what: "a tensor", datum, shape, side, fits: false });
    }
    // A visitor's first dimension that is not the candidates' one is a batch of one.
    let candidates: Vec<Option<TDim>> = inputs
        .iter()
        .zip(&firsts)
        .filter(|(input, _)| input.side == Side::Candidate)
        .map(|(_, first)| first.clone())
        .collect();
    for (input, first) in inputs.iter_mut().zip(&firsts) {
        let named = first.as_ref().is_some_and(|dim| dim.to_usize().is_err());
        if input.side == Side::Visitor && named && !candidates.contains(first) {
            input.shape[0] = Some(1);
        }
    }
    Ok(inputs)
}

/// Reads, checks and rewrites a file.
fn read(onnx: &Onnx, bytes: &mut &[u8]) -> TractResult<ModelProto> {
    let mut proto = onnx.proto_model_for_read(bytes).context("not a complete ONNX file")?;
    let graph = proto.graph.as_mut().context("the file has no graph")?;
    validate::graph(graph).map_err(|error| format_err!("{error}"))?;
    normalise::graph(graph).map_err(|error| format_err!("{error}"))?;
    check_operators(onnx, &proto)?;
    Ok(proto)
}

fn importer() -> Onnx {
    // Shapes written into the file are often those of the example the exporter ran, not of what is served.
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
    onnx.op_register.insert("TreeEnsembleRegressor", op::build);
    // The engine's own gives wrong labels and can crash on a malformed file.
    onnx.op_register.insert("TreeEnsembleClassifier", op::build);
    onnx.provider = Arc::new(NoFiles);
    onnx
}

/// A model is one file; it cannot make the server open others.
struct NoFiles;

impl ModelDataResolver for NoFiles {
    fn read_bytes_from_path(&self, _: &mut Vec<u8>, path: &Path, _: usize, _: Option<usize>) -> TractResult<()> {
        bail!("its weights are in another file, {path:?}: save it as one file")
    }
}

fn check_operators(onnx: &Onnx, proto: &ModelProto) -> TractResult<()> {
    let graph = proto.graph.as_ref().context("the file has no graph")?;
    let mut unknown: Vec<&str> = graph.node.iter().map(|n| n.op_type.as_str()).collect();
    unknown.retain(|name| !onnx.op_register.0.contains_key(*name));
    unknown.sort_unstable();
    unknown.dedup();
    ensure!(unknown.is_empty(), "operators that are not supported: {}", unknown.join(", "));
    Ok(())
}

/// Brings the inputs into the order of `wanted` and checks what the file declares of them.
fn select_inputs(model: &mut InferenceModel, wanted: &mut [Input]) -> TractResult<()> {
    let there: Vec<(String, OutletId)> =
        model.inputs.iter().map(|outlet| (model.node(outlet.node).name.clone(), *outlet)).collect();
    let listed = || there.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let whats = || wanted.iter().map(|i| i.what).collect::<Vec<_>>().join(", ");
    ensure!(
        there.len() == wanted.len(),
        "the file has {} inputs ({}), expected {} ({})",
        there.len(),
        listed(),
        wanted.len(),
        whats()
    );
    let names: Vec<&String> = wanted.iter().filter_map(|input| input.name.as_ref()).collect();
    if !names.is_empty() {
        ensure!(names.len() == wanted.len(), "inputs names {} inputs, expected {}", names.len(), wanted.len());
        let mut outlets = Vec::new();
        for name in names {
            let found = there.iter().find(|(n, _)| n == name);
            let (_, outlet) = found.with_context(|| format!("no input named {name:?}; there are: {}", listed()))?;
            ensure!(!outlets.contains(outlet), "input {name:?} is named twice");
            outlets.push(*outlet);
        }
        model.inputs = outlets;
    }
    fit(model, wanted)?;
    for (outlet, wanted) in model.inputs.clone().into_iter().zip(wanted) {
        let name = model.node(outlet.node).name.clone();
        let fact = model.outlet_fact(outlet)?.clone();
        if let Some(got) = fact.datum_type.concretize() {
            ensure!(got == wanted.datum, "input {name:?} is {got:?}, expected {:?} for {}", wanted.datum, wanted.what);
        }
        let Some(rank) = fact.shape.rank().concretize() else { continue };
        ensure!(
            rank == wanted.shape.len() as i64,
            "input {name:?} has {rank} dimensions, expected {} for {}",
            wanted.shape.len(),
            wanted.what
        );
        for (axis, (declared, wanted_dim)) in fact.shape.dims().zip(&wanted.shape).enumerate() {
            let declared = declared.concretize().and_then(|d| d.to_usize().ok());
            if axis > 0
                && let (Some(declared), Some(wanted_dim)) = (declared, wanted_dim)
            {
                ensure!(
                    declared == *wanted_dim,
                    "input {name:?} has {declared} in dimension {axis}, the manifest says {wanted_dim} for {}",
                    wanted.what
                );
            }
        }
    }
    Ok(())
}

/// Gives inputs that may have it the shape of the file: a single number a row may be of one dimension, and a visitor's input
/// may have one row where the file does not repeat it for each candidate.
fn fit(model: &InferenceModel, wanted: &mut [Input]) -> TractResult<()> {
    let mut firsts = Vec::new();
    for outlet in &model.inputs {
        let fact = model.outlet_fact(*outlet)?;
        let rank = fact.shape.rank().concretize();
        firsts.push((rank, fact.shape.dims().next().and_then(|dim| dim.concretize())));
    }
    let of_candidates: Vec<TDim> = wanted
        .iter()
        .zip(&firsts)
        .filter(|(input, _)| input.side == Side::Candidate)
        .filter_map(|(_, (_, first))| first.clone())
        .collect();
    for (input, (rank, first)) in wanted.iter_mut().zip(&firsts).filter(|(input, _)| input.fits) {
        if *rank == Some(1) && input.shape.len() == 2 && input.width() == 1 {
            input.shape.truncate(1);
        }
        let one = first.as_ref().is_some_and(|first| first.is_one() || first.to_usize().is_err());
        if input.side == Side::Visitor && one && !of_candidates.iter().any(|other| Some(other) == first.as_ref()) {
            input.shape[0] = Some(1);
        }
    }
    Ok(())
}

/// Keeps the outputs that are named, or the only one, and returns their names.
fn select_outputs(model: &mut InferenceModel, names: &[String]) -> TractResult<Vec<String>> {
    let outputs = model.outputs.clone();
    let label = |model: &InferenceModel, outlet: OutletId| model.outlet_label(outlet).unwrap_or("?").to_owned();
    let listed = outputs.iter().map(|o| label(model, *o)).collect::<Vec<_>>();
    if names.is_empty() {
        ensure!(outputs.len() == 1, "the file has several outputs ({}): name one as output", listed.join(", "));
        return Ok(listed);
    }
    let mut chosen = Vec::new();
    for name in names {
        let found = listed.iter().position(|label| label == name);
        let place = found.with_context(|| format!("no output named {name:?}; there are: {}", listed.join(", ")))?;
        chosen.push(outputs[place]);
    }
    model.select_output_outlets(&chosen)?;
    Ok(names.to_vec())
}

/// The ensemble, when between the only input and the output there is nothing else but changes of axes, which leave a
/// single column in its order.
pub(crate) fn only_trees(model: &TypedModel) -> Option<Arc<Ensemble>> {
    let [input] = model.inputs[..] else { return None };
    let mut outlet = *model.outputs.first()?;
    loop {
        let node = model.node(outlet.node);
        let from = *node.inputs.first()?;
        if let Some(op) = node.op_as::<TreeOp>() {
            let [ensemble] = &op.0.ensembles[..] else { return None };
            return (from == input && op.0.finish == Finish::AsIs).then(|| Arc::clone(ensemble));
        }
        if !node.op_is::<AxisOp>() {
            return None;
        }
        outlet = from;
    }
}
