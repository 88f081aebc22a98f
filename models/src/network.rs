//! A network with any number of named inputs and outputs, as the file declares them.

use crate::graph::{Graph, Input, Side};
use crate::import::declared;
use crate::program::Numbers;
use tract_onnx::prelude::DatumType;

/// A network, without what its numbers mean; [`crate::Model`] adds that. Immutable, and run from any number of threads.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    inputs: Vec<Input>,
}

impl Network {
    /// Loads an ONNX file. `visitor` names the inputs that are the same for every candidate of a request: what depends on
    /// nothing else is computed once per request. `outputs` names those to give, in order; with none, the only one.
    ///
    /// # Errors
    /// What is wrong with the file, or that an input has not the name, type or dimensions it needs.
    pub fn load(bytes: &[u8], visitor: &[String], outputs: &[String]) -> Result<Self, String> {
        let inputs = declared(bytes, visitor).map_err(|error| format!("{error:#}"))?;
        let known = |name: &String| inputs.iter().any(|input| input.name.as_ref() == Some(name));
        if let Some(name) = visitor.iter().find(|name| !known(name)) {
            return Err(format!("no input named {name:?}"));
        }
        let graph = Graph::load(bytes, &inputs, outputs)?;
        Ok(Self { graph, inputs })
    }

    /// Names and sides of the inputs, in the order of the file.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, Side)> {
        self.inputs.iter().map(|input| (input.name.as_deref().unwrap_or_default(), input.side))
    }

    /// Names of the outputs it gives.
    #[must_use]
    pub fn outputs(&self) -> &[String] {
        &self.graph.outputs
    }

    /// How it is run, in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        self.graph.describe()
    }

    /// Runs for `n` candidates. Each input is row-major: a candidate's has `n` rows, a visitor's one. Each output has a row
    /// for each candidate. An `n` of 0 gives empty outputs.
    ///
    /// # Errors
    /// An input that is missing, of the wrong kind or size, or an id outside its table.
    pub fn run(&self, inputs: &[Numbers], n: usize) -> Result<Vec<Vec<f32>>, String> {
        if inputs.len() != self.inputs.len() {
            return Err(format!("got {} inputs, expected {}", inputs.len(), self.inputs.len()));
        }
        for (input, numbers) in self.inputs.iter().zip(inputs) {
            let name = input.name.as_deref().unwrap_or_default();
            let rows = if input.side == Side::Visitor { 1 } else { n };
            let expected = rows * input.width();
            let datum = match numbers {
                Numbers::Floats(_) => DatumType::F32,
                Numbers::Integers(_) => DatumType::I64,
            };
            if datum != input.datum || numbers.len() != expected {
                let got = numbers.len();
                return Err(format!("input {name:?} is {got} of {datum:?}, expected {expected} of {:?}", input.datum));
            }
        }
        if n == 0 {
            return Ok(vec![Vec::new(); self.graph.outputs.len()]);
        }
        self.graph.run(inputs, n)
    }
}
