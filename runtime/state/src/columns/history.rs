//! `history.*`: this visitor with each item.

use super::{numbers, ratio};
use crate::Catalogue;
use crate::fold::decay::days;
use crate::fold::{Folds, Relation};
use qianmian_core::{ColumnValues, ItemHistory, ItemKind, ItemRow, RequestContext, TimeMs};

impl Folds {
    pub(super) fn history_column(
        &self,
        catalogue: &Catalogue,
        ctx: &RequestContext,
        rows: &[ItemRow],
        name: &str,
    ) -> Option<ColumnValues> {
        let visitor = &ctx.visitor;
        let none = ItemHistory::default();
        let all = |value: &dyn Fn(&ItemHistory) -> f64| {
            numbers(rows, |row| value(visitor.items.get(&row).unwrap_or(&none)) as f32)
        };
        let since = |time: TimeMs| if time == 0 { f64::NAN } else { days(ctx.now, time) };
        let similarity = |relation: Relation, max: bool| {
            let sums = self.history_sums(ctx, relation, catalogue.len());
            let (sum, highest) = sums.split_at(sums.len() / 2);
            let side = if max { highest } else { sum };
            numbers(rows, |row| side.get(row.index()).copied().unwrap_or(0.0))
        };
        Some(match name {
            "orders" => all(&|h| f64::from(h.orders)),
            "quantity" => all(&|h| f64::from(h.quantity)),
            "views" => all(&|h| f64::from(h.views)),
            "carts" => all(&|h| f64::from(h.carts)),
            "impressions" => all(&|h| f64::from(h.impressions)),
            "days_since_order" => all(&|h| since(h.last_order)),
            "days_since_first_order" => all(&|h| since(h.first_order)),
            "days_since_last" => all(&|h| since(h.last)),
            "order_share" => all(&|h| ratio(f64::from(h.orders), f64::from(visitor.orders))),
            "recency_orders" => all(&|h| {
                let after = visitor.order_times.partition_point(|time| *time > h.last_order);
                if h.orders == 0 { f64::NAN } else { after as f64 }
            }),
            "overdue" => all(&|h| overdue(h, ctx.now)),
            "category_share" => {
                let total: f32 = sorted_sum(visitor.categories.values());
                numbers(rows, |row| {
                    let own = catalogue.categories.get(row.index()).map_or(&[][..], |list| list);
                    let interest = |symbol: &u32| visitor.categories.get(symbol).copied().unwrap_or(0.0);
                    if total <= 0.0 || own.is_empty() {
                        f32::NAN
                    } else {
                        own.iter().map(interest).sum::<f32>() / total
                    }
                })
            }
            "channel_share" => {
                let total: f32 = sorted_sum(visitor.channels.values());
                numbers(rows, |row| {
                    let Some(id) = catalogue.ids.get(row.index()).filter(|_| total > 0.0) else { return f32::NAN };
                    if catalogue.kind[row.index()] != ItemKind::Channel {
                        return f32::NAN;
                    }
                    let said = catalogue.items[row.index()].attributes.get("channel").and_then(|name| name.as_str());
                    visitor.channels.get(said.unwrap_or(id)).copied().unwrap_or(0.0) / total
                })
            }
            "hour_share" => {
                let total: f32 = visitor.hours.iter().map(|(_, weight)| weight).sum();
                numbers(rows, |row| {
                    let item = catalogue.items.get(row.index()).filter(|_| total > 0.0);
                    let hour = item.and_then(|item| item.attributes.get("hour")?.as_u64());
                    hour.map_or(f32::NAN, |hour| {
                        let own = visitor.hours.iter().find(|(known, _)| u64::from(*known) == hour);
                        own.map_or(0.0, |(_, weight)| *weight) / total
                    })
                })
            }
            "brand_share" => {
                let total: f32 = sorted_sum(visitor.brands.values());
                numbers(rows, |row| match catalogue.brand.get(row.index()) {
                    Some(brand) if total > 0.0 && *brand != 0 => {
                        visitor.brands.get(brand).copied().unwrap_or(0.0) / total
                    }
                    _ => f32::NAN,
                })
            }
            "price_ratio" => {
                let mean = ratio(visitor.price_sum, f64::from(visitor.order_lines));
                numbers(rows, |row| {
                    let price = catalogue.price.get(row.index()).copied().unwrap_or(f32::NAN);
                    ratio(f64::from(price), mean) as f32
                })
            }
            "similarity" => similarity(Relation::Bought, false),
            "similarity_max" => similarity(Relation::Bought, true),
            "viewed_similarity" => similarity(Relation::Viewed, false),
            "next_similarity" => similarity(Relation::Next, false),
            _ => return None,
        })
    }
}

/// Days since the last order over the mean days between orders (at least one day).
fn overdue(history: &ItemHistory, now: TimeMs) -> f64 {
    if history.orders < 2 {
        return f64::NAN;
    }
    let between = days(history.last_order, history.first_order) / f64::from(history.orders - 1);
    days(now, history.last_order) / between.max(1.0)
}

/// A sum that does not depend on the order in which a map holds its values.
fn sorted_sum<'a>(values: impl Iterator<Item = &'a f32>) -> f32 {
    let mut values: Vec<f32> = values.copied().collect();
    values.sort_unstable_by(f32::total_cmp);
    values.iter().sum()
}
