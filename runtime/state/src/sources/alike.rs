//! Items of the same category, brand or tag.

use super::pick::Pick;
use super::similar::{anchor_basis, weight};
use crate::Catalogue;
use crate::fold::Folds;
use qianmian_core::source::Attribute;
use qianmian_core::{ItemRow, RequestContext};
use rustc_hash::FxHashMap;

/// Without anchors: so many preferred values are used.
const PREFERRED: usize = 5;
/// Without anchors: tags are taken from so many recent interactions, since tags have no folded preference.
const RECENT: usize = 20;
/// Rows of one value that are looked at: a value that half the catalogue has says little anyway.
const ROWS_A_VALUE: usize = 50_000;
/// What the most popular item gains over one nobody wants, where both share as much.
const POPULARITY: f32 = 0.1;

impl Folds {
    /// Items by how much they share with the request's items or, without any, with what the visitor prefers.
    pub(super) fn same(
        &self,
        pick: &Pick<'_>,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        attribute: Attribute,
    ) -> Vec<(ItemRow, f32)> {
        let mut wanted = wanted(catalogue, ctx, attribute);
        let total: f32 = wanted.values().sum();
        if total <= 0.0 {
            return Vec::new();
        }
        let rows = match attribute {
            Attribute::Category => &catalogue.by_category,
            Attribute::Brand => &catalogue.by_brand,
            Attribute::Tag => &catalogue.by_tag,
        };
        let mut values: Vec<(u32, f32)> = wanted.drain().collect();
        values.sort_unstable_by_key(|(symbol, _)| *symbol);
        let mut shared: FxHashMap<ItemRow, f32> = FxHashMap::default();
        for (symbol, weight) in values {
            for row in rows.get(&symbol).into_iter().flatten().take(ROWS_A_VALUE) {
                *shared.entry(*row).or_default() += weight / total;
            }
        }
        let stats = self.stats();
        let popularity = |row: ItemRow| {
            let item = stats.items.get(row.index()).copied().unwrap_or_default();
            let wanted = item.views_7d.read(ctx.now, 7.0) + 5.0 * item.orders_30d.read(ctx.now, 30.0);
            POPULARITY * (wanted / (wanted + 20.0)) as f32
        };
        shared.retain(|row, _| pick.allows(*row));
        shared.into_iter().map(|(row, share)| (row, share + popularity(row))).collect()
    }
}

/// Symbols and how much each is wanted.
fn wanted(catalogue: &Catalogue, ctx: &RequestContext, attribute: Attribute) -> FxHashMap<u32, f32> {
    let mut wanted: FxHashMap<u32, f32> = FxHashMap::default();
    let mut want = |row: ItemRow, weight: f32| {
        let at = row.index();
        if at >= catalogue.len() {
            return;
        }
        let brand = [catalogue.brand[at]];
        let symbols: &[u32] = match attribute {
            Attribute::Category => &catalogue.categories[at],
            Attribute::Tag => &catalogue.tags[at],
            Attribute::Brand if brand[0] == 0 => &[],
            Attribute::Brand => &brand,
        };
        for symbol in symbols {
            *wanted.entry(*symbol).or_default() += weight;
        }
    };
    let visitor = &ctx.visitor;
    if !ctx.request.items.is_empty() {
        for (row, weight) in anchor_basis(ctx) {
            want(row, weight);
        }
        return wanted;
    }
    let preferred = match attribute {
        Attribute::Category => &visitor.categories,
        Attribute::Brand => &visitor.brands,
        Attribute::Tag => {
            for recent in visitor.recent.iter().take(RECENT) {
                let weight = visitor.items.get(&recent.item).map_or(0.0, |history| weight(history, ctx.now));
                want(recent.item, weight);
            }
            return wanted;
        }
    };
    let mut preferred: Vec<(u32, f32)> = preferred.iter().map(|(symbol, weight)| (*symbol, *weight)).collect();
    let text = |symbol: u32| catalogue.symbols.text(symbol);
    preferred.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| text(a.0).cmp(&text(b.0))));
    preferred.into_iter().take(PREFERRED).collect()
}
