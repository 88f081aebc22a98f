//! An item as a card or a page shows it: words in the page's language, price, tile.

use crate::storefront::visit::{Lang, Visit};
use crate::storefront::words;
use qianmian_core::ItemKind;
use qianmian_state::Item;
use serde::Serialize;

/// An item as a card or a page shows it.
#[derive(Clone, Debug, Serialize)]
pub(in crate::storefront) struct ItemView {
    pub id: String,
    pub kind: &'static str,
    pub title: String,
    /// The language `title` and `text` are really in.
    pub lang: &'static str,
    pub text: String,
    pub brand: String,
    pub category: String,
    pub price: Option<String>,
    pub list_price: Option<String>,
    /// The bare number, for events.
    pub amount: Option<f32>,
    pub rating: Option<String>,
    pub miles: Option<i64>,
    pub minutes: Option<i64>,
    pub threshold: Option<i64>,
    pub tags: Vec<String>,
    /// Large letters on the tile; may be empty.
    pub mark: String,
    /// Symbol of the sprite.
    pub icon: &'static str,
    /// Colour of the tile, 0 to 13.
    pub hue: u32,
    /// Pattern of the tile, 0 to 4.
    pub pattern: u32,
    pub sold_out: bool,
    /// Units left when that is worth saying.
    pub left: Option<i64>,
    pub href: String,
}

/// The first characters with an ellipsis where something was cut; a Latin letter counts as half.
pub(super) fn short(text: &str, most: usize) -> String {
    let mut width = 0;
    for (at, c) in text.char_indices() {
        width += if c.is_ascii() { 1 } else { 2 };
        if width > most * 2 {
            return format!("{}…", text[..at].trim_end());
        }
    }
    text.to_owned()
}

/// Title and the language it is in.
pub(super) fn titled(item: &Item, lang: Lang) -> (String, &'static str) {
    let english = item.attributes.get("title_en").and_then(|v| v.as_str()).filter(|t| !t.is_empty());
    match (lang, english) {
        (Lang::En, Some(english)) => (english.to_owned(), Lang::En.tag()),
        _ if item.title.is_empty() => (item.id.clone(), "und"),
        // A shop that is not bilingual has titles in a language we do not know.
        (_, None) => (item.title.clone(), "und"),
        (Lang::Zh, Some(_)) => (item.title.clone(), Lang::Zh.tag()),
    }
}

pub(in crate::storefront) fn item(item: &Item, visit: &Visit, href: &str) -> ItemView {
    let lang = visit.lang;
    let text_of = |zh: &str, en: &str| {
        let name = lang.of(zh, en);
        item.attributes.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned()
    };
    let number = |name: &str| item.attributes.get(name).and_then(serde_json::Value::as_f64);
    let (title, title_lang) = titled(item, lang);
    let category = item.categories.last().map_or("", String::as_str);
    let (icon, hue) = picture(item.kind, &item.categories);
    let english_text = text_of("", "text_en");
    let brand_en = text_of("", "brand_en");
    ItemView {
        kind: item.kind.as_str(),
        title,
        lang: title_lang,
        text: if english_text.is_empty() { item.text.clone() } else { english_text },
        brand: if brand_en.is_empty() { item.brand.clone() } else { brand_en },
        category: Some(text_of("category_zh", "category_en"))
            .filter(|c| !c.is_empty())
            .unwrap_or_else(|| category.to_owned()),
        price: item.price.map(|p| money(p, &item.currency)),
        list_price: number("list_price")
            .filter(|&l| item.price.is_some_and(|p| l > f64::from(p)))
            .map(|l| money(l as f32, &item.currency)),
        amount: item.price,
        rating: number("rating").map(|r| format!("{r:.1}")),
        miles: number("miles").map(|m| m as i64),
        minutes: number("minutes").map(|m| m as i64),
        threshold: number("threshold").map(|t| t as i64),
        tags: item.tags.iter().take(4).map(|t| words::tag(t, lang)).collect(),
        mark: Some(text_of("mark", "mark_en")).filter(|m| !m.is_empty()).unwrap_or_else(|| text_of("mark", "mark")),
        icon,
        hue: hue.unwrap_or_else(|| hash(category) % HUES),
        pattern: hash(&item.id) % 5,
        sold_out: item.stock.sellable == Some(0),
        left: item.stock.sellable.filter(|left| (1..=5).contains(left)),
        id: item.id.clone(),
        href: href.to_owned(),
    }
}

/// Colours a tile can have (classes `h0` to `h13` of the style sheet).
pub(super) const HUES: u32 = 14;

/// Symbol and colour by category, the most particular known one first.
fn picture(kind: ItemKind, categories: &[String]) -> (&'static str, Option<u32>) {
    for category in categories.iter().rev() {
        let (icon, hue) = match category.as_str() {
            "flights" => ("plane", 0),
            "service.lounge" => ("sofa", 10),
            "service" => ("seat", 3),
            "hotels" => ("bed", 1),
            "tours" => ("ticket", 7),
            "giftcards" => ("gift", 11),
            "miles" => ("star", 5),
            "luggage.backpacks" => ("pack", 9),
            "luggage" => ("case", 2),
            "gear.organisers" => ("pack", 3),
            "gear" => ("moon", 4),
            "outdoor" => ("tent", 8),
            "beach" => ("wave", 6),
            "kids" => ("balloon", 12),
            "photo" => ("camera", 13),
            "accessories.power" => ("plug", 3),
            "accessories" => ("shell", 10),
            "roaming" => ("globe", 6),
            "plans" => ("sim", 4),
            "home.network" => ("wifi", 5),
            "home" => ("house", 9),
            "handsets" => ("phone", 5),
            "tablets" => ("laptop", 2),
            "audio" => ("headphones", 13),
            "gaming" => ("pad", 4),
            "wearables" => ("watch", 3),
            "beauty.makeup" => ("lipstick", 10),
            "beauty" => ("drop", 12),
            "food.wine" => ("glass", 11),
            "food" => ("bowl", 7),
            "stories" => ("book", 1),
            _ => continue,
        };
        return (icon, Some(hue));
    }
    match kind {
        ItemKind::Content => ("book", Some(1)),
        ItemKind::Offer => ("gift", Some(11)),
        ItemKind::Copy => ("quote", None),
        ItemKind::Channel => ("phone", None),
        ItemKind::Product => ("box", None),
    }
}

/// FNV-1a, folded: the same on every machine.
pub(super) fn hash(text: &str) -> u32 {
    let wide = text.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    wide ^ (wide >> 15)
}

/// An amount with its sign, thousands apart, no empty pennies.
pub(super) fn money(amount: f32, currency: &str) -> String {
    let cents = (f64::from(amount) * 100.0).round() as i64;
    let (whole, rest) = (cents / 100, cents % 100);
    let digits = whole.to_string();
    let mut grouped = String::with_capacity(digits.len() + 4);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest % 10 != 0 {
        grouped.push_str(&format!(".{rest:02}"));
    } else if rest != 0 {
        grouped.push_str(&format!(".{}", rest / 10));
    }
    match currency {
        "CNY" | "JPY" => format!("¥{grouped}"),
        "GBP" => format!("£{grouped}"),
        "EUR" => format!("€{grouped}"),
        "USD" => format!("${grouped}"),
        "" => grouped,
        other => format!("{other} {grouped}"),
    }
}
