//! A visitor as one request sees them: a fold over their events, immutable while the request runs.

use crate::{EventKind, ItemRow, TimeMs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Interest (a look is 1, a cart 3) from which a visitor counts as activated.
const ACTIVATED: f32 = 2.5;

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
    /// Decayed interest by channel (half-life 30 days), as of `last_seen`; bounded.
    pub channels: FxHashMap<Arc<str>, f32>,
    /// The same by band of price: band `b` holds prices from 2^b to just below 2^(b+1). Ascending.
    pub prices: Vec<(i8, f32)>,
    /// The same by hour of the day, UTC. Ascending.
    pub hours: Vec<(u8, f32)>,
    /// Decayed interest altogether (half-life 30 days), as of `last_seen`.
    pub activity: f32,
    /// Decayed number of orders (half-life 90 days), as of `last_seen`.
    pub orders_90d: f32,
    /// Decayed spend (half-life 90 days), as of `last_seen`.
    pub spend_90d: f32,
    /// Days (UTC) with an event, counted in order of time: a late event adds none.
    pub active_days: u32,
    /// Times something was shared or somebody invited.
    pub shares: u32,
    /// Tags the visitor carries.
    pub tags: Vec<Arc<str>>,
    /// Segments the visitor is in.
    pub segments: Vec<Arc<str>>,
    /// Attributes the storefront sent, by name; a plugin sees only those its description declares.
    pub attributes: FxHashMap<Arc<str>, Arc<str>>,
    /// When each attribute was said.
    pub attribute_times: FxHashMap<Arc<str>, TimeMs>,
    /// The channel last used; empty means unknown.
    pub channel: Arc<str>,
    /// The region last seen; empty means unknown.
    pub region: Arc<str>,
    /// Grows with every fold, and begins higher when the history begins anew: with the visitor's id it names one history, for
    /// caches.
    pub version: u64,
}

impl Visitor {
    /// True when no event of this visitor was ever folded.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.events == 0
    }

    /// How far the visitor has come, by AARRR: `acquisition` (seen), `activation` (three looks, or a cart),
    /// `retention` (came back another day), `revenue` (ordered), `referral` (shared or invited); the last one reached.
    /// Empty for a visitor nobody knows.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        if self.is_unknown() {
            ""
        } else if self.shares > 0 {
            "referral"
        } else if self.orders > 0 {
            "revenue"
        } else if self.active_days > 1 {
            "retention"
        } else if self.activity >= ACTIVATED {
            "activation"
        } else {
            "acquisition"
        }
    }
}
