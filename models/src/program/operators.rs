//! The engine's operators, each as steps. An axis along which a value is repeated stays 1 as long as the step allows it.

use super::Dim;
use super::einsum::{Axis, Product};
use super::lower::{Lowering, Recipe};
use super::steps::{Binary, Compare, Concat, Gather, Normalise, Not, Reduce, Select, Slice, Softmax, Transpose, Unary};
use crate::kernels::rows::{Norm, Reduction};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::Slice as TractSlice;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::{Reduce as TractReduce, Reducer, RmsNorm, Softmax as TractSoftmax};
use tract_onnx::tract_hir::internal::*;

impl Lowering<'_> {
    pub(super) fn axis(&mut self, node: &TypedNode, op: &AxisOp) -> TractResult<usize> {
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

    pub(super) fn transposed(&mut self, from: usize, order: Vec<usize>) -> TractResult<usize> {
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

    pub(super) fn binary(&mut self, node: &TypedNode, name: &str) -> TractResult<usize> {
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
        let integers = datum == i64::datum_type() && !matches!(name, "Div" | "Pow");
        ensure!(integers || datum == f32::datum_type(), "of {datum:?}");
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

    pub(super) fn unary(&mut self, node: &TypedNode, name: &str) -> TractResult<usize> {
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

    pub(super) fn select(&mut self, node: &TypedNode) -> TractResult<usize> {
        if let Some(fused) = self.fused_slope(node)? {
            return Ok(fused);
        }
        let inputs = node.inputs.iter().map(|input| self.value(*input)).collect::<TractResult<Vec<_>>>()?;
        ensure!(self.model.outlet_fact(node.inputs[1])?.datum_type == f32::datum_type(), "not of floats");
        let shape = self.joined(&inputs)?;
        Ok(self.step(Select, inputs, shape))
    }

    pub(super) fn concat(&mut self, node: &TypedNode, axis: usize) -> TractResult<usize> {
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

    pub(super) fn gather(&mut self, node: &TypedNode, axis: usize) -> TractResult<usize> {
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

    pub(super) fn slice(&mut self, node: &TypedNode, op: &TractSlice) -> TractResult<usize> {
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

    pub(super) fn softmax(&mut self, node: &TypedNode, op: &TractSoftmax) -> TractResult<usize> {
        ensure!(op.quant_output_dt.is_none() && op.name() == "Softmax", "another kind");
        let from = self.whole(node.inputs[0], &op.axes)?;
        let last = self.values[from].shape.len() - 1;
        ensure!(op.axes[..] == [last], "not along the last axis");
        Ok(self.same(Softmax, from))
    }

    pub(super) fn reduce(&mut self, node: &TypedNode, op: &TractReduce) -> TractResult<usize> {
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
    pub(super) fn whole(&mut self, outlet: OutletId, axes: &[usize]) -> TractResult<usize> {
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

    pub(super) fn rms_norm(&mut self, node: &TypedNode, op: &RmsNorm) -> TractResult<usize> {
        let from = self.whole(node.inputs[0], &[op.axis])?;
        ensure!(op.axis + 1 == self.values[from].shape.len(), "not along the last axis");
        let epsilon = op.eps.cast_to_scalar::<f32>()?;
        let centred = self.less_its_mean(from, op.axis);
        let how = Norm { epsilon, centred: centred.is_some() };
        let from = centred.unwrap_or(from);
        let shape = self.values[from].shape.clone();
        Ok(self.push(Recipe::Normalise(Normalise { how, gain: None, shift: None }), vec![from], shape))
    }

    pub(super) fn einsum(&mut self, node: &TypedNode, op: &EinSum) -> TractResult<usize> {
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

    pub(super) fn product(&mut self, node: &TypedNode, axes: &[Axis]) -> TractResult<usize> {
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
