//! What the members of segments do: what is trending among them, and counts of items as over a channel.
//!
//! Made of profiles as they are now, beside the folding, so that nothing of it need be kept: a start makes it anew.

use crate::fold::trends::{self, ENOUGH_EVENTS, Trend, TrendList};
use crate::fold::{Folds, ItemCounts};
use qianmian_core::{DAY_MS, ItemRow, TimeMs, Visitor};
use rustc_hash::FxHashMap;
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Order};

/// Members of a segment that are looked at, evenly spread; fewer where all segments would need more looks than that.
const MEMBERS: usize = 20_000;
const LOOKS: usize = 1_000_000;
/// Members in memory at a time.
const PORTION: usize = 1_024;
/// Interactions of so many days make trending lists.
const TREND_DAYS: TimeMs = 28;
/// Items of a segment that are counted: those of most interest to it.
const ITEMS: usize = 5_000;
/// Interest that everybody's share of it is worth in a lift: that of one order.
const PRIOR: f64 = 5.0;

/// What the members of one segment do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members {
    /// Trending lists by kind, all kinds last.
    pub lists: [TrendList; 6],
    /// Interactions the lists are made of.
    pub events: u32,
    size: u64,
    looked_at: u64,
    /// Ascending by row.
    items: Box<[(u32, ItemCounts)]>,
    /// Interest over all items.
    interest: f64,
}

/// What the members of all segments do, as of one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllMembers {
    as_of: TimeMs,
    by_name: FxHashMap<Arc<str>, Members>,
}

/// How items of a segment are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOrder {
    /// By the interest of its members.
    Interest,
    /// By how much more of it they have than everybody.
    Lift,
}

/// An item among the members of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentItem {
    /// The item.
    pub row: ItemRow,
    /// What members did with it.
    pub counts: ItemCounts,
    /// The interest in that: a view or click 1, a cart 3, an order 5.
    pub interest: f64,
    /// That over what it would be if members were like everybody, both with one order added.
    pub lift: f64,
}

/// Items among the members of a segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentItems {
    /// When they were counted.
    pub as_of: TimeMs,
    /// Members there were.
    pub members: u64,
    /// Members looked at.
    pub looked_at: u64,
    /// In the order asked for.
    pub items: Vec<SegmentItem>,
}

impl AllMembers {
    /// Of the first of these segments whose members did enough lately.
    pub fn of(&self, segments: &[Arc<str>]) -> Option<&Members> {
        segments.iter().filter_map(|name| self.by_name.get(name)).find(|members| members.events >= ENOUGH_EVENTS)
    }

    /// Of one segment; `None` before it was looked at.
    pub fn named(&self, segment: &str) -> Option<&Members> {
        self.by_name.get(segment)
    }
}

impl Members {
    /// What they did with an item.
    pub fn counts(&self, row: u32) -> ItemCounts {
        let at = self.items.binary_search_by_key(&row, |(row, _)| *row);
        at.map(|at| self.items[at].1).unwrap_or_default()
    }

    fn add(&mut self, visitor: &Visitor, since: TimeMs, trend: &mut Trend, items: &mut FxHashMap<u32, ItemCounts>) {
        self.looked_at += 1;
        for seen in visitor.recent.iter().take_while(|seen| seen.time >= since) {
            let weight = trends::interest(seen.kind);
            if weight > 0.0 {
                trend.add(&[seen.item.0], weight, seen.time);
            }
        }
        for (row, history) in &visitor.items {
            let counts = items.entry(row.0).or_default();
            counts.impressions = counts.impressions.saturating_add(history.impressions);
            counts.views = counts.views.saturating_add(history.views);
            counts.carts = counts.carts.saturating_add(history.carts);
            counts.orders = counts.orders.saturating_add(history.orders);
        }
    }
}

/// Looks at the members of all segments; `None` when it is told to stop.
pub(super) fn look(folds: &Folds, stop: &AtomicBool) -> Option<AllMembers> {
    let audience = &folds.audience;
    let rules = audience.rules.load();
    let most = MEMBERS.min(LOOKS / rules.segments.len().max(1));
    let as_of = audience.now();
    let since = as_of - TREND_DAYS * DAY_MS;
    let mut all = AllMembers { as_of, ..AllMembers::default() };
    for segment in &rules.segments {
        let size = audience.size(&segment.name).unwrap_or(0);
        let mut members = Members { size, ..Members::default() };
        let (mut trend, mut items) = (Trend::default(), FxHashMap::default());
        for portion in audience.members(&segment.name, most).chunks(PORTION) {
            if stop.load(Order::Relaxed) {
                return None;
            }
            for one in folds.crowd.of(portion) {
                members.add(&one.visitor, since, &mut trend, &mut items);
            }
        }
        // after the profiles: it knows every item they name
        let catalogue = folds.catalogue();
        trend.refresh(&catalogue);
        let mut items: Vec<(u32, ItemCounts)> = items.into_iter().collect();
        members.interest = items.iter().map(|(_, counts)| counts.interest()).sum();
        if items.len() > ITEMS {
            let id = |row: u32| &catalogue.ids[row as usize];
            items.select_nth_unstable_by(ITEMS, |a, b| {
                let more = b.1.interest().total_cmp(&a.1.interest()).then(b.1.impressions.cmp(&a.1.impressions));
                more.then_with(|| id(a.0).cmp(id(b.0)))
            });
            items.truncate(ITEMS);
        }
        items.sort_unstable_by_key(|(row, _)| *row);
        members.items = items.into();
        (members.events, members.lists) = (trend.events, trend.lists);
        all.by_name.insert(Arc::clone(&segment.name), members);
    }
    Some(all)
}

impl Folds {
    /// The items of most interest to the members of a segment, or of more interest to them than to everybody: at most
    /// `most` that the catalogue has. `None` before its members were looked at.
    #[must_use]
    pub fn segment_items(&self, segment: &str, order: ItemOrder, most: usize) -> Option<SegmentItems> {
        let all = self.audience.members.load();
        let members = all.named(segment)?;
        let catalogue = self.catalogue();
        let mut items: Vec<SegmentItem> = {
            let stats = self.stats();
            let everybody: f64 = stats.items.iter().map(|item| item.counts().interest()).sum();
            let part = if everybody > 0.0 { members.interest / everybody } else { 0.0 };
            let item = |(row, counts): &(u32, ItemCounts)| {
                let interest = counts.interest();
                let of_all = stats.items.get(*row as usize).map_or(0.0, |item| item.counts().interest());
                let lift = (interest + PRIOR) / (of_all * part + PRIOR);
                SegmentItem { row: ItemRow(*row), counts: *counts, interest, lift }
            };
            members.items.iter().filter(|(row, _)| catalogue.is_live(ItemRow(*row))).map(item).collect()
        };
        let key = |item: &SegmentItem| match order {
            ItemOrder::Interest => (item.interest, item.lift),
            ItemOrder::Lift => (item.lift, item.interest),
        };
        items.sort_unstable_by(|a, b| {
            let ((a1, a2), (b1, b2)) = (key(a), key(b));
            let more: Ordering = b1.total_cmp(&a1).then(b2.total_cmp(&a2));
            more.then_with(|| catalogue.ids[a.row.index()].cmp(&catalogue.ids[b.row.index()]))
        });
        items.truncate(most);
        Some(SegmentItems { as_of: all.as_of, members: members.size, looked_at: members.looked_at, items })
    }
}
