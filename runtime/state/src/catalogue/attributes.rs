//! The items' own attributes as columns of numbers, so that a ranker's features are gathered and not looked up.

use super::{Column, Item};
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::sync::Arc;

/// Names that get a column, in order of first appearance; what comes later is looked up in the records.
const COLUMNS: usize = 256;

/// Columns by name.
#[derive(Clone, Debug, Default)]
pub struct Attributes(Arc<FxHashMap<String, AttributeColumn>>);

#[derive(Clone, Debug, Default)]
struct AttributeColumn {
    /// NaN where there is no number; shorter than the catalogue when the last rows have none.
    numbers: Column<f32>,
    /// Rows whose value is a text.
    texts: usize,
}

impl Attributes {
    /// A number for each row, true as 1 and false as 0; NaN where there is none, and for rows past the end.
    /// `None` when some item has a text under this name, or the name has no column.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Option<&[f32]> {
        self.0.get(name).filter(|column| column.texts == 0).map(|column| column.numbers.as_slice())
    }

    /// Follows row `at` from one record to the next.
    pub(super) fn replace(&mut self, at: usize, before: &Item, after: &Item) {
        if before.attributes == after.attributes {
            return;
        }
        let columns = Arc::make_mut(&mut self.0);
        for (name, value) in &before.attributes {
            if let Some(column) = columns.get_mut(name)
                && !after.attributes.contains_key(name)
            {
                column.set(at, value, &Value::Null);
            }
        }
        for (name, value) in &after.attributes {
            if !columns.contains_key(name) && columns.len() < COLUMNS {
                columns.insert(name.clone(), AttributeColumn::default());
            }
            if let Some(column) = columns.get_mut(name) {
                column.set(at, before.attributes.get(name).unwrap_or(&Value::Null), value);
            }
        }
    }
}

impl AttributeColumn {
    fn set(&mut self, at: usize, before: &Value, after: &Value) {
        self.texts += usize::from(after.is_string());
        self.texts -= usize::from(before.is_string());
        let number = number(after);
        let old = self.numbers.get(at).copied().unwrap_or(f32::NAN);
        if old.to_bits() == number.to_bits() || (old.is_nan() && number.is_nan()) {
            return;
        }
        let numbers = Arc::make_mut(&mut self.numbers);
        if numbers.len() <= at {
            numbers.resize(at + 1, f32::NAN);
        }
        numbers[at] = number;
    }
}

/// What an attribute is as a number.
pub(crate) fn number(value: &Value) -> f32 {
    match value {
        Value::Number(number) => number.as_f64().map_or(f32::NAN, |v| v as f32),
        Value::Bool(flag) => f32::from(u8::from(*flag)),
        _ => f32::NAN,
    }
}
