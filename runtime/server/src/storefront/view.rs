//! From a recommendation's answer to plain structs the templates print.

use super::visit::{Face, Lang, Visit};
use super::words;
use crate::recommend::Answer;
use qianmian_core::{DAY_MS, ItemKind, TimeMs};
use qianmian_state::Item;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Finds an item by id.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<Arc<Item>>;

/// What the server knows of the visitor, for the page to show that it learned.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// Events folded so far.
    pub events: u32,
    /// Ids of items opened, put into the cart or bought, newest first, repeats allowed.
    pub recent: Vec<String>,
    /// The clock, milliseconds since 1970 UTC, for "3 days left".
    pub now: TimeMs,
}

/// An item as a card or a page shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ItemView {
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

#[derive(Clone, Debug, Serialize)]
pub(super) struct SlotView {
    pub item: ItemView,
    pub position: u32,
    /// Reason in words; empty without one.
    pub badge: String,
    /// Style of the badge: `history`, `people`, `hot`, `fresh`, `plain`.
    pub tone: &'static str,
    pub copy: Option<String>,
    /// Whole days until an offer ends.
    pub ends_in: Option<i64>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct ShelfView {
    pub id: String,
    pub title: String,
    /// `goods`, `stories` or `offers`: what most of its slots are.
    pub layout: &'static str,
    pub slots: Vec<SlotView>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct FaceView {
    pub id: String,
    pub name: String,
    pub about: String,
    pub initial: String,
    pub hue: u32,
    pub href: String,
    pub current: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Choice {
    pub id: String,
    pub name: String,
    pub href: String,
    pub current: bool,
}

/// What every page has around its content.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Page {
    pub lang: &'static str,
    pub t: BTreeMap<&'static str, &'static str>,
    pub visitor: String,
    pub channel: String,
    pub region: String,
    pub scenario: String,
    pub me: FaceView,
    pub faces: Vec<FaceView>,
    pub channels: Vec<Choice>,
    pub carried: Vec<(&'static str, String)>,
    pub personalised: bool,
    pub personalised_href: String,
    pub home_href: String,
    pub compare_href: String,
    pub lang_href: String,
    pub cart_href: String,
    pub cart_count: usize,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Profile {
    pub known: bool,
    pub interests: Vec<String>,
    pub recent: Vec<ItemView>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Footer {
    pub request_id: String,
    pub scenario: String,
    pub strategy: String,
    pub release: u64,
    pub took: String,
    pub degraded: Vec<String>,
    pub fallback: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CartView {
    pub lines: Vec<CartLine>,
    pub total: String,
    /// Ids and amounts of the order, as JSON lists for the script.
    pub ids: String,
    pub amounts: String,
    /// Where placing the order leads.
    pub done: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct CartLine {
    pub item: ItemView,
    pub remove: String,
}

/// How many items two pages share, of how many the shorter has.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shared {
    pub count: usize,
    pub of: usize,
}

pub(super) fn page(visit: &Visit, scenario: &str, faces: &[Face], channels: &[(String, String, String)]) -> Page {
    let other = faces.iter().find(|f| f.id != visit.id).map_or("u00002", |f| f.id.as_str());
    Page {
        lang: visit.lang.tag(),
        t: words::all(visit.lang),
        visitor: visit.id.clone(),
        channel: visit.channel.clone(),
        region: visit.region.clone(),
        scenario: scenario.to_owned(),
        me: me(visit, faces),
        faces: faces.iter().map(|f| face(f, visit, visit.seen_by(&f.id))).collect(),
        channels: channels
            .iter()
            .map(|(id, zh, en)| Choice {
                id: id.clone(),
                name: visit.lang.of(zh, en).clone(),
                href: visit.over(id),
                current: *id == visit.channel,
            })
            .collect(),
        carried: visit.carried(),
        personalised: visit.personalised,
        personalised_href: visit.with_personalised(!visit.personalised),
        home_href: visit.home(),
        compare_href: visit.compare(&visit.id, other),
        lang_href: visit.in_lang(visit.lang.of(Lang::En, Lang::Zh)),
        cart_href: visit.cart_link(),
        cart_count: visit.cart.len(),
    }
}

pub(super) fn face(face: &Face, visit: &Visit, href: String) -> FaceView {
    let name = visit.lang.of(&face.name.0, &face.name.1).clone();
    FaceView {
        initial: name.chars().next().map(String::from).unwrap_or_default(),
        hue: hash(&face.id) % HUES,
        about: visit.lang.of(&face.about.0, &face.about.1).clone(),
        current: face.id == visit.id,
        id: face.id.clone(),
        name,
        href,
    }
}

/// The visitor of the page: a known face, or just an id.
pub(super) fn me(visit: &Visit, faces: &[Face]) -> FaceView {
    faces.iter().find(|f| f.id == visit.id).map_or_else(
        || FaceView {
            id: visit.id.clone(),
            name: visit.id.clone(),
            about: visit.lang.of("访客", "Visitor").to_owned(),
            initial: visit.id.chars().next().map(String::from).unwrap_or_default(),
            hue: hash(&visit.id) % HUES,
            href: visit.home(),
            current: true,
        },
        |f| face(f, visit, visit.home()),
    )
}

pub(super) fn shelves(answer: &Answer, visit: &Visit, learned: &Learned, items: Lookup<'_>) -> Vec<ShelfView> {
    let recent: Vec<Arc<Item>> = if visit.personalised {
        learned.recent.iter().take(12).filter_map(|id| items(id)).collect()
    } else {
        Vec::new()
    };
    let mut shelves = Vec::with_capacity(answer.shelves.len());
    for shelf in &answer.shelves {
        let mut slots = Vec::with_capacity(shelf.slots.len());
        let mut counts = [0usize; 3];
        for slot in &shelf.slots {
            let Some(found) = items(&slot.item) else { continue };
            counts[match found.kind {
                ItemKind::Content => 1,
                ItemKind::Offer => 2,
                _ => 0,
            }] += 1;
            let (badge, tone) = badge(&slot.reasons, &found, &recent, visit.lang);
            let ends_in = found.valid_to.map(|end| (end - learned.now) / DAY_MS).filter(|days| (0..=30).contains(days));
            slots.push(SlotView {
                item: item(&found, visit, &visit.item_link(&found.id)),
                position: slot.position,
                badge,
                tone,
                copy: slot.copy.clone().filter(|c| !c.is_empty()),
                ends_in: ends_in.filter(|_| found.kind == ItemKind::Offer),
            });
        }
        if slots.is_empty() {
            continue;
        }
        let layout = match counts {
            [goods, stories, offers] if stories > goods && stories >= offers => "stories",
            [goods, _, offers] if offers > goods => "offers",
            _ => "goods",
        };
        shelves.push(ShelfView {
            title: words::shelf(&shelf.id, &shelf.title, visit.lang),
            id: shelf.id.clone(),
            layout,
            slots,
        });
    }
    shelves
}

/// The first reason in words; where it comes from the history, with the item opened before that is closest.
fn badge(reasons: &[String], found: &Item, recent: &[Arc<Item>], lang: Lang) -> (String, &'static str) {
    let Some(code) = reasons.first() else { return (String::new(), "plain") };
    let related = |other: &&Arc<Item>| {
        other.id != found.id
            && (other.categories.last().is_some_and(|c| found.categories.contains(c))
                || (other.kind != found.kind && other.tags.first().is_some_and(|t| found.tags.first() == Some(t))))
    };
    if words::from_history(code)
        && let Some(other) = recent.iter().find(related)
    {
        return (words::because(&short(&titled(other, lang).0, 18), lang), "history");
    }
    let tone = match code.as_str() {
        c if c.starts_with("bought") || c.starts_with("viewed") || c.starts_with("next") => "people",
        c if c.starts_with("trending") || c.starts_with("popular") => "hot",
        c if c.starts_with("new") || c.starts_with("explor") => "fresh",
        c if c.starts_with("near") || c.starts_with("buy_again") || c.starts_with("same") => "history",
        _ => "plain",
    };
    (words::reason(code, lang), tone)
}

/// The first characters with an ellipsis where something was cut; a Latin letter counts as half.
fn short(text: &str, most: usize) -> String {
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
fn titled(item: &Item, lang: Lang) -> (String, &'static str) {
    let english = item.attributes.get("title_en").and_then(|v| v.as_str()).filter(|t| !t.is_empty());
    match (lang, english) {
        (Lang::En, Some(english)) => (english.to_owned(), Lang::En.tag()),
        _ if item.title.is_empty() => (item.id.clone(), "und"),
        // A shop that is not bilingual has titles in a language we do not know.
        (_, None) => (item.title.clone(), "und"),
        (Lang::Zh, Some(_)) => (item.title.clone(), Lang::Zh.tag()),
    }
}

pub(super) fn item(item: &Item, visit: &Visit, href: &str) -> ItemView {
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
const HUES: u32 = 14;

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
fn hash(text: &str) -> u32 {
    let wide = text.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    wide ^ (wide >> 15)
}

/// An amount with its sign, thousands apart, no empty pennies.
fn money(amount: f32, currency: &str) -> String {
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

pub(super) fn profile(visit: &Visit, learned: &Learned, items: Lookup<'_>) -> Profile {
    if !visit.personalised {
        return Profile { known: true, interests: Vec::new(), recent: Vec::new() };
    }
    let mut recent: Vec<Arc<Item>> = Vec::new();
    let mut weights: Vec<(String, f32)> = Vec::new();
    for (age, id) in learned.recent.iter().take(40).enumerate() {
        let Some(found) = items(id) else { continue };
        for (rank, tag) in found.tags.iter().take(2).enumerate() {
            let weight = 1.0 / ((1.0 + age as f32 * 0.1) * (1.0 + rank as f32));
            match weights.iter_mut().find(|(known, _)| known == tag) {
                Some((_, sum)) => *sum += weight,
                None => weights.push((tag.clone(), weight)),
            }
        }
        if recent.len() < 6 && !recent.iter().any(|r| r.id == found.id) {
            recent.push(found);
        }
    }
    weights.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Profile {
        known: learned.events > 0,
        interests: weights.iter().take(4).map(|(tag, _)| words::tag(tag, visit.lang)).collect(),
        recent: recent.iter().map(|r| item(r, visit, &visit.item_link(&r.id))).collect(),
    }
}

pub(super) fn footer(answer: &Answer) -> Footer {
    Footer {
        request_id: answer.request_id.clone(),
        scenario: answer.scenario.clone(),
        strategy: format!("{} {}", answer.strategy.name, answer.strategy.version),
        release: answer.release,
        took: format!("{}.{:02} ms", answer.took_us / 1000, answer.took_us % 1000 / 10),
        degraded: answer.degraded.clone(),
        fallback: answer.fallback.as_ref().map(|f| f.code.clone()),
    }
}

pub(super) fn cart(visit: &Visit, items: Lookup<'_>) -> CartView {
    let found: Vec<Arc<Item>> = visit.cart.iter().filter_map(|id| items(id)).collect();
    let amounts: Vec<f32> = found.iter().map(|i| i.price.unwrap_or(0.0)).collect();
    let ids: Vec<&str> = found.iter().map(|i| i.id.as_str()).collect();
    CartView {
        total: money(amounts.iter().sum(), found.first().map_or("", |i| i.currency.as_str())),
        ids: serde_json::to_string(&ids).unwrap_or_default(),
        amounts: serde_json::to_string(&amounts).unwrap_or_default(),
        done: visit.emptied().home(),
        lines: found
            .iter()
            .map(|i| CartLine { item: item(i, visit, &visit.item_link(&i.id)), remove: visit.take_from_cart(&i.id) })
            .collect(),
    }
}

pub(super) fn shared_items(left: &Answer, right: &Answer) -> Shared {
    let ids = |answer: &Answer| -> Vec<String> {
        answer.shelves.iter().flat_map(|s| s.slots.iter().map(|slot| slot.item.clone())).collect()
    };
    let (left, right) = (ids(left), ids(right));
    Shared { count: left.iter().filter(|id| right.contains(id)).count(), of: left.len().min(right.len()) }
}
