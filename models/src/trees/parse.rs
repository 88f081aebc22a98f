//! From the attributes of a `TreeEnsembleRegressor` or `TreeEnsembleClassifier` to checked trees. The attributes are parallel arrays that a broken
//! or hostile file may fill with anything, so nothing is indexed before it is checked, and nothing recurses.

use super::{Ensemble, Finish, Forest, Node, Test, Tree};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use tract_onnx::pb::{AttributeProto, NodeProto};

/// Outputs of an ensemble; each costs an evaluation.
const MOST_TARGETS: usize = 64;

/// The attributes, of equal length where they must be.
struct Attributes<'a> {
    tree_ids: &'a [i64],
    node_ids: &'a [i64],
    features: &'a [i64],
    modes: &'a [Vec<u8>],
    values: &'a [f32],
    yes: &'a [i64],
    no: &'a [i64],
    missing: &'a [i64],
}

/// Reads the node: an ensemble for each of its outputs. Errors say what is wrong where.
pub(super) fn forest(node: &NodeProto) -> Result<Forest, String> {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    let classes = node.op_type == "TreeEnsembleClassifier";
    let prefix = if classes { "class" } else { "target" };
    let doubles =
        ["nodes_values_as_tensor".to_owned(), format!("{prefix}_weights_as_tensor"), "base_values_as_tensor".into()];
    if let Some(name) = doubles.iter().find(|name| attribute(name).is_some()) {
        return Err(format!("{name}: trees in double precision are not supported; convert them to float"));
    }
    let word = |name: &str, default: &'static [u8]| attribute(name).map_or(default, |a| a.s.as_slice());
    let average = match word("aggregate_function", b"SUM") {
        b"SUM" => false,
        b"AVERAGE" => true,
        other => return Err(format!("aggregate_function {}: expected SUM or AVERAGE", text(other))),
    };
    let (logistic, softmax) = match word("post_transform", b"NONE") {
        b"NONE" => (false, false),
        b"LOGISTIC" => (true, false),
        b"SOFTMAX" => (false, true),
        other => return Err(format!("post_transform {}: expected NONE, LOGISTIC or SOFTMAX", text(other))),
    };
    let labels = || {
        let (ints, strings) = (attribute("classlabels_int64s"), attribute("classlabels_strings"));
        ints.map_or(0, |a| a.ints.len()).max(strings.map_or(0, |a| a.strings.len())) as i64
    };
    let n = if classes { labels() } else { attribute("n_targets").map_or(1, |a| a.i) };
    let n = usize::try_from(n).ok().filter(|n| (1..=MOST_TARGETS).contains(n));
    let n = n.ok_or_else(|| format!("an ensemble has 1 to {MOST_TARGETS} outputs"))?;

    let places = places(node)?;
    let attributes = attributes(node, &places)?;
    let weights = weights(node, prefix, &places, n)?;
    let roots = roots(&attributes, &places)?;
    // Two classes of which the leaves weigh one: the other is what is left.
    let only: Vec<usize> = (0..n).filter(|class| !weights[*class].is_empty()).collect();
    let pair = classes && n == 2 && only.len() < 2;
    let targets = if pair { only.first().copied().map_or(1..2, |class| class..class + 1) } else { 0..n };
    let base = attribute("base_values").map_or(&[][..], |a| a.floats.as_slice());
    if !base.is_empty() && base.len() != targets.len() && !(classes && base.len() == n) {
        return Err(format!("base_values has {} values, expected {}", base.len(), targets.len()));
    }
    let mut ensembles = Vec::new();
    for (i, target) in targets.enumerate() {
        let mut trees = Vec::new();
        for (id, places_of, root) in &roots {
            let tree = preorder(&attributes, &places, &weights[target], *root)?;
            if tree.nodes.len() != *places_of {
                return Err(format!(
                    "tree {id}: only {} of its {places_of} nodes can be reached from the root; the others form a cycle",
                    tree.nodes.len()
                ));
            }
            // A tree of another output adds nothing here.
            if n == 1 || tree.nodes.iter().any(|node| matches!(node, Node::Leaf(value) if *value != 0.0)) {
                trees.push(tree);
            }
        }
        if n == 1 && trees.is_empty() {
            return Err("the ensemble has no tree".into());
        }
        let base = base.get(i).copied().unwrap_or(0.0);
        ensembles.push(Arc::new(Ensemble::new(trees, roots.len(), base, average, logistic)));
    }
    let positive = weights.iter().flat_map(|of| of.values()).all(|weight| *weight >= 0.0);
    let finish = match (pair, softmax) {
        (true, _) if logistic || positive => Finish::Complement,
        (true, _) => Finish::Negative,
        (false, true) => Finish::Softmax,
        (false, false) => Finish::AsIs,
    };
    Ok(Forest { ensembles, finish })
}

fn text(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

fn required<'a>(node: &'a NodeProto, name: &str) -> Result<&'a AttributeProto, String> {
    node.attribute.iter().find(|a| a.name == name).ok_or_else(|| format!("attribute {name} is missing"))
}

fn same_length(name: &str, length: usize, expected: usize) -> Result<(), String> {
    if length == expected { Ok(()) } else { Err(format!("{name} has {length} values, expected {expected}")) }
}

/// Tree id and node id to place in the arrays.
type Places = FxHashMap<(i64, i64), usize>;

fn places(node: &NodeProto) -> Result<Places, String> {
    let trees = &required(node, "nodes_treeids")?.ints;
    let nodes = &required(node, "nodes_nodeids")?.ints;
    same_length("nodes_nodeids", nodes.len(), trees.len())?;
    let mut places = Places::default();
    for (place, id) in trees.iter().copied().zip(nodes.iter().copied()).enumerate() {
        if places.insert(id, place).is_some() {
            return Err(format!("tree {} has node {} twice", id.0, id.1));
        }
    }
    Ok(places)
}

fn attributes<'a>(node: &'a NodeProto, places: &Places) -> Result<Attributes<'a>, String> {
    let n = places.len();
    if u32::try_from(n).is_err() {
        return Err(format!("{n} nodes are more than this runtime can address"));
    }
    let ints = |name: &str| -> Result<&'a [i64], String> {
        let ints = required(node, name)?.ints.as_slice();
        same_length(name, ints.len(), n)?;
        Ok(ints)
    };
    let modes = required(node, "nodes_modes")?.strings.as_slice();
    same_length("nodes_modes", modes.len(), n)?;
    let values = required(node, "nodes_values")?.floats.as_slice();
    same_length("nodes_values", values.len(), n)?;
    // Optional, and some writers leave it empty.
    let missing = node.attribute.iter().find(|a| a.name == "nodes_missing_value_tracks_true");
    let missing = missing.map_or(&[][..], |a| a.ints.as_slice());
    if !missing.is_empty() {
        same_length("nodes_missing_value_tracks_true", missing.len(), n)?;
    }
    Ok(Attributes {
        tree_ids: ints("nodes_treeids")?,
        node_ids: ints("nodes_nodeids")?,
        features: ints("nodes_featureids")?,
        modes,
        values,
        yes: ints("nodes_truenodeids")?,
        no: ints("nodes_falsenodeids")?,
        missing,
    })
}

/// For each output the weight of each place that is a leaf and weighs for it.
fn weights(node: &NodeProto, prefix: &str, places: &Places, n: usize) -> Result<Vec<FxHashMap<usize, f32>>, String> {
    let name = |what: &str| format!("{prefix}_{what}");
    let trees = &required(node, &name("treeids"))?.ints;
    let nodes = &required(node, &name("nodeids"))?.ints;
    let targets = &required(node, &name("ids"))?.ints;
    let values = &required(node, &name("weights"))?.floats;
    same_length(&name("nodeids"), nodes.len(), trees.len())?;
    same_length(&name("ids"), targets.len(), trees.len())?;
    same_length(&name("weights"), values.len(), trees.len())?;
    let mut weights = vec![FxHashMap::default(); n];
    for (i, id) in trees.iter().copied().zip(nodes.iter().copied()).enumerate() {
        let place = places
            .get(&id)
            .ok_or_else(|| format!("{prefix}_nodeids: tree {} has no node {}, yet a weight names it", id.0, id.1))?;
        let target = usize::try_from(targets[i]).ok().and_then(|target| weights.get_mut(target));
        let target =
            target.ok_or_else(|| format!("{prefix}_ids: {} is out of range, expected 0 to {}", targets[i], n - 1))?;
        *target.entry(*place).or_insert(0.0) += values[i];
    }
    Ok(weights)
}

impl Attributes<'_> {
    fn is_leaf(&self, place: usize) -> bool {
        self.modes[place] == b"LEAF"
    }

    fn name(&self, place: usize) -> String {
        format!("tree {} node {}", self.tree_ids[place], self.node_ids[place])
    }

    fn child(&self, places: &Places, place: usize, id: i64) -> Result<usize, String> {
        places
            .get(&(self.tree_ids[place], id))
            .copied()
            .ok_or_else(|| format!("{}: its child {id} is not there", self.name(place)))
    }

    /// Every mode as "left where at most" or "left where equal": `(feature, test, missing_left, swap)`, where `swap`
    /// says that the left child is the one for false.
    fn split(&self, place: usize) -> Result<(u32, Test, bool, bool), String> {
        let feature = u32::try_from(self.features[place]).ok().filter(|f| *f < i32::MAX as u32).ok_or_else(|| {
            format!("{}: feature {} is out of range, expected 0 or more", self.name(place), self.features[place])
        })?;
        let value = self.values[place];
        // Less than v is at most the next float below v, which does not exist for the lowest.
        let below = || match value {
            f32::NEG_INFINITY => Err(format!("{}: nothing is less than -inf", self.name(place))),
            v => Ok(v.next_down()),
        };
        if value.is_nan() {
            return Err(format!("{}: its threshold is NaN", self.name(place)));
        }
        let (test, swap) = match self.modes[place].as_slice() {
            b"BRANCH_LEQ" => (Test::AtMost(value), false),
            b"BRANCH_LT" => (Test::AtMost(below()?), false),
            b"BRANCH_GT" => (Test::AtMost(value), true),
            b"BRANCH_GTE" => (Test::AtMost(below()?), true),
            b"BRANCH_EQ" => (Test::Equals(value), false),
            b"BRANCH_NEQ" => (Test::Equals(value), true),
            mode => {
                return Err(format!(
                    "{}: mode {} is unknown, expected LEAF or BRANCH_LEQ, LT, GTE, GT, EQ, NEQ",
                    self.name(place),
                    text(mode)
                ));
            }
        };
        let tracks_true = self.missing.get(place).is_some_and(|m| *m != 0);
        // NaN differs from everything, so NEQ is true of it whatever the flag says.
        let to_true = tracks_true || self.modes[place] == b"BRANCH_NEQ";
        Ok((feature, test, to_true != swap, swap))
    }
}

/// Each tree's id, number of nodes and root, in the order of first appearance, which is the order of adding up. The
/// root is the one node that is nobody's child.
fn roots(a: &Attributes, places: &Places) -> Result<Vec<(i64, usize, usize)>, String> {
    let mut parent: Vec<Option<usize>> = vec![None; a.modes.len()];
    for place in (0..a.modes.len()).filter(|p| !a.is_leaf(*p)) {
        for id in [a.yes[place], a.no[place]] {
            let child = a.child(places, place, id)?;
            if let Some(other) = parent[child].replace(place) {
                return Err(format!(
                    "{} is a child of both node {} and node {}",
                    a.name(child),
                    a.node_ids[other],
                    a.node_ids[place]
                ));
            }
        }
    }
    let mut order: Vec<(i64, usize, Option<usize>)> = Vec::new();
    let mut index: FxHashMap<i64, usize> = FxHashMap::default();
    for (place, parent) in parent.iter().enumerate() {
        let id = a.tree_ids[place];
        let at = *index.entry(id).or_insert_with(|| {
            order.push((id, 0, None));
            order.len() - 1
        });
        order[at].1 += 1;
        if parent.is_none()
            && let Some(other) = order[at].2.replace(place)
        {
            return Err(format!("tree {id} has two roots: node {} and node {}", a.node_ids[other], a.node_ids[place]));
        }
    }
    order
        .into_iter()
        .map(|(id, n, root)| root.map(|r| (id, n, r)).ok_or_else(|| format!("tree {id} is a cycle: it has no root")))
        .collect()
}

/// The nodes reachable from `root`, each once, since no node has two parents and the root has none.
fn preorder(a: &Attributes, places: &Places, weights: &FxHashMap<usize, f32>, root: usize) -> Result<Tree, String> {
    let mut nodes: Vec<Node> = Vec::new();
    // Places to visit, each with the split it is the right child of.
    let mut stack: Vec<(usize, Option<usize>)> = vec![(root, None)];
    while let Some((place, right_of)) = stack.pop() {
        let at = nodes.len();
        if let Some(Node::Split { right, .. }) = right_of.and_then(|i: usize| nodes.get_mut(i)) {
            *right = at as u32; // fits: the number of nodes was checked
        }
        if a.is_leaf(place) {
            nodes.push(Node::Leaf(weights.get(&place).copied().unwrap_or(0.0)));
            continue;
        }
        let (feature, test, missing_left, swap) = a.split(place)?;
        let (left, right) = if swap { (a.no[place], a.yes[place]) } else { (a.yes[place], a.no[place]) };
        nodes.push(Node::Split { feature, test, missing_left, right: 0 });
        stack.push((a.child(places, place, right)?, Some(at)));
        stack.push((a.child(places, place, left)?, None));
    }
    Ok(Tree { nodes })
}
