//! Building: some rows into `hnsw_rs`, its bottom layer out, the other rows around it, all refined and laid out.

use super::entries::{self, Entries};
use super::twins::Groups;
use super::{CodePlane, Graph, Walk, refine, with_scratch};
use crate::aligned::Aligned;
use crate::codes::Codes;
use crate::isa::dispatch;
use crate::kernel::{MISSING, Score};
use crate::spec::{Metric, SpaceSpec};
use crate::table::Vectors;
use anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;
use pulp::Arch;
use rayon::prelude::*;
use std::collections::VecDeque;

/// Rows `hnsw_rs` inserts at most, by one thread: threads that race would give a graph as good, but another one each time.
const SEED_ROWS: usize = 2_000;

/// Of more rows, one in so many makes a graph first, which the others are placed around by walks.
const ONE_IN: usize = 6;

/// Width of those walks.
const PLACE_WIDTH: usize = 16;

/// Width of the searches that insert: what they miss is found by walks of our own, which are several times as fast.
const INSERT_WIDTH: usize = 24;

/// Fewest links an insertion makes above the bottom layer, twice as many there. Half of what the space asks for does:
/// lists are chosen again from what walks find, and finding candidates along full ones took a third of a build.
const INSERT_LINKS: usize = 4;

/// Layers `hnsw_rs` has room for.
const LAYERS: usize = 16;

/// Builds a graph over `vectors`: the order to lay them out in (old positions), the vectors and the graph in that order.
pub(crate) fn build(spec: &SpaceSpec, vectors: &Vectors, arch: Arch) -> (Vec<u32>, Vectors, Graph) {
    let groups = Groups::of(vectors);
    let distinct = (groups.firsts.len() < vectors.len()).then(|| vectors.pick(&groups.firsts));
    let distinct = distinct.as_ref().unwrap_or(vectors);
    let directions = match spec.metric {
        Metric::Cosine | Metric::L2 => None,
        Metric::Dot => Some(directions(distinct)),
    };
    let unit = directions.as_ref().unwrap_or(distinct);
    let width = 2 * spec.m;
    let apart = Apart::new(arch, spec.metric);
    let lists = begin(spec, unit, width, apart);
    let mut lists = search_around(spec, &lists, unit, width, apart);
    // What was found must be found from the other side too.
    lists = refine::refine(&lists, unit, width, apart, |_, _| {});
    let order = layout(&lists);
    let mut entries = entries::spread(&order);
    refine::connect(&mut lists, &order, &mut entries, width);

    let mut laid = Vec::with_capacity(vectors.len());
    let mut places = vec![MISSING; order.len()];
    // Every walk reads the entries: they lie together, before all others.
    for at in entries.iter().copied().chain(order) {
        if places[at as usize] != MISSING {
            continue;
        }
        places[at as usize] = laid.len() as u32;
        laid.extend(groups.members(groups.firsts[at as usize]));
    }
    let mut links = no_links(laid.len() * width);
    for (list, &place) in lists.iter().zip(&places) {
        for (&to, link) in list.iter().zip(&mut links.all_mut()[place as usize * width..]) {
            *link = places[to as usize];
        }
    }
    let entries = Entries::new(entries, unit, apart).moved(&places);
    let vectors = vectors.pick(&laid);
    let graph = Graph::new(links, width, entries, spec.metric == Metric::Dot, &vectors);
    (laid, vectors, graph)
}

/// Room for so many links.
fn no_links(len: usize) -> Aligned<u32> {
    let mut links = Aligned::zeros(len);
    links.all_mut().fill(MISSING);
    links
}

/// Neighbours of each vector: near ones, of different directions, though not always the nearest.
fn begin(spec: &SpaceSpec, unit: &Vectors, width: usize, apart: Apart) -> Vec<Vec<u32>> {
    let n = unit.len();
    let lists = if n <= SEED_ROWS {
        bottom_layer(spec, unit, apart)
    } else {
        let some: Vec<u32> = (0..n as u32).step_by(ONE_IN).collect();
        let few = unit.pick(&some);
        let around = Around::new(&begin(spec, &few, width, apart), &few, width, apart);
        let place = |at: u32| {
            let mut near = Vec::new();
            around.walk(unit.padded(at), &[], PLACE_WIDTH, &mut near);
            near.iter_mut().for_each(|to| *to = some[*to as usize]);
            near
        };
        (0..n as u32).into_par_iter().map(place).collect()
    };
    refine::refine(&lists, unit, width, apart, refine::two_hops(&lists))
}

/// Walks the graph from every row for candidates that were not seen yet, and chooses again.
fn search_around(spec: &SpaceSpec, lists: &[Vec<u32>], unit: &Vectors, width: usize, apart: Apart) -> Vec<Vec<u32>> {
    let around = Around::new(lists, unit, width, apart);
    refine::refine(lists, unit, width, apart, |at, near| {
        around.walk(unit.padded(at), &[at], spec.ef_construction, near);
    })
}

/// A graph that is being built, to walk over by codes.
struct Around {
    graph: Graph,
    codes: Codes,
    len: usize,
    arch: Arch,
}

impl Around {
    fn new(lists: &[Vec<u32>], unit: &Vectors, width: usize, apart: Apart) -> Self {
        let mut links = no_links(lists.len() * width);
        for (list, links) in lists.iter().zip(links.all_mut().chunks_exact_mut(width)) {
            links.iter_mut().zip(list).for_each(|(link, &to)| *link = to);
        }
        // Entries that know of one another however far apart: rows placed in a wrong neighbourhood find their own.
        let all: Vec<u32> = (0..lists.len() as u32).collect();
        let entries = Entries::new(entries::spread(&all), unit, apart);
        let graph = Graph::new(links, width, entries, false, unit);
        // Directions are compared by cosine, whatever the space's metric is.
        Self { graph, codes: Codes::new(unit, apart.metric), len: unit.len(), arch: apart.arch }
    }

    /// Adds the positions a walk finds, nearest first.
    fn walk(&self, query: &[f32], from: &[u32], width: usize, into: &mut Vec<u32>) {
        with_scratch(|kept| {
            self.codes.query(self.arch, query, &mut kept.coded);
            let plane = CodePlane(self.codes.scores(&kept.coded));
            let scratch = &mut kept.walk;
            let (graph, len, careful) = (&self.graph, self.len, true);
            dispatch(self.arch, Walk { graph, from, only: None, vain: None, careful, plane, len, width, scratch });
            into.extend(kept.walk.found().map(|found| found.1));
        });
    }
}

/// The vectors at length 1. An inner product is walked over a graph of directions too: a row's links then lead to
/// longer rows of its own direction, which is uphill. The textbook way, one more component that makes all rows equally
/// long, links rows of equal length instead, and finds far less (recall@10 0.977 against 0.991 on the amazon-beauty
/// encoder, 0.73 against 0.96 on clustered rows of very different length). A zero vector stays zero, far from all.
fn directions(vectors: &Vectors) -> Vectors {
    let all: Vec<u32> = (0..vectors.len() as u32).collect();
    Vectors::made(&all, vectors.dim(), |&at, unit| {
        let vector = vectors.get(at);
        let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        if length > 0.0 {
            unit.iter_mut().zip(vector).for_each(|(unit, &x)| *unit = (f64::from(x) / length) as f32);
        }
    })
}

/// 1 - cosine of unit vectors, or the squared distance; at least 0. `hnsw_rs` panics on a negative distance, which
/// rounding would give.
#[derive(Clone, Copy)]
pub(crate) struct Apart {
    arch: Arch,
    metric: Metric,
}

impl Apart {
    pub fn new(arch: Arch, metric: Metric) -> Self {
        Self { arch, metric }
    }
}

impl Distance<f32> for Apart {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        let score = self.arch.dispatch(Score(self.metric, a, b));
        match self.metric {
            Metric::Cosine | Metric::Dot => (1.0 - score).max(0.0),
            Metric::L2 => -score,
        }
    }
}

/// The neighbours `hnsw_rs` finds for each vector.
fn bottom_layer(spec: &SpaceSpec, unit: &Vectors, apart: Apart) -> Vec<Vec<u32>> {
    let n = unit.len();
    let links = (spec.m / 2).max(INSERT_LINKS);
    let hnsw = Hnsw::<f32, Apart>::new(links, n, LAYERS, spec.ef_construction.min(INSERT_WIDTH), apart);
    (0..n).for_each(|at| hnsw.insert_slice((unit.padded(at as u32), at)));
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
