//! From a recommendation's answer to plain structs the templates print.

mod item;
mod shelves;

pub(super) use item::item;
pub(super) use shelves::{shared_items, shelves};

use super::visit::{Face, Lang, Visit};
use super::words;
use crate::recommend::Answer;
use item::{HUES, ItemView, hash, money};
use qianmian_core::TimeMs;
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
