//! Columns: one value a row of items, of the visitor, of both together, of the request's items, of the moment.
//!
//! `docs/columns.md` says what each name means. Numbers are NaN where missing. A column is read under at most one lock,
//! and what several columns share (similarity with the history, co-occurrence with the request's items) is computed
//! once a request and kept in its memo.

mod anchor;
mod history;
mod item;
#[cfg(test)]
mod tests;
mod visitor;

use crate::Catalogue;
use crate::fold::Folds;
use qianmian_core::{ColumnValues, ItemRow, RequestContext};
use std::sync::Arc;

/// The first so many of [`NAMES`] depend on the catalogue alone.
const OF_CATALOGUE: usize = 16;

/// Every name [`Folds::column`] knows. `NAME` stands for any name.
const NAMES: &[&str] = &[
    "item.id",
    "item.kind",
    "item.title",
    "item.brand",
    "item.merchant",
    "item.currency",
    "item.category",
    "item.categories",
    "item.tags",
    "item.channels",
    "item.regions",
    "item.price",
    "item.stock",
    "item.stock_locked",
    "item.stock_campaign",
    "item.stock_presale",
    "item.age_days",
    "item.attributes.NAME",
    "item.impressions",
    "item.views",
    "item.carts",
    "item.orders",
    "item.buyers",
    "item.views_1d",
    "item.views_7d",
    "item.orders_7d",
    "item.orders_30d",
    "item.orders_90d",
    "item.ctr",
    "item.conversion",
    "item.repeat_rate",
    "item.days_since_order",
    "item.channel_impressions",
    "item.channel_views",
    "item.channel_carts",
    "item.channel_orders",
    "item.channel_ctr",
    "item.channel_conversion",
    "item.segment_impressions",
    "item.segment_views",
    "item.segment_carts",
    "item.segment_orders",
    "item.segment_ctr",
    "item.segment_conversion",
    "visitor.orders",
    "visitor.order_lines",
    "visitor.spend",
    "visitor.events",
    "visitor.distinct_items",
    "visitor.average_price",
    "visitor.basket_size",
    "visitor.days_since_order",
    "visitor.days_since_first",
    "visitor.repeat_share",
    "visitor.days_since_last",
    "visitor.active_days",
    "visitor.shares",
    "visitor.activity",
    "visitor.orders_90d",
    "visitor.spend_90d",
    "visitor.known",
    "visitor.stage",
    "visitor.tags",
    "visitor.segments",
    "history.orders",
    "history.quantity",
    "history.views",
    "history.carts",
    "history.impressions",
    "history.days_since_order",
    "history.days_since_first_order",
    "history.days_since_last",
    "history.order_share",
    "history.recency_orders",
    "history.overdue",
    "history.category_share",
    "history.brand_share",
    "history.channel_share",
    "history.hour_share",
    "history.price_ratio",
    "history.similarity",
    "history.similarity_max",
    "history.viewed_similarity",
    "history.next_similarity",
    "anchor.similarity",
    "anchor.similarity_max",
    "anchor.similarity_last",
    "anchor.similarity_last5",
    "anchor.similarity_faded",
    "anchor.together",
    "anchor.together_30d",
    "anchor.together_last5",
    "anchor.together_faded",
    "anchor.confidence",
    "anchor.confidence_max",
    "anchor.viewed_similarity",
    "anchor.next_similarity",
    "anchor.next_similarity_last",
    "anchor.next_similarity_last5",
    "anchor.next_similarity_faded",
    "anchor.same_category",
    "anchor.same_brand",
    "anchor.price_ratio",
    "context.items",
    "context.hour",
    "context.weekday",
    "context.month",
    "context.channel",
    "context.region",
    "context.NAME",
];

const _: () = assert!(matches!(NAMES[OF_CATALOGUE].as_bytes(), b"item.age_days"));

impl Folds {
    /// The values of a column for `rows`, in their order; `None` when no column has this name. An attribute that no
    /// item has, and a context entry the request does not bring, are missing in every row.
    #[must_use]
    pub fn column(
        &self,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        rows: &[ItemRow],
        name: &str,
    ) -> Option<ColumnValues> {
        let (group, name) = name.split_once('.')?;
        match group {
            "item" => self.item_column(catalogue, ctx, rows, name),
            "visitor" => visitor::column(ctx, rows.len(), name),
            "history" => self.history_column(catalogue, ctx, rows, name),
            "anchor" => self.anchor_column(catalogue, ctx, rows, name),
            "context" => context(ctx, rows.len(), name),
            _ => None,
        }
    }

    /// Whether a column depends on the catalogue alone: not on events, the visitor, the request or the clock.
    #[must_use]
    pub fn is_of_catalogue(name: &str) -> bool {
        NAMES[..OF_CATALOGUE].contains(&name) || name.starts_with("item.attributes.")
    }

    /// The names [`Self::column`] knows, for error messages. `NAME` stands for any name.
    #[must_use]
    pub const fn names() -> &'static [&'static str] {
        NAMES
    }
}

/// One number a row.
fn numbers(rows: &[ItemRow], value: impl Fn(ItemRow) -> f32) -> ColumnValues {
    ColumnValues::Numbers(rows.iter().map(|row| value(*row)).collect())
}

/// The same number for every row.
fn constant(len: usize, value: f64) -> ColumnValues {
    ColumnValues::Numbers(vec![value as f32; len])
}

/// `a / b`; missing when `b` is 0 or either is missing.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { f64::NAN } else { a / b }
}

fn context(ctx: &RequestContext, len: usize, name: &str) -> Option<ColumnValues> {
    let hours = ctx.now.div_euclid(3_600_000);
    let day = hours.div_euclid(24);
    let text = |text: &str| Some(ColumnValues::Texts(vec![Arc::from(text); len]));
    match name {
        "items" => Some(constant(len, ctx.request.items.len() as f64)),
        "hour" => Some(constant(len, hours.rem_euclid(24) as f64)),
        // 1970-01-01 was a Thursday.
        "weekday" => Some(constant(len, ((day + 3).rem_euclid(7) + 1) as f64)),
        "month" => Some(constant(len, f64::from(month(day)))),
        "channel" => text(&ctx.request.channel),
        "region" => text(&ctx.request.region),
        "" => None,
        name => text(ctx.request.context.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)),
    }
}

/// The month, from 1, of a day counted from 1970-01-01 (Hinnant's `civil_from_days`).
fn month(day: i64) -> u8 {
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    (if from_march < 10 { from_march + 3 } else { from_march - 9 }) as u8
}
