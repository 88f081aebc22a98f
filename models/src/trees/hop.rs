//! The walk for few rows: several trees at once, a step of each in turn, so that no step waits for the one before it.

use super::{Node, Test, Tree};

/// Trees walked side by side.
const ABREAST: usize = 8;

/// An ensemble as one array of nodes.
#[derive(Clone, Debug)]
pub(super) struct HopTrees {
    nodes: Vec<Hop>,
    /// Root and place in the ensemble of each tree, the shallow ones first.
    roots: Vec<(u32, u32)>,
    /// Steps that bring each group of trees to their leaves.
    depths: Vec<u32>,
}

/// A split, or a leaf whose children are itself.
#[derive(Clone, Copy, Debug)]
struct Hop {
    /// The threshold, or the leaf's value.
    value: f32,
    feature: u32,
    /// Left and right; NaN goes right where `missing_right`.
    children: [u32; 2],
    missing_right: bool,
}

impl HopTrees {
    /// `None` when a split asks for equality.
    pub(super) fn compile(trees: &[Tree]) -> Option<Self> {
        let mut nodes = Vec::new();
        let mut roots = Vec::new();
        for (place, tree) in trees.iter().enumerate() {
            let base = nodes.len() as u32;
            let mut depths = vec![0u32; tree.nodes.len()];
            for (at, node) in tree.nodes.iter().enumerate() {
                let me = base + at as u32;
                nodes.push(match *node {
                    Node::Leaf(value) => Hop { value, feature: 0, children: [me, me], missing_right: false },
                    Node::Split { feature, test: Test::AtMost(value), missing_left, right } => {
                        depths[at + 1] = depths[at] + 1;
                        depths[right as usize] = depths[at] + 1;
                        Hop { value, feature, children: [me + 1, base + right], missing_right: !missing_left }
                    }
                    Node::Split { .. } => return None,
                });
            }
            roots.push((depths.into_iter().max().unwrap_or(0), base, place as u32));
        }
        roots.sort_unstable();
        let depths = roots.chunks(ABREAST).map(|group| group.iter().map(|(depth, ..)| *depth).max().unwrap_or(0));
        let depths = depths.collect();
        Some(Self { nodes, depths, roots: roots.into_iter().map(|(_, root, place)| (root, place)).collect() })
    }

    /// The sums of the leaves of each row, added in the order of the trees.
    pub(super) fn sum(&self, rows: &[f32], width: usize, sums: &mut [f32]) {
        let mut leaves = vec![0.0f32; self.roots.len()];
        for (row, sum) in rows.chunks_exact(width.max(1)).zip(sums) {
            for (group, depth) in self.roots.chunks(ABREAST).zip(&self.depths) {
                let mut at = [0usize; ABREAST];
                at.iter_mut().zip(group).for_each(|(at, (root, _))| *at = *root as usize);
                for _ in 0..*depth {
                    for at in &mut at {
                        let hop = &self.nodes[*at];
                        let x = row[hop.feature as usize];
                        let right = (x > hop.value) | (x.is_nan() & hop.missing_right);
                        *at = hop.children[usize::from(right)] as usize;
                    }
                }
                for (at, (_, place)) in at.iter().zip(group) {
                    leaves[*place as usize] = self.nodes[*at].value;
                }
            }
            *sum = leaves.iter().fold(0.0, |sum, leaf| sum + leaf);
        }
    }
}
