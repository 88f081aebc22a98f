//! Events: what visitors did, as the folds read them.

use crate::TimeMs;
use std::str::FromStr;

/// What happened. The order of the numbers is the order of commitment, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EventKind {
    /// An item was shown.
    Impression = 0,
    /// An item's page was opened.
    View = 1,
    /// A slot was clicked.
    Click = 2,
    /// An item was put into the cart.
    Cart = 3,
    /// An item was bought.
    Purchase = 4,
    /// An item was rated; the event's `value` is the rating.
    Rating = 5,
    /// The visitor searched.
    Search = 6,
    /// Anything else; kept in the log, folded into nothing but the recent list.
    Custom = 7,
}

impl EventKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Impression,
        Self::View,
        Self::Click,
        Self::Cart,
        Self::Purchase,
        Self::Rating,
        Self::Search,
        Self::Custom,
    ];

    /// The name used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Impression => "impression",
            Self::View => "view",
            Self::Click => "click",
            Self::Cart => "cart",
            Self::Purchase => "purchase",
            Self::Rating => "rating",
            Self::Search => "search",
            Self::Custom => "custom",
        }
    }
}

impl FromStr for EventKind {
    type Err = String;

    /// Unknown names are an error; the edge maps the ones a shop declared as its own to [`EventKind::Custom`].
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|k| k.as_str() == s).ok_or_else(|| {
            format!("unknown event type {s:?}: expected one of impression, view, click, cart, purchase, rating, search, custom")
        })
    }
}

/// One event, as validated at the edge and stored in the log. One event may name several items (an order).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Makes the event idempotent: a second event with the same id is a duplicate.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// When it happened, by the sender's clock.
    pub time: TimeMs,
    /// Who: the id as it was sent until the log takes the event, the visitor's pseudonymous key from then on. `None` for
    /// an anonymous order without any id.
    pub visitor: Option<String>,
    /// Which items, by id; may name items the catalogue does not know yet.
    pub items: Vec<String>,
    /// How many of each item, aligned with `items`; empty means one each.
    pub quantities: Vec<f32>,
    /// Unit prices paid or rating given, aligned with `items`; empty means unknown.
    pub values: Vec<f32>,
    /// The channel it came over; empty means unknown.
    pub channel: String,
    /// The visitor's region (country, province); empty means unknown.
    pub region: String,
    /// The scenario the item was served in; empty means none.
    pub scenario: String,
    /// The recommend request that served the item; empty means none.
    pub request_id: String,
    /// The slot's position, from 1; 0 means unknown.
    pub position: u32,
    /// What else the storefront said of the event, by name.
    pub attributes: Vec<(String, String)>,
    /// What it said of the visitor, by name; the value of the newest event stands.
    pub traits: Vec<(String, String)>,
}
