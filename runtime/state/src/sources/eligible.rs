//! Whether an item may be shown now, to this request. Shared by the sources and the host's guards.

use crate::Catalogue;
use qianmian_core::{ItemRow, RequestContext, TimeMs};
use std::fmt;

/// Why an item may not be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ineligible {
    /// Deleted, or never described to the catalogue.
    NotLive,
    /// Nothing left to sell.
    NoStock,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// Not for this channel, or for certain channels and the request names none.
    Channel,
    /// Not for this region, or for certain regions and the request names none.
    Region,
}

impl Ineligible {
    /// A stable word for answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotLive => "not_live",
            Self::NoStock => "no_stock",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Channel => "channel",
            Self::Region => "region",
        }
    }
}

impl fmt::Display for Ineligible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The check for one request, its names looked up once.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    catalogue: &'a Catalogue,
    now: TimeMs,
    /// `None`: unknown, or no item names it.
    channel: Option<u32>,
    region: Option<u32>,
}

impl<'a> Gate<'a> {
    /// The check for the items of `catalogue`.
    #[must_use]
    pub fn new(catalogue: &'a Catalogue, ctx: &RequestContext) -> Self {
        let symbol = |name: &str| if name.is_empty() { None } else { catalogue.symbols.get(name) };
        Self { catalogue, now: ctx.now, channel: symbol(&ctx.request.channel), region: symbol(&ctx.request.region) }
    }

    /// Checks one item.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn check(&self, row: ItemRow) -> Result<(), Ineligible> {
        let (c, at) = (self.catalogue, row.index());
        if !c.is_live(row) {
            return Err(Ineligible::NotLive);
        }
        if !c.in_stock(row, self.now) {
            return Err(Ineligible::NoStock);
        }
        if self.now < c.valid_from[at] {
            return Err(Ineligible::NotYetValid);
        }
        if self.now >= c.valid_to[at] {
            return Err(Ineligible::Expired);
        }
        let allowed = |only: &[u32], own: Option<u32>| only.is_empty() || own.is_some_and(|s| only.contains(&s));
        if !allowed(&c.channels[at], self.channel) {
            return Err(Ineligible::Channel);
        }
        if !allowed(&c.regions[at], self.region) {
            return Err(Ineligible::Region);
        }
        Ok(())
    }
}

/// Checks one item; for many, make a [`Gate`] once.
///
/// # Errors
/// The first reason against it.
pub fn eligible(catalogue: &Catalogue, ctx: &RequestContext, row: ItemRow) -> Result<(), Ineligible> {
    Gate::new(catalogue, ctx).check(row)
}
