//! Shelves and slots, each slot with its reason in words.

use super::item::{ItemView, item, short, titled};
use super::{Learned, Lookup};
use crate::recommend::Answer;
use crate::storefront::visit::{Lang, Visit};
use crate::storefront::words;
use qianmian_core::{DAY_MS, ItemKind};
use qianmian_state::Item;
use serde::Serialize;
use std::sync::Arc;

#[derive(Clone, Debug, Serialize)]
pub(in crate::storefront) struct SlotView {
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
pub(in crate::storefront) struct ShelfView {
    pub id: String,
    pub title: String,
    /// `goods`, `stories` or `offers`: what most of its slots are.
    pub layout: &'static str,
    pub slots: Vec<SlotView>,
}

pub(in crate::storefront) fn shelves(
    answer: &Answer,
    visit: &Visit,
    learned: &Learned,
    items: Lookup<'_>,
) -> Vec<ShelfView> {
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

/// How many items two pages share, of how many the shorter has.
#[derive(Clone, Debug, Serialize)]
pub(in crate::storefront) struct Shared {
    pub count: usize,
    pub of: usize,
}

pub(in crate::storefront) fn shared_items(left: &Answer, right: &Answer) -> Shared {
    let ids = |answer: &Answer| -> Vec<String> {
        answer.shelves.iter().flat_map(|s| s.slots.iter().map(|slot| slot.item.clone())).collect()
    };
    let (left, right) = (ids(left), ids(right));
    Shared { count: left.iter().filter(|id| right.contains(id)).count(), of: left.len().min(right.len()) }
}
