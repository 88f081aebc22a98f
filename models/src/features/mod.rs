//! Features: from columns of the host to the numbers of a ranker's rows.
//!
//! A [`Feature`] in a manifest is the name of a column, or a [`Definition`] with a type and parameters. [`FeaturePlan`] checks
//! them all once and computes them column by column for a whole candidate set. Serving, explanations, exports for training and
//! the log of served features all call [`FeaturePlan::matrix`], so there is nothing that could differ between them.

mod agent;
mod check;
mod clock;
mod definition;
mod extract;
mod plan;
mod read;
mod table;
mod text;
mod visits;

pub(crate) use check::limits;
pub use check::{MOST_FEATURES, MOST_NUMBERS};
pub use definition::{
    AgentPart, Clock, Definition, Encode, Extractor, Interacted, Match, Measure, Missing, Pad, Scale, Unit,
};
pub use plan::FeaturePlan;
pub(crate) use plan::check_all;
pub use table::Table;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// One feature of a row: one number, or several side by side.
#[derive(Clone, Debug, PartialEq)]
pub enum Feature {
    /// A column of numbers (docs/columns.md), as it is; what is missing is NaN.
    Column(String),
    /// Something computed from columns.
    Defined(Box<Definition>),
}

impl From<&str> for Feature {
    fn from(column: &str) -> Self {
        Self::Column(column.to_owned())
    }
}

impl From<String> for Feature {
    fn from(column: String) -> Self {
        Self::Column(column)
    }
}

impl Serialize for Feature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Column(name) => serializer.serialize_str(name),
            Self::Defined(definition) => definition.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Feature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Feature;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or a definition with a type")
            }

            fn visit_str<E>(self, name: &str) -> Result<Feature, E> {
                Ok(Feature::from(name))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Feature, A::Error> {
                Definition::deserialize(MapAccessDeserializer::new(map)).map(|one| Feature::Defined(Box::new(one)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Feature {
    /// How many numbers of a row it is.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Column(_) => 1,
            Self::Defined(definition) => definition.width(),
        }
    }

    /// What it is called: the column, the name its author gave it, or one made of its type and column.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Column(name) => name.clone(),
            Self::Defined(definition) => definition.name(),
        }
    }

    /// The name of each of its numbers.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Column(name) => vec![name.clone()],
            Self::Defined(definition) => definition.names(),
        }
    }
}
