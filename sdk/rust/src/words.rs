//! The words of parameters: kinds of items and of events, as the storefront's JSON writes them.

use crate::{EventKind, ItemKind};
use serde::de::{Deserialize, Deserializer, Error};

/// Kinds of items in parameters: `["product", "offer"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(pub Vec<ItemKind>);

/// Kinds of events in parameters: `["purchase", "cart"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventKinds(pub Vec<EventKind>);

const ITEMS: &[(&str, ItemKind)] = &[
    ("product", ItemKind::Product),
    ("content", ItemKind::Content),
    ("offer", ItemKind::Offer),
    ("copy", ItemKind::Copy),
    ("channel", ItemKind::Channel),
];

const EVENTS: &[(&str, EventKind)] = &[
    ("impression", EventKind::Impression),
    ("view", EventKind::View),
    ("click", EventKind::Click),
    ("cart", EventKind::Cart),
    ("purchase", EventKind::Purchase),
    ("rating", EventKind::Rating),
    ("search", EventKind::Search),
    ("custom", EventKind::Custom),
];

fn read<'de, D: Deserializer<'de>, T: Copy>(from: D, what: &str, known: &[(&str, T)]) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let find = |word: &String| {
        known.iter().find(|(name, _)| name == word).map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            D::Error::custom(format!("no kind of {what} is named {word:?}; known: {}", known.join(", ")))
        })
    };
    words.iter().map(find).collect()
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from, "item", ITEMS).map(Self)
    }
}

impl<'de> Deserialize<'de> for EventKinds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from, "event", EVENTS).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::{EventKinds, Kinds};
    use crate::{EventKind, ItemKind};

    #[test]
    fn kinds_are_read_by_name() {
        let kinds: Kinds = serde_json::from_str(r#"["product","copy"]"#).unwrap();
        assert_eq!(kinds.0, [ItemKind::Product, ItemKind::Copy]);
        let kinds: EventKinds = serde_json::from_str(r#"["purchase"]"#).unwrap();
        assert_eq!(kinds.0, [EventKind::Purchase]);
        let error = serde_json::from_str::<Kinds>(r#"["shoe"]"#).unwrap_err().to_string();
        assert!(error.starts_with(r#"no kind of item is named "shoe"; known: product"#), "{error}");
    }
}
