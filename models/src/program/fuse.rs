//! Operators that become faster together: a layer with what follows it, a layer over things side by side that are not all
//! as long, normalisation with its parts. The parts stay as stages, and are dropped when nobody else reads them.

use super::einsum::{Axis, Layer};
use super::lower::{Lowering, Recipe};
use super::steps::{Binary, Unary};
use super::{Dim, When};
use crate::kernels::dense::Activation;
use crate::kernels::rows::Reduction;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::*;

/// Something times a part of the weights, `[k, n]`.
struct Term {
    value: usize,
    weights: Vec<f32>,
}

/// The shape of terms that can be multiplied together, without their width, and when they are known.
type Group = (Vec<(usize, usize)>, When);

impl Lowering<'_> {
    /// The layer that makes a value which is read only as often as said, while nothing was applied to it.
    fn open_layer(&self, outlet: OutletId, value: usize, readers: usize) -> Option<(Layer, Vec<usize>)> {
        let draft = self.draft(value)?;
        match &draft.recipe {
            Recipe::Dense(layer) if layer.activation == Activation::None && self.readers(outlet) == readers => {
                Some((layer.clone(), draft.inputs.clone()))
            }
            _ => None,
        }
    }

    fn layer(&mut self, layer: Layer, inputs: Vec<usize>, shape: Vec<Dim>) -> usize {
        self.push(Recipe::Dense(layer), inputs, shape)
    }

    pub(super) fn fused_unary(&mut self, node: &TypedNode, step: Unary, from: usize) -> Option<usize> {
        let activation = match step {
            Unary::Sigmoid => Activation::Sigmoid,
            Unary::Tanh => Activation::Tanh,
            Unary::Gelu => Activation::Gelu,
            _ => return None,
        };
        let (mut layer, inputs) = self.open_layer(node.inputs[0], from, 1)?;
        layer.activation = activation;
        let shape = self.values[from].shape.clone();
        Some(self.layer(layer, inputs, shape))
    }

    pub(super) fn fused_binary(
        &mut self,
        node: &TypedNode,
        step: Binary,
        inputs: [usize; 2],
    ) -> TractResult<Option<usize>> {
        for (this, other) in [(0, 1), (1, 0)] {
            let (value, operand) = (inputs[this], inputs[other]);
            let shape = self.values[value].shape.clone();
            if self.joined(&inputs)? != shape || node.inputs[0] == node.inputs[1] {
                continue;
            }
            let constant = self.floats(operand).map(<[f32]>::to_vec);
            if let Some((mut layer, mut from)) = self.open_layer(node.inputs[this], value, 1) {
                match (step, constant) {
                    (Binary::Max, Some(zero)) if zero == [0.0] => layer.activation = Activation::Relu,
                    (Binary::Add, Some(bias)) if bias.len() == 1 || self.along_the_end(operand, layer.n) => {
                        layer.bias.resize(layer.n, 0.0);
                        let bias = bias.iter().cycle();
                        layer.bias.iter_mut().zip(bias).for_each(|(to, bias)| *to += bias);
                    }
                    (Binary::Add, None) if self.values[operand].shape.last() == shape.last() => from.push(operand),
                    _ => continue,
                }
                return Ok(Some(self.layer(layer, from, shape)));
            }
            if let (Some(all), Some(draft)) = (&constant, self.draft(value))
                && let Recipe::Normalise(norm) = &draft.recipe
                && self.readers(node.inputs[this]) == 1
                && norm.shift.is_none()
                && shape.last().is_some_and(|dim| self.along_the_end(operand, dim.fixed))
            {
                let (mut norm, from) = (norm.clone(), draft.inputs.clone());
                match step {
                    Binary::Mul if norm.gain.is_none() => norm.gain = Some(all.clone()),
                    Binary::Add => norm.shift = Some(all.clone()),
                    _ => continue,
                }
                return Ok(Some(self.push(Recipe::Normalise(norm), from, shape)));
            }
        }
        Ok(None)
    }

    /// Whether a tensor has `n` numbers along the last axis and is 1 along the others.
    fn along_the_end(&self, value: usize, n: usize) -> bool {
        let shape = &self.values[value].shape;
        shape
            .split_last()
            .is_some_and(|(last, others)| *last == Dim::fixed(n) && others.iter().all(|dim| *dim == Dim::ONE))
    }

    /// x where it is positive, x times a constant elsewhere, as PRelu and LeakyRelu are written out.
    pub(super) fn fused_slope(&mut self, node: &TypedNode) -> TractResult<Option<usize>> {
        let [condition, scaled, plain] = node.inputs[..] else { return Ok(None) };
        let (condition, scaled) = (self.model.node(condition.node), self.model.node(scaled.node));
        // 0 > x ? x * slope : x
        if condition.op.name() != "GT" || scaled.op.name() != "Mul" || condition.inputs[1] != plain {
            return Ok(None);
        }
        let slope = match scaled.inputs[..] {
            [x, slope] | [slope, x] if x == plain => slope,
            _ => return Ok(None),
        };
        let (zero, slope, value) = (self.value(condition.inputs[0])?, self.value(slope)?, self.value(plain)?);
        let Some((mut layer, inputs)) = self.open_layer(plain, value, 3) else { return Ok(None) };
        let (Some(zero), Some(slopes)) = (self.floats(zero), self.floats(slope)) else { return Ok(None) };
        if zero != [0.0] || slopes.len() != 1 && !self.along_the_end(slope, layer.n) {
            return Ok(None);
        }
        layer.activation = Activation::Slope(slopes.to_vec());
        let shape = self.values[value].shape.clone();
        Ok(Some(self.layer(layer, inputs, shape)))
    }

    /// What `value` was before its mean along the last axis was taken off.
    pub(super) fn less_its_mean(&self, value: usize, axis: usize) -> Option<usize> {
        let draft = self.draft(value)?;
        let (Recipe::Binary(Binary::Sub), [from, mean]) = (&draft.recipe, &draft.inputs[..]) else { return None };
        let width = self.values[*from].shape[axis].fixed as f32;
        let mean = self.draft(*mean)?;
        let (Recipe::Binary(Binary::Mul), [sum, share]) = (&mean.recipe, &mean.inputs[..]) else { return None };
        let share = self.floats(*share).filter(|share| share.len() == 1)?[0];
        let sum = self.draft(*sum)?;
        let Recipe::Reduce(reduce) = &sum.recipe else { return None };
        let mean_of_it = reduce.axis == axis && reduce.how == Reduction::Sum && sum.inputs == [*from];
        (mean_of_it && (share * width - 1.0).abs() < 1e-6).then_some(*from)
    }

    /// A product with constant weights; `axes` has the weights as `b`.
    pub(super) fn dense(&mut self, node: &TypedNode, inputs: &[OutletId], axes: &[Axis]) -> TractResult<usize> {
        let weights = self.model.outlet_fact(inputs[1])?.konst.clone().context("weights")?;
        let full = self.shape_of(inputs[0])?;
        let mut x = self.value(inputs[0])?;
        let to = self.shape_of(OutletId::new(node.id, 0))?;
        let (mut inner, mut columns, mut prefix) = (Vec::new(), Vec::new(), Vec::new());
        for axis in axes {
            let long = |place: Option<usize>, shape: &[usize]| place.is_some_and(|place| shape[place] > 1);
            match (axis.a, axis.b, axis.to) {
                (Some(_), Some(_), None) => inner.push(*axis),
                (None, Some(_), Some(_)) => columns.push(*axis),
                (Some(_), None, Some(_)) => prefix.push(*axis),
                (Some(a), None, None) => ensure!(full[a] == Dim::ONE, "a sum without weights"),
                (Some(_), Some(_), Some(_)) => ensure!(!long(axis.b, weights.shape()), "weights for each row"),
                (None, Some(_), None) => ensure!(!long(axis.b, weights.shape()), "a sum of weights"),
                (None, None, _) => {}
            }
            if let (Some(_), Some(_), Some(_)) = (axis.a, axis.b, axis.to) {
                prefix.push(*axis);
            }
        }
        inner.sort_by_key(|axis| axis.a);
        columns.sort_by_key(|axis| axis.to);
        let after = |places: Vec<usize>, shape: &[Dim]| {
            let last = places.first().copied().unwrap_or(shape.len());
            shape[last..].iter().filter(|dim| **dim != Dim::ONE).count()
        };
        let long = |dims: &[usize], shape: &[Dim]| dims.iter().filter(|place| shape[**place] != Dim::ONE).count();
        let inner_places: Vec<usize> = inner.iter().filter_map(|axis| axis.a).collect();
        let column_places: Vec<usize> = columns.iter().filter_map(|axis| axis.to).collect();
        ensure!(inner_places.iter().all(|place| full[*place].rows == 0), "summed over the candidates");
        ensure!(after(inner_places.clone(), &full) == long(&inner_places, &full), "the summed axes are not the last");
        ensure!(after(column_places.clone(), &to) == long(&column_places, &to), "the columns are not the last axes");
        prefix.sort_by_key(|axis| axis.to);
        ensure!(prefix.is_sorted_by_key(|axis| axis.a), "rows in another order");
        // The weights as [k, n].
        let order: Vec<usize> = inner.iter().chain(&columns).filter_map(|axis| axis.b).collect();
        let rest = (0..weights.rank()).filter(|axis| !order.contains(axis));
        let order: Vec<usize> = rest.chain(order.iter().copied()).collect();
        let permuted = weights.as_ref().clone().permute_axes(&order)?;
        let matrix = permuted.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        let k: usize = inner.iter().filter_map(|axis| axis.b).map(|place| weights.shape()[place]).product();
        let n = matrix.len() / k.max(1);
        ensure!(k * n == matrix.len() && k > 0 && n > 0, "empty weights");

        let mut wanted = self.values[x].shape.clone();
        inner_places.iter().for_each(|place| wanted[*place] = full[*place]);
        // The shape of the output where x has `of`.
        let output = |of: &[Dim]| {
            let mut shape = to.clone();
            for axis in &prefix {
                if let (Some(a), Some(to)) = (axis.a, axis.to) {
                    shape[to] = of[a];
                }
            }
            shape
        };
        let layer = Layer { weights: Arc::new(matrix), k, n, bias: Vec::new(), activation: Activation::None };
        if inner_places[..] == [full.len() - 1]
            && let Some(split) = self.split(x, &layer, &output)?
        {
            return Ok(split);
        }
        x = self.expanded(x, &wanted)?;
        let shape = output(&wanted);
        Ok(self.layer(layer, vec![x], shape))
    }

    /// A layer over things side by side of which some are shorter (the visitor's, or repeated along an axis): each of
    /// those is multiplied as short as it is, and added. A difference of two is two products.
    fn split(&mut self, x: usize, layer: &Layer, output: &dyn Fn(&[Dim]) -> Vec<Dim>) -> TractResult<Option<usize>> {
        let Some(draft) = self.draft(x) else { return Ok(None) };
        let Recipe::Concat(concat) = &draft.recipe else { return Ok(None) };
        let whole = self.values[x].shape.clone();
        let last = whole.len() - 1;
        if concat.axis != last {
            return Ok(None);
        }
        let parts = draft.inputs.clone();
        let mut terms: Vec<Term> = Vec::new();
        let mut row = 0;
        for part in parts {
            let width = self.values[part].shape[last].fixed;
            let weights = &layer.weights[row * layer.n..(row + width) * layer.n];
            row += width;
            let sides = match self.draft(part).map(|draft| (&draft.recipe, &draft.inputs[..])) {
                Some((Recipe::Binary(Binary::Sub), [a, b])) => Some((*a, *b, -1.0)),
                Some((Recipe::Binary(Binary::Add), [a, b])) => Some((*a, *b, 1.0)),
                _ => None,
            };
            let short = |value: usize| self.short(value, &whole);
            match sides
                .filter(|(a, b, _)| [*a, *b].iter().all(|v| short(*v) && self.values[*v].shape[last].fixed == width))
            {
                Some((a, b, sign)) => {
                    add(&mut terms, a, weights, 1.0);
                    add(&mut terms, b, weights, sign);
                }
                None => add(&mut terms, part, weights, 1.0),
            }
        }
        let (short, long): (Vec<Term>, Vec<Term>) = terms.into_iter().partition(|term| self.short(term.value, &whole));
        if short.is_empty() {
            return Ok(None);
        }
        // Those of one shape and time make one layer.
        let mut groups: FxHashMap<Group, Vec<Term>> = FxHashMap::default();
        let mut order = Vec::new();
        for term in short {
            let value = &self.values[term.value];
            let key: Vec<(usize, usize)> = value.shape[..last].iter().map(|dim| (dim.rows, dim.fixed)).collect();
            let key = (key, value.when);
            let group = groups.entry(key.clone()).or_default();
            if group.is_empty() {
                order.push(key);
            }
            group.push(term);
        }
        let mut sums = Vec::new();
        for key in order {
            sums.push(self.terms(groups.remove(&key).unwrap_or_default(), layer.n, last, output)?);
        }
        if long.is_empty() {
            let mut sum = sums[0];
            for other in &sums[1..] {
                let shape = self.joined(&[sum, *other])?;
                sum = self.push(Recipe::Binary(Binary::Add), vec![sum, *other], shape);
            }
            return Ok(Some(sum));
        }
        let main = self.terms(long, layer.n, last, output)?;
        let draft = self.draft(main).context("the layer just made")?;
        let Recipe::Dense(main_layer) = draft.recipe.clone() else { return Ok(None) };
        let inputs = [draft.inputs.clone(), sums].concat();
        let shape = self.values[main].shape.clone();
        Ok(Some(self.layer(main_layer, inputs, shape)))
    }

    /// Whether there is less of a value than of the whole.
    fn short(&self, value: usize, whole: &[Dim]) -> bool {
        let shape = &self.values[value].shape;
        shape[..shape.len() - 1] != whole[..whole.len() - 1]
    }

    /// One layer over several terms of the same shape but for their width.
    fn terms(
        &mut self,
        terms: Vec<Term>,
        n: usize,
        last: usize,
        output: &dyn Fn(&[Dim]) -> Vec<Dim>,
    ) -> TractResult<usize> {
        let weights: Vec<f32> = terms.iter().flat_map(|term| term.weights.iter().copied()).collect();
        let values: Vec<usize> = terms.iter().map(|term| term.value).collect();
        let x = self.concatenated(values, last)?;
        let shape = output(&self.values[x].shape);
        let k = weights.len() / n;
        let layer = Layer { weights: Arc::new(weights), k, n, bias: Vec::new(), activation: Activation::None };
        Ok(self.layer(layer, vec![x], shape))
    }
}

fn add(terms: &mut Vec<Term>, value: usize, weights: &[f32], sign: f32) {
    match terms.iter_mut().find(|term| term.value == value) {
        Some(term) => term.weights.iter_mut().zip(weights).for_each(|(to, weight)| *to += sign * weight),
        None => terms.push(Term { value, weights: weights.iter().map(|weight| sign * weight).collect() }),
    }
}
