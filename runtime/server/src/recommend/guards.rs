//! The host's last word: what business may not break is applied again after the strategy, and holes are filled.

use super::answer::{AnswerShelf, Removed, Served, Slot};
use super::ground::Ground;
use crate::scenario::Release;
use qianmian_core::{Candidates, DAY_MS, ItemKind, ItemRow, Page, RequestContext};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Guards for one request.
pub(super) struct Guards<'a> {
    ground: &'a dyn Ground,
    ctx: &'a RequestContext,
    release: &'a Release,
    forbidden: FxHashSet<ItemRow>,
}

impl<'a> Guards<'a> {
    pub fn new(ground: &'a dyn Ground, ctx: &'a RequestContext, release: &'a Release) -> Self {
        let forbidden = release.spec.blocked.iter().filter_map(|id| ground.row(id)).collect();
        Self { ground, ctx, release, forbidden }
    }

    /// Checks every slot of the page, in reading order, up to the limit.
    pub fn apply(&self, page: &Page) -> Served {
        let mut seen = FxHashSet::default();
        let mut removed = Vec::new();
        let mut shelves = Vec::with_capacity(page.shelves.len());
        let mut position = 0;
        for shelf in &page.shelves {
            let mut slots = Vec::with_capacity(shelf.slots.len());
            for (at, &row) in shelf.slots.rows().iter().enumerate() {
                if position >= self.ctx.request.limit {
                    break;
                }
                match self.check(row, &mut seen) {
                    Ok(item) => {
                        position += 1;
                        let copy = shelf.copies.get(at).filter(|text| !text.is_empty()).cloned();
                        slots.push(slot(&item, position, score(&shelf.slots, at), reasons(&shelf.slots, at), copy));
                    }
                    Err(reason) => removed.push(Removed { item: self.id(row), reason }),
                }
            }
            if !slots.is_empty() {
                shelves.push(AnswerShelf { id: shelf.id.clone(), title: shelf.title.clone(), slots });
            }
        }
        Served { shelves, removed }
    }

    /// Adds up to `missing` popular items to the last shelf; returns how many.
    pub fn backfill(&self, shelves: &mut Vec<AnswerShelf>, missing: usize) -> usize {
        let mut seen: FxHashSet<ItemRow> =
            shelves.iter().flat_map(|s| &s.slots).filter_map(|slot| self.ground.row(&slot.item)).collect();
        let mut position = shelves.iter().map(|s| s.slots.len()).sum::<usize>() as u32;
        let mut slots = Vec::new();
        for row in self.ground.popular(self.ctx, &self.release.fallback_kinds, missing + seen.len()) {
            if slots.len() == missing {
                break;
            }
            if !self.ctx.request.items.contains(&row)
                && let Ok(item) = self.check(row, &mut seen)
            {
                position += 1;
                slots.push(slot(&item, position, None, vec!["backfill".to_owned()], None));
            }
        }
        let added = slots.len();
        if added > 0 {
            match shelves.last_mut() {
                Some(shelf) => shelf.slots.extend(slots),
                None => shelves.push(AnswerShelf { id: "popular".to_owned(), title: String::new(), slots }),
            }
        }
        added
    }

    /// The item of a row that nothing speaks against.
    fn check(&self, row: ItemRow, seen: &mut FxHashSet<ItemRow>) -> Result<Item, String> {
        let item = self.ground.item(row).ok_or_else(|| "unknown_row".to_owned())?;
        self.ground.eligible(self.ctx, row)?;
        let against = if self.forbidden.contains(&row) {
            "blocked"
        } else if self.ctx.request.exclude.contains(&row) {
            "excluded"
        } else if self.rests(row) {
            "frequency_cap"
        } else if !seen.insert(row) {
            "duplicate"
        } else {
            return Ok(item);
        };
        Err(against.to_owned())
    }

    fn rests(&self, row: ItemRow) -> bool {
        let (Some(cap), Some(history)) = (self.release.spec.frequency_cap, self.ctx.visitor.items.get(&row)) else {
            return false;
        };
        history.impressions >= cap.impressions && self.ctx.now - history.last_impression < i64::from(cap.days) * DAY_MS
    }

    fn id(&self, row: ItemRow) -> String {
        self.ground.item(row).map_or_else(|| format!("row {}", row.0), |(id, _)| id.to_string())
    }
}

/// An id and a kind.
type Item = (Arc<str>, ItemKind);

fn slot((id, kind): &Item, position: u32, score: Option<f32>, reasons: Vec<String>, copy: Option<String>) -> Slot {
    Slot { position, item: id.to_string(), kind: kind.to_string(), score, reasons, copy, explain: None }
}

fn score(slots: &Candidates, at: usize) -> Option<f32> {
    slots.column("score").map(|scores| scores[at]).filter(|score| score.is_finite())
}

/// The sources that found it, the one that ranked it highest first.
fn reasons(slots: &Candidates, at: usize) -> Vec<String> {
    let rank = |name: &str| slots.column(&format!("source.{name}.rank")).map_or(f32::INFINITY, |ranks| ranks[at]);
    let mut found: Vec<(f32, &str)> = slots.sources_of(at).map(|name| (rank(name), &**name)).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}
