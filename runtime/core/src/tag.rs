//! Tags and segments: by which rule a visitor carries a word.
//!
//! A rule makes texts: `NAME:VALUE` for rules with values, `NAME` for conditions. What the columns named here mean is in
//! `docs/columns.md`.

use crate::expr::Expression;
use crate::{TimeMs, Visitor};
use std::fmt;
use std::sync::Arc;

/// What a preference is learned over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// Categories of the items.
    Category,
    /// Brands of the items.
    Brand,
    /// Bands of price, by powers of two: `16-32`.
    Price,
    /// Channels.
    Channel,
    /// Hours of the day, UTC: `0` to `23`.
    Hour,
}

/// A layer of a layered tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What the tag's value is from here on.
    pub name: Arc<str>,
    /// The smallest number of the layer.
    pub from: f32,
}

/// Makes tags with code of somebody's own. One call for a whole batch, never one a visitor.
pub trait Tagger: Send + Sync {
    /// The values of each visitor, in the batch's order; no values is no tag.
    ///
    /// # Errors
    /// In words, when it failed; the visitors keep no value of this tag then.
    fn values(&self, visitors: &[&Visitor], now: TimeMs) -> Result<Vec<Vec<Arc<str>>>, String>;
}

/// How a tag comes about.
#[derive(Clone)]
pub enum TagRule {
    /// The value of a text column.
    Base {
        /// `visitor.attributes.city`, `visitor.channel` ...
        of: String,
    },
    /// The highest layer that a number column reaches; below the lowest, and where the number is missing, no tag.
    Layered {
        /// `visitor.orders`, `visitor.spend_90d` ...
        of: String,
        /// Rising.
        layers: Vec<Layer>,
    },
    /// A condition over the visitor's columns, their tags among them.
    Combined {
        /// The condition.
        when: Expression,
    },
    /// What the visitor prefers: the strongest of an affinity.
    Preference {
        /// Over what.
        of: Affinity,
        /// At most so many values.
        most: usize,
        /// Each with at least this share of the visitor's interest, 0 to 1.
        share: f32,
    },
    /// What code says.
    Code {
        /// The code.
        tagger: Arc<dyn Tagger>,
    },
}

impl fmt::Debug for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base { of } => write!(f, "base of {of}"),
            Self::Layered { of, layers } => write!(f, "{} layers of {of}", layers.len()),
            Self::Combined { when } => write!(f, "when {}", when.source()),
            Self::Preference { of, most, share } => write!(f, "{most} of {of:?} from {share}"),
            Self::Code { .. } => f.write_str("code"),
        }
    }
}

/// A tag.
#[derive(Clone, Debug)]
pub struct Tag {
    /// Its name.
    pub name: Arc<str>,
    /// How it comes about.
    pub rule: TagRule,
}

/// Says whether somebody is on a list, by key.
pub trait Members: Send + Sync + fmt::Debug {
    /// True for a listed key.
    fn contains(&self, key: &str) -> bool;
}

/// Who is in a segment.
#[derive(Clone, Debug)]
pub enum SegmentRule {
    /// Those a condition over the visitor's columns is true for.
    When(Expression),
    /// Those on a list.
    Listed(Arc<dyn Members>),
}

/// A segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its name.
    pub name: Arc<str>,
    /// Who is in it.
    pub rule: SegmentRule,
}
