//! Both evaluators against each other on random ensembles, and the parser against broken files.

use super::*;
use proptest::prelude::*;
use tract_onnx::pb::AttributeProto;

const FEATURES: u32 = 5;

/// Values that meet thresholds exactly, and everything odd a float can be.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => (-8i32..8).prop_map(|v| v as f32 / 2.0),
        1 => prop::sample::select(vec![-0.0, f32::MIN_POSITIVE, f32::INFINITY, f32::NEG_INFINITY, f32::MAX]),
        2 => Just(f32::NAN),
    ]
}

fn threshold() -> impl Strategy<Value = f32> {
    value().prop_filter("a threshold is a number", |v| !v.is_nan())
}

/// How a tree grows: each step splits a leaf.
#[derive(Clone, Debug)]
struct Step {
    leaf: prop::sample::Index,
    mode: usize,
    feature: u32,
    value: f32,
    missing: bool,
}

const MODES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE", "BRANCH_EQ", "BRANCH_NEQ"];

fn step(modes: usize) -> impl Strategy<Value = Step> {
    let value = threshold().prop_filter("nothing is less", |v| *v != f32::NEG_INFINITY);
    (any::<prop::sample::Index>(), 0..modes, 0..FEATURES, value, any::<bool>())
        .prop_map(|(leaf, mode, feature, value, missing)| Step { leaf, mode, feature, value, missing })
}

/// The arrays of an ONNX node, which tests spoil.
#[derive(Clone, Debug, Default)]
struct Arrays {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<String>,
    values: Vec<f32>,
    yes: Vec<i64>,
    no: Vec<i64>,
    missing: Vec<i64>,
    targets: Vec<(i64, i64, i64, f32)>,
}

impl Arrays {
    fn push(&mut self, tree: i64, node: i64) -> usize {
        self.trees.push(tree);
        self.nodes.push(node);
        self.features.push(0);
        self.modes.push("LEAF".into());
        self.values.push(0.0);
        self.yes.push(0);
        self.no.push(0);
        self.missing.push(0);
        self.trees.len() - 1
    }

    /// Grows a tree by splitting leaves; every leaf has a weight of its own.
    fn grow(&mut self, tree: i64, steps: &[Step]) {
        let mut leaves = vec![self.push(tree, 0)];
        let start = leaves[0];
        for step in steps {
            let at = leaves.swap_remove(step.leaf.index(leaves.len()));
            self.modes[at] = MODES[step.mode].into();
            self.features[at] = i64::from(step.feature);
            self.values[at] = step.value;
            self.missing[at] = i64::from(step.missing);
            for child in [&mut self.yes, &mut self.no] {
                child[at] = (self.trees.len() - start) as i64;
                let next = child[at];
                self.trees.push(tree);
                self.nodes.push(next);
            }
            // `push` for the two, whose ids are already there.
            for _ in 0..2 {
                self.features.push(0);
                self.modes.push("LEAF".into());
                self.values.push(0.0);
                self.missing.push(0);
                self.yes.push(0);
                self.no.push(0);
                leaves.push(self.modes.len() - 1);
            }
        }
        for leaf in leaves {
            let weight = 0.37 * (leaf as f32) - 3.0 * tree as f32;
            self.targets.push((tree, self.nodes[leaf], 0, weight));
        }
    }

    fn node(&self) -> NodeProto {
        let ints = |name: &str, v: &[i64]| attribute(name, |a| a.ints = v.to_vec());
        let floats = |name: &str, v: Vec<f32>| attribute(name, |a| a.floats = v.clone());
        let column = |f: fn(&(i64, i64, i64, f32)) -> i64| self.targets.iter().map(f).collect::<Vec<_>>();
        NodeProto {
            op_type: "TreeEnsembleRegressor".into(),
            attribute: vec![
                ints("nodes_treeids", &self.trees),
                ints("nodes_nodeids", &self.nodes),
                ints("nodes_featureids", &self.features),
                attribute("nodes_modes", |a| a.strings = self.modes.iter().map(|m| m.as_bytes().to_vec()).collect()),
                floats("nodes_values", self.values.clone()),
                ints("nodes_truenodeids", &self.yes),
                ints("nodes_falsenodeids", &self.no),
                ints("nodes_missing_value_tracks_true", &self.missing),
                ints("target_treeids", &column(|t| t.0)),
                ints("target_nodeids", &column(|t| t.1)),
                ints("target_ids", &column(|t| t.2)),
                floats("target_weights", self.targets.iter().map(|t| t.3).collect()),
            ],
            ..NodeProto::default()
        }
    }
}

fn attribute(name: &str, fill: impl FnOnce(&mut AttributeProto)) -> AttributeProto {
    let mut attribute = AttributeProto { name: name.into(), ..AttributeProto::default() };
    fill(&mut attribute);
    attribute
}

/// What the ONNX specification says, straight from the arrays.
fn reference(a: &Arrays, row: &[f32]) -> f32 {
    let mut trees = a.trees.clone();
    trees.dedup();
    let place = |tree: i64, node: i64| (0..a.trees.len()).find(|i| (a.trees[*i], a.nodes[*i]) == (tree, node)).unwrap();
    trees.iter().fold(0.0, |sum, tree| {
        let mut at = place(*tree, 0);
        while a.modes[at] != "LEAF" {
            let (x, v) = (row[a.features[at] as usize], a.values[at]);
            let holds = match a.modes[at].as_str() {
                "BRANCH_LEQ" => x <= v,
                "BRANCH_LT" => x < v,
                "BRANCH_GT" => x > v,
                "BRANCH_GTE" => x >= v,
                "BRANCH_EQ" => x == v,
                _ => x != v,
            };
            let yes = holds || (a.missing[at] != 0 && x.is_nan());
            at = place(*tree, if yes { a.yes[at] } else { a.no[at] });
        }
        sum + a.targets.iter().filter(|t| (t.0, t.1) == (*tree, a.nodes[at])).map(|t| t.3).sum::<f32>()
    })
}

fn check(a: &Arrays, rows: &[f32], vectorised: Option<bool>) -> Result<(), TestCaseError> {
    let ensemble = Ensemble::from_node(&a.node()).map_err(TestCaseError::fail)?;
    if let Some(expected) = vectorised {
        prop_assert_eq!(ensemble.vectorised(), expected);
    }
    let width = FEATURES as usize;
    let n = rows.len() / width;
    let (mut fast, mut slow) = (vec![0.0; n], vec![0.0; n]);
    ensemble.predict(rows, width, &mut fast);
    ensemble.walk(rows, width, &mut slow);
    if let Some(hop) = &ensemble.hop {
        hop.sum(rows, width, &mut fast);
        prop_assert_eq!(&fast, &slow);
        ensemble.predict(rows, width, &mut fast);
    }
    ensemble.finish(&mut slow);
    prop_assert_eq!(&fast, &slow);
    if let Some(bits) = &ensemble.bits {
        bits.sum_scalar(Rows::Matrix(rows, width), &mut fast);
        ensemble.finish(&mut fast);
        prop_assert_eq!(&fast, &slow);
        bits.sum(Rows::Matrix(rows, width), &mut fast);
        ensemble.finish(&mut fast);
        prop_assert_eq!(&fast, &slow);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(picks) = &ensemble.picks {
        picks.sum(Rows::Matrix(rows, width), &mut fast);
        ensemble.finish(&mut fast);
        prop_assert_eq!(&fast, &slow);
    }
    let turned: Vec<Vec<f32>> =
        (0..width).map(|feature| rows.iter().skip(feature).step_by(width).copied().collect()).collect();
    let columns: Vec<Column> = turned.iter().map(|values| Column::Each(values)).collect();
    ensemble.predict_columns(&columns, &mut fast);
    prop_assert_eq!(&fast, &slow);
    for (row, score) in rows.chunks_exact(width).zip(&slow) {
        prop_assert_eq!(reference(a, row), *score, "{:?}", row);
    }
    Ok(())
}

fn rows() -> impl Strategy<Value = Vec<f32>> {
    (0usize..75).prop_flat_map(|n| prop::collection::vec(value(), n * FEATURES as usize))
}

fn forest(modes: usize, splits: std::ops::Range<usize>) -> impl Strategy<Value = Arrays> {
    prop::collection::vec(prop::collection::vec(step(modes), splits), 1..5).prop_map(|trees| {
        let mut arrays = Arrays::default();
        for (tree, steps) in trees.iter().enumerate() {
            arrays.grow(tree as i64, steps);
        }
        arrays
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn evaluators_agree_on_small_trees(a in forest(4, 0..32), rows in rows()) {
        check(&a, &rows, Some(true))?;
    }

    /// More rows than a block holds, and a feature that is the same for all of them.
    #[test]
    fn evaluators_agree_on_many_rows(a in forest(6, 20..60), n in 65usize..700, odd in value(), seed in any::<u32>()) {
        let width = FEATURES as usize;
        let mut noise = seed;
        let mut rows: Vec<f32> = (0..n * width).map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if noise >> 28 == 0 { f32::NAN } else { (noise >> 20) as f32 / 256.0 - 8.0 }
        }).collect();
        rows.iter_mut().skip(1).step_by(width).for_each(|value| *value = odd);
        check(&a, &rows, None)?;
        let ensemble = Ensemble::from_node(&a.node()).map_err(TestCaseError::fail)?;
        let turned: Vec<Vec<f32>> =
            (0..width).map(|feature| rows.iter().skip(feature).step_by(width).copied().collect()).collect();
        let mut columns: Vec<Column> = turned.iter().map(|values| Column::Each(values)).collect();
        columns[1] = Column::Same(odd);
        let (mut fast, mut slow) = (vec![0.0; n], vec![0.0; n]);
        ensemble.predict_columns(&columns, &mut fast);
        ensemble.walk(&rows, width, &mut slow);
        ensemble.finish(&mut slow);
        prop_assert_eq!(&fast, &slow);
    }

    #[test]
    fn evaluators_agree_on_several_words(a in forest(4, 31..200), rows in rows()) {
        check(&a, &rows, Some(true))?;
    }

    #[test]
    fn every_mode_is_as_specified(a in forest(6, 0..60), rows in rows()) {
        check(&a, &rows, None)?;
    }

    #[test]
    fn large_trees_are_walked(a in forest(4, 256..300), rows in rows()) {
        check(&a, &rows, Some(false))?;
    }

    /// Whatever the arrays hold, reading them ends, and does not panic.
    #[test]
    fn noise_is_refused_or_read(
        trees in prop::collection::vec(0i64..3, 0..12),
        ids in prop::collection::vec(-1i64..8, 48),
        weights in prop::collection::vec((0i64..3, -1i64..6, 0i64..2, -1f32..1.0), 0..4),
    ) {
        let n = trees.len();
        let modes = ids.iter().map(|i| if i % 2 == 0 { "LEAF" } else { "BRANCH_LEQ" }.to_owned());
        let a = Arrays {
            nodes: ids[..n].to_vec(),
            features: ids[12..12 + n].to_vec(),
            modes: modes.take(n).collect(),
            values: vec![0.5; n],
            yes: ids[24..24 + n].to_vec(),
            no: ids[36..36 + n].to_vec(),
            missing: vec![],
            targets: weights,
            trees,
        };
        if let Ok(ensemble) = Ensemble::from_node(&a.node()) {
            let width = ensemble.features().max(1);
            ensemble.predict(&vec![1.0; 3 * width], width, &mut [0.0; 3]);
        }
    }
}

/// Root 0 with leaves 1 and 2.
fn stump() -> Arrays {
    let mut a = Arrays::default();
    let step = Step { leaf: any_index(), mode: 0, feature: 2, value: 0.5, missing: true };
    a.grow(0, &[step]);
    a
}

fn any_index() -> prop::sample::Index {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any::<prop::sample::Index>().new_tree(&mut runner).unwrap().current()
}

fn refused(spoil: impl FnOnce(&mut Arrays)) -> String {
    let mut a = stump();
    spoil(&mut a);
    Ensemble::from_node(&a.node()).unwrap_err()
}

/// One feature with more thresholds than a byte counts.
#[test]
fn many_thresholds_of_one_feature() {
    let mut a = Arrays::default();
    for tree in 0..60 {
        let step = |i: i32| Step {
            leaf: any_index(),
            mode: (i % 2) as usize,
            feature: (i % 2) as u32,
            value: (tree * 31 + i * 7) as f32 / 8.0,
            missing: (tree + i) % 3 == 0,
        };
        a.grow(i64::from(tree), &(0..30).map(step).collect::<Vec<_>>());
    }
    let rows: Vec<f32> = (0..500).flat_map(|i| [i as f32 / 2.0, 260.0 - i as f32, 0.0, f32::NAN, 1.0]).collect();
    check(&a, &rows, Some(true)).unwrap();
}

#[test]
fn says_what_is_wrong_with_a_tree() {
    for (error, part) in [
        (refused(|a| a.yes[0] = 0), "the others form a cycle"),
        // 0 has 1 and 2, 1 has 0 and 3.
        (
            refused(|a| {
                a.push(0, 3);
                a.modes[1] = "BRANCH_LEQ".into();
                (a.yes[1], a.no[1]) = (0, 3);
            }),
            "tree 0 is a cycle",
        ),
        (refused(|a| a.yes[0] = 9), "tree 0 node 0: its child 9 is not there"),
        (refused(|a| a.no[0] = 1), "node 1 is a child of both node 0 and node 0"),
        (refused(|a| a.nodes[2] = 1), "tree 0 has node 1 twice"),
        (refused(|a| a.modes[0] = "LEAF".into()), "two roots"),
        (refused(|a| a.modes[0] = "BRANCH_MEMBER".into()), "is unknown"),
        (refused(|a| a.features[0] = -1), "feature -1 is out of range"),
        (refused(|a| a.values[0] = f32::NAN), "threshold is NaN"),
        (refused(|a| a.missing.truncate(1)), "nodes_missing_value_tracks_true has 1 values, expected 3"),
        (refused(|a| a.values.truncate(2)), "nodes_values has 2 values, expected 3"),
        (refused(|a| a.targets[0].1 = 7), "no node 7"),
        (refused(|a| a.targets[0].2 = 1), "target_ids: 1 is out of range"),
        (refused(|a| *a = Arrays::default()), "no tree"),
        // 1 and 2 point at each other, beside a root that is a leaf.
        (
            refused(|a| {
                for at in 1..3 {
                    let leaf = a.push(0, 2 + at as i64);
                    a.modes[at] = "BRANCH_LEQ".into();
                    (a.yes[at], a.no[at]) = (3 - at as i64, a.nodes[leaf]);
                }
                a.modes[0] = "LEAF".into();
            }),
            "the others form a cycle",
        ),
    ] {
        assert!(error.contains(part), "expected {part:?} in {error:?}");
    }
}

#[test]
fn says_what_it_does_not_support() {
    for (extra, part) in [
        (attribute("n_targets", |a| a.i = 0), "1 to 64 outputs"),
        (attribute("aggregate_function", |a| a.s = b"MAX".to_vec()), "expected SUM or AVERAGE"),
        (attribute("post_transform", |a| a.s = b"PROBIT".to_vec()), "expected NONE, LOGISTIC or SOFTMAX"),
        (attribute("base_values", |a| a.floats = vec![0.0; 2]), "base_values has 2"),
        (attribute("nodes_values_as_tensor", |_| ()), "double precision"),
    ] {
        let mut node = stump().node();
        node.attribute.push(extra);
        let error = Ensemble::from_node(&node).unwrap_err();
        assert!(error.contains(part), "expected {part:?} in {error:?}");
    }
    let mut node = stump().node();
    node.attribute.retain(|a| a.name != "nodes_modes");
    assert_eq!(Ensemble::from_node(&node).unwrap_err(), "attribute nodes_modes is missing");
}

#[test]
fn aggregates_base_and_transform() {
    let mut a = stump();
    let step = Step { leaf: any_index(), mode: 0, feature: 0, value: 0.5, missing: false };
    a.grow(1, &[step]);
    for (target, weight) in a.targets.iter_mut().zip([1.0, 2.0, 4.0, 8.0]) {
        target.3 = weight;
    }
    let score = |extra: Vec<AttributeProto>| {
        let mut node = a.node();
        node.attribute.extend(extra);
        let mut score = [0.0];
        Ensemble::from_node(&node).unwrap().predict(&[0.0, 0.0, f32::NAN], 3, &mut score);
        score[0]
    };
    let base = || attribute("base_values", |a| a.floats = vec![0.5]);
    let average = || attribute("aggregate_function", |a| a.s = b"AVERAGE".to_vec());
    let logistic = || attribute("post_transform", |a| a.s = b"LOGISTIC".to_vec());
    assert_eq!(score(vec![]), 5.0);
    assert_eq!(score(vec![base()]), 5.5);
    assert_eq!(score(vec![base(), average()]), 3.0);
    assert!((score(vec![average(), logistic()]) - 0.924_141_8).abs() < 1e-6);
}
