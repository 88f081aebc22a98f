//! Counts by item and over the whole shop.

use super::Folds;
use super::decay::Decayed;
use super::trends::interest;
use qianmian_core::{EventKind, TimeMs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What happened with one item, over all visitors and all time unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ItemStats {
    /// Times shown.
    pub impressions: u32,
    /// Views and clicks.
    pub views: u32,
    /// Times put into a cart.
    pub carts: u32,
    /// Orders with it.
    pub orders: u32,
    /// Distinct visitors who ordered it.
    pub buyers: u32,
    /// Those who ordered it at least twice.
    pub repeat_buyers: u32,
    /// Last order; 0 means none.
    pub last_order: TimeMs,
    /// Views and clicks, half-life one day.
    pub views_1d: Decayed,
    /// Views and clicks, half-life 7 days.
    pub views_7d: Decayed,
    /// Orders, half-life 7 days.
    pub orders_7d: Decayed,
    /// Orders, half-life 30 days.
    pub orders_30d: Decayed,
    /// Orders, half-life 90 days.
    pub orders_90d: Decayed,
}

impl ItemStats {
    /// What can be compared with a part of the shop.
    #[must_use]
    pub fn counts(&self) -> ItemCounts {
        let Self { impressions, views, carts, orders, .. } = *self;
        ItemCounts { impressions, views, carts, orders }
    }
}

/// Sums over all items, for priors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Impressions.
    pub impressions: f64,
    /// Views and clicks.
    pub views: f64,
    /// Order lines.
    pub orders: f64,
    /// Buyers of each item, summed.
    pub buyers: f64,
    /// Repeat buyers of each item, summed.
    pub repeat_buyers: f64,
}

/// What happened with one item in a part of the shop, over one channel or with members of a segment, over all time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCounts {
    /// Times shown.
    pub impressions: u32,
    /// Views and clicks.
    pub views: u32,
    /// Times put into a cart.
    pub carts: u32,
    /// Orders with it.
    pub orders: u32,
}

impl ItemCounts {
    /// How much interest that is: each event as in what is popular.
    #[must_use]
    pub fn interest(&self) -> f64 {
        let each = [(self.views, EventKind::View), (self.carts, EventKind::Cart), (self.orders, EventKind::Purchase)];
        each.into_iter().map(|(count, kind)| f64::from(count) * interest(kind)).sum()
    }
}

/// Channels that items are counted by; those of a sender who invents more are not.
const CHANNELS: usize = 64;

/// Statistics by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Statistics {
    pub items: Vec<ItemStats>,
    pub totals: Totals,
    /// By channel, then by row.
    pub channels: FxHashMap<Arc<str>, FxHashMap<u32, ItemCounts>>,
    /// What changed since it was last kept.
    unkept: Marked,
    /// Events over channels beyond the first [`CHANNELS`], since the start.
    uncounted: u64,
}

/// Rows, each once, in the order they were first marked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Marked {
    rows: Vec<u32>,
    is: Vec<bool>,
}

impl Marked {
    pub fn mark(&mut self, row: u32) {
        let at = row as usize;
        if self.is.len() <= at {
            self.is.resize(at + 1, false);
        }
        if !std::mem::replace(&mut self.is[at], true) {
            self.rows.push(row);
        }
    }

    pub fn take(&mut self) -> Vec<u32> {
        let rows = std::mem::take(&mut self.rows);
        rows.iter().for_each(|row| self.is[*row as usize] = false);
        rows
    }
}

impl Statistics {
    /// Counts one event of one item; -1 takes it out again.
    pub fn add(&mut self, row: u32, kind: EventKind, time: TimeMs, by: i32) {
        let (item, totals) = self.item(row);
        let whole = f64::from(by);
        match kind {
            EventKind::Impression => {
                totals.impressions += count(&mut item.impressions, by);
            }
            EventKind::View | EventKind::Click => {
                item.views_1d.add(whole, time, 1.0);
                item.views_7d.add(whole, time, 7.0);
                totals.views += count(&mut item.views, by);
            }
            EventKind::Cart => {
                count(&mut item.carts, by);
            }
            EventKind::Purchase => {
                totals.orders += count(&mut item.orders, by);
                item.last_order = if item.orders == 0 { 0 } else { item.last_order.max(time) };
                item.orders_7d.add(whole, time, 7.0);
                item.orders_30d.add(whole, time, 30.0);
                item.orders_90d.add(whole, time, 90.0);
            }
            EventKind::Rating | EventKind::Search | EventKind::Custom => {}
        }
    }

    /// Counts one event of some items over a channel; -1 takes it out again.
    pub fn add_channel(&mut self, channel: &str, rows: impl Iterator<Item = u32>, kind: EventKind, by: i32) {
        if matches!(kind, EventKind::Rating | EventKind::Search | EventKind::Custom) {
            return;
        }
        if !self.channels.contains_key(channel) {
            if self.channels.len() >= CHANNELS && by > 0 {
                if self.uncounted == 0 {
                    tracing::warn!(
                        channel,
                        "items are counted by {CHANNELS} channels, and this is one more: not by it"
                    );
                }
                self.uncounted += 1;
                return;
            }
            if by < 0 {
                return;
            }
            self.channels.insert(channel.into(), FxHashMap::default());
        }
        let Some(items) = self.channels.get_mut(channel) else { return };
        for row in rows {
            let item = items.entry(row).or_default();
            let counted = match kind {
                EventKind::Impression => &mut item.impressions,
                EventKind::View | EventKind::Click => &mut item.views,
                EventKind::Cart => &mut item.carts,
                _ => &mut item.orders,
            };
            count(counted, by);
        }
    }

    /// Counts a visitor's `orders`-th order of an item; -1 takes it out again.
    pub fn add_buyer(&mut self, row: u32, orders: u32, by: i32) {
        let (item, totals) = self.item(row);
        match orders {
            1 => {
                totals.buyers += count(&mut item.buyers, by);
            }
            2 => {
                totals.repeat_buyers += count(&mut item.repeat_buyers, by);
            }
            _ => {}
        }
    }

    /// Rows that changed since the last call; with `all`, those there are.
    pub fn take_unkept(&mut self, all: bool) -> Vec<u32> {
        let changed = self.unkept.take();
        if all { (0..self.items.len() as u32).collect() } else { changed }
    }

    /// An item as it was kept, with its share of channels.
    pub fn restore(&mut self, row: u32, stats: ItemStats, channels: Vec<(Arc<str>, ItemCounts)>) {
        *self.item(row).0 = stats;
        for (channel, stats) in channels {
            self.channels.entry(channel).or_default().insert(row, stats);
        }
    }

    fn item(&mut self, row: u32) -> (&mut ItemStats, &mut Totals) {
        let at = row as usize;
        if self.items.len() <= at {
            self.items.resize(at + 1, ItemStats::default());
        }
        self.unkept.mark(row);
        (&mut self.items[at], &mut self.totals)
    }
}

impl Folds {
    /// Events since the start over channels that items are not counted by, because there are too many.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.stats().uncounted
    }
}

/// Returns what it really rose by: no count falls below 0.
fn count(counted: &mut u32, by: i32) -> f64 {
    let before = *counted;
    *counted = counted.saturating_add_signed(by);
    f64::from(*counted) - f64::from(before)
}
