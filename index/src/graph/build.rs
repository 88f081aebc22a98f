//! Building: rows into `hnsw_rs`, its bottom layer out, refined and laid out.

use super::{Graph, refine};
use crate::kernel::{Dot, MISSING};
use crate::spec::{Metric, SpaceSpec};
use crate::table::Vectors;
use anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;
use pulp::Arch;
use rayon::prelude::*;
use std::collections::VecDeque;

/// Up to so many rows are inserted by one thread, so that the same rows always give the same graph. Threads that race
/// give a graph as good, but another one each time.
pub const SERIAL_ROWS: usize = 50_000;

/// Rows inserted by one thread before the others join: `hnsw_rs` leaves rows alone that arrive before the first.
const SEED_ROWS: usize = 1_000;

/// Layers `hnsw_rs` has room for.
const LAYERS: usize = 16;

/// Builds a graph over `vectors`: the order to lay them out in (old positions), and the graph in that order. `None`
/// when all vectors are zero, which nothing can be built from.
pub(crate) fn build(spec: &SpaceSpec, vectors: &Vectors, arch: Arch) -> Option<(Vec<u32>, Graph)> {
    let augmented = match spec.metric {
        Metric::Cosine => None,
        Metric::Dot => Some(augment(vectors)?),
    };
    let unit = augmented.as_ref().unwrap_or(vectors);
    let width = 2 * spec.m;
    let mut lists = refine::refine(bottom_layer(spec, unit, arch), unit, width, arch);
    let order = layout(&lists);
    let entries = refine::connect(&mut lists, &order, width);

    let mut places = vec![0u32; order.len()];
    for (&old, new) in order.iter().zip(0..) {
        places[old as usize] = new;
    }
    let mut links = vec![MISSING; order.len() * width];
    for (&old, links) in order.iter().zip(links.chunks_exact_mut(width)) {
        for (&to, link) in lists[old as usize].iter().zip(links) {
            *link = places[to as usize];
        }
    }
    let entries = entries.iter().map(|&old| places[old as usize]).collect();
    Some((order, Graph { links, width, entries }))
}

/// One more component makes every vector as long as the longest, scaled to 1: the nearest of these to a query whose
/// last component is 0 is the one of highest inner product (Bachrach et al., RecSys 2014). Only the graph is built
/// from them; walks score the vectors as they came.
fn augment(vectors: &Vectors) -> Option<Vectors> {
    let squared = |vector: &[f32]| vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
    let longest = (0..vectors.len() as u32).map(|at| squared(vectors.get(at))).fold(0.0, f64::max);
    if longest == 0.0 {
        return None;
    }
    let dim = vectors.dim();
    let mut unit = Vectors::zeros(vectors.len(), dim + 1);
    for at in 0..vectors.len() as u32 {
        let (vector, unit) = (vectors.get(at), unit.get_mut(at));
        unit.iter_mut().zip(vector).for_each(|(unit, &x)| *unit = (f64::from(x) / longest.sqrt()) as f32);
        unit[dim] = (1.0 - squared(vector) / longest).max(0.0).sqrt() as f32;
    }
    Some(unit)
}

/// 1 - cosine of unit vectors. `hnsw_rs` panics on a negative distance, which rounding would give.
pub(super) struct UnitDistance(pub Arch);

impl Distance<f32> for UnitDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - self.0.dispatch(Dot(a, b))).max(0.0)
    }
}

/// The neighbours `hnsw_rs` finds for each vector.
fn bottom_layer(spec: &SpaceSpec, unit: &Vectors, arch: Arch) -> Vec<Vec<u32>> {
    let n = unit.len();
    let hnsw = Hnsw::<f32, UnitDistance>::new(spec.m, n, LAYERS, spec.ef_construction, UnitDistance(arch));
    let insert = |at: usize| hnsw.insert_slice((unit.padded(at as u32), at));
    if n <= SERIAL_ROWS {
        (0..n).for_each(insert);
    } else {
        (0..SEED_ROWS).for_each(insert);
        (SEED_ROWS..n).into_par_iter().for_each(insert);
    }
    let mut lists = vec![Vec::new(); n];
    let points = hnsw.get_point_indexation();
    for layer in (0..LAYERS).filter(|&layer| points.get_layer_nb_point(layer) > 0) {
        for point in points.get_layer_iterator(layer) {
            let bottom = point.get_neighborhood_id().into_iter().next().unwrap_or_default();
            lists[point.get_origin_id()] = bottom.iter().map(|neighbour| neighbour.d_id as u32).collect();
        }
    }
    lists
}

/// Breadth first from the first vector: what is walked together lies together.
fn layout(lists: &[Vec<u32>]) -> Vec<u32> {
    let mut seen = vec![false; lists.len()];
    let mut order = Vec::with_capacity(lists.len());
    let mut queue = VecDeque::new();
    for root in 0..lists.len() as u32 {
        if std::mem::replace(&mut seen[root as usize], true) {
            continue;
        }
        queue.push_back(root);
        while let Some(at) = queue.pop_front() {
            order.push(at);
            for &to in &lists[at as usize] {
                if !std::mem::replace(&mut seen[to as usize], true) {
                    queue.push_back(to);
                }
            }
        }
    }
    order
}
