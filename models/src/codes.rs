//! Item ids as the integers of a model.

use crate::ModelError;
use crate::manifest::{ItemIds, Manifest, Rule};
use rustc_hash::FxHashMap;

/// How a manifest's `item_ids` turn an id into an integer, with the list in a hash map that is built once.
#[derive(Debug)]
pub struct ItemCodes {
    rule: Option<Rule>,
    listed: FxHashMap<String, i64>,
    /// Rows of the table: integers run from 1 to one less.
    rows: i64,
}

impl ItemCodes {
    /// Those of a manifest; `None` when it has no `item_ids`.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] when the list has an item twice.
    pub fn of(manifest: &Manifest) -> Result<Option<Self>, ModelError> {
        let Some(ids) = &manifest.item_ids else { return Ok(None) };
        let rows = manifest.rows().and_then(|rows| i64::try_from(rows).ok()).unwrap_or(0);
        let (rule, listed) = match ids {
            ItemIds::Rule(rule) => (Some(*rule), FxHashMap::default()),
            ItemIds::List(ids) => {
                let listed: FxHashMap<String, i64> = ids.iter().cloned().zip(1..).collect();
                if listed.len() < ids.len() {
                    let (model, detail) = (manifest.name.clone(), "item_ids lists an item twice".to_owned());
                    return Err(ModelError::Manifest { model, detail });
                }
                (None, listed)
            }
        };
        Ok(Some(Self { rule, listed, rows }))
    }

    /// The integer an item id stands for, from 1, or `None` when the model does not know the item.
    #[must_use]
    pub fn code(&self, item: &str) -> Option<i64> {
        let code = match self.rule {
            Some(Rule::Numeric) => item.parse().ok()?,
            None => *self.listed.get(item)?,
        };
        (code > 0 && code < self.rows).then_some(code)
    }
}
