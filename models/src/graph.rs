//! A graph that can be run: as a program of our own steps where all of its operators are known to it, else by the engine.

use crate::import::{Imported, import, only_trees};
use crate::program::{Lowering, Numbers, Program, State};
use crate::trees::Ensemble;
use parking_lot::Mutex;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

/// States kept for reuse; more than the CPU pool has threads are never needed at once.
const MOST_STATES: usize = 64;

/// Whose an input is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// One row for the request: what depends on nothing else is computed once.
    Visitor,
    /// A row for each candidate.
    #[default]
    Candidate,
}

/// An input as the manifest wants it. A dimension of `None` is the number of candidates.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Its name in the file; by its place without one.
    pub(crate) name: Option<String>,
    /// What it carries, for error texts.
    pub(crate) what: &'static str,
    pub(crate) datum: DatumType,
    pub(crate) shape: Vec<Option<usize>>,
    pub(crate) side: Side,
    /// Whether the file may have it in a shape of its own: one dimension for a single number, one row for the visitor's.
    pub(crate) fits: bool,
}

impl Input {
    /// Numbers in a row.
    pub(crate) fn width(&self) -> usize {
        self.shape.iter().flatten().product()
    }
}

/// A graph ready to be run from any thread.
#[derive(Debug)]
pub(crate) struct Graph {
    inputs: Vec<Input>,
    pub(crate) outputs: Vec<String>,
    engine: Engine,
    /// The ensemble, when the graph is nothing else.
    pub(crate) trees: Option<Arc<Ensemble>>,
}

#[derive(Debug)]
enum Engine {
    Program(Box<Program>, Mutex<Vec<State>>),
    /// Why it is not a program, and the engine's own plan.
    Plan(String, Arc<TypedRunnableModel>),
}

impl Graph {
    /// Imports `bytes`. The error says what is wrong with the file or how it disagrees with `inputs`.
    pub(crate) fn load(bytes: &[u8], inputs: &[Input], outputs: &[String]) -> Result<Self, String> {
        guarded(|| {
            let Imported { model, rows, inputs, outputs } = import(bytes, inputs, outputs)?;
            for output in 0..outputs.len() {
                let got = model.output_fact(output)?.datum_type;
                ensure!(got == f32::datum_type(), "its output is {got:?}, expected F32");
            }
            let trees = only_trees(&model);
            let visitor: Vec<bool> = inputs.iter().map(|input| input.side == Side::Visitor).collect();
            let engine = match Lowering::program(&model, &rows, &visitor) {
                Ok(program) => Engine::Program(Box::new(program), Mutex::default()),
                Err(why) => Engine::Plan(format!("{why:#}"), model.into_optimized()?.into_runnable()?),
            };
            Ok(Self { inputs, outputs, engine, trees })
        })
    }

    /// How the graph is run, in a few words.
    pub(crate) fn describe(&self) -> String {
        match &self.engine {
            Engine::Program(program, _) => {
                let (visitor, candidate) = program.steps();
                format!("{visitor} steps for the visitor, {candidate} for the candidates")
            }
            Engine::Plan(why, ..) => format!("by the inference engine: {why}"),
        }
    }

    /// Runs for `n` candidates, at least one. Inputs are row-major, a visitor's is one row; each output has a row for each
    /// candidate, or whatever the graph gives when nothing in it varies. A state in which something panicked is thrown away.
    pub(crate) fn run(&self, inputs: &[Numbers], n: usize) -> Result<Vec<Vec<f32>>, String> {
        match &self.engine {
            Engine::Program(program, states) => {
                let pooled = states.lock().pop();
                let mut state = pooled.unwrap_or_else(|| program.state());
                let outputs = guarded(|| Ok(program.run(&mut state, inputs, n)))??;
                let mut states = states.lock();
                if states.len() < MOST_STATES {
                    states.push(state);
                }
                Ok(outputs)
            }
            Engine::Plan(_, plan) => guarded(|| {
                let mut tensors = TVec::new();
                for (input, numbers) in self.inputs.iter().zip(inputs) {
                    tensors.push(tensor(input, *numbers, n)?);
                }
                // A state of its own for each run: recurrent operators go on from where the last visitor ended.
                let outputs = plan.spawn()?.run(tensors)?;
                let floats = |output: &TValue| Ok(output.try_as_plain_ram()?.as_slice::<f32>()?.to_vec());
                outputs.iter().map(floats).collect()
            }),
        }
    }
}

/// The engine's graph has the visitor's row once for each candidate, where the file does.
fn tensor(input: &Input, numbers: Numbers, n: usize) -> TractResult<TValue> {
    let shape: Vec<usize> = input.shape.iter().map(|dim| dim.unwrap_or(n)).collect();
    let size: usize = shape.iter().product();
    let tensor = match numbers {
        Numbers::Floats(all) => Tensor::from_shape(&shape, &repeated(all, size))?,
        Numbers::Integers(all) => Tensor::from_shape(&shape, &repeated(all, size))?,
    };
    Ok(tensor.into_tvalue())
}

fn repeated<T: Copy>(all: &[T], size: usize) -> Vec<T> {
    all.iter().copied().cycle().take(if all.is_empty() { 0 } else { size }).collect()
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
