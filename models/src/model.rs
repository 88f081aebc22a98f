//! A loaded model: what it is asked, by kind.

use crate::ModelError;
use crate::features::{Feature, FeaturePlan, Table};
use crate::graph::{Graph, Input, Side};
use crate::manifest::{Golden, Kind, Manifest};
use crate::program::Numbers;
use crate::tensors::{self, Owned, Tensor};
use crate::trees::Ensemble;
use std::sync::Arc;
use tract_onnx::prelude::DatumType;

/// A model that passed its checks. It is immutable and may be used from any number of threads at once.
#[derive(Debug)]
pub struct Model {
    manifest: Manifest,
    engine: Engine,
    dimension: usize,
    plan: FeaturePlan,
}

#[derive(Debug)]
enum Engine {
    /// Nothing but an ensemble of trees, evaluated without the inference engine.
    Trees(Arc<Ensemble>),
    Graph(Box<Graph>),
}

impl Model {
    /// Loads an ONNX file, runs it once, and checks the manifest's golden answers.
    ///
    /// The bytes may come from anyone: errors and panics of the importer become errors. What a process cannot survive
    /// (a hang, memory without end) is for the caller to bound, by loading in a child process first.
    ///
    /// # Errors
    /// [`ModelError::Manifest`], [`ModelError::Load`] and [`ModelError::Golden`].
    pub fn load(bytes: &[u8], manifest: Manifest) -> Result<Self, ModelError> {
        manifest.validate()?;
        let load = |detail: String| ModelError::Load { model: manifest.name.clone(), detail };
        let graph = inputs(&manifest).and_then(|inputs| Graph::load(bytes, &inputs, manifest.output.as_slice()));
        let graph = graph.map_err(load)?;
        let engine = match (&graph.trees, manifest.kind) {
            (Some(trees), Kind::Ranker) => Engine::Trees(Arc::clone(trees)),
            _ => Engine::Graph(Box::new(graph)),
        };
        let plan = FeaturePlan::of(&manifest)?;
        let dimension = manifest.dimension.unwrap_or(0);
        let mut model = Self { dimension, plan, manifest, engine };
        model.probe().map_err(|e| model.load_error(&format!("a first run failed: {e}")))?;
        if let Some(golden) = &model.manifest.golden {
            model.check(golden)?;
        }
        Ok(model)
    }

    /// What it was loaded with.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The names of the numbers of a ranker's rows, in order; empty for other kinds.
    #[must_use]
    pub fn features(&self) -> &[String] {
        self.plan.names()
    }

    /// What computes those rows; nothing for other kinds.
    #[must_use]
    pub fn plan(&self) -> &FeaturePlan {
        &self.plan
    }

    /// Length of the vector an encoder gives or a scorer takes; 0 for a ranker.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How it is run, in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.engine {
            Engine::Trees(trees) if trees.vectorised() => format!("{} trees, many rows at once", trees.trees()),
            Engine::Trees(trees) => format!("{} trees, row by row", trees.trees()),
            Engine::Graph(graph) => graph.describe(),
        }
    }

    /// The ensemble, when the model is nothing else.
    #[must_use]
    pub fn trees(&self) -> Option<&Ensemble> {
        match &self.engine {
            Engine::Trees(trees) => Some(trees),
            Engine::Graph(_) => None,
        }
    }

    /// Scores `n` candidates. `features` is row-major, `n` rows of [`Self::features`], NaN where a value is
    /// missing. The scores are as the model gives them, which need not be finite; `n` of 0 gives none.
    ///
    /// # Errors
    /// [`ModelError::Kind`], [`ModelError::Input`] when `features` is not `n` rows, [`ModelError::Run`].
    pub fn rank(&self, features: &[f32], n: usize) -> Result<Vec<f32>, ModelError> {
        self.expect_kind(Kind::Ranker)?;
        let width = self.plan.names().len();
        if n.checked_mul(width) != Some(features.len()) {
            let got = format!("{} values", features.len());
            return Err(self.input("features", got, format!("{n} rows of {width}")));
        }
        if n == 0 {
            return Ok(Vec::new());
        }
        match &self.engine {
            Engine::Trees(_) if self.manifest.column.is_some_and(|column| column > 0) => {
                self.one_score(vec![0.0; n], n)
            }
            Engine::Trees(trees) => {
                let mut scores = vec![0.0; n];
                trees.predict(features, width, &mut scores);
                Ok(scores)
            }
            Engine::Graph(graph) => {
                let cut = tensors::cut(&self.manifest.tensors, features, n);
                let mut inputs: Vec<Numbers> = cut.iter().map(Owned::numbers).collect();
                if inputs.is_empty() {
                    inputs.push(Numbers::Floats(features));
                }
                let outputs = self.run(graph, &inputs, n)?;
                self.one_score(outputs, n)
            }
        }
    }

    /// The same of columns, as [`FeaturePlan::table`] gives them: an ensemble of trees takes them as they are.
    ///
    /// # Errors
    /// As [`Self::rank`].
    pub fn rank_table(&self, table: &Table) -> Result<Vec<f32>, ModelError> {
        let columns = table.columns();
        match &self.engine {
            Engine::Trees(trees)
                if columns.len() == self.plan.names().len() && self.manifest.column.unwrap_or(0) == 0 =>
            {
                let mut scores = vec![0.0; table.len()];
                trees.predict_columns(&columns, &mut scores);
                Ok(scores)
            }
            _ => self.rank(&table.rows(), table.len()),
        }
    }

    /// Turns a history of items into a vector. `ids` are the integers of the items, see [`Self::code`], oldest first;
    /// it is padded or cut on the left to the model's length. An empty history is all padding.
    ///
    /// # Errors
    /// [`ModelError::Kind`], [`ModelError::Input`] when an integer is outside the vocabulary, [`ModelError::Run`].
    pub fn encode(&self, ids: &[i64]) -> Result<Vec<f32>, ModelError> {
        self.expect_kind(Kind::Encoder)?;
        let Engine::Graph(graph) = &self.engine else { return Err(self.run_error("an encoder is not of trees")) };
        let length = self.manifest.length.unwrap_or(0);
        let latest = &ids[ids.len().saturating_sub(length)..];
        self.check_ids(latest)?;
        let mut padded = vec![0; length];
        padded[length - latest.len()..].copy_from_slice(latest);
        let vector = self.run(graph, &[Numbers::Integers(&padded)], 1)?;
        // Not known before the first run, which is a part of loading.
        if self.dimension == 0 { Ok(vector) } else { self.expect_outputs(vector, self.dimension) }
    }

    /// Scores candidates for a visitor's vector. `ids` are integers of items, see [`Self::code`].
    ///
    /// # Errors
    /// [`ModelError::Kind`], [`ModelError::Input`] when the vector has the wrong length or an integer is outside the
    /// vocabulary, [`ModelError::Run`].
    pub fn score(&self, vector: &[f32], ids: &[i64]) -> Result<Vec<f32>, ModelError> {
        self.expect_kind(Kind::Scorer)?;
        let Engine::Graph(graph) = &self.engine else { return Err(self.run_error("a scorer is not of trees")) };
        if vector.len() != self.dimension {
            return Err(self.input("vector", format!("{} values", vector.len()), format!("{}", self.dimension)));
        }
        self.check_ids(ids)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let scores = self.run(graph, &[Numbers::Floats(vector), Numbers::Integers(ids)], ids.len())?;
        self.expect_outputs(scores, ids.len())
    }

    /// The integer an item id stands for, or `None` when the model does not know the item.
    #[must_use]
    pub fn code(&self, item: &str) -> Option<i64> {
        self.plan.codes()?.code(item)
    }

    fn vocabulary(&self) -> i64 {
        self.manifest.rows().and_then(|r| i64::try_from(r).ok()).unwrap_or(0)
    }

    /// The engine panics, or reads another row, when an integer is outside its table.
    fn check_ids(&self, ids: &[i64]) -> Result<(), ModelError> {
        let most = self.vocabulary();
        match ids.iter().find(|id| **id < 0 || **id >= most) {
            Some(id) => Err(self.input("item integer", id.to_string(), format!("0 to {}", most - 1))),
            None => Ok(()),
        }
    }

    /// One run with nothing in it, and one with the highest item: they learn the dimension, and find a table smaller
    /// than the vocabulary claims.
    fn probe(&mut self) -> Result<(), ModelError> {
        let highest = self.vocabulary() - 1;
        match self.manifest.kind {
            Kind::Ranker => self.rank(&vec![0.0; self.plan.names().len()], 1).map(drop),
            Kind::Encoder => {
                let dimension = self.encode(&[])?.len();
                if dimension == 0 {
                    return Err(self.run_error("its vector is empty"));
                }
                self.dimension = dimension;
                self.encode(&[highest]).map(drop)
            }
            Kind::Scorer => self.score(&vec![0.0; self.dimension], &[0, highest]).map(drop),
        }
    }

    fn check(&self, golden: &Golden) -> Result<(), ModelError> {
        for (case, expected) in golden.outputs.iter().enumerate() {
            let row = || golden.rows[case].iter().map(|x| x.unwrap_or(f32::NAN)).collect::<Vec<_>>();
            let got = match self.manifest.kind {
                Kind::Ranker => self.rank(&row(), 1),
                Kind::Encoder => self.encode(&golden.ids[case]),
                Kind::Scorer => self.score(&row(), &golden.ids[case]),
            };
            let got = got.map_err(|e| self.load_error(&format!("golden case {case} failed: {e}")))?;
            if got.len() != expected.len() {
                return Err(self.load_error(&format!(
                    "golden case {case} lists {} outputs, the model gives {}",
                    expected.len(),
                    got.len()
                )));
            }
            for (position, (got, expected)) in got.iter().zip(expected).enumerate() {
                let near = (got - expected).abs() <= golden.tolerance * expected.abs().max(1.0);
                // An expected infinity is met by itself only; its difference is NaN.
                let same = got == expected || (got.is_nan() && expected.is_nan());
                if !(same || near) {
                    return Err(ModelError::Golden {
                        model: self.manifest.name.clone(),
                        case,
                        position,
                        expected: *expected,
                        got: *got,
                        tolerance: golden.tolerance,
                    });
                }
            }
        }
        Ok(())
    }

    fn run(&self, graph: &Graph, inputs: &[Numbers], n: usize) -> Result<Vec<f32>, ModelError> {
        let mut outputs = graph.run(inputs, n).map_err(|e| self.run_error(&e))?;
        outputs.pop().ok_or_else(|| self.run_error("it has no output"))
    }

    /// The score in each row of the output.
    fn one_score(&self, outputs: Vec<f32>, n: usize) -> Result<Vec<f32>, ModelError> {
        let width = outputs.len() / n.max(1);
        match self.manifest.column {
            None if width <= 1 => self.expect_outputs(outputs, n),
            Some(column) if column < width && outputs.len() == n * width => {
                Ok(outputs.into_iter().skip(column).step_by(width).collect())
            }
            column => Err(self.run_error(&format!(
                "its output has {width} numbers a row and column is {column:?}: name one of them as column, from 0"
            ))),
        }
    }

    fn expect_outputs(&self, outputs: Vec<f32>, expected: usize) -> Result<Vec<f32>, ModelError> {
        if outputs.len() == expected {
            return Ok(outputs);
        }
        Err(self.run_error(&format!("it gave {} numbers, expected {expected}", outputs.len())))
    }

    fn expect_kind(&self, needs: Kind) -> Result<(), ModelError> {
        let is = self.manifest.kind;
        if is == needs { Ok(()) } else { Err(ModelError::Kind { model: self.manifest.name.clone(), is, needs }) }
    }

    fn input(&self, what: &'static str, got: String, expected: String) -> ModelError {
        ModelError::Input { model: self.manifest.name.clone(), what, got, expected }
    }

    fn run_error(&self, detail: &str) -> ModelError {
        ModelError::Run { model: self.manifest.name.clone(), detail: detail.to_owned() }
    }

    fn load_error(&self, detail: &str) -> ModelError {
        ModelError::Load { model: self.manifest.name.clone(), detail: detail.to_owned() }
    }
}

/// What each kind feeds in. An encoder sees one visitor at a time, a scorer too.
fn inputs(manifest: &Manifest) -> Result<Vec<Input>, String> {
    let (f32, i64) = (DatumType::F32, DatumType::I64);
    let input = |what, datum, shape, side| Input { name: None, what, datum, shape, side, fits: false };
    let mut inputs = match manifest.kind {
        Kind::Ranker if !manifest.tensors.is_empty() => {
            let tensor = |tensor: &Tensor| Input {
                name: Some(tensor.name.clone()),
                fits: true,
                ..input(
                    "features",
                    if tensor.ids.is_some() { i64 } else { f32 },
                    vec![None, Some(tensor.width())],
                    tensor.side,
                )
            };
            return Ok(manifest.tensors.iter().map(tensor).collect());
        }
        Kind::Ranker => {
            let width = manifest.features.iter().map(Feature::width).sum();
            vec![input("rows of features", f32, vec![None, Some(width)], Side::Candidate)]
        }
        Kind::Encoder => vec![input("a history", i64, vec![Some(1), manifest.length], Side::Visitor)],
        Kind::Scorer => vec![
            input("a visitor's vector", f32, vec![Some(1), manifest.dimension], Side::Visitor),
            input("candidates", i64, vec![Some(1), None], Side::Candidate),
        ],
    };
    if !manifest.inputs.is_empty() {
        if manifest.inputs.len() != inputs.len() {
            return Err(format!("inputs names {} inputs, expected {}", manifest.inputs.len(), inputs.len()));
        }
        for (input, name) in inputs.iter_mut().zip(&manifest.inputs) {
            input.name = Some(name.clone());
        }
    }
    Ok(inputs)
}
