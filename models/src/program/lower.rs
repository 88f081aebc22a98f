//! From the engine's simplified graph to a program. What is not known here is an error, and the engine runs the graph.

use super::einsum::{Axis, Dense, Layer, Product};
use super::steps::{
    Binary, Compare, Concat, Data, Expand, Gather, Normalise, Not, Reduce, Select, Slice, Softmax, Step, ToFloats,
    Transpose, Unary,
};
use super::{Dim, Output, Place, Program, Stage, Value, When};
use crate::kernels::rows::{Norm, Reduction};
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
use tract_onnx::tract_core::ops::nn::{Reduce as TractReduce, Reducer, RmsNorm, Softmax as TractSoftmax};
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

    fn dim(&self, dim: &TDim) -> TractResult<Dim> {
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

    fn same(&mut self, step: impl Step + 'static, from: usize) -> usize {
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

    // Operators

    fn axis(&mut self, node: &TypedNode, op: &AxisOp) -> TractResult<usize> {
        let mut from = self.value(node.inputs[0])?;
        let mut shape = self.values[from].shape.clone();
        match op {
            AxisOp::Add(at) => shape.insert(*at, Dim::ONE),
            AxisOp::Rm(at) => {
                ensure!(shape.remove(*at) == Dim::ONE, "an axis that is not 1");
            }
            AxisOp::Move(axis, to) => {
                let mut order: Vec<usize> = (0..shape.len()).collect();
                let moved = order.remove(*axis);
                order.insert(*to, moved);
                return self.transposed(from, order);
            }
            AxisOp::Reshape(at, before, after) => {
                let mut full = shape.clone();
                for (i, dim) in before.iter().enumerate() {
                    full[at + i] = self.dim(dim)?;
                }
                // Repeated candidates may stay one where the axis stays itself.
                if before.first() == after.first() && shape.get(*at) == Some(&Dim::ONE) && !before.is_empty() {
                    full[*at] = Dim::ONE;
                }
                let kept = full.get(*at).copied();
                from = self.expanded(from, &full)?;
                let mut dims = after.iter().map(|dim| self.dim(dim)).collect::<TractResult<Vec<_>>>()?;
                if before.first() == after.first()
                    && let (Some(first), Some(kept)) = (dims.first_mut(), kept)
                {
                    *first = kept;
                }
                full.splice(*at..at + before.len(), dims);
                shape = full;
            }
        }
        Ok(self.alias(from, shape))
    }

    fn transposed(&mut self, from: usize, order: Vec<usize>) -> TractResult<usize> {
        let shape: Vec<Dim> = order.iter().map(|axis| self.values[from].shape[*axis]).collect();
        let long = |order: &[usize]| {
            let shape = &self.values[from].shape;
            order.iter().copied().filter(|axis| shape[*axis] != Dim::ONE).collect::<Vec<_>>()
        };
        if long(&order).is_sorted() {
            return Ok(self.alias(from, shape));
        }
        Ok(self.step(Transpose { order }, vec![from], shape))
    }

    fn binary(&mut self, node: &TypedNode, name: &str) -> TractResult<usize> {
        let inputs = [self.value(node.inputs[0])?, self.value(node.inputs[1])?];
        let swapped = vec![inputs[1], inputs[0]];
        let datum = self.model.outlet_fact(node.inputs[0])?.datum_type;
        let compare = |compare| Some((compare, inputs.to_vec()));
        let compared = match name {
            "Eq" => compare(Compare::Equal),
            "NE" => compare(Compare::NotEqual),
            "LT" => compare(Compare::Less),
            "LTE" => compare(Compare::AtMost),
            "GT" => Some((Compare::Less, swapped)),
            "GTE" => Some((Compare::AtMost, swapped)),
            "And" => compare(Compare::And),
            "Or" => compare(Compare::Or),
            _ => None,
        };
        if let Some((step, inputs)) = compared {
            ensure!([f32::datum_type(), i64::datum_type(), bool::datum_type()].contains(&datum), "of {datum:?}");
            let ordered = !matches!(step, Compare::And | Compare::Or);
            ensure!(ordered != (datum == bool::datum_type()), "of {datum:?}");
            let shape = self.joined(&inputs)?;
            return Ok(self.step(step, inputs, shape));
        }
        ensure!(datum == f32::datum_type(), "of {datum:?}");
        let step = match name {
            "Add" => Binary::Add,
            "Sub" => Binary::Sub,
            "Mul" => Binary::Mul,
            "Div" => Binary::Div,
            "Max" => Binary::Max,
            "Min" => Binary::Min,
            "Pow" => Binary::Pow,
            _ => bail!("{name} is not known"),
        };
        if let Some(fused) = self.fused_binary(node, step, inputs)? {
            return Ok(fused);
        }
        let shape = self.joined(&inputs)?;
        Ok(self.push(Recipe::Binary(step), inputs.to_vec(), shape))
    }

    fn unary(&mut self, node: &TypedNode, name: &str) -> TractResult<usize> {
        let from = self.value(node.inputs[0])?;
        if name == "Not" {
            return Ok(self.same(Not, from));
        }
        ensure!(self.model.outlet_fact(node.inputs[0])?.datum_type == f32::datum_type(), "not of floats");
        let step = match name {
            "Sigmoid" => Unary::Sigmoid,
            "Tanh" => Unary::Tanh,
            "GeluExact" => Unary::Gelu,
            "Silu" => Unary::Silu,
            "Exp" => Unary::Exp,
            "Ln" => Unary::Ln,
            "Sqrt" => Unary::Sqrt,
            "Rsqrt" => Unary::Rsqrt,
            "Recip" => Unary::Recip,
            "Square" => Unary::Square,
            "Neg" => Unary::Neg,
            "Abs" => Unary::Abs,
            "Erf" => Unary::Erf,
            _ => bail!("{name} is not known"),
        };
        if let Some(fused) = self.fused_unary(node, step, from) {
            return Ok(fused);
        }
        Ok(self.same(step, from))
    }

    fn select(&mut self, node: &TypedNode) -> TractResult<usize> {
        if let Some(fused) = self.fused_slope(node)? {
            return Ok(fused);
        }
        let inputs = node.inputs.iter().map(|input| self.value(*input)).collect::<TractResult<Vec<_>>>()?;
        ensure!(self.model.outlet_fact(node.inputs[1])?.datum_type == f32::datum_type(), "not of floats");
        let shape = self.joined(&inputs)?;
        Ok(self.step(Select, inputs, shape))
    }

    fn concat(&mut self, node: &TypedNode, axis: usize) -> TractResult<usize> {
        let datum = self.model.outlet_fact(node.inputs[0])?.datum_type;
        ensure!(datum == f32::datum_type() || datum == i64::datum_type(), "of {datum:?}");
        let mut inputs = Vec::new();
        for input in &node.inputs {
            let full = self.shape_of(*input)?;
            ensure!(full[axis].rows == 0, "along the candidates");
            let value = self.value(*input)?;
            // From this axis on a part is copied as it lies.
            let mut wanted = self.values[value].shape.clone();
            wanted[axis..].copy_from_slice(&full[axis..]);
            inputs.push(self.expanded(value, &wanted)?);
        }
        self.concatenated(inputs, axis)
    }

    pub(super) fn concatenated(&mut self, inputs: Vec<usize>, axis: usize) -> TractResult<usize> {
        if let [one] = inputs[..] {
            return Ok(one);
        }
        let width = inputs.iter().map(|input| self.values[*input].shape[axis].fixed).sum();
        let mut shape = self.values[inputs[0]].shape.clone();
        for input in &inputs[1..] {
            for (i, (dim, other)) in shape.iter_mut().zip(&self.values[*input].shape).enumerate() {
                ensure!(i == axis || dim == other || *dim == Dim::ONE || *other == Dim::ONE, "shapes differ");
                if *dim == Dim::ONE {
                    *dim = *other;
                }
            }
        }
        shape[axis] = Dim::fixed(width);
        Ok(self.push(Recipe::Concat(Concat { axis }), inputs, shape))
    }

    fn gather(&mut self, node: &TypedNode, axis: usize) -> TractResult<usize> {
        let (mut from, ids) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        let full = self.shape_of(node.inputs[0])?;
        ensure!(full[axis].rows == 0, "among the candidates");
        let datum = self.model.outlet_fact(node.inputs[1])?.datum_type;
        ensure!(datum == i64::datum_type(), "by {datum:?}");
        let mut wanted = self.values[from].shape.clone();
        wanted[axis] = full[axis];
        from = self.expanded(from, &wanted)?;
        let (of, by) = (&self.values[from].shape, &self.values[ids].shape);
        // Ids that are repeated choose the same rows again.
        let shape = [&of[..axis], by, &of[axis + 1..]].concat();
        ensure!(shape.iter().filter(|dim| dim.rows > 0).count() <= 1, "candidates by candidates");
        Ok(self.step(Gather { axis }, vec![from, ids], shape))
    }

    fn slice(&mut self, node: &TypedNode, op: &TractSlice) -> TractResult<usize> {
        let (start, end) = (op.start.to_usize()?, op.end.to_usize()?);
        let full = self.shape_of(node.inputs[0])?;
        ensure!(full[op.axis].rows == 0, "among the candidates");
        let from = self.value(node.inputs[0])?;
        let mut shape = self.values[from].shape.clone();
        shape[op.axis] = full[op.axis];
        let from = self.expanded(from, &shape)?;
        shape[op.axis] = Dim::fixed(end - start);
        Ok(self.step(Slice { axis: op.axis, start }, vec![from], shape))
    }

    fn softmax(&mut self, node: &TypedNode, op: &TractSoftmax) -> TractResult<usize> {
        ensure!(op.quant_output_dt.is_none() && op.name() == "Softmax", "another kind");
        let from = self.whole(node.inputs[0], &op.axes)?;
        let last = self.values[from].shape.len() - 1;
        ensure!(op.axes[..] == [last], "not along the last axis");
        Ok(self.same(Softmax, from))
    }

    fn reduce(&mut self, node: &TypedNode, op: &TractReduce) -> TractResult<usize> {
        let how = match op.reducer {
            Reducer::Sum => Reduction::Sum,
            Reducer::Max => Reduction::Max,
            Reducer::Min => Reduction::Min,
            Reducer::MeanOfSquares if op.axes.len() == 1 => Reduction::MeanOfSquares,
            _ => bail!("{:?} is not known", op.reducer),
        };
        let mut from = self.whole(node.inputs[0], &op.axes)?;
        for axis in op.axes.iter().copied() {
            let mut shape = self.values[from].shape.clone();
            shape[axis] = Dim::ONE;
            from = self.push(Recipe::Reduce(Reduce { axis, how }), vec![from], shape);
        }
        Ok(from)
    }

    /// A value of floats with nothing repeated along `axes`, none of which is that of the candidates.
    fn whole(&mut self, outlet: OutletId, axes: &[usize]) -> TractResult<usize> {
        ensure!(self.model.outlet_fact(outlet)?.datum_type == f32::datum_type(), "not of floats");
        let full = self.shape_of(outlet)?;
        let value = self.value(outlet)?;
        let mut wanted = self.values[value].shape.clone();
        for axis in axes {
            ensure!(full[*axis].rows == 0, "across the candidates");
            wanted[*axis] = full[*axis];
        }
        self.expanded(value, &wanted)
    }

    fn rms_norm(&mut self, node: &TypedNode, op: &RmsNorm) -> TractResult<usize> {
        let from = self.whole(node.inputs[0], &[op.axis])?;
        ensure!(op.axis + 1 == self.values[from].shape.len(), "not along the last axis");
        let epsilon = op.eps.cast_to_scalar::<f32>()?;
        let centred = self.less_its_mean(from, op.axis);
        let how = Norm { epsilon, centred: centred.is_some() };
        let from = centred.unwrap_or(from);
        let shape = self.values[from].shape.clone();
        Ok(self.push(Recipe::Normalise(Normalise { how, gain: None, shift: None }), vec![from], shape))
    }

    fn einsum(&mut self, node: &TypedNode, op: &EinSum) -> TractResult<usize> {
        ensure!(node.inputs.len() == 2 && op.q_params.is_none(), "of {} tensors", node.inputs.len());
        for input in &node.inputs {
            ensure!(self.model.outlet_fact(*input)?.datum_type == f32::datum_type(), "not of floats");
        }
        let mut axes = Vec::new();
        for axis in op.axes.iter_all_axes() {
            let one = |places: &[usize]| -> TractResult<Option<usize>> {
                ensure!(places.len() <= 1, "a diagonal");
                Ok(places.first().copied())
            };
            axes.push(Axis { a: one(&axis.inputs[0])?, b: one(&axis.inputs[1])?, to: one(&axis.outputs[0])? });
        }
        let constant = |i: usize| self.model.outlet_fact(node.inputs[i]).is_ok_and(|fact| fact.konst.is_some());
        if constant(1) {
            return self.dense(node, &node.inputs, &axes);
        }
        if constant(0) {
            let swapped: Vec<Axis> = axes.iter().map(|x| Axis { a: x.b, b: x.a, to: x.to }).collect();
            return self.dense(node, &[node.inputs[1], node.inputs[0]], &swapped);
        }
        self.product(node, &axes)
    }

    fn product(&mut self, node: &TypedNode, axes: &[Axis]) -> TractResult<usize> {
        let (mut a, mut b) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        let full = [self.shape_of(node.inputs[0])?, self.shape_of(node.inputs[1])?];
        // Summed axes are not repeated ones.
        let mut wanted = [self.values[a].shape.clone(), self.values[b].shape.clone()];
        for axis in axes.iter().filter(|axis| axis.to.is_none()) {
            for (place, (wanted, full)) in [axis.a, axis.b].into_iter().zip(wanted.iter_mut().zip(&full)) {
                if let Some(place) = place {
                    ensure!(full[place].rows == 0, "summed over the candidates");
                    wanted[place] = full[place];
                }
            }
        }
        (a, b) = (self.expanded(a, &wanted[0])?, self.expanded(b, &wanted[1])?);
        let mut shape = vec![Dim::ONE; self.shape_of(OutletId::new(node.id, 0))?.len()];
        let (mut outer, mut rows, mut columns, mut inner) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for axis in axes {
            let long = |place: Option<usize>, value: usize| {
                place.map(|place| self.values[value].shape[place]).filter(|dim| *dim != Dim::ONE)
            };
            let (in_a, in_b) = (long(axis.a, a), long(axis.b, b));
            if let (Some(to), Some(dim)) = (axis.to, in_a.or(in_b)) {
                shape[to] = dim;
            }
            match (in_a, in_b, axis.to) {
                (None, None, _) => {}
                (Some(_), Some(_), Some(_)) => outer.push(*axis),
                (Some(_), None, Some(_)) => rows.push(*axis),
                (None, Some(_), Some(_)) => columns.push(*axis),
                (Some(_), Some(_), None) => inner.push(*axis),
                _ => bail!("a sum over one tensor"),
            }
        }
        // The columns lie side by side in the output; a single group of axes is best taken as rows.
        let last = |axes: &[Axis]| axes.iter().filter_map(|axis| axis.to).max();
        if rows.is_empty() || !columns.is_empty() && last(&rows) > last(&columns) {
            std::mem::swap(&mut a, &mut b);
            std::mem::swap(&mut rows, &mut columns);
            for axis in [&mut outer, &mut rows, &mut columns, &mut inner].into_iter().flatten() {
                std::mem::swap(&mut axis.a, &mut axis.b);
            }
        }
        ensure!(columns.len() <= 1 && inner.len() <= 1, "several axes together");
        let row_last = rows.iter().copied().max_by_key(|axis| axis.to);
        if let (Some(column), Some(to)) = (columns.first(), last(&outer).max(last(&rows))) {
            ensure!(column.to > Some(to), "columns that do not lie side by side");
        }
        outer.extend(rows.iter().filter(|axis| axis.to != row_last.and_then(|row| row.to)).copied());
        outer.sort_by_key(|axis| axis.to);
        if let Some(place) = inner.first().and_then(|axis| axis.a) {
            let of = &self.values[a].shape;
            if of[place + 1..].iter().any(|dim| *dim != Dim::ONE) {
                let mut order: Vec<usize> = (0..of.len()).filter(|axis| *axis != place).collect();
                order.push(place);
                let mut places = vec![0; order.len()];
                order.iter().enumerate().for_each(|(now, before)| places[*before] = now);
                a = self.transposed(a, order)?;
                let mut row = row_last;
                for axis in outer.iter_mut().chain(&mut inner).chain(&mut row) {
                    axis.a = axis.a.map(|place| places[place]);
                }
                let product =
                    Product { outer, rows: row, columns: columns.first().copied(), inner: inner.first().copied() };
                return Ok(self.step(product, vec![a, b], shape));
            }
        }
        let product =
            Product { outer, rows: row_last, columns: columns.first().copied(), inner: inner.first().copied() };
        Ok(self.step(product, vec![a, b], shape))
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
