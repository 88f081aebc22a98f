//! What an ONNX file does not say of itself: what its tensors mean, and what it must answer.

use crate::ModelError;
use crate::drift::Histogram;
use crate::features::{Feature, check_all};
use crate::tensors::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Accompanies every model file, as JSON or TOML.
///
/// ```toml
/// name = "home-ranker"
/// kind = "ranker"
/// features = ["item.price", "history.similarity", "near.items"]
/// [golden]
/// rows = [[9.5, 0.2, nan]]
/// outputs = [[-1.25]]
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name strategies use.
    pub name: String,
    /// What it is for, which fixes its tensors.
    pub kind: Kind,
    /// Ranker: what makes a row, in the order the model was trained with: names of columns (docs/columns.md) that are
    /// numbers, a missing one handed over as NaN, and definitions (docs/features.md).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
    /// Ranker with several inputs: each with its features, instead of `features`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<Tensor>,
    /// Names of the file's inputs in the order the kind lists them. Empty: as they stand in the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Name of the output to read. Absent: the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Ranker: which number of a row of the output is the score, from 0, when there are several: 1 for the probability of
    /// the second class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Encoder: number of items in its input. Shorter histories are padded with 0 on the left, of longer ones the
    /// latest are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Encoder, scorer, and a ranker with features of ids: how item ids become the integers of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_ids: Option<ItemIds>,
    /// With `item_ids`: number of rows of the embedding table; integers run from 0 (padding) to one less. Absent:
    /// one more than the length of the list in `item_ids`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
    /// Encoder: the embedding space whose item vectors its output is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// Scorer: length of the visitor's vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
    /// Ranker: how the numbers of its rows, by their names, and its `score` were distributed when it was trained; drift is
    /// measured from there. Empty: from the first rows the version scores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reference: BTreeMap<String, Histogram>,
    /// Answers the model must give before it is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Features of candidates, f32 `[n, F]`, to one score each, `[n]` or `[n, 1]`.
    Ranker,
    /// A history of items, i64 `[1, length]`, oldest first, to a vector, f32 `[1, dimension]`.
    Encoder,
    /// A visitor's vector, f32 `[1, dimension]`, and candidates, i64 `[1, k]`, to scores, f32 `[1, k]`.
    Scorer,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ranker => "ranker",
            Self::Encoder => "encoder",
            Self::Scorer => "scorer",
        })
    }
}

/// How item ids become the integers of a model: `"numeric"`, or a list of ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ItemIds {
    /// By a rule.
    Rule(Rule),
    /// The id at place `i` of the list, from 0, is the integer `i + 1`; 0 is padding.
    List(Vec<String>),
}

/// The rules of [`ItemIds::Rule`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The id is a decimal number, and that number is the integer.
    Numeric,
}

/// Inputs with the outputs they must give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Ranker: rows of features, scorer: visitors' vectors. A missing number is null in JSON and nan in TOML.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Vec<Option<f32>>>,
    /// Encoder: histories, scorer: candidates; integers of the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<Vec<i64>>,
    /// One output for each case: a single score (ranker), a vector (encoder), a score for each candidate (scorer).
    pub outputs: Vec<Vec<f32>>,
    /// Allowed difference, relative to the larger of 1 and the expected value.
    #[serde(default = "default_tolerance")]
    pub tolerance: f32,
}

const fn default_tolerance() -> f32 {
    1e-5
}

impl Manifest {
    /// A manifest without anything optional.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            features: Vec::new(),
            tensors: Vec::new(),
            inputs: Vec::new(),
            output: None,
            column: None,
            length: None,
            item_ids: None,
            vocabulary: None,
            space: None,
            dimension: None,
            reference: BTreeMap::new(),
            golden: None,
        }
    }

    /// Reads and validates JSON.
    ///
    /// # Errors
    /// [`ModelError::ManifestSyntax`] and [`ModelError::Manifest`].
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        let manifest: Self = serde_json::from_str(text)
            .map_err(|e| ModelError::ManifestSyntax { format: "JSON", detail: e.to_string() })?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Reads and validates TOML.
    ///
    /// # Errors
    /// [`ModelError::ManifestSyntax`] and [`ModelError::Manifest`].
    pub fn from_toml(text: &str) -> Result<Self, ModelError> {
        let manifest: Self =
            toml::from_str(text).map_err(|e| ModelError::ManifestSyntax { format: "TOML", detail: e.to_string() })?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Number of embedding rows: `vocabulary`, or what the list in `item_ids` implies.
    #[must_use]
    pub fn rows(&self) -> Option<usize> {
        self.vocabulary.or(match &self.item_ids {
            Some(ItemIds::List(ids)) => Some(ids.len() + 1),
            _ => None,
        })
    }

    /// Checks that everything the kind needs is there and fits together.
    ///
    /// # Errors
    /// [`ModelError::Manifest`].
    pub fn validate(&self) -> Result<(), ModelError> {
        let wrong = |detail: String| Err(ModelError::Manifest { model: self.name.clone(), detail });
        if self.name.is_empty() {
            return wrong("name is empty: give the model a name".into());
        }
        match self.kind {
            Kind::Ranker => {
                if self.features.is_empty() && self.tensors.is_empty() {
                    return wrong("a ranker needs features: what its input is made of, in order".into());
                }
                if !self.features.is_empty() && !self.tensors.is_empty() {
                    return wrong("features are those of a single input: with tensors, each lists its own".into());
                }
                if let Some(empty) = self.tensors.iter().find(|tensor| tensor.features.is_empty()) {
                    return wrong(format!("tensor {:?} has no features", empty.name));
                }
                let outside = |tensor: &&Tensor| tensor.ids.is_some_and(|ids| ids.unknown >= ids.vocabulary);
                if let Some(tensor) = self.tensors.iter().find(outside) {
                    return wrong(format!("tensor {:?}: unknown is outside the vocabulary", tensor.name));
                }
                if let Err(detail) = check_all(self).and_then(|()| self.check_reference()) {
                    return wrong(detail);
                }
            }
            Kind::Encoder if self.length.is_none_or(|l| l == 0) => {
                return wrong("an encoder needs length: the number of items in its input, at least 1".into());
            }
            Kind::Scorer if self.dimension.is_none_or(|d| d == 0) => {
                return wrong("a scorer needs dimension: the length of the visitor's vector, at least 1".into());
            }
            Kind::Encoder | Kind::Scorer => {}
        }
        if self.kind != Kind::Ranker {
            if self.item_ids.is_none() {
                return wrong(format!("kind {} needs item_ids: \"numeric\" or a list of item ids", self.kind));
            }
            if self.rows().is_none() {
                return wrong(format!("kind {} needs vocabulary: its number of embedding rows", self.kind));
            }
        }
        match (self.rows(), &self.item_ids) {
            (Some(rows), Some(ItemIds::List(ids))) if ids.len() >= rows => {
                return wrong(format!(
                    "item_ids lists {} items but vocabulary {rows} has room for {}",
                    ids.len(),
                    rows.saturating_sub(1)
                ));
            }
            (Some(0), _) => return wrong("vocabulary is 0: it counts the padding, so it is at least 1".into()),
            _ => {}
        }
        self.golden.as_ref().map_or(Ok(()), |golden| self.validate_golden(golden))
    }

    fn check_reference(&self) -> Result<(), String> {
        if self.reference.is_empty() {
            return Ok(());
        }
        let mut known = rustc_hash::FxHashSet::from_iter(["score".to_owned()]);
        let tensors = self.tensors.iter().flat_map(|tensor| &tensor.features);
        known.extend(self.features.iter().chain(tensors).flat_map(Feature::names));
        for (name, histogram) in &self.reference {
            if !known.contains(name) {
                return Err(format!("reference.{name}: is no number of a row; \"score\" and names of features are"));
            }
            histogram.check().map_err(|detail| format!("reference.{name}: {detail}"))?;
        }
        if self.reference.contains_key("score") { Ok(()) } else { Err("reference: has no \"score\"".to_owned()) }
    }

    fn validate_golden(&self, golden: &Golden) -> Result<(), ModelError> {
        let wrong = |detail: String| Err(ModelError::Manifest { model: self.name.clone(), detail });
        let cases = golden.outputs.len();
        let (rows, ids) = match self.kind {
            Kind::Ranker => (cases, 0),
            Kind::Encoder => (0, cases),
            Kind::Scorer => (cases, cases),
        };
        if golden.rows.len() != rows || golden.ids.len() != ids {
            return wrong(format!(
                "golden of a {} with {cases} outputs needs {rows} rows and {ids} ids, it has {} and {}",
                self.kind,
                golden.rows.len(),
                golden.ids.len()
            ));
        }
        if golden.tolerance.is_nan() || golden.tolerance < 0.0 {
            return wrong(format!("golden tolerance is {}, expected a number that is not negative", golden.tolerance));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_json_and_toml_alike() {
        let json = Manifest::from_json(
            r#"{"name":"r","kind":"ranker","features":["item.price","near.s"],
                "golden":{"rows":[[1.5,null]],"outputs":[[0.25]]}}"#,
        )
        .unwrap();
        let toml = Manifest::from_toml(
            "name = 'r'\nkind = 'ranker'\nfeatures = ['item.price', 'near.s']\n\
             [golden]\nrows = [[1.5, nan]]\noutputs = [[0.25]]",
        )
        .unwrap();
        assert_eq!(json.features, toml.features);
        let (a, b) = (json.golden.unwrap(), toml.golden.unwrap());
        assert_eq!((a.rows[0][1], a.tolerance), (None, 1e-5));
        assert!(b.rows[0][1].unwrap().is_nan());
    }

    #[test]
    fn item_ids_are_a_rule_or_a_list() {
        let text = r#"{"name":"e","kind":"encoder","length":5,"space":"s","item_ids":"numeric","vocabulary":9}"#;
        let numeric = Manifest::from_json(text).unwrap();
        assert_eq!((numeric.item_ids.clone(), numeric.rows()), (Some(ItemIds::Rule(Rule::Numeric)), Some(9)));
        let list = Manifest::from_json(r#"{"name":"e","kind":"encoder","length":5,"item_ids":["a","b"]}"#).unwrap();
        assert_eq!(list.rows(), Some(3));
        assert_eq!(Manifest::from_json(&serde_json::to_string(&numeric).unwrap()).unwrap(), numeric);
    }

    #[test]
    fn says_what_is_missing() {
        for (text, part) in [
            (r#"{"name":"r","kind":"ranker"}"#, "needs features"),
            (r#"{"name":"r","kind":"ranker","features":["a","a"]}"#, "listed twice"),
            (r#"{"name":"","kind":"ranker","features":["a"]}"#, "name is empty"),
            (r#"{"name":"e","kind":"encoder"}"#, "needs length"),
            (r#"{"name":"e","kind":"encoder","length":3}"#, "needs item_ids"),
            (r#"{"name":"e","kind":"encoder","length":3,"item_ids":"numeric"}"#, "needs vocabulary"),
            (r#"{"name":"e","kind":"encoder","length":3,"item_ids":["a","b"],"vocabulary":2}"#, "has room for 1"),
            (r#"{"name":"s","kind":"scorer","item_ids":"numeric","vocabulary":2}"#, "needs dimension"),
            (r#"{"name":"r","kind":"ranker","features":["a"],"golden":{"outputs":[[1]]}}"#, "needs 1 rows"),
            (r#"{"name":"r","kind":"ranker","features":["a"],"fetaures":[]}"#, "unknown field"),
            (r#"{"name":"r","kind":"oracle"}"#, "unknown variant"),
        ] {
            let error = Manifest::from_json(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
