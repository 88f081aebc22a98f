//! Sources: where candidates come from.

use crate::expr::Expression;
use crate::{ItemKind, ItemRow};
use std::sync::Arc;

/// What an item-to-item source starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Basis {
    /// The request's anchors: the viewed product, the cart.
    #[default]
    Items,
    /// The visitor's history.
    History,
}

/// Whose events trending counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// Everybody's.
    #[default]
    All,
    /// Those over the request's channel.
    Channel,
    /// Those from the request's region.
    Region,
    /// Those of visitors who share the visitor's first tag that has enough events.
    Segment,
}

/// A way of finding candidates. Every source returns rows best first with a finite score, higher is better.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Nearest to the visitor's vector in an embedding space.
    NearVisitor {
        /// The embedding space.
        space: String,
    },
    /// Nearest to the request's anchors in an embedding space.
    NearItems {
        /// The embedding space.
        space: String,
    },
    /// Bought in the same orders.
    BoughtTogether(Basis),
    /// Viewed or clicked by the same visitors within a session.
    ViewedTogether(Basis),
    /// Followed one another in visitors' sequences (order-aware).
    NextAfter(Basis),
    /// What the visitor bought before, most often and most recently first.
    BuyAgain,
    /// Time-decayed popularity.
    Trending(Scope),
    /// Newest items first.
    Newest,
    /// Items that share the anchors' (or, without anchors, the visitor's preferred) category, brand or tag.
    Same(Attribute),
    /// Exactly these, in this order.
    Listed(Vec<ItemRow>),
    /// Seeded random items with few impressions, to learn about them.
    Exploration,
}

impl Source {
    /// Its kind, as the strategy contract names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NearVisitor { .. } => "near-visitor",
            Self::NearItems { .. } => "near-items",
            Self::BoughtTogether(_) => "bought-together",
            Self::ViewedTogether(_) => "viewed-together",
            Self::NextAfter(_) => "next-after",
            Self::BuyAgain => "buy-again",
            Self::Trending(_) => "trending",
            Self::Newest => "newest",
            Self::Same(_) => "same",
            Self::Listed(_) => "listed",
            Self::Exploration => "exploration",
        }
    }

    /// The embedding space it searches.
    #[must_use]
    pub fn space(&self) -> Option<&str> {
        match self {
            Self::NearVisitor { space } | Self::NearItems { space } => Some(space),
            _ => None,
        }
    }
}

/// What [`Source::Same`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Any of the item's categories.
    Category,
    /// The brand.
    Brand,
    /// Any of the item's tags.
    Tag,
}

/// A source with a name and a size.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSpec {
    /// Names the columns `source.<name>.score` and `source.<name>.rank`, and the reason code.
    pub name: String,
    /// Where from.
    pub source: Source,
    /// How many at most.
    pub limit: u32,
    /// Only these kinds; empty means every kind.
    pub kinds: Vec<ItemKind>,
    /// Only items this is true for, over columns of the catalogue.
    pub filter: Option<Arc<Expression>>,
}
