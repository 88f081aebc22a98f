//! The cart strategy: what completes a cart (the request's items).
//!
//! One shelf, ranked: bought in the same orders as the cart's items, following them, near them in the embedding space,
//! viewed with them; what trends fills up, and answers an empty cart. A model ranks where one is given: `anchor.*`
//! columns tell it how a candidate relates to the cart. Items of the cart are left out.
//!
//! Names of the sources: `bought_together`, `next_after`, `near`, `viewed_together`, `trending`.

use qianmian_sdk::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    model: Option<String>,
    space: Option<String>,
    keep: Option<String>,
    kinds: Kinds,
    title: String,
    sources: BTreeMap<String, u32>,
    weights: BTreeMap<String, f32>,
    spread: f32,
    per_category: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            model: None,
            space: None,
            keep: None,
            kinds: Kinds(vec![ItemKind::Product]),
            title: "Goes well with your cart".to_owned(),
            sources: BTreeMap::new(),
            weights: BTreeMap::new(),
            spread: 0.0,
            per_category: 0,
        }
    }
}

struct Cart;

impl Strategy for Cart {
    type Parameters = Parameters;
    const ABOUT: About = About {
        name: "cart",
        version: env!("CARGO_PKG_VERSION"),
        summary: "What completes a cart.",
        parameters_schema: include_str!("schema.json"),
        // Filters, models and spaces are parameters.
        needs: Needs {
            sources: &["bought-together", "next-after", "near-items", "viewed-together", "trending"],
            spaces: &["*"],
            models: &["*"],
            columns: &["*"],
            ..Needs::NOTHING
        },
    };

    fn compose(request: &Request, parameters: Parameters) -> Result<Page> {
        let mix = Mix::new()
            .with(Source::bought_together("bought_together", Basis::Items, 150), 1.0)
            .with(Source::next_after("next_after", Basis::Items, 80), 0.7)
            .near(parameters.space.as_deref(), |space| Source::near_items("near", space, 80), 0.6)
            .with(Source::viewed_together("viewed_together", Basis::Items, 60), 0.5)
            .with(Source::trending("trending", 50), 0.05)
            .tuned(&parameters.sources, &parameters.weights);
        let set = mix.retrieve(&parameters.kinds.0)?;
        set.without(&request.items);
        if let Some(keep) = &parameters.keep {
            set.keep(keep)?;
        }
        mix.rank(&set, parameters.model.as_deref())?;
        let diversity = Diversity {
            space: parameters.space.as_deref(),
            strength: parameters.spread,
            per_category: parameters.per_category,
        };
        diversity.apply(&set, request.limit)?;
        Ok(Page::new().shelf("cart", &parameters.title, set))
    }
}

qianmian_sdk::export!(Cart);

#[cfg(test)]
mod tests {
    use super::Parameters;

    #[test]
    fn everything_is_optional_and_nothing_is_guessed() {
        assert_eq!(serde_json::from_str::<Parameters>("{}").unwrap().spread, 0.0);
        assert!(serde_json::from_str::<Parameters>(r#"{"modle":"m"}"#).is_err());
    }
}
