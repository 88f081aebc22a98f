//! Ensembles of decision trees: what LightGBM, XGBoost and scikit-learn become as ONNX.
//!
//! `parse` turns the attributes of an ONNX node into checked trees, an ensemble for each output; `picks` evaluates many rows
//! where the machine has vectors of 64 bytes, `bits` a tile of rows on any other and the fewer ones there, both without a
//! branch; `hop` walks several trees at once for the few rows that would leave a tile empty; `walk`, on the trees
//! themselves, is the plain reference and serves what the others cannot; `op` makes them an operator of the inference
//! engine. All give the same bits: they add the same leaves in the same order.

mod bits;
mod hop;
pub(crate) mod op;
mod parse;
#[cfg(target_arch = "x86_64")]
mod picks;
#[cfg(target_arch = "x86_64")]
mod ranks;
mod rows;
#[cfg(test)]
mod tests;

pub use rows::Column;
pub(crate) use rows::Rows;

use crate::kernels::rows::softmax;
use bits::BitTrees;
use hop::HopTrees;
#[cfg(target_arch = "x86_64")]
use picks::PickTrees;
use std::sync::Arc;
#[cfg(test)]
use tract_onnx::pb::NodeProto;

/// Up to so many rows are walked: a tile costs as much as this many, however empty it is.
const FEW: usize = 3;
/// From so many rows on picks are faster than bits.
#[cfg(target_arch = "x86_64")]
const MANY: usize = 33;

/// An ensemble with one target, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Ensemble {
    trees: Vec<Tree>,
    bits: Option<BitTrees>,
    #[cfg(target_arch = "x86_64")]
    picks: Option<PickTrees>,
    hop: Option<HopTrees>,
    features: usize,
    base: f32,
    /// 1 for a sum, the number of trees for an average.
    divisor: f32,
    logistic: bool,
}

/// What an operator computes: an ensemble for each output.
#[derive(Clone, Debug)]
pub(crate) struct Forest {
    pub(crate) ensembles: Vec<Arc<Ensemble>>,
    pub(crate) finish: Finish,
}

/// What becomes of the outputs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    AsIs,
    /// They sum to 1.
    Softmax,
    /// Of two classes one is computed; the first is 1 less the second.
    Complement,
    /// The first is the second with the other sign.
    Negative,
}

impl Forest {
    /// Numbers for each row.
    pub(crate) fn outputs(&self) -> usize {
        match self.finish {
            Finish::Complement | Finish::Negative => 2,
            Finish::AsIs | Finish::Softmax => self.ensembles.len(),
        }
    }

    /// Features a row must have at least.
    pub(crate) fn features(&self) -> usize {
        self.ensembles.iter().map(|ensemble| ensemble.features()).max().unwrap_or(0)
    }

    /// A row of outputs for each row, into `to`.
    ///
    /// # Panics
    /// As [`Ensemble::predict`].
    pub(crate) fn predict(&self, rows: &[f32], width: usize, to: &mut [f32]) {
        let outputs = self.outputs();
        if let ([ensemble], 1) = (&self.ensembles[..], outputs) {
            return ensemble.predict(rows, width, to);
        }
        let mut scores = vec![0.0; to.len() / outputs];
        for (i, ensemble) in self.ensembles.iter().enumerate() {
            ensemble.predict(rows, width, &mut scores);
            for (to, score) in to.chunks_exact_mut(outputs).zip(&scores) {
                match self.finish {
                    Finish::Complement => to.copy_from_slice(&[1.0 - score, *score]),
                    Finish::Negative => to.copy_from_slice(&[-score, *score]),
                    Finish::AsIs | Finish::Softmax => to[i] = *score,
                }
            }
        }
        if self.finish == Finish::Softmax {
            softmax(to, outputs);
        }
    }
}

/// A tree in preorder: node 0 is the root, the left child of a split is the node after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Node {
    /// Goes left where the test holds.
    Split {
        feature: u32,
        test: Test,
        /// Where NaN goes; it never satisfies the test itself.
        missing_left: bool,
        /// Place of the right child.
        right: u32,
    },
    /// Ends with this value.
    Leaf(f32),
}

/// The two comparisons every branch mode comes down to; see `parse`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    AtMost(f32),
    Equals(f32),
}

impl Tree {
    /// The value of the leaf `row` falls into. The row has every feature the tree asks for.
    fn walk(&self, row: &[f32]) -> f32 {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                Node::Leaf(value) => return value,
                Node::Split { feature, test, missing_left, right } => {
                    let x = row[feature as usize];
                    let holds = match test {
                        Test::AtMost(limit) => x <= limit,
                        Test::Equals(value) => x == value,
                    };
                    at = if holds || (missing_left && x.is_nan()) { at + 1 } else { right as usize };
                }
            }
        }
    }
}

impl Ensemble {
    /// Reads a `TreeEnsembleRegressor` node of one output.
    ///
    /// # Errors
    /// Says which tree and node are wrong: lengths that differ, ids that are not there or double, cycles, unknown
    /// modes, more than one target, anything in double precision.
    #[cfg(test)]
    pub(crate) fn from_node(node: &NodeProto) -> Result<Self, String> {
        let forest = parse::forest(node)?;
        let [ensemble] = &forest.ensembles[..] else { return Err("several outputs".into()) };
        Ok(Self::clone(ensemble))
    }

    /// `count` is the number of trees of all outputs together.
    fn new(trees: Vec<Tree>, count: usize, base: f32, average: bool, logistic: bool) -> Self {
        let features = trees.iter().flat_map(|t| &t.nodes).map(|n| match n {
            Node::Split { feature, .. } => *feature as usize + 1,
            Node::Leaf(_) => 0,
        });
        let features = features.max().unwrap_or(0);
        let divisor = if average { count as f32 } else { 1.0 };
        Self {
            bits: BitTrees::compile(&trees),
            #[cfg(target_arch = "x86_64")]
            picks: PickTrees::compile(&trees),
            hop: HopTrees::compile(&trees),
            trees,
            features,
            base,
            divisor,
            logistic,
        }
    }

    /// How many features a row must have at least: one more than the highest it asks for.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Number of trees.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// True when many rows are evaluated at once.
    #[must_use]
    pub fn vectorised(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.picks.is_some() {
            return true;
        }
        self.bits.is_some()
    }

    /// One score for each row of the row-major `rows`, `width` features a row, into `scores`. NaN is a missing value
    /// and goes where the trees send it.
    ///
    /// # Panics
    /// When `rows` is not `scores.len()` rows of `width`, or `width` is less than [`Self::features`]; the callers in
    /// this crate check both.
    pub fn predict(&self, rows: &[f32], width: usize, scores: &mut [f32]) {
        assert!(width >= self.features && rows.len() == width * scores.len(), "rows do not fit the ensemble");
        self.score(Rows::Matrix(rows, width), scores);
    }

    /// The same of columns, one for each feature: nothing is turned around, and what is the same for every row is compared
    /// once.
    ///
    /// # Panics
    /// When there are fewer columns than [`Self::features`], or one has not a value for each score.
    pub fn predict_columns(&self, columns: &[Column], scores: &mut [f32]) {
        let whole = |column: &Column| column.len().is_none_or(|len| len == scores.len());
        assert!(columns.len() >= self.features && columns.iter().all(whole), "columns do not fit the ensemble");
        self.score(Rows::Columns(columns), scores);
    }

    fn score(&self, rows: Rows, scores: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(picks) = &self.picks
            && (scores.len() >= MANY || self.bits.is_none())
        {
            picks.sum(rows, scores);
            return self.finish(scores);
        }
        match (&self.hop, &self.bits) {
            (Some(hop), _) if scores.len() <= FEW => hop.sum(&rows.matrix(scores.len()), rows.width(), scores),
            (_, Some(bits)) => bits.sum(rows, scores),
            (Some(hop), None) => hop.sum(&rows.matrix(scores.len()), rows.width(), scores),
            (None, None) => self.walk(&rows.matrix(scores.len()), rows.width(), scores),
        }
        self.finish(scores);
    }

    /// The sums of the leaves, row by row and tree by tree.
    fn walk(&self, rows: &[f32], width: usize, sums: &mut [f32]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let row = &rows[i * width..(i + 1) * width];
            *sum = self.trees.iter().fold(0.0, |sum, tree| sum + tree.walk(row));
        }
    }

    fn finish(&self, sums: &mut [f32]) {
        for sum in sums {
            *sum = *sum / self.divisor + self.base;
            if self.logistic {
                *sum = 1.0 / (1.0 + (-*sum).exp());
            }
        }
    }
}
