//! Rows that came since a base was built: few enough to be scanned, and exactly so.
//!
//! A scan goes by 8-bit codes first. Each row has a step of its own and the length of what rounding left over, so the
//! codes bound the score from above: what cannot be among the best is passed over, all others are scored exactly.
//! Copies share all but what changes.

use crate::isa::{Isa, Work};
use crate::kernel::MISSING;
use crate::spec::Metric;
use crate::table::Vectors;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Rows of one piece of [`Recent`].
pub(crate) const PIECE: usize = 64;

/// Pieces of one group: what shares a group is counted as one by every copy.
const GROUP: usize = 32;

/// Maps from row to place; one of them is copied to add a row.
const SHARDS: usize = 64;

/// The largest code; -127 is the smallest.
const TOP: f64 = 127.0;

/// How far rounding may move an `f32` score, as a part of the product of the lengths.
const ROUNDING: f64 = 1e-5;

/// Vectors that came after the base was built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    groups: Vec<Arc<Vec<Arc<Piece>>>>,
    places: Arc<Vec<Arc<FxHashMap<u32, u32>>>>,
    len: usize,
    /// Places given out, those of rows that are gone among them.
    used: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// [`MISSING`] for a row that is gone.
    pub rows: [u32; PIECE],
    pub vectors: Vectors,
    /// As [`Isa::dot_pairs`] wants them.
    codes: Vec<[i8; 2 * PIECE]>,
    /// What a code of a row stands for.
    steps: [f32; PIECE],
    /// Lengths of what the codes of a row leave over, and of the row.
    errors: [f32; PIECE],
    norms: [f32; PIECE],
}

impl Piece {
    fn new(dim: usize) -> Self {
        Self {
            rows: [MISSING; PIECE],
            vectors: Vectors::zeros(PIECE, dim),
            codes: vec![[0; 2 * PIECE]; dim.div_ceil(2)],
            steps: [0.0; PIECE],
            errors: [0.0; PIECE],
            norms: [0.0; PIECE],
        }
    }

    fn set(&mut self, at: usize, row: u32, vector: &[f32]) {
        self.rows[at] = row;
        self.vectors.get_mut(at as u32).copy_from_slice(vector);
        let most = vector.iter().fold(0f32, |most, x| most.max(x.abs()));
        let step = (f64::from(most) / TOP) as f32;
        let (mut error, mut norm) = (0f64, 0f64);
        for (i, &x) in vector.iter().enumerate() {
            // A step too small for an f32 gives codes of no meaning, and an error that says so.
            let code = (x / step).round().clamp(-TOP as f32, TOP as f32) as i8;
            self.codes[i / 2][2 * at + i % 2] = code;
            let left = f64::from(x) - f64::from(step) * f64::from(code);
            error += left * left;
            norm += f64::from(x) * f64::from(x);
        }
        self.steps[at] = step;
        self.errors[at] = above(error.sqrt());
        self.norms[at] = above(norm.sqrt());
    }
}

/// An `f32` that is not below.
fn above(x: f64) -> f32 {
    (x as f32).next_up()
}

impl Recent {
    /// Rows in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Places a search looks at, those of rows that are gone among them.
    pub fn scanned(&self) -> usize {
        self.used
    }

    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.groups.iter().flat_map(|group| group.iter()).map(|piece| &**piece)
    }

    /// The rows in it with their vectors.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.pieces().flat_map(|piece| {
            let all = piece.rows.iter().zip(0u32..).filter(|(row, _)| **row != MISSING);
            all.map(|(&row, at)| (row, piece.vectors.get(at)))
        })
    }

    fn place(&self, row: u32) -> Option<usize> {
        self.places.get(row as usize % SHARDS)?.get(&row).map(|&place| place as usize)
    }

    fn shard(&mut self, row: u32) -> &mut FxHashMap<u32, u32> {
        let places = Arc::make_mut(&mut self.places);
        places.resize_with(SHARDS, Arc::default);
        Arc::make_mut(&mut places[row as usize % SHARDS])
    }

    fn piece(&mut self, place: usize) -> &mut Piece {
        let group = Arc::make_mut(&mut self.groups[place / (PIECE * GROUP)]);
        Arc::make_mut(&mut group[place / PIECE % GROUP])
    }

    /// The padded vector of a row.
    pub fn get(&self, row: u32) -> Option<&[f32]> {
        let place = self.place(row)?;
        let piece = self.groups.get(place / (PIECE * GROUP))?.get(place / PIECE % GROUP)?;
        Some(piece.vectors.padded((place % PIECE) as u32))
    }

    /// Adds a row, or replaces its vector.
    pub fn put(&mut self, row: u32, vector: &[f32]) {
        let place = self.place(row).unwrap_or_else(|| {
            let place = self.used;
            self.used += 1;
            self.len += 1;
            self.shard(row).insert(row, place as u32);
            place
        });
        if place / (PIECE * GROUP) == self.groups.len() {
            self.groups.push(Arc::default());
        }
        let group = &mut self.groups[place / (PIECE * GROUP)];
        if place / PIECE % GROUP == group.len() {
            Arc::make_mut(group).push(Arc::new(Piece::new(vector.len())));
        }
        self.piece(place).set(place % PIECE, row, vector);
    }

    /// Takes a row out; false when it is not there.
    pub fn remove(&mut self, row: u32) -> bool {
        let Some(place) = self.place(row) else { return false };
        self.shard(row).remove(&row);
        self.piece(place).rows[place % PIECE] = MISSING;
        self.len -= 1;
        true
    }
}

/// A query in whole numbers, and what that leaves uncertain.
pub(crate) struct Bounds {
    metric: Metric,
    weights: Vec<[i16; 2]>,
    /// What one of the weights stands for.
    unit: f32,
    /// Times the error of a row, and times its length: how far its score may lie above that of its codes.
    by_error: f32,
    by_norm: f32,
    squared: f32,
}

impl Bounds {
    /// Of a padded query; at most `dim` numbers of it are not zero.
    pub fn new(query: &[f32], dim: usize, metric: Metric) -> Self {
        let query = &query[..dim];
        let most = query.iter().fold(0f64, |most, x| most.max(f64::from(x.abs())));
        // So that no sum of products leaves the range of an i32.
        let room = (f64::from(i32::MAX) / (TOP * dim as f64)).min(f64::from(i16::MAX)).floor();
        let unit = (most / room) as f32;
        let (mut coded, mut left, mut squared) = (0f64, 0f64, 0f64);
        let weight = |&x: &f32| {
            let weight = (x / unit).round().clamp(-room as f32, room as f32) as i16;
            let near = f64::from(unit) * f64::from(weight);
            coded += near * near;
            left += (f64::from(x) - near).powi(2);
            squared += f64::from(x) * f64::from(x);
            weight
        };
        let flat: Vec<i16> = query.iter().map(weight).chain(std::iter::once(0)).collect();
        let weights = flat.as_chunks().0.to_vec();
        let by_norm = above(left.sqrt() + ROUNDING * squared.sqrt());
        Self { metric, weights, unit, by_error: above(coded.sqrt()), by_norm, squared: squared as f32 }
    }
}

/// At most this the rows of a piece score, NaN where nothing can be said; `None` when all are below the floor.
pub(crate) struct BoundsOf<'a> {
    pub piece: &'a Piece,
    pub bounds: &'a Bounds,
    pub floor: f32,
}

impl Work for BoundsOf<'_> {
    type Output = Option<[f32; PIECE]>;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Option<[f32; PIECE]> {
        let Self { piece, bounds, floor } = self;
        let sums = isa.dot_pairs(&piece.codes, &bounds.weights);
        let mut most = [0f32; PIECE];
        for (at, most) in most.iter_mut().enumerate() {
            // In this order, lest two small numbers become nothing; what does become nothing is less than the last term.
            let coded = bounds.unit * sums[at] as f32 * piece.steps[at];
            let reach = bounds.by_error * piece.errors[at] + bounds.by_norm * piece.norms[at];
            *most = coded + reach + f32::MIN_POSITIVE;
        }
        if bounds.metric == Metric::L2 {
            for (most, norm) in most.iter_mut().zip(piece.norms) {
                *most = 2.0 * *most - (bounds.squared + norm * norm) * (1.0 - ROUNDING as f32);
            }
        }
        let mut below = true;
        for &most in &most {
            below &= most < floor;
        }
        (!below).then_some(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{all, dispatch};
    use crate::kernel::Score;
    use proptest::prelude::*;

    #[test]
    fn recent_rows_come_are_replaced_and_go() {
        let mut recent = Recent::default();
        for row in 0..200 {
            recent.put(row, &[row as f32, 1.0]);
        }
        let before = recent.clone();
        recent.put(7, &[70.0, 2.0]);
        assert!(recent.remove(8) && !recent.remove(8) && !recent.remove(1_000));
        assert_eq!((recent.len(), before.len()), (199, 200));
        assert_eq!(recent.get(7).map(|v| v[0]), Some(70.0));
        assert_eq!((before.get(7).map(|v| v[0]), recent.get(8)), (Some(7.0), None));
        assert_eq!(recent.rows().count(), 199);
        recent.put(8, &[8.0, 8.0]);
        assert_eq!(recent.rows().map(|(row, _)| u64::from(row)).sum::<u64>(), (0..200).sum());
    }

    proptest! {
        #[test]
        fn no_row_scores_above_its_bound(
            dim in 1usize..150,
            seed in any::<u32>(),
            size in -30i32..18,
            metric in prop_oneof![Just(Metric::Dot), Just(Metric::L2)],
        ) {
            let size = 10f32.powi(size);
            let value = |row: u32, i: u32| ((seed ^ row.wrapping_mul(77)).wrapping_add(i * i * 13) as f32).sin() * size;
            let vector = |row: u32| (0..dim as u32).map(|i| value(row, i)).collect::<Vec<f32>>();
            let mut piece = Piece::new(dim);
            (0..PIECE).for_each(|at| piece.set(at, at as u32, &vector(at as u32)));
            piece.set(3, 3, &vec![0.0; dim]);
            for query in [vector(1_000), vector(7), vec![0.0; dim]] {
                let padded = Vectors::single(&query);
                let bounds = Bounds::new(padded.padded(0), dim, metric);
                for arch in all() {
                    let most = dispatch(arch, BoundsOf { piece: &piece, bounds: &bounds, floor: f32::NEG_INFINITY });
                    let most = most.expect("nothing is below");
                    for (at, most) in (0u32..).zip(most) {
                        let exact = arch.dispatch(Score(metric, piece.vectors.padded(at), padded.padded(0)));
                        prop_assert!(exact <= most || most.is_nan(), "{arch:?}: {exact} above {most}");
                    }
                }
            }
        }
    }
}
