//! A visitor as one request sees them: a fold over their events, immutable while the request runs.

use crate::{EventKind, ItemRow, TimeMs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// One recent interaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    /// The item.
    pub item: ItemRow,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub time: TimeMs,
}

/// What this visitor did with one item, over all time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ItemHistory {
    /// Impressions.
    pub impressions: u32,
    /// Views and clicks.
    pub views: u32,
    /// Times put into the cart.
    pub carts: u32,
    /// Orders that contained it.
    pub orders: u32,
    /// Units bought.
    pub quantity: f32,
    /// Last interaction other than an impression; 0 means none.
    pub last: TimeMs,
    /// Last impression; 0 means none.
    pub last_impression: TimeMs,
    /// Last order; 0 means none.
    pub last_order: TimeMs,
    /// First order; 0 means none.
    pub first_order: TimeMs,
}

/// A visitor's folded state. The default is the visitor nobody knows: every field empty.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// Newest first, bounded; impressions are not in it.
    pub recent: Vec<Interaction>,
    /// By item; bounded, the least recently touched go first.
    pub items: FxHashMap<ItemRow, ItemHistory>,
    /// Number of orders.
    pub orders: u32,
    /// Number of ordered lines (item per order).
    pub order_lines: u32,
    /// Sum of quantity times price of everything bought, in the shop's currency.
    pub spend: f64,
    /// Sum of unit prices over the order lines, to know the usual price.
    pub price_sum: f64,
    /// Number of events of any kind.
    pub events: u32,
    /// First event; 0 means none.
    pub first_seen: TimeMs,
    /// Last event; 0 means none.
    pub last_seen: TimeMs,
    /// Last order; 0 means none.
    pub last_order: TimeMs,
    /// Times of the newest orders, newest first, bounded.
    pub order_times: Vec<TimeMs>,
    /// Decayed interest by category symbol (half-life in `state`), as of `last_seen`.
    pub categories: FxHashMap<u32, f32>,
    /// Decayed interest by brand symbol, as of `last_seen`.
    pub brands: FxHashMap<u32, f32>,
    /// Tags the visitor carries.
    pub tags: Vec<Arc<str>>,
    /// Attributes the storefront sent, by name; a plugin sees only those its description declares.
    pub attributes: FxHashMap<Arc<str>, Arc<str>>,
    /// The channel last used; empty means unknown.
    pub channel: Arc<str>,
    /// The region last seen; empty means unknown.
    pub region: Arc<str>,
    /// Grows with every fold: a cache key together with the visitor's id.
    pub version: u64,
}

impl Visitor {
    /// True when no event of this visitor was ever folded.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.events == 0
    }
}
