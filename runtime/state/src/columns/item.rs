//! `item.*`: the catalogue's columns and the statistics of items.

use super::{numbers, ratio};
use crate::catalogue::number;
use crate::fold::decay::{Decayed, days};
use crate::fold::{Folds, ItemCounts, ItemStats, Statistics};
use crate::{Catalogue, Stock};
use qianmian_core::{ColumnValues, ItemRow, RequestContext};
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::sync::Arc;

/// Impressions, and views, that the shop's mean is worth in a rate.
const PRIOR: f64 = 20.0;
/// Buyers it is worth in the repeat rate.
const PRIOR_BUYERS: f64 = 5.0;

impl Folds {
    pub(super) fn item_column(
        &self,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        rows: &[ItemRow],
        name: &str,
    ) -> Option<ColumnValues> {
        let c = catalogue;
        Some(match name {
            "id" => texts(rows, &c.ids),
            "title" => texts(rows, &c.title),
            "kind" => {
                let kind = |row: &ItemRow| c.kind.get(row.index()).copied().unwrap_or_default() as usize;
                ColumnValues::Texts(rows.iter().map(|row| Arc::clone(&self.kind_names[kind(row)])).collect())
            }
            "brand" => symbols(c, rows, |at| c.brand[at]),
            "merchant" => symbols(c, rows, |at| c.merchant[at]),
            "currency" => symbols(c, rows, |at| c.currency[at]),
            "category" => symbols(c, rows, |at| c.categories[at].first().copied().unwrap_or(0)),
            "categories" => lists(c, rows, &c.categories),
            "tags" => lists(c, rows, &c.tags),
            "channels" => lists(c, rows, &c.channels),
            "regions" => lists(c, rows, &c.regions),
            "price" => numbers(rows, |row| c.price.get(row.index()).copied().unwrap_or(f32::NAN)),
            "stock" => {
                numbers(rows, |row| c.sellable.get(row.index()).copied().flatten().map_or(f32::NAN, |s| s as f32))
            }
            "stock_locked" => stock(c, rows, |stock| stock.locked),
            "stock_campaign" => stock(c, rows, |stock| stock.campaign),
            "stock_presale" => stock(c, rows, |stock| stock.presale),
            "age_days" => numbers(rows, |row| {
                let created = c.created.get(row.index()).copied().filter(|created| *created > 0);
                created.map_or(f32::NAN, |created| days(ctx.now, created) as f32)
            }),
            other => match other.strip_prefix("attributes.") {
                Some(attribute) if !attribute.is_empty() => attributes(c, rows, attribute),
                _ => return self.item_statistic(ctx, rows, name),
            },
        })
    }

    fn item_statistic(&self, ctx: &RequestContext, rows: &[ItemRow], name: &str) -> Option<ColumnValues> {
        let stats = self.stats();
        let (totals, none) = (stats.totals, ItemStats::default());
        let all = |value: &dyn Fn(&ItemStats) -> f64| {
            numbers(rows, |row| value(stats.items.get(row.index()).unwrap_or(&none)) as f32)
        };
        let decayed = |of: fn(&ItemStats) -> &Decayed, half_life: f64| all(&|i| of(i).read(ctx.now, half_life));
        let rate = |part: fn(&ItemStats) -> u32, whole: fn(&ItemStats) -> u32, mean: f64, prior: f64| {
            all(&|i| (f64::from(part(i)) + prior * mean) / (f64::from(whole(i)) + prior))
        };
        if let Some(name) = name.strip_prefix("channel_") {
            let over = stats.channels.get(ctx.request.channel.as_str());
            return part(&stats, rows, name, |row| over.and_then(|items| items.get(&row)).copied().unwrap_or_default());
        }
        if let Some(name) = name.strip_prefix("segment_") {
            let segments = self.audience.members.load();
            let own = segments.of(&ctx.visitor.segments);
            return part(&stats, rows, name, |row| own.map(|own| own.counts(row)).unwrap_or_default());
        }
        Some(match name {
            "impressions" => all(&|i| f64::from(i.impressions)),
            "views" => all(&|i| f64::from(i.views)),
            "carts" => all(&|i| f64::from(i.carts)),
            "orders" => all(&|i| f64::from(i.orders)),
            "buyers" => all(&|i| f64::from(i.buyers)),
            "views_1d" => decayed(|i| &i.views_1d, 1.0),
            "views_7d" => decayed(|i| &i.views_7d, 7.0),
            "orders_7d" => decayed(|i| &i.orders_7d, 7.0),
            "orders_30d" => decayed(|i| &i.orders_30d, 30.0),
            "orders_90d" => decayed(|i| &i.orders_90d, 90.0),
            "ctr" => rate(|i| i.views, |i| i.impressions, ratio(totals.views, totals.impressions), PRIOR),
            "conversion" => rate(|i| i.orders, |i| i.views, ratio(totals.orders, totals.views), PRIOR),
            "repeat_rate" => {
                let mean = ratio(totals.repeat_buyers, totals.buyers);
                rate(|i| i.repeat_buyers, |i| i.buyers, mean, PRIOR_BUYERS)
            }
            "days_since_order" => all(&|i| if i.last_order == 0 { f64::NAN } else { days(ctx.now, i.last_order) }),
            _ => return None,
        })
    }
}

/// A statistic over a part of the shop. The item's own rate over everything, itself with a prior, is what a rate starts from.
fn part(stats: &Statistics, rows: &[ItemRow], name: &str, over: impl Fn(u32) -> ItemCounts) -> Option<ColumnValues> {
    let count = |of: fn(&ItemCounts) -> u32| numbers(rows, |row| of(&over(row.0)) as f32);
    let rate = |part: fn(&ItemCounts) -> u32, whole: fn(&ItemCounts) -> u32, mean: f64| {
        let rate = |c: &ItemCounts, prior: f64| (f64::from(part(c)) + PRIOR * prior) / (f64::from(whole(c)) + PRIOR);
        numbers(rows, |row| {
            let all = stats.items.get(row.index()).map(ItemStats::counts).unwrap_or_default();
            rate(&over(row.0), rate(&all, mean)) as f32
        })
    };
    let totals = stats.totals;
    Some(match name {
        "impressions" => count(|c| c.impressions),
        "views" => count(|c| c.views),
        "carts" => count(|c| c.carts),
        "orders" => count(|c| c.orders),
        "ctr" => rate(|c| c.views, |c| c.impressions, ratio(totals.views, totals.impressions)),
        "conversion" => rate(|c| c.orders, |c| c.views, ratio(totals.orders, totals.views)),
        _ => return None,
    })
}

/// Units of one kind; NaN when they are not counted.
fn stock(catalogue: &Catalogue, rows: &[ItemRow], of: impl Fn(&Stock) -> Option<i64>) -> ColumnValues {
    numbers(rows, |row| {
        let units = catalogue.items.get(row.index()).and_then(|item| of(&item.stock));
        units.map_or(f32::NAN, |units| units as f32)
    })
}

fn texts(rows: &[ItemRow], column: &[Arc<str>]) -> ColumnValues {
    let none: Arc<str> = Arc::from("");
    ColumnValues::Texts(rows.iter().map(|row| Arc::clone(column.get(row.index()).unwrap_or(&none))).collect())
}

/// Texts of symbols; rows with the same symbol share one that belongs to this column: the counter of the catalogue's own is
/// fought over by every thread that composes.
fn symbols(catalogue: &Catalogue, rows: &[ItemRow], symbol: impl Fn(usize) -> u32) -> ColumnValues {
    let mut made: FxHashMap<u32, Arc<str>> = FxHashMap::default();
    let text = |row: &ItemRow| {
        let at = row.index();
        let symbol = if at < catalogue.len() { symbol(at) } else { 0 };
        Arc::clone(made.entry(symbol).or_insert_with(|| Arc::from(&*catalogue.symbols.text(symbol))))
    };
    ColumnValues::Texts(rows.iter().map(text).collect())
}

/// Lists of texts; rows with the same symbols share one.
fn lists(catalogue: &Catalogue, rows: &[ItemRow], column: &[Arc<[u32]>]) -> ColumnValues {
    let mut made: FxHashMap<&[u32], Arc<[Arc<str>]>> = FxHashMap::default();
    let list = |row: &ItemRow| {
        let symbols: &[u32] = column.get(row.index()).map_or(&[], |list| list);
        let list = made.entry(symbols).or_insert_with(|| symbols.iter().map(|s| catalogue.symbols.text(*s)).collect());
        Arc::clone(list)
    };
    ColumnValues::Lists(rows.iter().map(list).collect())
}

/// Texts when any of these items has a text, else numbers; true is 1 and false 0.
fn attributes(catalogue: &Catalogue, rows: &[ItemRow], name: &str) -> ColumnValues {
    if let Some(column) = catalogue.attributes.numbers(name) {
        return numbers(rows, |row| column.get(row.index()).copied().unwrap_or(f32::NAN));
    }
    let value = |row: &ItemRow| catalogue.items.get(row.index()).and_then(|item| item.attributes.get(name));
    let values: Vec<Option<&Value>> = rows.iter().map(value).collect();
    if values.iter().any(|value| matches!(value, Some(Value::String(_)))) {
        let text = |value: &Option<&Value>| match value {
            Some(Value::String(text)) => Arc::from(text.as_str()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Arc::from(value.to_string()),
            _ => Arc::from(""),
        };
        return ColumnValues::Texts(values.iter().map(text).collect());
    }
    ColumnValues::Numbers(values.iter().map(|value| value.map_or(f32::NAN, number)).collect())
}
