//! The parameters of the home strategy; `schema.json` tells people what they mean.

use qianmian_sdk::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    pub model: Option<String>,
    pub space: Option<String>,
    pub keep: Option<String>,
    pub kinds: Kinds,
    pub only_new: bool,
    pub flat: bool,
    pub sources: BTreeMap<String, u32>,
    pub weights: BTreeMap<String, f32>,
    pub spread: Option<f32>,
    pub per_category: Option<u32>,
    shelves: Option<Vec<ShelfSpec>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShelfSpec {
    pub id: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub from: From,
    pub kinds: Option<Kinds>,
    pub size: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    #[default]
    ForYou,
    BuyAgain,
    New,
    Trending,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            model: None,
            space: None,
            keep: None,
            kinds: Kinds(vec![ItemKind::Product]),
            only_new: false,
            flat: false,
            sources: BTreeMap::new(),
            weights: BTreeMap::new(),
            spread: None,
            per_category: None,
            shelves: None,
        }
    }
}

impl Parameters {
    /// The shelves to fill, in reading order.
    pub fn shelves(&self) -> Vec<ShelfSpec> {
        let shelf = |id: &str, title: &str, from, size| ShelfSpec {
            id: id.to_owned(),
            title: title.to_owned(),
            from,
            kinds: None,
            size,
        };
        if self.flat {
            return vec![shelf("items", "", From::ForYou, None)];
        }
        self.shelves.clone().unwrap_or_else(|| {
            vec![
                shelf("for-you", "For you", From::ForYou, None),
                shelf("buy-again", "Buy again", From::BuyAgain, Some(4)),
                shelf("new", "New", From::New, Some(4)),
            ]
        })
    }

    /// A flat list is ranked only, unless the parameters say otherwise.
    pub fn diversity(&self) -> Diversity<'_> {
        let has_space = self.space.is_some();
        let (strength, per_category) = match (self.flat, has_space) {
            (true, _) => (0.0, 0),
            (false, true) => (0.3, 0),
            (false, false) => (0.0, 4),
        };
        Diversity {
            space: self.space.as_deref(),
            strength: self.spread.unwrap_or(strength),
            per_category: self.per_category.unwrap_or(per_category),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{From, Parameters};

    #[test]
    fn everything_is_optional_and_nothing_is_guessed() {
        let parameters: Parameters = serde_json::from_str("{}").unwrap();
        assert_eq!(parameters.shelves().len(), 3);
        assert_eq!(parameters.diversity().per_category, 4);
        let flat: Parameters = serde_json::from_str(r#"{"flat":true,"space":"s","spread":0.2}"#).unwrap();
        assert_eq!(flat.shelves().len(), 1);
        assert_eq!((flat.diversity().strength, flat.diversity().per_category), (0.2, 0));
        let own: Parameters = serde_json::from_str(
            r#"{"shelves":[{"id":"offers","title":"Offers","kinds":["offer"],"size":2},{"id":"new","from":"new"}]}"#,
        )
        .unwrap();
        assert_eq!(own.shelves()[1].from, From::New);
        assert!(serde_json::from_str::<Parameters>(r#"{"modle":"m"}"#).is_err());
    }

    #[test]
    fn shelves_share_the_page() {
        let shelves = Parameters::default().shelves();
        assert_eq!(crate::order(&shelves).collect::<Vec<_>>(), [1, 2, 0]);
        let none = [None::<()>, None, None];
        assert_eq!(crate::size(&shelves, 1, 20, 0, &none), 4);
        assert_eq!(crate::size(&shelves, 0, 20, 8, &none), 12);
        // Half of a small page stays for the shelf without a size.
        assert_eq!(crate::size(&shelves, 2, 6, 3, &none), 0);
        assert_eq!(crate::size(&shelves, 0, 6, 3, &none), 3);
    }
}
