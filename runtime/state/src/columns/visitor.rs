//! `visitor.*`: one value for all rows.

use super::{constant, ratio};
use crate::fold::decay::days;
use qianmian_core::{ColumnValues, RequestContext, TimeMs};

pub(super) fn column(ctx: &RequestContext, len: usize, name: &str) -> Option<ColumnValues> {
    let visitor = &ctx.visitor;
    let lines = f64::from(visitor.order_lines);
    let since = |time: TimeMs| if time == 0 { f64::NAN } else { days(ctx.now, time) };
    let bought = || visitor.items.values().filter(|history| history.orders > 0);
    let value = match name {
        "orders" => f64::from(visitor.orders),
        "order_lines" => lines,
        "spend" => visitor.spend,
        "events" => f64::from(visitor.events),
        "distinct_items" => bought().count() as f64,
        "average_price" => ratio(visitor.price_sum, lines),
        "basket_size" => ratio(lines, f64::from(visitor.orders)),
        "days_since_order" => since(visitor.last_order),
        "days_since_first" => since(visitor.first_seen),
        "repeat_share" => ratio(bought().map(|history| f64::from(history.orders - 1)).sum(), lines),
        _ => return None,
    };
    Some(constant(len, value))
}
