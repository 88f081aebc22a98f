//! A ranker with several inputs: which features make each, whose they are, and how a number becomes the id of a table.

use crate::features::Feature;
use crate::graph::Side;
use crate::program::Numbers;
use serde::{Deserialize, Serialize};

/// An input of a ranker.
///
/// ```toml
/// [[tensors]]
/// name = "user"
/// side = "visitor"
/// features = ["visitor.orders", "request.hour"]
/// [[tensors]]
/// name = "category_id"
/// features = ["item.attributes.category"]
/// ids = { vocabulary = 500, unknown = 0 }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    /// Its name in the file.
    pub name: String,
    /// Whose it is. A visitor's columns are the same for every candidate of a request: the first row is taken, and what
    /// depends on nothing else is computed once.
    #[serde(default)]
    pub side: Side,
    /// What makes a row, in the order the model was trained with. A single number may be an input of one dimension in the
    /// file.
    pub features: Vec<Feature>,
    /// The input is of integers: rows of an embedding table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Ids>,
}

impl Tensor {
    /// Numbers in a row.
    pub(crate) fn width(&self) -> usize {
        self.features.iter().map(Feature::width).fold(0, usize::saturating_add)
    }
}

/// How numbers become ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// Rows of the table: ids run from 0 to one less.
    pub vocabulary: usize,
    /// What a missing number, or one outside the table, becomes.
    #[serde(default)]
    pub unknown: usize,
}

impl Ids {
    /// The id of a number: rounded towards zero.
    fn of(self, number: f32) -> i64 {
        // A cast holds at the ends of the range, and NaN is 0: so both are asked for first.
        let inside = number >= 0.0 && f64::from(number) < self.vocabulary as f64;
        if inside { number as i64 } else { self.unknown as i64 }
    }
}

/// Numbers of an input.
#[derive(Debug)]
pub(crate) enum Owned {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

impl Owned {
    pub(crate) fn numbers(&self) -> Numbers<'_> {
        match self {
            Self::Floats(all) => Numbers::Floats(all),
            Self::Integers(all) => Numbers::Integers(all),
        }
    }
}

/// Cuts `n` rows of all features into the inputs, one after the other in each row.
pub(crate) fn cut(tensors: &[Tensor], features: &[f32], n: usize) -> Vec<Owned> {
    let width: usize = tensors.iter().map(Tensor::width).sum();
    let mut start = 0;
    let mut cut = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let columns = start..start + tensor.width();
        start = columns.end;
        let rows = if tensor.side == Side::Visitor { 1 } else { n };
        let numbers = features.chunks_exact(width.max(1)).take(rows).flat_map(|row| &row[columns.clone()]);
        cut.push(match tensor.ids {
            Some(ids) => Owned::Integers(numbers.map(|number| ids.of(*number)).collect()),
            None => Owned::Floats(numbers.copied().collect()),
        });
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_inputs() {
        let tensor = |side, features: &[&str], ids| Tensor {
            name: "t".into(),
            side,
            features: features.iter().map(|&f| f.into()).collect(),
            ids,
        };
        let ids = Some(Ids { vocabulary: 10, unknown: 3 });
        let tensors = [tensor(Side::Visitor, &["a"], None), tensor(Side::Candidate, &["b", "c"], ids)];
        let rows = [0.5, 9.9, f32::NAN, 0.5, 10.0, -1.0, 0.5, 0.0, f32::INFINITY];
        let cut = cut(&tensors, &rows, 3);
        assert!(matches!(&cut[0], Owned::Floats(all) if *all == [0.5]));
        assert!(matches!(&cut[1], Owned::Integers(all) if *all == [9, 3, 3, 3, 0, 3]), "{cut:?}");
    }
}
