//! What the demo mall sells: categories with brands, series, nouns and variants that multiply into products.

mod gear;
mod life;
mod telecom;
mod travel;

use super::themes::{Bi, Theme};

/// A thing with a base price and the themes it belongs to, strongest first.
pub(crate) struct Noun {
    pub name: Bi,
    /// CNY.
    pub price: f32,
    pub themes: &'static [Theme],
}

/// A size, capacity or colour.
pub(crate) struct Variant {
    pub name: Bi,
    /// Multiplies the price.
    pub factor: f32,
    /// What the product's tile says in large letters; may be empty.
    pub mark: &'static str,
}

/// A category.
pub(crate) struct Goods {
    /// General to particular, as in `luggage.carry-on`.
    pub slug: &'static str,
    pub name: Bi,
    /// How many of the full scale's 20,000 items.
    pub count: u32,
    pub brands: &'static [Bi],
    pub series: &'static [Bi],
    pub nouns: &'static [Noun],
    pub variants: &'static [Variant],
    /// One sentence about any product of the category.
    pub blurb: Bi,
    /// Digital goods have no stock to run out of.
    pub digital: bool,
    /// Bought again and again.
    pub repeat: bool,
    /// Categories that go with it, strongest first.
    pub with: &'static [&'static str],
}

const fn noun(zh: &'static str, en: &'static str, price: f32, themes: &'static [Theme]) -> Noun {
    Noun { name: (zh, en), price, themes }
}

const fn variant(zh: &'static str, en: &'static str, factor: f32, mark: &'static str) -> Variant {
    Variant { name: (zh, en), factor, mark }
}

/// Categories made from tables. Flights, hotels and roaming are made from [`super::places`].
pub(crate) fn tables() -> impl Iterator<Item = &'static Goods> {
    travel::GOODS.iter().chain(gear::GOODS).chain(telecom::GOODS).chain(life::GOODS)
}

/// Categories made from places; their tables hold brands, variants and words only.
pub(crate) use travel::{DOMESTIC_FLIGHTS, ESIM, HOTELS, INTERNATIONAL_FLIGHTS, ROAMING};
