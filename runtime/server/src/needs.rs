//! What a strategy needs and what a scenario allows it, as JSON.

use qianmian_host::Needs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Lists of names, or of beginnings of names before a `*`. In a scenario a list left out allows everything of its sort,
/// and an empty one nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NeedsSpec {
    /// Kinds of sources: near-visitor, near-items, bought-together, viewed-together, next-after, buy-again, trending,
    /// newest, same, listed, exploration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    /// Embedding spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spaces: Option<Vec<String>>,
    /// Models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// Visitor attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Vec<String>>,
    /// Visitor tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The visitor's recent interactions and number of orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<bool>,
}

impl NeedsSpec {
    /// What it allows.
    #[must_use]
    pub fn allowed(&self) -> Needs {
        let all = Needs::everything();
        let list = |given: &Option<Vec<String>>, all: Vec<String>| given.clone().unwrap_or(all);
        Needs {
            sources: list(&self.sources, all.sources),
            spaces: list(&self.spaces, all.spaces),
            models: list(&self.models, all.models),
            columns: list(&self.columns, all.columns),
            attributes: list(&self.attributes, all.attributes),
            tags: list(&self.tags, all.tags),
            history: self.history.unwrap_or(true),
        }
    }
}

impl From<&Needs> for NeedsSpec {
    fn from(needs: &Needs) -> Self {
        let Needs { sources, spaces, models, columns, attributes, tags, history } = needs.clone();
        Self {
            sources: Some(sources),
            spaces: Some(spaces),
            models: Some(models),
            columns: Some(columns),
            attributes: Some(attributes),
            tags: Some(tags),
            history: Some(history),
        }
    }
}
