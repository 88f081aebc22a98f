//! The product strategy: beside one product (the request's items), what could be taken instead and what goes with it.
//!
//! Two shelves. `similar`: near it in the embedding space, viewed with it, of its category and brand. `complements`:
//! bought in the same orders, or after it. What goes with it is scarcer, so it chooses first; slots it cannot fill go
//! to the similar ones. Each shelf is ranked by its own model, or blended. The product itself is on neither. Without a
//! product in the request there is one shelf of what trends.
//!
//! Names of the sources: `near`, `viewed_together`, `same_category`, `same_brand`, `trending` of the similar ones;
//! `bought_together`, `next_after` of the complements.

use qianmian_sdk::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    space: Option<String>,
    keep: Option<String>,
    kinds: Kinds,
    similar: ShelfSpec,
    complements: ShelfSpec,
    per_brand: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ShelfSpec {
    title: Option<String>,
    model: Option<String>,
    size: Option<u32>,
    sources: BTreeMap<String, u32>,
    weights: BTreeMap<String, f32>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            space: None,
            keep: None,
            kinds: Kinds(vec![ItemKind::Product]),
            similar: ShelfSpec::default(),
            complements: ShelfSpec::default(),
            per_brand: 0,
        }
    }
}

struct Product;

impl Strategy for Product {
    type Parameters = Parameters;
    const ABOUT: About = About {
        name: "product",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Beside one product: similar ones and complements.",
        parameters_schema: include_str!("schema.json"),
        // Filters, models and spaces are parameters.
        needs: Needs { sources: &["*"], spaces: &["*"], models: &["*"], columns: &["*"], ..Needs::NOTHING },
    };

    fn compose(request: &Request, parameters: Parameters) -> Result<Page> {
        if request.items.is_empty() {
            let mix = Mix::new().with(Source::trending("trending", 100), 1.0).with(Source::newest("newest", 50), 0.2);
            let popular = ShelfSpec { size: Some(request.limit), ..ShelfSpec::default() };
            let set = fill(request, &parameters, &mix, &popular, &[])?;
            set.take(request.limit);
            return Ok(Page::new().shelf("popular", "Popular", set));
        }
        let (similar, complements) = (&parameters.similar, &parameters.complements);
        let goes_with = fill(request, &parameters, &complements_mix(), complements, &[])?;
        goes_with.take(complements.size.unwrap_or(request.limit / 2).min(request.limit));
        let taken = goes_with.rows();
        let alike = fill(request, &parameters, &similar_mix(parameters.space.as_deref()), similar, &taken)?;
        let left = request.limit - taken.len() as u32;
        alike.take(similar.size.unwrap_or(left).min(left));
        Ok(Page::new().shelf("similar", similar.title.as_deref().unwrap_or("Similar"), alike).shelf(
            "complements",
            complements.title.as_deref().unwrap_or("Goes well with it"),
            goes_with,
        ))
    }
}

fn similar_mix(space: Option<&str>) -> Mix {
    Mix::new()
        .near(space, |space| Source::near_items("near", space, 60), 1.0)
        .with(Source::viewed_together("viewed_together", Basis::Items, 60), 1.0)
        .with(Source::same("same_category", Attribute::Category, 60), 0.5)
        .with(Source::same("same_brand", Attribute::Brand, 30), 0.3)
        .with(Source::trending("trending", 30), 0.05)
}

fn complements_mix() -> Mix {
    Mix::new()
        .with(Source::bought_together("bought_together", Basis::Items, 80), 1.0)
        .with(Source::next_after("next_after", Basis::Items, 60), 0.8)
}

/// A ranked set without the request's items and without `taken`.
fn fill(request: &Request, parameters: &Parameters, mix: &Mix, shelf: &ShelfSpec, taken: &[Row]) -> Result<Set> {
    let mix = mix.clone().tuned(&shelf.sources, &shelf.weights);
    let set = mix.retrieve(&parameters.kinds.0)?;
    set.without(&request.items);
    set.without(taken);
    if let Some(keep) = &parameters.keep {
        set.keep(keep)?;
    }
    mix.rank(&set, shelf.model.as_deref())?;
    if parameters.per_brand > 0 {
        set.cap("item.brand", parameters.per_brand, Overflow::Last)?;
    }
    Ok(set)
}

qianmian_sdk::export!(Product);

#[cfg(test)]
mod tests {
    use super::Parameters;

    #[test]
    fn everything_is_optional_and_nothing_is_guessed() {
        assert!(serde_json::from_str::<Parameters>("{}").unwrap().similar.size.is_none());
        assert!(serde_json::from_str::<Parameters>(r#"{"similar":{"modle":"m"}}"#).is_err());
    }
}
