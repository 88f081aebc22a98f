//! The operators of a program, but for products (`einsum`). Inputs may have a 1 where the output has more: they are
//! repeated there.

use crate::kernels::math;
use crate::kernels::rows::{self, Norm, Reduction};
use crate::kernels::wide;
use std::fmt::Debug;

/// The numbers of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Truths(Vec<bool>),
}

impl Data {
    /// As floats of this length, for writing; what is in it is left over from before.
    pub(crate) fn floats(&mut self, length: usize) -> &mut Vec<f32> {
        if !matches!(self, Self::Floats(_)) {
            *self = Self::Floats(Vec::new());
        }
        let Self::Floats(all) = self else { unreachable!("it was just made so") };
        all.resize(length, 0.0);
        all
    }

    /// As integers of this length, for writing.
    pub(crate) fn integers(&mut self, length: usize) -> &mut Vec<i64> {
        if !matches!(self, Self::Integers(_)) {
            *self = Self::Integers(Vec::new());
        }
        let Self::Integers(all) = self else { unreachable!("it was just made so") };
        all.resize(length, 0);
        all
    }

    /// As truths of this length, for writing.
    fn truths(&mut self, length: usize) -> &mut Vec<bool> {
        if !matches!(self, Self::Truths(_)) {
            *self = Self::Truths(Vec::new());
        }
        let Self::Truths(all) = self else { unreachable!("it was just made so") };
        all.resize(length, false);
        all
    }
}

/// A tensor to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) data: &'a Data,
}

impl<'a> View<'a> {
    pub(crate) fn floats(&self) -> Result<&'a [f32], String> {
        match self.data {
            Data::Floats(all) => Ok(all),
            other => Err(format!("expected floats, got {}", other.kind())),
        }
    }

    fn integers(&self) -> Result<&'a [i64], String> {
        match self.data {
            Data::Integers(all) => Ok(all),
            other => Err(format!("expected integers, got {}", other.kind())),
        }
    }

    fn truths(&self) -> Result<&'a [bool], String> {
        match self.data {
            Data::Truths(all) => Ok(all),
            other => Err(format!("expected truths, got {}", other.kind())),
        }
    }
}

impl Data {
    fn kind(&self) -> &'static str {
        match self {
            Self::Floats(_) => "floats",
            Self::Integers(_) => "integers",
            Self::Truths(_) => "truths",
        }
    }
}

/// One operation.
pub(crate) trait Step: Debug + Send + Sync {
    /// Writes the output, whose shape is `shape`.
    ///
    /// # Errors
    /// What is wrong with the inputs: an id outside its table.
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String>;
}

/// Visits the runs in which neither the output nor any input jumps: offsets of each input, offset of the output, length.
/// An input's step within a run is 1, or 0 where it is repeated.
fn runs<const K: usize>(
    shape: &[usize],
    shapes: [&[usize]; K],
    mut visit: impl FnMut([usize; K], [usize; K], std::ops::Range<usize>),
) {
    // Axes from the last, merged while every input goes on evenly.
    let mut axes: Vec<(usize, [usize; K])> = Vec::with_capacity(shape.len());
    let mut sizes = [1usize; K];
    for axis in (0..shape.len()).rev() {
        let strides: [usize; K] = std::array::from_fn(|i| if shapes[i][axis] == 1 { 0 } else { sizes[i] });
        for i in 0..K {
            sizes[i] *= shapes[i][axis];
        }
        if shape[axis] == 1 {
            continue;
        }
        if let Some((length, before)) = axes.last_mut()
            && (0..K).all(|i| strides[i] == before[i] * *length)
        {
            *length *= shape[axis];
            continue;
        }
        axes.push((shape[axis], strides));
    }
    let (length, steps) = axes.first().copied().unwrap_or((1, [1; K]));
    let total: usize = shape.iter().product();
    let outer = axes.get(1..).unwrap_or_default();
    let mut counts = vec![0usize; outer.len()];
    let mut offsets = [0usize; K];
    let mut at = 0;
    while at < total {
        visit(offsets, steps, at..at + length);
        at += length;
        for (count, (size, strides)) in counts.iter_mut().zip(outer) {
            *count += 1;
            (0..K).for_each(|i| offsets[i] += strides[i]);
            if *count < *size {
                break;
            }
            (0..K).for_each(|i| offsets[i] -= strides[i] * size);
            *count = 0;
        }
    }
}

#[inline(always)]
fn zip<A: Copy, B: Copy, T>(
    (a, b): (&[A], &[B]),
    (offsets, steps): ([usize; 2], [usize; 2]),
    to: &mut [T],
    f: impl Fn(A, B) -> T,
) {
    let n = to.len();
    match steps {
        [0, 0] => to.iter_mut().for_each(|to| *to = f(a[offsets[0]], b[offsets[1]])),
        [0, _] => {
            let a = a[offsets[0]];
            to.iter_mut().zip(&b[offsets[1]..offsets[1] + n]).for_each(|(to, b)| *to = f(a, *b));
        }
        [_, 0] => {
            let b = b[offsets[1]];
            to.iter_mut().zip(&a[offsets[0]..offsets[0] + n]).for_each(|(to, a)| *to = f(*a, b));
        }
        _ => {
            let (a, b) = (&a[offsets[0]..offsets[0] + n], &b[offsets[1]..offsets[1] + n]);
            to.iter_mut().zip(a.iter().zip(b)).for_each(|(to, (a, b))| *to = f(*a, *b));
        }
    }
}

#[inline(always)]
fn each<A: Copy, B: Copy, T>(
    a: (&[A], &[usize]),
    b: (&[B], &[usize]),
    shape: &[usize],
    to: &mut [T],
    f: impl Fn(A, B) -> T,
) {
    wide(
        #[inline(always)]
        || runs(shape, [a.1, b.1], |offsets, steps, range| zip((a.0, b.0), (offsets, steps), &mut to[range], &f)),
    );
}

/// Arithmetic of two tensors of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
}

impl Binary {
    /// Of ids: what an exporter does with the offsets of one table for several fields. Whether the sum is in the table is
    /// asked where it is looked up.
    fn integers(
        self,
        a: (&[i64], &[usize]),
        b: (&[i64], &[usize]),
        shape: &[usize],
        to: &mut [i64],
    ) -> Result<(), String> {
        match self {
            Self::Add => each(a, b, shape, to, i64::wrapping_add),
            Self::Sub => each(a, b, shape, to, i64::wrapping_sub),
            Self::Mul => each(a, b, shape, to, i64::wrapping_mul),
            Self::Max => each(a, b, shape, to, i64::max),
            Self::Min => each(a, b, shape, to, i64::min),
            Self::Div | Self::Pow => return Err(format!("{self:?} of integers")),
        }
        Ok(())
    }
}

impl Step for Binary {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        if let Data::Integers(a) = inputs[0].data {
            let b = (inputs[1].integers()?, inputs[1].shape);
            return self.integers((a, inputs[0].shape), b, shape, to.integers(shape.iter().product()));
        }
        let (a, b) = ((inputs[0].floats()?, inputs[0].shape), (inputs[1].floats()?, inputs[1].shape));
        let to = to.floats(shape.iter().product());
        match self {
            Self::Add => each(a, b, shape, to, |a, b| a + b),
            Self::Sub => each(a, b, shape, to, |a, b| a - b),
            Self::Mul => each(a, b, shape, to, |a, b| a * b),
            Self::Div => each(a, b, shape, to, |a, b| a / b),
            Self::Max => each(a, b, shape, to, f32::max),
            Self::Min => each(a, b, shape, to, f32::min),
            Self::Pow => each(a, b, shape, to, f32::powf),
        }
        Ok(())
    }
}

/// Comparison of two tensors of floats or integers, or of truths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    AtMost,
    And,
    Or,
}

impl Step for Compare {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        fn ordered<T: Copy + PartialOrd>(
            how: Compare,
            a: (&[T], &[usize]),
            b: (&[T], &[usize]),
            shape: &[usize],
            to: &mut [bool],
        ) {
            match how {
                Compare::Equal => each(a, b, shape, to, |a, b| a == b),
                Compare::NotEqual => each(a, b, shape, to, |a, b| a != b),
                Compare::Less => each(a, b, shape, to, |a, b| a < b),
                Compare::AtMost => each(a, b, shape, to, |a, b| a <= b),
                Compare::And | Compare::Or => {}
            }
        }
        let to = to.truths(shape.iter().product());
        let shapes = (inputs[0].shape, inputs[1].shape);
        match (self, inputs[0].data) {
            (Self::And, _) => {
                each((inputs[0].truths()?, shapes.0), (inputs[1].truths()?, shapes.1), shape, to, |a, b| a && b);
            }
            (Self::Or, _) => {
                each((inputs[0].truths()?, shapes.0), (inputs[1].truths()?, shapes.1), shape, to, |a, b| a || b);
            }
            (_, Data::Integers(a)) => ordered(*self, (a, shapes.0), (inputs[1].integers()?, shapes.1), shape, to),
            _ => ordered(*self, (inputs[0].floats()?, shapes.0), (inputs[1].floats()?, shapes.1), shape, to),
        }
        Ok(())
    }
}

/// A function of each float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Sigmoid,
    Tanh,
    Gelu,
    Silu,
    Exp,
    Ln,
    Sqrt,
    Rsqrt,
    Recip,
    Square,
    Neg,
    Abs,
    Erf,
}

impl Step for Unary {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        #[inline(always)]
        fn map(from: &[f32], to: &mut [f32], f: impl Fn(f32) -> f32) {
            wide(
                #[inline(always)]
                || to.iter_mut().zip(from).for_each(|(to, x)| *to = f(*x)),
            );
        }
        let (from, to) = (inputs[0].floats()?, to.floats(shape.iter().product()));
        match self {
            Self::Sigmoid => map(from, to, math::sigmoid),
            Self::Tanh => map(from, to, math::tanh),
            Self::Gelu => map(from, to, math::gelu),
            Self::Silu => map(from, to, |x| x * math::sigmoid(x)),
            Self::Exp => map(from, to, |x| if x > 88.0 { x.exp() } else { math::exp(x) }),
            Self::Ln => map(from, to, f32::ln),
            Self::Sqrt => map(from, to, f32::sqrt),
            Self::Rsqrt => map(from, to, |x| 1.0 / x.sqrt()),
            Self::Recip => map(from, to, |x| 1.0 / x),
            Self::Square => map(from, to, |x| x * x),
            Self::Neg => map(from, to, |x| -x),
            Self::Abs => map(from, to, f32::abs),
            Self::Erf => map(from, to, math::erf),
        }
        Ok(())
    }
}

/// Truths turned round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Not;

impl Step for Not {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let (from, to) = (inputs[0].truths()?, to.truths(shape.iter().product()));
        to.iter_mut().zip(from).for_each(|(to, x)| *to = !x);
        Ok(())
    }
}

/// Truths or integers as floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToFloats;

impl Step for ToFloats {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let to = to.floats(shape.iter().product());
        match inputs[0].data {
            Data::Floats(from) => to.copy_from_slice(from),
            Data::Integers(from) => to.iter_mut().zip(from).for_each(|(to, x)| *to = *x as f32),
            Data::Truths(from) => to.iter_mut().zip(from).for_each(|(to, x)| *to = f32::from(u8::from(*x))),
        }
        Ok(())
    }
}

/// The second where the first is true, else the third.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Select;

impl Step for Select {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let (condition, yes, no) = (inputs[0].truths()?, inputs[1].floats()?, inputs[2].floats()?);
        let to = to.floats(shape.iter().product());
        wide(
            #[inline(always)]
            || {
                runs(shape, [inputs[0].shape, inputs[1].shape, inputs[2].shape], |o, steps, range| {
                    for (i, to) in to[range].iter_mut().enumerate() {
                        let chosen = condition[o[0] + i * steps[0]];
                        *to = if chosen { yes[o[1] + i * steps[1]] } else { no[o[2] + i * steps[2]] };
                    }
                });
            },
        );
        Ok(())
    }
}

/// A tensor repeated to a larger shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expand;

impl Step for Expand {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        fn copy<T: Copy>(from: &[T], of: &[usize], shape: &[usize], to: &mut [T]) {
            runs(shape, [of], |offsets, steps, range| match steps {
                [0] => to[range].fill(from[offsets[0]]),
                _ => {
                    let length = range.len();
                    to[range].copy_from_slice(&from[offsets[0]..offsets[0] + length]);
                }
            });
        }
        let length = shape.iter().product();
        match inputs[0].data {
            Data::Floats(from) => copy(from, inputs[0].shape, shape, to.floats(length)),
            Data::Integers(from) => copy(from, inputs[0].shape, shape, to.integers(length)),
            Data::Truths(from) => copy(from, inputs[0].shape, shape, to.truths(length)),
        }
        Ok(())
    }
}

/// Tensors side by side along an axis. Along the others an input may be repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Concat {
    pub(crate) axis: usize,
}

impl Step for Concat {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        fn copy<T: Copy>(axis: usize, parts: &[(&[T], &[usize])], shape: &[usize], to: &mut [T]) {
            let inner: usize = shape[axis + 1..].iter().product();
            let whole = shape[axis] * inner;
            let mut start = 0;
            for (from, of) in parts {
                let part = of[axis] * inner;
                // Rows of the part; an input that is repeated inside a row was expanded before.
                let (outer_shape, outer_of) = (&shape[..axis], &of[..axis]);
                runs(outer_shape, [outer_of], |offsets, steps, range| {
                    for (i, row) in range.enumerate() {
                        let from = &from[(offsets[0] + i * steps[0]) * part..][..part];
                        to[row * whole + start..][..part].copy_from_slice(from);
                    }
                });
                start += part;
            }
        }
        let length = shape.iter().product();
        if inputs.iter().all(|input| matches!(input.data, Data::Integers(_))) {
            let parts = inputs.iter().map(|i| Ok((i.integers()?, i.shape))).collect::<Result<Vec<_>, String>>()?;
            copy(self.axis, &parts, shape, to.integers(length));
        } else {
            let parts = inputs.iter().map(|i| Ok((i.floats()?, i.shape))).collect::<Result<Vec<_>, String>>()?;
            copy(self.axis, &parts, shape, to.floats(length));
        }
        Ok(())
    }
}

/// Rows (the first axis) of the first input, by the ids in the second. Ids from -rows on count from the end, as ONNX has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gather {
    /// The axis of the first input that ids choose from.
    pub(crate) axis: usize,
}

impl Step for Gather {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        fn copy<T: Copy>(axis: usize, from: (&[T], &[usize]), ids: &[i64], to: &mut [T]) -> Result<(), String> {
            let rows = from.1[axis];
            let inner: usize = from.1[axis + 1..].iter().product();
            let place = |id: i64| {
                let row = if id < 0 { id.checked_add(rows as i64) } else { Some(id) };
                row.and_then(|row| usize::try_from(row).ok())
                    .filter(|row| *row < rows)
                    .ok_or_else(|| format!("id {id} is outside its table of {rows} rows"))
            };
            if inner == 0 || ids.is_empty() {
                return Ok(());
            }
            for (to, from) in to.chunks_exact_mut(ids.len() * inner).zip(from.0.chunks_exact(rows * inner)) {
                for (to, id) in to.chunks_exact_mut(inner).zip(ids) {
                    let row = place(*id)?;
                    to.copy_from_slice(&from[row * inner..][..inner]);
                }
            }
            Ok(())
        }
        let (ids, length) = (inputs[1].integers()?, shape.iter().product());
        match inputs[0].data {
            Data::Floats(from) => copy(self.axis, (from, inputs[0].shape), ids, to.floats(length)),
            Data::Integers(from) => copy(self.axis, (from, inputs[0].shape), ids, to.integers(length)),
            Data::Truths(from) => copy(self.axis, (from, inputs[0].shape), ids, to.truths(length)),
        }
    }
}

/// A part of an axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) axis: usize,
    pub(crate) start: usize,
}

impl Step for Slice {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        fn copy<T: Copy>(from: &[T], to: &mut [T], (whole, part, start): (usize, usize, usize)) {
            for (to, from) in to.chunks_exact_mut(part.max(1)).zip(from.chunks_exact(whole.max(1))) {
                to.copy_from_slice(&from[start..start + part]);
            }
        }
        let inner: usize = shape[self.axis + 1..].iter().product();
        let sizes = (inputs[0].shape[self.axis] * inner, shape[self.axis] * inner, self.start * inner);
        let length = shape.iter().product();
        match inputs[0].data {
            Data::Floats(from) => copy(from, to.floats(length), sizes),
            Data::Integers(from) => copy(from, to.integers(length), sizes),
            Data::Truths(from) => copy(from, to.truths(length), sizes),
        }
        Ok(())
    }
}

/// Axes in another order: the output's axis `i` is the input's `order[i]`.
#[derive(Clone, Debug)]
pub(crate) struct Transpose {
    pub(crate) order: Vec<usize>,
}

impl Step for Transpose {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let from = inputs[0].floats()?;
        let mut strides = vec![1; inputs[0].shape.len()];
        for axis in (1..strides.len()).rev() {
            strides[axis - 1] = strides[axis] * inputs[0].shape[axis];
        }
        let strides: Vec<usize> = self.order.iter().map(|axis| strides[*axis]).collect();
        let to = to.floats(shape.iter().product());
        let mut counts = vec![0usize; shape.len()];
        let mut at = 0;
        for to in to {
            *to = from[at];
            for axis in (0..shape.len()).rev() {
                counts[axis] += 1;
                at += strides[axis];
                if counts[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * shape[axis];
                counts[axis] = 0;
            }
        }
        Ok(())
    }
}

/// Softmax along the last axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax;

impl Step for Softmax {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let to = to.floats(shape.iter().product());
        to.copy_from_slice(inputs[0].floats()?);
        rows::softmax(to, shape.last().copied().unwrap_or(1));
        Ok(())
    }
}

/// Normalisation along the last axis, with a gain and a shift of its width.
#[derive(Clone, Debug)]
pub(crate) struct Normalise {
    pub(crate) how: Norm,
    pub(crate) gain: Option<Vec<f32>>,
    pub(crate) shift: Option<Vec<f32>>,
}

impl Step for Normalise {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let to = to.floats(shape.iter().product());
        let width = shape.last().copied().unwrap_or(1);
        rows::norm(inputs[0].floats()?, to, width, self.how, self.gain.as_deref(), self.shift.as_deref());
        Ok(())
    }
}

/// An axis reduced to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reduce {
    pub(crate) axis: usize,
    pub(crate) how: Reduction,
}

impl Step for Reduce {
    fn run(&self, inputs: &[View], shape: &[usize], to: &mut Data) -> Result<(), String> {
        let inner = shape[self.axis + 1..].iter().product();
        let to = to.floats(shape.iter().product());
        rows::reduce(inputs[0].floats()?, to, inputs[0].shape[self.axis], inner, self.how);
        Ok(())
    }
}
