//! A graph as a list of steps over flat buffers: what depends on the visitor alone runs once per request, the rest once
//! per tile of candidates.
//!
//! `lower` makes it from the engine's simplified graph, operator by operator (`operators`), and gives up on those that are
//! not known here, whose graph the engine then runs itself; `steps` are what runs; `fuse` is what becomes faster together. A value that a graph repeats
//! along an axis is kept once (its dimension is 1) and repeated by whoever reads it.

mod einsum;
mod fuse;
mod lower;
mod operators;
mod steps;

pub(crate) use lower::Lowering;
pub(crate) use steps::{Data, Step, View};

use std::sync::Arc;

/// Bytes of intermediate results a tile may take: half of a usual second-level cache.
const TILE_BYTES: usize = 512 << 10;
/// Candidates in a tile: a multiple of the block heights of `kernels::dense`.
const TILE: usize = 24;
const MOST_TILE: usize = 480;

/// A dimension: a number, or as many as there are candidates in the tile, times a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dim {
    pub(crate) rows: usize,
    pub(crate) fixed: usize,
}

impl Dim {
    pub(crate) const ONE: Self = Self { rows: 0, fixed: 1 };

    pub(crate) fn fixed(fixed: usize) -> Self {
        Self { rows: 0, fixed }
    }

    pub(crate) fn of(self, rows: usize) -> usize {
        self.rows * rows + self.fixed
    }
}

/// When a value is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum When {
    /// When the model is loaded.
    Loaded,
    /// Once per request: it depends on the visitor alone.
    Visitor,
    /// Once per tile of candidates.
    Candidate,
}

/// A tensor: its shape, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) shape: Vec<Dim>,
    pub(crate) when: When,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Constant(Arc<Data>),
    /// Several values of other shapes may share one.
    Buffer(usize),
}

/// One operation: reads values, writes the buffer of one.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) step: Box<dyn Step>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) output: usize,
}

/// A value that is handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) value: usize,
    /// The graph has it once for each candidate, though it may depend on the visitor alone.
    pub(crate) repeated: bool,
}

/// Numbers that go in, row-major.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    /// Features.
    Floats(&'a [f32]),
    /// Ids.
    Integers(&'a [i64]),
}

impl Numbers<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Floats(all) => all.len(),
            Self::Integers(all) => all.len(),
        }
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The steps of a model. Immutable; any number of threads run it, each with a [`State`].
#[derive(Debug)]
pub(crate) struct Program {
    values: Vec<Value>,
    buffers: usize,
    inputs: Vec<usize>,
    outputs: Vec<Output>,
    visitor: Vec<Stage>,
    candidate: Vec<Stage>,
    tile: usize,
}

/// The buffers of one run after another.
#[derive(Debug)]
pub(crate) struct State {
    /// Candidates the shapes are for.
    rows: usize,
    shapes: Vec<Vec<usize>>,
    buffers: Vec<Data>,
}

impl Program {
    /// Sorts the stages by when they run, and finds the size of a tile.
    fn new(values: Vec<Value>, buffers: usize, inputs: Vec<usize>, outputs: Vec<Output>, stages: Vec<Stage>) -> Self {
        let (visitor, candidate): (Vec<_>, Vec<_>) =
            stages.into_iter().partition(|stage| values[stage.output].when <= When::Visitor);
        // Per candidate, all that is written and read again.
        let size = |value: &Value| value.shape.iter().fold(4, |size, dim| size * dim.of(1));
        let bytes: usize = candidate.iter().map(|stage| size(&values[stage.output])).sum();
        let tile = (TILE_BYTES / bytes.max(1) / TILE * TILE).clamp(TILE, MOST_TILE);
        Self { values, buffers, inputs, outputs, visitor, candidate, tile }
    }

    /// How many steps run once per request, and how many once per tile.
    pub(crate) fn steps(&self) -> (usize, usize) {
        (self.visitor.len(), self.candidate.len())
    }

    pub(crate) fn state(&self) -> State {
        let buffers = (0..self.buffers).map(|_| Data::Floats(Vec::new())).collect();
        State { rows: usize::MAX, shapes: Vec::new(), buffers }
    }

    /// Runs for `n` candidates. Inputs are in the order of the graph; those of the visitor are one row. The outputs are
    /// row-major, one row a candidate.
    pub(crate) fn run(&self, state: &mut State, inputs: &[Numbers], n: usize) -> Result<Vec<Vec<f32>>, String> {
        let mut outputs = vec![Vec::new(); self.outputs.len()];
        // As few tiles as possible, of about one size.
        let tile = n.div_ceil(n.div_ceil(self.tile).max(1)).next_multiple_of(TILE);
        state.resize(&self.values, n.min(tile));
        for (input, numbers) in self.inputs.iter().zip(inputs) {
            let value = &self.values[*input];
            if value.when == When::Visitor {
                state.fill(value, *numbers, 0)?;
            }
        }
        self.perform(state, &self.visitor)?;
        let mut start = 0;
        while start < n {
            let rows = tile.min(n - start);
            state.resize(&self.values, rows);
            for (input, numbers) in self.inputs.iter().zip(inputs) {
                let value = &self.values[*input];
                if value.when == When::Candidate {
                    state.fill(value, *numbers, start)?;
                }
            }
            self.perform(state, &self.candidate)?;
            for (to, output) in outputs.iter_mut().zip(&self.outputs) {
                let value = &self.values[output.value];
                let Data::Floats(from) = state.data(value) else { return Err("an output is not of floats".into()) };
                let varies = value.shape.iter().any(|dim| dim.rows > 0);
                // What depends on the visitor alone is the same for every candidate.
                let times = match (varies, output.repeated) {
                    (true, _) => 1,
                    (false, true) => rows,
                    (false, false) => usize::from(start == 0),
                };
                (0..times).for_each(|_| to.extend_from_slice(from));
            }
            start += rows;
        }
        Ok(outputs)
    }

    fn perform(&self, state: &mut State, stages: &[Stage]) -> Result<(), String> {
        for stage in stages {
            let Place::Buffer(at) = self.values[stage.output].place else { continue };
            let mut to = std::mem::replace(&mut state.buffers[at], Data::Floats(Vec::new()));
            let result = {
                let views: Vec<View> = stage.inputs.iter().map(|input| state.view(&self.values, *input)).collect();
                stage.step.run(&views, &state.shapes[stage.output], &mut to)
            };
            state.buffers[at] = to;
            result?;
        }
        Ok(())
    }
}

impl State {
    fn resize(&mut self, values: &[Value], rows: usize) {
        if self.rows == rows {
            return;
        }
        self.rows = rows;
        self.shapes.clear();
        self.shapes.extend(values.iter().map(|value| value.shape.iter().map(|dim| dim.of(rows)).collect()));
    }

    fn data<'a>(&'a self, value: &'a Value) -> &'a Data {
        match &value.place {
            Place::Constant(data) => data,
            Place::Buffer(at) => &self.buffers[*at],
        }
    }

    fn view<'a>(&'a self, values: &'a [Value], value: usize) -> View<'a> {
        View { shape: &self.shapes[value], data: self.data(&values[value]) }
    }

    /// Copies an input's rows from `start` on.
    fn fill(&mut self, value: &Value, numbers: Numbers, start: usize) -> Result<(), String> {
        let Place::Buffer(at) = value.place else { return Ok(()) };
        let each: usize = value.shape.iter().map(|dim| dim.of(1)).product();
        let rows = if value.when == When::Candidate { self.rows } else { 1 };
        let range = start * each..(start + rows) * each;
        if numbers.len() < range.end {
            return Err(format!("an input has {} numbers, expected {}", numbers.len(), range.end));
        }
        match numbers {
            Numbers::Floats(all) => {
                let to = self.buffers[at].floats(0);
                to.clear();
                to.extend_from_slice(&all[range]);
            }
            Numbers::Integers(all) => {
                let to = self.buffers[at].integers(0);
                to.clear();
                to.extend_from_slice(&all[range]);
            }
        }
        Ok(())
    }
}
