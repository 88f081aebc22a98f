//! Tests of each column against values computed by hand.

use super::*;
use crate::fold::tests::{day, event, row, shop};
use crate::{CatalogueStore, Item};
use qianmian_core::{DAY_MS, EventKind, Request};

struct Case {
    store: Arc<CatalogueStore>,
    folds: Folds,
    ctx: RequestContext,
}

/// `v`: order 1 (day 0) tea1 x2 and cup1; order 2 (day 4) tea1; order 3 (day 6) tea2. `w`: tea1 with tea2 on day 8.
fn case() -> Case {
    let store = shop();
    let folds = Folds::new(Arc::clone(&store), crate::fold::tests::nobody());
    let mut first = event(EventKind::Purchase, day(0), "v", &["tea1", "cup1"]);
    first.quantities = vec![2.0, 1.0];
    folds.apply(&[
        first,
        event(EventKind::Purchase, day(4), "v", &["tea1"]),
        event(EventKind::Purchase, day(6), "v", &["tea2"]),
        event(EventKind::Purchase, day(8), "w", &["tea1", "tea2"]),
        event(EventKind::Impression, day(9), "v", &["tea3", "tea3", "art1"]),
        event(EventKind::View, day(9), "v", &["tea3"]),
        event(EventKind::Click, day(9), "v", &["art1"]),
        event(EventKind::Cart, day(9), "v", &["art1"]),
    ]);
    folds.refresh();
    let items = ["cup1", "tea1"].map(|id| row(&folds, id)).to_vec();
    let context = vec![("device".into(), "ios".into())];
    let request = Request { items, context, channel: "app".into(), ..Request::default() };
    let ctx = RequestContext::new(request, folds.visitor("v"), day(10), 1);
    Case { store, folds, ctx }
}

const ROWS: [&str; 5] = ["tea1", "tea2", "tea3", "cup1", "art1"];
const NAN: f32 = f32::NAN;

impl Case {
    fn read(&self, name: &str) -> ColumnValues {
        let rows = ROWS.map(|id| row(&self.folds, id));
        self.folds.column(&self.store.current(), &self.ctx, &rows, name).unwrap_or_else(|| panic!("{name}"))
    }

    fn is(&self, name: &str, want: [f32; 5]) {
        let ColumnValues::Numbers(got) = self.read(name) else { panic!("{name} is no number") };
        let same = |(g, w): (&f32, &f32)| (g.is_nan() && w.is_nan()) || (g - w).abs() <= 1e-5 * w.abs().max(1.0);
        assert!(got.len() == 5 && got.iter().zip(&want).all(same), "{name}: got {got:?}, want {want:?}");
    }

    fn says(&self, name: &str, want: [&str; 5]) {
        let ColumnValues::Texts(got) = self.read(name) else { panic!("{name} is no text") };
        assert_eq!(got.iter().map(|t| &**t).collect::<Vec<_>>(), want, "{name}");
    }
}

fn half(days: f32, half_life: f32) -> f32 {
    (-days / half_life).exp2()
}

#[test]
fn item_columns() {
    let case = case();
    case.says("item.id", ROWS);
    case.says("item.kind", ["product", "product", "product", "product", "content"]);
    case.says("item.title", ["Title tea1", "Title tea2", "Title tea3", "Title cup1", "Title art1"]);
    case.says("item.brand", ["Acme", "Acme", "", "Öko", ""]);
    case.says("item.merchant", [""; 5]);
    case.says("item.currency", ["GBP"; 5]);
    case.says("item.category", ["tea", "tea", "tea", "cups", "tea"]);
    let ColumnValues::Lists(tags) = case.read("item.tags") else { panic!() };
    assert_eq!(tags[3].iter().map(|t| &**t).collect::<Vec<_>>(), ["cups-tag", "all"]);
    for list in ["item.categories", "item.channels", "item.regions"] {
        assert!(matches!(case.read(list), ColumnValues::Lists(v) if v.len() == 5));
    }
    case.is("item.price", [2.0, 4.0, NAN, 8.0, NAN]);
    case.is("item.stock", [NAN; 5]);
    let age = |last: u8| (15_010 - i32::from(last)) as f32;
    case.is("item.age_days", [age(b'1'), age(b'2'), age(b'3'), age(b'1'), age(b'1')]);
    case.is("item.impressions", [0.0, 0.0, 1.0, 0.0, 1.0]);
    case.is("item.views", [0.0, 0.0, 1.0, 0.0, 1.0]);
    case.is("item.carts", [0.0, 0.0, 0.0, 0.0, 1.0]);
    case.is("item.orders", [3.0, 2.0, 0.0, 1.0, 0.0]);
    case.is("item.buyers", [2.0, 2.0, 0.0, 1.0, 0.0]);
    case.is("item.views_1d", [0.0, 0.0, 0.5, 0.0, 0.5]);
    case.is("item.views_7d", [0.0, 0.0, half(1.0, 7.0), 0.0, half(1.0, 7.0)]);
    for (name, h) in [("item.orders_7d", 7.0), ("item.orders_30d", 30.0), ("item.orders_90d", 90.0)] {
        let tea1 = half(10.0, h) + half(6.0, h) + half(2.0, h);
        case.is(name, [tea1, half(4.0, h) + half(2.0, h), 0.0, half(10.0, h), 0.0]);
    }
    case.is("item.ctr", [1.0, 1.0, 1.0, 1.0, 1.0]);
    let conversion = |orders: f32, views: f32| (orders + 20.0 * 3.0) / (views + 20.0);
    case.is(
        "item.conversion",
        [conversion(3.0, 0.0), conversion(2.0, 0.0), conversion(0.0, 1.0), conversion(1.0, 0.0), conversion(0.0, 1.0)],
    );
    let repeat = |twice: f32, buyers: f32| (twice + 5.0 * 0.2) / (buyers + 5.0);
    case.is(
        "item.repeat_rate",
        [repeat(1.0, 2.0), repeat(0.0, 2.0), repeat(0.0, 0.0), repeat(0.0, 1.0), repeat(0.0, 0.0)],
    );
    case.is("item.days_since_order", [2.0, 2.0, NAN, 10.0, NAN]);
}

#[test]
fn attributes_are_numbers_or_texts() {
    let case = case();
    let with = |id: &str, name: &str, value: serde_json::Value| {
        case.store.patch(id, &serde_json::json!({ "attributes": { name: value } })).unwrap();
    };
    with("tea1", "grams", 250.into());
    with("tea2", "grams", true.into());
    with("tea1", "colour", "green".into());
    with("tea2", "colour", 5.into());
    case.is("item.attributes.grams", [250.0, 1.0, NAN, NAN, NAN]);
    case.says("item.attributes.colour", ["green", "5", "", "", ""]);
    case.is("item.attributes.none", [NAN; 5]);
    // A text makes way for a number, a number for nothing.
    with("tea1", "colour", 7.into());
    case.is("item.attributes.colour", [7.0, 5.0, NAN, NAN, NAN]);
    with("tea1", "grams", serde_json::Value::Null);
    case.is("item.attributes.grams", [NAN, 1.0, NAN, NAN, NAN]);
    with("tea1", "grams", "many".into());
    case.says("item.attributes.grams", ["many", "true", "", "", ""]);
    case.store.upsert(vec![Item { id: "s".into(), ..Item::default() }]).unwrap();
    case.store.patch("tea1", &serde_json::json!({"stock": {"sellable": 3}})).unwrap();
    case.is("item.stock", [3.0, NAN, NAN, NAN, NAN]);
}

#[test]
fn visitor_columns() {
    let case = case();
    let all = |name: &str, value: f32| case.is(name, [value; 5]);
    all("visitor.orders", 3.0);
    all("visitor.order_lines", 4.0);
    all("visitor.spend", 2.0 * 2.0 + 8.0 + 2.0 + 4.0);
    all("visitor.events", 7.0);
    all("visitor.distinct_items", 3.0);
    all("visitor.average_price", (2.0 + 8.0 + 2.0 + 4.0) / 4.0);
    all("visitor.basket_size", 4.0 / 3.0);
    all("visitor.days_since_order", 4.0);
    all("visitor.days_since_first", 10.0);
    all("visitor.repeat_share", 0.25);
}

#[test]
fn history_columns() {
    let case = case();
    case.is("history.orders", [2.0, 1.0, 0.0, 1.0, 0.0]);
    case.is("history.quantity", [3.0, 1.0, 0.0, 1.0, 0.0]);
    case.is("history.views", [0.0, 0.0, 1.0, 0.0, 1.0]);
    case.is("history.carts", [0.0, 0.0, 0.0, 0.0, 1.0]);
    case.is("history.impressions", [0.0, 0.0, 1.0, 0.0, 1.0]);
    case.is("history.days_since_order", [6.0, 4.0, NAN, 10.0, NAN]);
    case.is("history.days_since_first_order", [10.0, 4.0, NAN, 10.0, NAN]);
    case.is("history.days_since_last", [6.0, 4.0, 1.0, 10.0, 1.0]);
    case.is("history.order_share", [2.0 / 3.0, 1.0 / 3.0, 0.0, 1.0 / 3.0, 0.0]);
    case.is("history.recency_orders", [1.0, 0.0, NAN, 2.0, NAN]);
    case.is("history.overdue", [6.0 / 4.0, NAN, NAN, NAN, NAN]);
    // As of the last event, day 9: purchases 5, views and clicks 1, carts 3.
    let tea = 5.0 * (half(9.0, 30.0) + half(5.0, 30.0) + half(3.0, 30.0)) + 5.0;
    let cups = 5.0 * half(9.0, 30.0);
    let (t, c) = (tea / (tea + cups), cups / (tea + cups));
    case.is("history.category_share", [t, t, t, c, t]);
    let acme = tea - 5.0;
    case.is("history.brand_share", [acme / (acme + cups), acme / (acme + cups), NAN, cups / (acme + cups), NAN]);
    case.is("history.price_ratio", [0.5, 1.0, NAN, 2.0, NAN]);

    let weight = |interest: f32, days: f32| (1.0 + interest).ln() * half(days, 90.0);
    let (tea1, tea2, cup1) = (weight(2.0, 6.0), weight(1.0, 4.0), weight(1.0, 10.0));
    let tea1_tea2 = 1.0 / (6f32.sqrt() + 10.0);
    let tea1_cup1 = 1.0 / (3f32.sqrt() + 10.0);
    let of_tea1 = tea2 * tea1_tea2 + cup1 * tea1_cup1;
    case.is("history.similarity", [of_tea1, tea1 * tea1_tea2, 0.0, tea1 * tea1_cup1, 0.0]);
    let highest = (tea2 * tea1_tea2).max(cup1 * tea1_cup1);
    case.is("history.similarity_max", [highest, tea1 * tea1_tea2, 0.0, tea1 * tea1_cup1, 0.0]);
    let (tea3, art1) = (weight(0.25, 1.0), weight(0.75, 1.0));
    case.is("history.viewed_similarity", [0.0, 0.0, art1 / 11.0, 0.0, tea3 / 11.0]);
    assert!(matches!(case.read("history.next_similarity"), ColumnValues::Numbers(v) if v[4] > 0.0));
}

#[test]
fn anchor_columns() {
    let case = case();
    // Anchors cup1 (1 order) and tea1 (3 orders); tea1 with cup1 once, with tea2 once.
    let (cup, tea) = (1.0 / (3f32.sqrt() + 10.0), 1.0 / (6f32.sqrt() + 10.0));
    for name in ["anchor.similarity", "anchor.similarity_max", "anchor.similarity_last5"] {
        case.is(name, [cup, tea, 0.0, cup, 0.0]);
    }
    // tea1, the last, goes with tea2 and cup1; cup1, the one before it, with tea1
    case.is("anchor.similarity_last", [0.0, tea, 0.0, cup, 0.0]);
    case.is("anchor.similarity_faded", [0.7 * cup, tea, 0.0, cup, 0.0]);
    case.is("anchor.together_faded", [0.7, 1.0, 0.0, 1.0, 0.0]);
    for name in ["anchor.together", "anchor.together_last5"] {
        case.is(name, [1.0, 1.0, 0.0, 1.0, 0.0]);
    }
    case.is("anchor.together_30d", [half(10.0, 30.0), half(2.0, 30.0), 0.0, half(10.0, 30.0), 0.0]);
    case.is("anchor.confidence", [0.5, 1.0 / 6.0, 0.0, 1.0 / 6.0, 0.0]);
    case.is("anchor.confidence_max", [1.0, 1.0 / 3.0, 0.0, 1.0 / 3.0, 0.0]);
    case.is("anchor.viewed_similarity", [0.0; 5]);
    // Inside orders: cup1 after tea1 on day 0, tea2 after tea1 on day 8. Between them: tea1 follows cup1 (in an order of
    // two) on day 4; tea2 follows tea1 (1) and cup1 (1/2) on day 6.
    let next = |count: f32, a: f32, b: f32| count / ((a * b).sqrt() + 10.0);
    let ColumnValues::Numbers(got) = case.read("anchor.next_similarity") else { panic!() };
    assert!((got[0] - next(0.5, 1.0, 3.0)).abs() < 1e-6, "{got:?}");
    assert!((got[1] - next(2.0, 3.0, 2.0) - next(0.5, 1.0, 2.0)).abs() < 1e-6, "{got:?}");
    assert!((got[3] - next(1.0, 3.0, 1.0)).abs() < 1e-6, "{got:?}");
    let ColumnValues::Numbers(last) = case.read("anchor.next_similarity_last") else { panic!() };
    assert!(last[0] == 0.0 && (last[1] - next(2.0, 3.0, 2.0)).abs() < 1e-6, "{last:?}");
    let ColumnValues::Numbers(faded) = case.read("anchor.next_similarity_faded") else { panic!() };
    assert!((faded[0] - 0.7 * next(0.5, 1.0, 3.0)).abs() < 1e-6 && (faded[3] - got[3]).abs() < 1e-6, "{faded:?}");
    case.is("anchor.next_similarity_last5", got.try_into().unwrap());
    case.is("anchor.same_category", [0.5, 0.5, 0.5, 0.5, 0.5]);
    case.is("anchor.same_brand", [0.5, 0.5, NAN, 0.5, NAN]);
    case.is("anchor.price_ratio", [0.4, 0.8, NAN, 1.6, NAN]);
}

#[test]
fn context_columns() {
    let mut case = case();
    case.ctx.now = 1_320_143_400_000; // Tuesday 2011-11-01 10:30 UTC
    case.is("context.items", [2.0; 5]);
    case.is("context.hour", [10.0; 5]);
    case.is("context.weekday", [2.0; 5]);
    case.is("context.month", [11.0; 5]);
    case.says("context.device", ["ios"; 5]);
    case.says("context.channel", ["app"; 5]);
    case.says("context.absent", [""; 5]);
    assert_eq!([0, 58, 59, 60, 364, 365, 19_782, -1].map(month), [1, 2, 3, 3, 12, 1, 2, 12]);
}

#[test]
fn nobody_without_anchors() {
    let case = case();
    let ctx = RequestContext::new(Request::default(), Arc::default(), day(10), 1);
    let case = Case { ctx, ..case };
    for name in ["visitor.orders", "history.orders", "history.similarity", "anchor.similarity", "anchor.together"] {
        case.is(name, [0.0; 5]);
    }
    for name in [
        "visitor.average_price",
        "visitor.days_since_first",
        "history.order_share",
        "history.category_share",
        "history.days_since_last",
        "anchor.confidence",
        "anchor.confidence_max",
        "anchor.same_brand",
        "anchor.price_ratio",
    ] {
        case.is(name, [NAN; 5]);
    }
}

#[test]
fn every_name_is_known_and_bounds_hold() {
    let case = case();
    let catalogue = case.store.current();
    let rows = [row(&case.folds, "tea1"), ItemRow(900)];
    for name in Folds::names() {
        let found = case.folds.column(&catalogue, &case.ctx, &rows, name);
        assert_eq!(found.map(|v| v.len()), Some(2), "{name}");
        assert_eq!(case.folds.column(&catalogue, &case.ctx, &[], name).map(|v| v.len()), Some(0), "{name}");
    }
    for name in ["", "item", "item.", "item.nothing", "item.attributes.", "score", "near.x", "history.x", "visitor."] {
        assert_eq!(case.folds.column(&catalogue, &case.ctx, &rows, name), None, "{name}");
    }
    let page = include_str!("../../../../docs/columns.md");
    for name in Folds::names() {
        assert!(page.contains(&format!("`{name}`")), "docs/columns.md does not name {name}");
    }
    assert_eq!(DAY_MS, 86_400_000);
}
