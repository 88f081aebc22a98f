//! The catalogue: every item as immutable columns, swapped whole when something changes.
//!
//! A [`Catalogue`] is what a request reads: it holds one `Arc<Catalogue>` and sees one state from beginning to end.
//! [`CatalogueStore`] makes the next one. Columns that a change does not touch are shared between the two.

mod attributes;
mod check;
mod item;
mod store;
mod symbols;
mod write;

pub use attributes::Attributes;
pub(crate) use attributes::number;
pub use check::Broken;
pub use item::{Item, Stock};
pub use store::{CatalogueStore, Rejected, UpsertReport};
pub use symbols::Symbols;

use crate::campaigns::Open;
use arc_swap::ArcSwap;
use qianmian_core::{ItemKind, ItemRow, TimeMs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// One value a row. Shared between snapshots until a change touches it.
pub type Column<T> = Arc<Vec<T>>;

/// Rows by symbol, each list in ascending row order.
pub type RowsBySymbol = FxHashMap<u32, Vec<ItemRow>>;

/// An immutable snapshot of all items. Every column has [`Catalogue::len`] values and is indexed by [`ItemRow::index`].
///
/// A row is *live* when the catalogue knows its item now. The other rows are placeholders (an event named an item
/// nobody described yet: defaults in every column) or deleted items, which keep their last values so that old events
/// still mean the same. Rows are never reused while the process lives; no list below contains a row that is not live.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The id of each row.
    pub ids: Column<Arc<str>>,
    /// False for placeholders and deleted items.
    pub live: Column<bool>,
    /// What it is.
    pub kind: Column<ItemKind>,
    /// Its name; empty when unknown.
    pub title: Column<Arc<str>>,
    /// Unit price, finite and not negative; NaN when missing.
    pub price: Column<f32>,
    /// ISO 4217 symbol of the price; 0 when missing.
    pub currency: Column<u32>,
    /// Symbol of the maker; 0 when missing.
    pub brand: Column<u32>,
    /// Symbol of the seller; 0 when missing.
    pub merchant: Column<u32>,
    /// Symbols, from general to particular.
    pub categories: Column<Arc<[u32]>>,
    /// Symbols.
    pub tags: Column<Arc<[u32]>>,
    /// Symbols of the channels it may be shown on; empty means all.
    pub channels: Column<Arc<[u32]>>,
    /// Symbols of the regions it may be shown in; empty means all.
    pub regions: Column<Arc<[u32]>>,
    /// Units that may be ordered before they are there.
    pub presale: Column<Option<i64>>,
    /// Which items campaigns hold units of, as it changes.
    pub campaigns: Arc<ArcSwap<Open>>,
    /// Units free to sell; `None` when the storefront does not count them.
    pub sellable: Column<Option<i64>>,
    /// Shown from this moment on; `TimeMs::MIN` when open.
    pub valid_from: Column<TimeMs>,
    /// Shown until just before this moment; `TimeMs::MAX` when open.
    pub valid_to: Column<TimeMs>,
    /// When it came into the catalogue; 0 for placeholders.
    pub created: Column<TimeMs>,
    /// The full record, for answers and attributes.
    pub items: Column<Arc<Item>>,
    /// Numeric attributes by name.
    pub attributes: Attributes,
    /// Brands, merchants, categories, tags, channels, regions and currencies as numbers.
    pub symbols: Symbols,
    /// Live rows by category symbol.
    pub by_category: Arc<RowsBySymbol>,
    /// Live rows by brand symbol.
    pub by_brand: Arc<RowsBySymbol>,
    /// Live rows by tag symbol.
    pub by_tag: Arc<RowsBySymbol>,
    /// Live rows by kind, ascending; indexed by `ItemKind as usize`.
    pub by_kind: Arc<[Vec<ItemRow>; 5]>,
    /// Live rows by kind, newest first, ties by id; indexed by `ItemKind as usize`.
    pub newest: Arc<[Vec<ItemRow>; 5]>,
    /// Grows with every snapshot.
    pub version: u64,
    rows: Arc<FxHashMap<Arc<str>, ItemRow>>,
}

impl Catalogue {
    /// The row of an item, whether live or not.
    #[must_use]
    pub fn row(&self, id: &str) -> Option<ItemRow> {
        self.rows.get(id).copied()
    }

    /// The row of a live item.
    #[must_use]
    pub fn live_row(&self, id: &str) -> Option<ItemRow> {
        self.row(id).filter(|&r| self.is_live(r))
    }

    /// The record of a live item.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<&Arc<Item>> {
        self.live_row(id).map(|r| &self.items[r.index()])
    }

    /// True when the row exists and the catalogue knows its item now.
    #[must_use]
    pub fn is_live(&self, row: ItemRow) -> bool {
        self.live.get(row.index()).copied().unwrap_or(false)
    }

    /// Number of rows, placeholders and deleted items included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is something of a row to sell: sellable units, or presale ones, or units of a campaign that is open,
    /// unless those set aside for campaigns are counted and gone.
    #[must_use]
    pub fn in_stock(&self, row: ItemRow, now: TimeMs) -> bool {
        let at = row.index();
        if self.sellable[at].is_none_or(|units| units > 0) || self.presale[at].is_some_and(|units| units > 0) {
            return true;
        }
        if self.items[at].stock.campaign.is_some_and(|units| units <= 0) {
            return false;
        }
        let open = |(from, to, left): &(TimeMs, TimeMs, bool)| *left && (*from..*to).contains(&now);
        self.campaigns.load().get(&*self.ids[at]).is_some_and(|windows| windows.iter().any(open))
    }

    /// True when there is no row at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Live rows, kind by kind.
    pub fn live_rows(&self) -> impl Iterator<Item = ItemRow> + '_ {
        self.by_kind.iter().flatten().copied()
    }

    /// Number of live items.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.by_kind.iter().map(Vec::len).sum()
    }
}
