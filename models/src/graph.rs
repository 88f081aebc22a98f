//! A graph of the inference engine: imported once, planned once, run from any thread.

use crate::trees::Ensemble;
use crate::trees::op::{self, TreeOp};
use parking_lot::Mutex;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tract_onnx::Onnx;
use tract_onnx::data_resolver::ModelDataResolver;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

/// States kept for reuse; more than the CPU pool has threads are never needed at once.
const MOST_STATES: usize = 64;

/// An input as the manifest's kind wants it. A dimension of `None` varies from call to call.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// What it carries, for error texts.
    pub(crate) what: &'static str,
    pub(crate) datum: DatumType,
    pub(crate) shape: Vec<Option<usize>>,
}

/// A planned graph with one f32 output.
#[derive(Debug)]
pub(crate) struct Graph {
    plan: Arc<TypedRunnableModel>,
    states: Mutex<Vec<TypedSimpleState>>,
    /// The ensemble, when the graph is nothing else.
    pub(crate) trees: Option<Arc<Ensemble>>,
}

impl Graph {
    /// Imports `bytes`. The error says what is wrong with the file or how it disagrees with `inputs`.
    pub(crate) fn load(bytes: &[u8], inputs: &[Input], names: &[String], output: Option<&str>) -> Result<Self, String> {
        guarded(|| Self::import(bytes, inputs, names, output))
    }

    fn import(mut bytes: &[u8], inputs: &[Input], names: &[String], output: Option<&str>) -> TractResult<Self> {
        let onnx = importer();
        let proto = onnx.proto_model_for_read(&mut bytes).context("not a complete ONNX file")?;
        check_operators(&onnx, &proto)?;
        let mut model = onnx.model_for_proto_model(&proto)?;
        select_inputs(&mut model, names, inputs)?;
        select_output(&mut model, output)?;
        let varying = model.symbols.new_with_prefix("rows");
        for (i, input) in inputs.iter().enumerate() {
            let shape: TVec<TDim> =
                input.shape.iter().map(|d| d.map_or_else(|| varying.to_dim(), |d| d.to_dim())).collect();
            model.set_input_fact(i, InferenceFact::dt_shape(input.datum, shape))?;
        }
        let model = model.into_optimized()?;
        let got = model.output_fact(0)?.datum_type;
        ensure!(got == f32::datum_type(), "its output is {got:?}, expected F32");
        Ok(Self { trees: only_trees(&model), plan: model.into_runnable()?, states: Mutex::default() })
    }

    /// Runs once. A state in which something panicked is thrown away.
    pub(crate) fn run(&self, inputs: TVec<TValue>) -> Result<Vec<f32>, String> {
        guarded(|| {
            let pooled = self.states.lock().pop();
            let mut state = pooled.map_or_else(|| self.plan.spawn(), Ok)?;
            let outputs = state.run(inputs)?;
            let values = outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
            let mut states = self.states.lock();
            if states.len() < MOST_STATES {
                states.push(state);
            }
            Ok(values)
        })
    }
}

/// Turns errors and panics of the engine into one text.
fn guarded<T>(f: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(panic) => Err(format!("the inference engine panicked: {}", panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn importer() -> Onnx {
    // Shapes written into the file are often those of the example the exporter ran, not of what is served.
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
    onnx.op_register.insert("TreeEnsembleRegressor", op::build);
    // The engine's own gives wrong labels and can crash on a malformed file.
    onnx.op_register.0.remove("TreeEnsembleClassifier");
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
    let external = graph.initializer.iter().find(|t| !t.external_data.is_empty());
    if let Some(tensor) = external {
        bail!("weights {:?} are in another file: save the model as one file", tensor.name);
    }
    let mut unknown: Vec<&str> = graph.node.iter().map(|n| n.op_type.as_str()).collect();
    unknown.retain(|name| !onnx.op_register.0.contains_key(*name));
    unknown.sort_unstable();
    unknown.dedup();
    ensure!(unknown.is_empty(), "operators that are not supported: {}", unknown.join(", "));
    // The importer indexes by these names without asking.
    let mut known: Vec<&str> = graph.node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    known.extend(graph.input.iter().map(|i| i.name.as_str()));
    known.extend(graph.initializer.iter().map(|i| i.name.as_str()));
    if let Some(output) = graph.output.iter().find(|o| !known.contains(&o.name.as_str())) {
        bail!("nothing computes its output {:?}", output.name);
    }
    Ok(())
}

/// Brings the inputs into the order of `wanted` and checks what the file declares of them.
fn select_inputs(model: &mut InferenceModel, names: &[String], wanted: &[Input]) -> TractResult<()> {
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

fn select_output(model: &mut InferenceModel, name: Option<&str>) -> TractResult<()> {
    let outputs = model.outputs.clone();
    let listed = |model: &InferenceModel| {
        outputs.iter().map(|o| model.outlet_label(*o).unwrap_or("?").to_owned()).collect::<Vec<_>>().join(", ")
    };
    let chosen = match name {
        Some(name) => outputs.iter().copied().find(|o| model.outlet_label(*o) == Some(name)),
        None if outputs.len() == 1 => Some(outputs[0]),
        None => bail!("the file has several outputs ({}): name one as output", listed(model)),
    };
    let chosen = chosen.with_context(|| format!("no output named {name:?}; there are: {}", listed(model)))?;
    model.select_output_outlets(&[chosen])
}

/// The ensemble, when between the only input and the output there is nothing else but changes of axes, which leave a
/// single column in its order.
fn only_trees(model: &TypedModel) -> Option<Arc<Ensemble>> {
    let [input] = model.inputs[..] else { return None };
    let mut outlet = *model.outputs.first()?;
    loop {
        let node = model.node(outlet.node);
        let from = *node.inputs.first()?;
        if let Some(op) = node.op_as::<TreeOp>() {
            return (from == input).then(|| Arc::clone(&op.0));
        }
        if !node.op_is::<AxisOp>() {
            return None;
        }
        outlet = from;
    }
}
