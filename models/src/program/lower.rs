//! From the engine's simplified graph to a program. What is not known here is an error, and the engine runs the graph.

use super::einsum::{Dense, Layer};
use super::steps::{Binary, Concat, Data, Expand, Normalise, Reduce, Step, ToFloats};
use super::{Dim, Output, Place, Program, Stage, Value, When};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::{Gather as TractGather, MultiBroadcastTo, Slice as TractSlice, TypedConcat};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::logic::Iff;
use tract_onnx::tract_core::ops::nn::{Reduce as TractReduce, RmsNorm, Softmax as TractSoftmax};
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_hir::internal::*;

/// What a stage will do; those that later ones may change or take in are kept as what they are.
#[derive(Clone, Debug)]
pub(super) enum Recipe {
    Dense(Layer),
    Binary(Binary),
    Concat(Concat),
    Reduce(Reduce),
    Normalise(Normalise),
    Other(Arc<dyn Step>),
}

#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) recipe: Recipe,
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
}

/// A program in the making.
pub(crate) struct Lowering<'a> {
    pub(super) model: &'a TypedModel,
    rows: Symbol,
    pub(super) values: Vec<Value>,
    buffers: usize,
    pub(super) drafts: Vec<Draft>,
    /// The stage that makes a value.
    pub(super) maker: FxHashMap<usize, usize>,
    map: FxHashMap<OutletId, usize>,
    constants: FxHashMap<OutletId, usize>,
}

impl<'a> Lowering<'a> {
    /// Lowers a graph whose candidate inputs have `rows` as their first dimension. `visitor` says which inputs are the
    /// visitor's: their `rows` become 1.
    pub(crate) fn program(model: &'a TypedModel, rows: &Symbol, visitor: &[bool]) -> TractResult<Program> {
        let mut lowering = Self {
            model,
            rows: rows.clone(),
            values: Vec::new(),
            buffers: 0,
            drafts: Vec::new(),
            maker: FxHashMap::default(),
            map: FxHashMap::default(),
            constants: FxHashMap::default(),
        };
        let mut inputs = Vec::new();
        for (outlet, visitor) in model.inputs.iter().zip(visitor) {
            let mut shape = lowering.shape_of(*outlet)?;
            let varies = shape.iter().any(|dim| dim.rows > 0);
            if *visitor {
                for dim in shape.iter_mut().filter(|dim| dim.rows > 0) {
                    *dim = Dim::ONE;
                }
            }
            let when = if *visitor || !varies { When::Visitor } else { When::Candidate };
            if when == When::Candidate {
                let first = shape.iter().find(|dim| **dim != Dim::ONE);
                ensure!(first.is_some_and(|dim| dim.rows == 1), "candidates are not the first axis of an input");
            }
            let value = lowering.buffer(shape, when);
            lowering.map.insert(*outlet, value);
            inputs.push(value);
        }
        for node in model.eval_order()? {
            let node = model.node(node);
            lowering.node(node).with_context(|| format!("{} {:?}", node.op.name(), node.name))?;
        }
        let mut outputs = Vec::new();
        for outlet in &model.outputs {
            let fact = model.outlet_fact(*outlet)?;
            ensure!(fact.datum_type == f32::datum_type(), "an output is {:?}", fact.datum_type);
            let full = lowering.shape_of(*outlet)?;
            let mut value = lowering.value(*outlet)?;
            let repeated = full.iter().any(|dim| dim.rows > 0);
            if repeated {
                let first = full.iter().position(|dim| *dim != Dim::ONE);
                let first = first.filter(|axis| full[*axis].rows == 1);
                let first = first.context("candidates are not the first axis of an output")?;
                // Repeating the visitor's part for each candidate is left to the run.
                let mut wanted = full;
                wanted[first] = lowering.values[value].shape[first];
                value = lowering.expanded(value, &wanted)?;
            } else {
                value = lowering.expanded(value, &full)?;
            }
            outputs.push(Output { value, repeated });
        }
        Ok(lowering.finish(inputs, outputs))
    }

    /// Drops what nobody reads, packs the weights.
    fn finish(self, inputs: Vec<usize>, outputs: Vec<Output>) -> Program {
        let buffer = |value: usize| match self.values[value].place {
            Place::Buffer(at) => Some(at),
            Place::Constant(_) => None,
        };
        let mut read = vec![false; self.buffers];
        outputs.iter().filter_map(|output| buffer(output.value)).for_each(|at| read[at] = true);
        let mut stages = Vec::new();
        for draft in self.drafts.into_iter().rev() {
            if !buffer(draft.output).is_some_and(|at| read[at]) {
                continue;
            }
            draft.inputs.iter().filter_map(|input| buffer(*input)).for_each(|at| read[at] = true);
            let step: Box<dyn Step> = match draft.recipe {
                Recipe::Dense(layer) => Box::new(Dense::new(&layer)),
                Recipe::Binary(step) => Box::new(step),
                Recipe::Concat(step) => Box::new(step),
                Recipe::Reduce(step) => Box::new(step),
                Recipe::Normalise(step) => Box::new(step),
                Recipe::Other(step) => Box::new(Shared(step)),
            };
            stages.push(Stage { step, inputs: draft.inputs, output: draft.output });
        }
        stages.reverse();
        Program::new(self.values, self.buffers, inputs, outputs, stages)
    }

    fn node(&mut self, node: &'a TypedNode) -> TractResult<()> {
        if node.op_is::<TypedSource>() || node.op_is::<Const>() {
            return Ok(());
        }
        ensure!(node.outputs.len() == 1, "several outputs");
        let outlet = OutletId::new(node.id, 0);
        if self.model.outlet_fact(outlet)?.konst.is_some() {
            return Ok(());
        }
        let value = if let Some(op) = node.op_as::<AxisOp>() {
            self.axis(node, op)?
        } else if let Some(op) = node.op_as::<EinSum>() {
            self.einsum(node, op)?
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            self.binary(node, op.0.name())?
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            self.unary(node, &op.0.name())?
        } else if node.op_is::<Iff>() {
            self.select(node)?
        } else if let Some(op) = node.op_as::<Cast>() {
            ensure!(op.to == f32::datum_type(), "to {:?}", op.to);
            let from = self.value(node.inputs[0])?;
            if self.model.outlet_fact(node.inputs[0])?.datum_type == f32::datum_type() {
                from
            } else {
                self.same(ToFloats, from)
            }
        } else if let Some(op) = node.op_as::<TypedConcat>() {
            self.concat(node, op.axis)?
        } else if let Some(op) = node.op_as::<TractGather>() {
            self.gather(node, op.axis)?
        } else if let Some(op) = node.op_as::<TractSlice>() {
            self.slice(node, op)?
        } else if node.op_is::<MultiBroadcastTo>() {
            self.value(node.inputs[0])?
        } else if let Some(op) = node.op_as::<TractSoftmax>() {
            self.softmax(node, op)?
        } else if let Some(op) = node.op_as::<TractReduce>() {
            self.reduce(node, op)?
        } else if let Some(op) = node.op_as::<RmsNorm>() {
            self.rms_norm(node, op)?
        } else if matches!(&*node.op.name(), "GeluExact" | "Silu") {
            self.unary(node, &node.op.name())?
        } else {
            bail!("not known")
        };
        let varying = self.values[value].shape.iter().filter(|dim| dim.rows > 0).count();
        ensure!(varying <= 1, "candidates against candidates");
        self.map.insert(outlet, value);
        Ok(())
    }

    // Values

    /// A graph's shape as ours: linear in the number of candidates.
    pub(super) fn shape_of(&self, outlet: OutletId) -> TractResult<Vec<Dim>> {
        let fact = self.model.outlet_fact(outlet)?;
        fact.shape.iter().map(|dim| self.dim(dim)).collect()
    }

    pub(super) fn dim(&self, dim: &TDim) -> TractResult<Dim> {
        if let Ok(fixed) = dim.to_usize() {
            return Ok(Dim::fixed(fixed));
        }
        let at = |n: i64| -> TractResult<i64> {
            dim.eval_to_i64(&SymbolValues::default().with(&self.rows, n)).with_context(|| format!("dimension {dim}"))
        };
        let (one, two, three) = (at(1)?, at(2)?, at(3)?);
        let rows = two - one;
        ensure!(three - two == rows && rows >= 0 && one >= rows, "dimension {dim}");
        Ok(Dim { rows: rows as usize, fixed: (one - rows) as usize })
    }

    pub(super) fn value(&mut self, outlet: OutletId) -> TractResult<usize> {
        if let Some(value) = self.map.get(&outlet).or_else(|| self.constants.get(&outlet)) {
            return Ok(*value);
        }
        let fact = self.model.outlet_fact(outlet)?;
        let tensor = fact.konst.as_ref().context("a value that nothing makes")?;
        let shape = tensor.shape().iter().map(|dim| Dim::fixed(*dim)).collect();
        let place = Place::Constant(Arc::new(data(tensor)?));
        self.values.push(Value { shape, when: When::Loaded, place });
        self.constants.insert(outlet, self.values.len() - 1);
        Ok(self.values.len() - 1)
    }

    fn buffer(&mut self, shape: Vec<Dim>, when: When) -> usize {
        self.buffers += 1;
        self.values.push(Value { shape, when, place: Place::Buffer(self.buffers - 1) });
        self.values.len() - 1
    }

    /// The same numbers under another shape.
    pub(super) fn alias(&mut self, value: usize, shape: Vec<Dim>) -> usize {
        let Value { when, place, .. } = self.values[value].clone();
        self.values.push(Value { shape, when, place });
        let alias = self.values.len() - 1;
        if let Some(maker) = self.maker.get(&value).copied() {
            // Only as long as nothing about the axes matters to what looks for it.
            if matches!(self.drafts[maker].recipe, Recipe::Reduce(_)) {
                self.maker.insert(alias, maker);
            }
        }
        alias
    }

    pub(super) fn push(&mut self, recipe: Recipe, inputs: Vec<usize>, shape: Vec<Dim>) -> usize {
        let when = inputs.iter().map(|input| self.values[*input].when).max().unwrap_or(When::Loaded);
        // What is known when the model is loaded was folded before; what is left runs with the visitor's part.
        let output = self.buffer(shape, when.max(When::Visitor));
        self.maker.insert(output, self.drafts.len());
        self.drafts.push(Draft { recipe, inputs, output });
        output
    }

    pub(super) fn step(&mut self, step: impl Step + 'static, inputs: Vec<usize>, shape: Vec<Dim>) -> usize {
        self.push(Recipe::Other(Arc::new(step)), inputs, shape)
    }

    pub(super) fn same(&mut self, step: impl Step + 'static, from: usize) -> usize {
        let shape = self.values[from].shape.clone();
        self.step(step, vec![from], shape)
    }

    /// With every repetition written out that `shape` has and the value does not.
    pub(super) fn expanded(&mut self, value: usize, shape: &[Dim]) -> TractResult<usize> {
        if self.values[value].shape == shape {
            return Ok(value);
        }
        let of = &self.values[value].shape;
        ensure!(
            of.len() == shape.len() && of.iter().zip(shape).all(|(a, b)| a == b || *a == Dim::ONE),
            "shapes differ"
        );
        let when = shape.iter().any(|dim| dim.rows > 0).then_some(When::Candidate);
        let expanded = self.step(Expand, vec![value], shape.to_vec());
        if let Some(when) = when {
            self.values[expanded].when = when;
        }
        Ok(expanded)
    }

    /// The shape that several are repeated to.
    pub(super) fn joined(&self, values: &[usize]) -> TractResult<Vec<Dim>> {
        let mut shape = self.values[values[0]].shape.clone();
        for value in &values[1..] {
            let other = &self.values[*value].shape;
            ensure!(other.len() == shape.len(), "ranks differ");
            for (dim, other) in shape.iter_mut().zip(other) {
                ensure!(dim == other || *dim == Dim::ONE || *other == Dim::ONE, "shapes differ");
                if *dim == Dim::ONE {
                    *dim = *other;
                }
            }
        }
        Ok(shape)
    }

    /// How often the graph reads a value.
    pub(super) fn readers(&self, outlet: OutletId) -> usize {
        let node = &self.model.nodes()[outlet.node];
        node.outputs[outlet.slot].successors.len() + usize::from(self.model.outputs.contains(&outlet))
    }

    pub(super) fn floats(&self, value: usize) -> Option<&[f32]> {
        match &self.values[value].place {
            Place::Constant(data) => match &**data {
                Data::Floats(all) => Some(all),
                _ => None,
            },
            Place::Buffer(_) => None,
        }
    }

    pub(super) fn draft(&self, value: usize) -> Option<&Draft> {
        self.maker.get(&value).map(|at| &self.drafts[*at])
    }
}

/// A step that several programs may share.
#[derive(Debug)]
struct Shared(Arc<dyn Step>);

impl Step for Shared {
    fn run(&self, inputs: &[super::View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        self.0.run(inputs, shape, to)
    }
}

fn data(tensor: &Tensor) -> TractResult<Data> {
    let plain = tensor.try_as_plain_ram()?;
    Ok(match tensor.datum_type() {
        DatumType::F32 => Data::Floats(plain.as_slice::<f32>()?.to_vec()),
        DatumType::I64 => Data::Integers(plain.as_slice::<i64>()?.to_vec()),
        DatumType::Bool => Data::Truths(plain.as_slice::<bool>()?.to_vec()),
        other => bail!("a constant of {other:?}"),
    })
}
