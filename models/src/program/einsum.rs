//! Products: of rows with a matrix of weights (a dense layer), and of two tensors that are both computed.

use super::steps::{Data, Step, View};
use crate::kernels::dense::{Activation, Addend, Matrix, Packed};
use std::sync::Arc;

/// A dense layer as it is put together while a graph is lowered.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// `[k, n]`, row-major.
    pub(crate) weights: Arc<Vec<f32>>,
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// Empty, or one for each column.
    pub(crate) bias: Vec<f32>,
    pub(crate) activation: Activation,
}

/// Rows of the first input times a matrix; further inputs are added before the activation.
#[derive(Debug)]
pub(crate) struct Dense {
    packed: Packed,
    bias: Vec<f32>,
    activation: Activation,
}

impl Dense {
    pub(crate) fn new(layer: &Layer) -> Self {
        let matrix = Matrix { data: &layer.weights, k: layer.k, n: layer.n, strides: (layer.n, 1) };
        Self { packed: Packed::new(matrix), bias: layer.bias.clone(), activation: layer.activation.clone() }
    }
}

impl Step for Dense {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let (from, length) = (inputs[0].floats()?, shape.iter().product::<usize>());
        let (k, n) = (self.packed.k, self.packed.n);
        let rows = length / n.max(1);
        if from.len() != rows * k {
            return Err(format!("a layer got {} numbers, expected {rows} rows of {k}", from.len()));
        }
        let mut starts: Vec<Vec<u32>> = Vec::new();
        for addend in &inputs[1..] {
            starts.push(rows_of(addend.shape, shape, n)?);
        }
        let mut addends = Vec::with_capacity(starts.len());
        for (addend, starts) in inputs[1..].iter().zip(&starts) {
            addends.push(Addend { data: addend.floats()?, starts });
        }
        let to = to.floats(length);
        self.packed.multiply(rows, (from, |i| i * k), to, &self.bias, &addends, &self.activation);
        Ok(())
    }
}

/// Where each row of `shape` finds its `n` numbers in a tensor of shape `of`, which may be repeated along some axes.
fn rows_of(of: &[usize], shape: &[usize], n: usize) -> Result<Vec<u32>, String> {
    let rows = shape.iter().product::<usize>() / n.max(1);
    let (mut stride, mut size) = (1, rows);
    let mut starts = vec![0u32; rows];
    let mut width = 1;
    // The axes of a row itself come last; the others choose it.
    let mut axes = shape.len();
    while axes > 0 && width < n {
        axes -= 1;
        width *= shape[axes];
    }
    if width != n || of[axes..].iter().product::<usize>() != n {
        return Err(format!("cannot add {of:?} to {shape:?} row by row"));
    }
    let mut below = 1;
    for axis in (0..axes).rev() {
        size /= shape[axis].max(1);
        if of[axis] > 1 {
            for (row, start) in starts.iter_mut().enumerate() {
                *start += (row / below % shape[axis] * stride * n) as u32;
            }
            stride *= of[axis];
        }
        below *= shape[axis];
    }
    debug_assert!(size <= 1);
    Ok(starts)
}

/// The place of one axis in the two inputs and the output, where they have it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Axis {
    pub(crate) a: Option<usize>,
    pub(crate) b: Option<usize>,
    pub(crate) to: Option<usize>,
}

/// Products of two computed tensors: rows of `a` with columns of `b`.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    /// Axes that both have, or that choose among the rows of one: a product for each.
    pub(crate) outer: Vec<Axis>,
    pub(crate) rows: Option<Axis>,
    pub(crate) columns: Option<Axis>,
    pub(crate) inner: Option<Axis>,
}

impl Step for Product {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let (a, b) = (inputs[0].floats()?, inputs[1].floats()?);
        let strides = [strides(inputs[0].shape), strides(inputs[1].shape), strides(shape)];
        let shapes = [inputs[0].shape, inputs[1].shape, shape];
        // How long an axis is, and what a step along it is in each tensor; 0 where a tensor does not have it.
        let about = |axis: Option<Axis>| {
            let places = axis.map_or([None; 3], |axis| [axis.a, axis.b, axis.to]);
            let mut length = 1;
            let mut step = [0; 3];
            for (tensor, place) in places.into_iter().enumerate() {
                if let Some(place) = place.filter(|place| shapes[tensor][*place] > 1) {
                    length = shapes[tensor][place];
                    step[tensor] = strides[tensor][place];
                }
            }
            (length, step)
        };
        let (rows, row_step) = about(self.rows);
        let (n, column_step) = about(self.columns);
        let (k, inner_step) = about(self.inner);
        let to = to.floats(shape.iter().product());
        let outer: Vec<_> = self.outer.iter().map(|axis| about(Some(*axis))).collect();
        let mut counts = vec![0usize; outer.len()];
        let mut at = [0usize; 3];
        let mut packed = (Packed::empty(), None);
        if to.is_empty() {
            return Ok(());
        }
        if k > 1 && inner_step[0] != 1 || n > 1 && column_step[2] != 1 {
            return Err("a product whose axes are in an order that is not supported".into());
        }
        loop {
            if packed.1 != Some(at[1]) {
                let (step, column) = (inner_step[1], column_step[1]);
                packed.0.repack(Matrix { data: &b[at[1]..], k, n, strides: (step, column) });
                packed.1 = Some(at[1]);
            }
            let each = if rows > 1 { row_step[2] } else { n };
            packed.0.products(rows, (&a[at[0]..], |i| i * row_step[0]), &mut to[at[2]..], each);
            let mut axis = outer.len();
            loop {
                if axis == 0 {
                    return Ok(());
                }
                axis -= 1;
                let (length, step) = outer[axis];
                counts[axis] += 1;
                (0..3).for_each(|i| at[i] += step[i]);
                if counts[axis] < length {
                    break;
                }
                (0..3).for_each(|i| at[i] -= step[i] * length);
                counts[axis] = 0;
            }
        }
    }
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addends_are_found_row_by_row() {
        assert_eq!(rows_of(&[1, 3, 4], &[2, 3, 4], 4).unwrap(), [0, 4, 8, 0, 4, 8]);
        assert_eq!(rows_of(&[2, 1, 4], &[2, 3, 4], 4).unwrap(), [0, 0, 0, 4, 4, 4]);
        assert_eq!(rows_of(&[1, 4], &[3, 4], 4).unwrap(), [0, 0, 0]);
        assert_eq!(rows_of(&[3, 1], &[3, 1], 1).unwrap(), [0, 1, 2]);
        assert!(rows_of(&[3, 1], &[3, 4], 4).is_err());
    }

    #[test]
    fn a_product_over_batches_with_strided_columns() {
        // abmk,akbn->ambn as attention weights times values has it.
        let (batch, heads, m, k, n) = (2, 2, 3, 5, 4);
        let a: Vec<f32> = (0..batch * heads * m * k).map(|i| (i % 11) as f32 - 5.0).collect();
        let b: Vec<f32> = (0..batch * k * heads * n).map(|i| (i % 7) as f32 - 3.0).collect();
        let axis = |a, b, to| Axis { a, b, to };
        let product = Product {
            outer: vec![axis(Some(0), Some(0), Some(0)), axis(Some(1), Some(2), Some(2))],
            rows: Some(axis(Some(2), None, Some(1))),
            columns: Some(axis(None, Some(3), Some(3))),
            inner: Some(axis(Some(3), Some(1), None)),
        };
        let (a_data, b_data, mut to) = (Data::Floats(a.clone()), Data::Floats(b.clone()), Data::Floats(vec![]));
        let views = [
            View { shape: &[batch, heads, m, k], data: &a_data },
            View { shape: &[batch, k, heads, n], data: &b_data },
        ];
        product.run(&views, &[batch, m, heads, n], &mut to).unwrap();
        let Data::Floats(to) = to else { panic!("floats") };
        for i in 0..batch {
            for h in 0..heads {
                for row in 0..m {
                    for column in 0..n {
                        let sum: f32 = (0..k)
                            .map(|x| a[((i * heads + h) * m + row) * k + x] * b[((i * k + x) * heads + h) * n + column])
                            .sum();
                        assert_eq!(to[((i * m + row) * heads + h) * n + column], sum);
                    }
                }
            }
        }
    }
}
