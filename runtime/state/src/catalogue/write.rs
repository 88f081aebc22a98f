//! How the next snapshot of the catalogue is made from the last.

use super::{Catalogue, Column, Item};
use qianmian_core::{ItemKind, ItemRow, TimeMs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Replaces a value; a column in which nothing changes stays shared with the last snapshot.
fn set<T: Clone + PartialEq>(column: &mut Column<T>, at: usize, value: T) -> bool {
    let changed = column[at] != value;
    if changed {
        Arc::make_mut(column)[at] = value;
    }
    changed
}

impl Catalogue {
    /// The row of `id`, made as a placeholder when there is none.
    pub(super) fn row_or_placeholder(&mut self, id: &str) -> ItemRow {
        if let Some(row) = self.row(id) {
            return row;
        }
        // four billion rows of this struct would need more than a terabyte: memory ends first
        let row = ItemRow(u32::try_from(self.len()).unwrap_or(u32::MAX));
        let id: Arc<str> = Arc::from(id);
        Arc::make_mut(&mut self.rows).insert(Arc::clone(&id), row);
        let none: Arc<[u32]> = Arc::from([]);
        Arc::make_mut(&mut self.items).push(Arc::new(Item { id: id.to_string(), ..Item::default() }));
        Arc::make_mut(&mut self.ids).push(id);
        Arc::make_mut(&mut self.live).push(false);
        Arc::make_mut(&mut self.kind).push(ItemKind::default());
        Arc::make_mut(&mut self.title).push(self.symbols.text(0));
        Arc::make_mut(&mut self.price).push(f32::NAN);
        Arc::make_mut(&mut self.currency).push(0);
        Arc::make_mut(&mut self.brand).push(0);
        Arc::make_mut(&mut self.merchant).push(0);
        Arc::make_mut(&mut self.categories).push(Arc::clone(&none));
        Arc::make_mut(&mut self.tags).push(Arc::clone(&none));
        Arc::make_mut(&mut self.channels).push(Arc::clone(&none));
        Arc::make_mut(&mut self.regions).push(none);
        Arc::make_mut(&mut self.sellable).push(None);
        Arc::make_mut(&mut self.presale).push(None);
        Arc::make_mut(&mut self.valid_from).push(TimeMs::MIN);
        Arc::make_mut(&mut self.valid_to).push(TimeMs::MAX);
        Arc::make_mut(&mut self.created).push(0);
        row
    }

    /// Writes a checked item into its row. True when the lists (by category, newest ...) are out of date now.
    pub(super) fn write(&mut self, item: Arc<Item>, live: bool) -> bool {
        let at = self.row_or_placeholder(&item.id).index();
        let categories = self.symbols.intern_all(&item.categories);
        let tags = self.symbols.intern_all(&item.tags);
        let channels = self.symbols.intern_all(&item.channels);
        let regions = self.symbols.intern_all(&item.regions);
        let brand = self.symbols.intern(&item.brand);
        let merchant = self.symbols.intern(&item.merchant);
        let currency = self.symbols.intern(&item.currency);

        let price = item.price.unwrap_or(f32::NAN);
        if self.price[at].to_bits() != price.to_bits() {
            Arc::make_mut(&mut self.price)[at] = price;
        }
        if *self.title[at] != *item.title {
            Arc::make_mut(&mut self.title)[at] = Arc::from(item.title.as_str());
        }
        set(&mut self.merchant, at, merchant);
        set(&mut self.currency, at, currency);
        set(&mut self.channels, at, channels);
        set(&mut self.regions, at, regions);
        set(&mut self.sellable, at, item.stock.sellable);
        set(&mut self.presale, at, item.stock.presale);
        set(&mut self.valid_from, at, item.valid_from.unwrap_or(TimeMs::MIN));
        set(&mut self.valid_to, at, item.valid_to.unwrap_or(TimeMs::MAX));
        let mut lists = set(&mut self.live, at, live);
        lists |= set(&mut self.kind, at, item.kind);
        lists |= set(&mut self.brand, at, brand);
        lists |= set(&mut self.categories, at, categories);
        lists |= set(&mut self.tags, at, tags);
        lists |= set(&mut self.created, at, item.created.unwrap_or(0));
        self.attributes.replace(at, &self.items[at], &item);
        Arc::make_mut(&mut self.items)[at] = item;
        lists
    }

    /// Takes an item out of sight; its values stay, so that old events still mean the same.
    pub(super) fn retire(&mut self, row: ItemRow) {
        set(&mut self.live, row.index(), false);
    }

    /// Computes every list anew from the columns.
    pub(super) fn rebuild_lists(&mut self) {
        let mut by_category: FxHashMap<u32, Vec<ItemRow>> = FxHashMap::default();
        let mut by_tag: FxHashMap<u32, Vec<ItemRow>> = FxHashMap::default();
        let mut by_brand: FxHashMap<u32, Vec<ItemRow>> = FxHashMap::default();
        let mut by_kind: [Vec<ItemRow>; 5] = Default::default();
        for (at, _) in self.live.iter().enumerate().filter(|(_, live)| **live) {
            let row = ItemRow(at as u32);
            by_kind[self.kind[at] as usize].push(row);
            for &symbol in &*self.categories[at] {
                by_category.entry(symbol).or_default().push(row);
            }
            for &symbol in &*self.tags[at] {
                by_tag.entry(symbol).or_default().push(row);
            }
            if self.brand[at] != 0 {
                by_brand.entry(self.brand[at]).or_default().push(row);
            }
        }
        let mut newest = by_kind.clone();
        for rows in &mut newest {
            rows.sort_unstable_by(|a, b| {
                let (a, b) = (a.index(), b.index());
                self.created[b].cmp(&self.created[a]).then_with(|| self.ids[a].cmp(&self.ids[b]))
            });
        }
        self.by_category = Arc::new(by_category);
        self.by_tag = Arc::new(by_tag);
        self.by_brand = Arc::new(by_brand);
        self.by_kind = Arc::new(by_kind);
        self.newest = Arc::new(newest);
    }
}
