//! The content strategy: articles, and the products that belong beside them.
//!
//! Two shelves. `articles` holds content: near the visitor (or, with items in the request, near those), with the same
//! tags or category, viewed with it, trending, new. `products` holds what is sold: beside an article (the request's
//! items) what shares its tags and categories and what is near it, else what is near the visitor, goes with what they
//! had, or trends. Each shelf is ranked by its own model, or blended. The article itself is on neither. Where nothing
//! is known, what trends and what is new fill both.
//!
//! Names of the sources: `near`, `same_tag`, `same_category`, `viewed_together`, `trending`, `newest` of the articles;
//! `near`, `same_tag`, `same_category`, `bought_together`, `viewed_together`, `trending` of the products.

use qianmian_sdk::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    space: Option<String>,
    keep: Option<String>,
    articles: ShelfSpec,
    products: ShelfSpec,
    product_kinds: Kinds,
    spread: f32,
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
            articles: ShelfSpec::default(),
            products: ShelfSpec::default(),
            product_kinds: Kinds(vec![ItemKind::Product]),
            spread: 0.2,
        }
    }
}

struct Content;

impl Strategy for Content {
    type Parameters = Parameters;
    const ABOUT: About = About {
        name: "content",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Articles, and the products that belong beside them.",
        parameters_schema: include_str!("schema.json"),
        // Filters, models and spaces are parameters.
        needs: Needs { sources: &["*"], spaces: &["*"], models: &["*"], columns: &["*"], ..Needs::NOTHING },
    };

    fn compose(request: &Request, parameters: Parameters) -> Result<Page> {
        let (articles, products) = (&parameters.articles, &parameters.products);
        let space = parameters.space.as_deref();
        let basis = if request.items.is_empty() { Basis::History } else { Basis::Items };
        let mut page = Page::new();
        let stories = Mix::new()
            .near(space, |space| near(basis, space, 60), 1.0)
            .with(Source::same("same_tag", Attribute::Tag, 60), 0.8)
            .with(Source::same("same_category", Attribute::Category, 60), 0.6)
            .with(Source::viewed_together("viewed_together", basis, 60), 0.8)
            .with(Source::trending("trending", 40), 0.3)
            .with(Source::newest("newest", 30), 0.3);
        let size = articles.size.unwrap_or(request.limit.div_ceil(2)).min(request.limit);
        let set = fill(request, &parameters, stories, articles, &[ItemKind::Content], size, &page)?;
        page.push("articles", articles.title.as_deref().unwrap_or("Worth reading"), set, Vec::new());

        let goods = Mix::new()
            .near(space, |space| near(basis, space, 80), 1.0)
            .with(Source::same("same_tag", Attribute::Tag, 60), 0.8)
            .with(Source::same("same_category", Attribute::Category, 60), 0.8)
            .with(Source::bought_together("bought_together", basis, 60), 0.6)
            .with(Source::viewed_together("viewed_together", basis, 60), 0.6)
            .with(Source::trending("trending", 40), 0.2);
        let left = page.room(request.limit);
        let size = products.size.unwrap_or(left).min(left);
        let set = fill(request, &parameters, goods, products, &parameters.product_kinds.0, size, &page)?;
        page.push("products", products.title.as_deref().unwrap_or("Beside the story"), set, Vec::new());
        Ok(page)
    }
}

fn near(basis: Basis, space: &str, limit: u32) -> Source {
    match basis {
        Basis::Items => Source::near_items("near", space, limit),
        Basis::History => Source::near_visitor("near", space, limit),
    }
}

fn fill(
    request: &Request,
    parameters: &Parameters,
    mix: Mix,
    shelf: &ShelfSpec,
    kinds: &[ItemKind],
    size: u32,
    page: &Page,
) -> Result<Set> {
    let mix = mix.tuned(&shelf.sources, &shelf.weights);
    let set = mix.retrieve(kinds)?;
    set.without(&request.items);
    set.without(page.rows());
    if let Some(keep) = &parameters.keep {
        set.keep(keep)?;
    }
    mix.rank(&set, shelf.model.as_deref())?;
    let diversity = Diversity { space: parameters.space.as_deref(), strength: parameters.spread, per_category: 0 };
    diversity.apply(&set, size)?;
    Ok(set)
}

qianmian_sdk::export!(Content);

#[cfg(test)]
mod tests {
    use super::Parameters;

    #[test]
    fn everything_is_optional_and_nothing_is_guessed() {
        assert_eq!(serde_json::from_str::<Parameters>("{}").unwrap().spread, 0.2);
        assert!(serde_json::from_str::<Parameters>(r#"{"articles":{"modle":"m"}}"#).is_err());
    }
}
