//! Items: what can stand in a slot.

use std::fmt;
use std::str::FromStr;

/// A catalogue row: dense, never reused while the process lives, so that columns, pair counts and vectors can be
/// plain arrays. Row numbers are not stable across restarts; ids are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemRow(pub u32);

impl ItemRow {
    /// The row as an array index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an item is. One retrieval and ranking path serves all kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ItemKind {
    /// Something that is sold.
    #[default]
    Product = 0,
    /// An article, a video, a guide.
    Content = 1,
    /// A coupon or a campaign.
    Offer = 2,
    /// A text that can stand beside an item (文案).
    Copy = 3,
    /// A way of reaching the visitor.
    Channel = 4,
}

impl ItemKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Product, Self::Content, Self::Offer, Self::Copy, Self::Channel];

    /// The name used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Content => "content",
            Self::Offer => "offer",
            Self::Copy => "copy",
            Self::Channel => "channel",
        }
    }
}

impl fmt::Display for ItemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ItemKind {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|k| k.as_str() == s)
            .ok_or_else(|| format!("unknown item kind {s:?}: expected one of product, content, offer, copy, channel"))
    }
}
