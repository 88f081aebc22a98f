//! The shipped strategies over the invented shop.

use crate::shop::{HOST, context, is_product, known, reach, request, shipped};
use qianmian_core::{ItemRow, Page, Request, Visitor};
use qianmian_host::{Fault, Limits, Outcome};
use std::collections::BTreeSet;
use std::time::Duration;

fn compose(name: &str, request: Request, visitor: Visitor, parameters: &str) -> Option<Outcome> {
    let limits = Limits { wall: Duration::from_secs(20), ..Limits::default() };
    Some(shipped(name)?.compose(context(request, visitor), &reach(), parameters, &limits))
}

fn page(name: &str, request: Request, visitor: Visitor, parameters: &str) -> Option<Page> {
    let outcome = compose(name, request, visitor, parameters)?;
    Some(outcome.page.unwrap_or_else(|fault| panic!("{name}: {fault}")))
}

fn rows(page: &Page) -> Vec<u32> {
    page.shelves.iter().flat_map(|shelf| shelf.slots.rows()).map(|row| row.0).collect()
}

fn shelves(page: &Page) -> Vec<&str> {
    page.shelves.iter().map(|shelf| shelf.id.as_str()).collect()
}

fn anchored(items: &[u32], limit: u32) -> Request {
    Request { items: items.iter().copied().map(ItemRow).collect(), ..request(limit) }
}

const ALL: [&str; 5] = ["home", "product", "cart", "content", "compose"];

#[test]
fn they_are_small_and_describe_themselves() {
    for name in ALL {
        let Some(strategy) = shipped(name) else { return };
        let said = strategy.description();
        assert_eq!(said.name, name);
        assert!(!said.summary.is_empty());
        let schema: serde_json::Value = serde_json::from_str(&said.parameters_schema).unwrap();
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], serde_json::Value::Null, "every parameter is optional");
        let described = schema["properties"].as_object().unwrap().values().all(|p| p["description"].is_string());
        assert!(described, "{name}: a parameter without a description");
    }
    assert!(HOST.ticker_lag() < Duration::from_secs(5));
}

#[test]
fn a_visitor_nobody_knows_gets_a_full_page_without_doubles() {
    for name in ALL {
        for request in [request(20), anchored(&[30], 20), Request { personalised: false, ..request(1) }] {
            let limit = request.limit as usize;
            let Some(page) = page(name, request, Visitor::default(), "{}") else { return };
            let rows = rows(&page);
            assert_eq!(rows.len(), limit, "{name}");
            assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), limit, "{name}: {rows:?}");
        }
    }
}

#[test]
fn the_same_request_gives_the_same_page() {
    for name in ALL {
        let run = || compose(name, anchored(&[7], 20), known(), "{}").map(|o| (rows(&o.page.unwrap()), o.usage.fuel));
        assert_eq!(run(), run());
    }
}

#[test]
fn home_has_shelves_and_can_be_flat() {
    let Some(page) = page("home", request(20), known(), "{}") else { return };
    assert_eq!(shelves(&page), ["for-you", "buy-again", "new"]);
    assert!(page.shelves[0].slots.column("source.bought_together.rank").is_some());
    assert!(rows(&page).into_iter().all(|row| is_product(ItemRow(row))));

    let flat = r#"{"flat": true, "model": "ranker", "only_new": true, "keep": "item.price > 12.0"}"#;
    let page = self::page("home", request(20), known(), flat).unwrap();
    assert_eq!(shelves(&page), ["items"]);
    let scores: Vec<f32> = page.shelves[0].slots.column("score").unwrap().to_vec();
    assert!(scores.is_sorted_by(|a, b| a >= b));
    assert!(rows(&page).into_iter().all(|row| row > 12), "{:?}", rows(&page));

    let own = r#"{"shelves": [{"id": "offers", "title": "Offers", "kinds": ["offer"], "size": 3},
        {"id": "articles", "kinds": ["content"], "size": 2}, {"id": "rest"}]}"#;
    let page = self::page("home", request(12), Visitor::default(), own).unwrap();
    assert_eq!(page.shelves.iter().map(|s| s.slots.len()).collect::<Vec<_>>(), [3, 2, 7]);
    assert!(page.shelves[0].slots.rows().iter().all(|row| row.0 >= 250));
}

#[test]
fn what_is_not_there_degrades_and_what_is_wrong_refuses() {
    let missing = r#"{"flat": true, "model": "gone", "space": "gone", "spread": 0.5}"#;
    let Some(outcome) = compose("home", request(20), known(), missing) else { return };
    assert_eq!(outcome.page.as_ref().unwrap().slots(), 20);
    assert_eq!(outcome.degraded, ["source:near", "model:gone", "space:gone"]);
    assert!(outcome.log.iter().any(|line| line.contains("no model named \"gone\"; known: ")), "{:?}", outcome.log);

    let broken = compose("cart", anchored(&[1], 5), known(), r#"{"model": "broken"}"#).unwrap();
    assert_eq!(broken.page.unwrap().slots(), 5);
    assert!(broken.degraded.contains(&"model:broken".to_owned()), "{:?}", broken.degraded);
    let short = compose("cart", anchored(&[1], 5), known(), r#"{"model": "short"}"#).unwrap();
    assert!(short.page.is_ok() && !short.degraded.is_empty());
    assert_eq!(compose("cart", anchored(&[1], 5), known(), r#"{"model": "nan"}"#).unwrap().page.unwrap().slots(), 5);

    let reason = |name, parameters| match compose(name, request(5), known(), parameters).unwrap().page {
        Err(Fault::Rejected { reason }) => reason,
        other => panic!("{other:?}"),
    };
    // A filter never fails open.
    assert!(reason("home", r#"{"keep": "item.prise < 3.0"}"#).contains("no column named \"item.prise\""));
    assert!(reason("home", r#"{"keep": "item.price <"}"#).starts_with("shelf buy-again: character"));
    assert!(reason("cart", r#"{"modle": "ranker"}"#).starts_with("the parameters: unknown field `modle`"));
    assert!(reason("cart", "[").starts_with("the parameters: "));
}

#[test]
fn product_shows_similar_ones_and_complements_but_never_itself() {
    let Some(page) = page("product", anchored(&[31], 12), known(), r#"{"space": "vectors"}"#) else { return };
    assert_eq!(shelves(&page), ["similar", "complements"]);
    assert_eq!(page.shelves[1].slots.len(), 6);
    assert!(!rows(&page).contains(&31));
    assert_eq!(rows(&page).iter().collect::<BTreeSet<_>>().len(), 12);
    let popular = self::page("product", request(12), known(), "{}").unwrap();
    assert_eq!(shelves(&popular), ["popular"]);
}

#[test]
fn cart_leaves_out_what_is_in_it() {
    let Some(page) = page("cart", anchored(&[1, 2, 3], 10), Visitor::default(), "{}") else { return };
    assert_eq!(rows(&page).len(), 10);
    assert!(rows(&page).iter().all(|row| ![1, 2, 3].contains(row)));
    assert_eq!(page.shelves[0].title, "Goes well with your cart");
}

#[test]
fn content_stands_beside_products() {
    for items in [&[][..], &[210]] {
        let parameters = r#"{"space": "vectors", "articles": {"size": 4}}"#;
        let Some(page) = page("content", anchored(items, 10), known(), parameters) else { return };
        assert_eq!(shelves(&page), ["articles", "products"]);
        assert!(page.shelves[0].slots.rows().iter().all(|row| (200..250).contains(&row.0)));
        assert!(rows(&page).iter().all(|row| !items.contains(row)), "the article itself");
        assert!(page.shelves[1].slots.rows().iter().all(|row| is_product(*row)));
        assert_eq!(page.shelves.iter().map(|s| s.slots.len()).collect::<Vec<_>>(), [4, 6]);
    }
}

#[test]
fn compose_does_its_steps() {
    let parameters = r#"{"shelves": [
        {"id": "deals", "title": "Deals", "steps": [
            {"retrieve": [{"source": "trending", "limit": 100}, {"source": "newest", "name": "fresh", "limit": 50}]},
            {"keep": "item.price < 150.0 && item.kind == \"product\""},
            {"without_seen": ["purchase", "view"]},
            {"score": "ranker"},
            {"compute": {"column": "lifted", "formula": "score + 2.0 * item.price"}},
            {"order_by": "lifted"},
            {"cap": {"column": "item.category", "most": 1, "overflow": "remove"}},
            {"pin": ["i009", "i299", "nobody"]},
            {"take": 5}]},
        {"id": "all", "size": 4, "steps": [
            {"retrieve": [{"source": "listed", "ids": ["i009", "i100", "x", "i200", "i101"], "kinds": []},
                          {"source": "trending", "scope": "region"}]},
            {"blend": {"listed": 1.0, "trending": 0.1}},
            {"spread": {"space": "vectors", "strength": 0.0}},
            {"cap": {"column": "item.tags", "most": 9}}]}]}"#;
    let explained = Request { explain: true, ..request(20) };
    let Some(outcome) = compose("compose", explained, known(), parameters) else { return };
    let page = outcome.page.unwrap();
    let deals: Vec<u32> = page.shelves[0].slots.rows().iter().map(|row| row.0).collect();
    // The dearest of each category among the products below 150 not seen, once item 9 of its category is not kept.
    assert_eq!(deals, [147, 144, 141, 138, 135]);
    let all: Vec<u32> = page.shelves[1].slots.rows().iter().map(|row| row.0).collect();
    assert_eq!(all, [9, 100, 200, 101]);
    let steps: Vec<&str> = outcome.steps.iter().map(|step| step.operation).collect();
    let expected = ["retrieve", "keep", "without-seen", "score", "compute", "order-by", "cap", "pin", "take", "take"];
    assert_eq!(steps[..10], expected);
    let keep = &outcome.steps[1];
    assert_eq!((keep.before - keep.after, keep.removed.len()), (keep.removed.len(), keep.before - keep.after));
    assert!(keep.removed.iter().all(|row| row.0 >= 150));
    assert_eq!(outcome.steps[0].argument, "trending:100 fresh:50");
    assert!(outcome.steps[2].removed.iter().all(|row| [0, 3].contains(&row.0)));
}

#[test]
fn compose_names_the_step_that_is_wrong() {
    let reason = |parameters: &str| match compose("compose", request(5), known(), parameters)?.page {
        Err(Fault::Rejected { reason }) => Some(reason),
        other => panic!("{other:?}"),
    };
    let of = |steps: &str| {
        let good = r#"{"id": "a", "steps": [{"retrieve": [{"source": "trending"}]}]}"#;
        reason(&format!(r#"{{"shelves": [{good}, {{"id": "b", "steps": [{steps}]}}]}}"#))
    };
    let first = r#"{"retrieve": [{"source": "trending"}]}"#;
    let Some(text) = of(&format!(r#"{first}, {{"take": 9}}, {{"keep": "item.price + 1.0"}}"#)) else { return };
    assert!(text.starts_with("shelf 2, step 3, keep: "), "{text}");
    let text = of(r#"{"keep": "true"}"#).unwrap();
    assert_eq!(text, "shelf 2, step 1, keep: expected retrieve: a shelf begins with it");
    let text = of(&format!(r#"{first}, {{"shuffle": true}}"#)).unwrap();
    assert!(text.starts_with("shelf 2, step 2, shuffle: unknown variant `shuffle`, expected one of"), "{text}");
    let text = of(r#"{"retrieve": [{"source": "near_visitor"}]}"#).unwrap();
    assert_eq!(text, "shelf 2, step 1, retrieve: source 1: source near_visitor needs \"space\"");
    let text = of(&format!(r#"{first}, {{"order_by": "item.brand"}}"#)).unwrap();
    assert_eq!(text, "shelf 2, step 2, order_by: column \"item.brand\" has texts: expected numbers");
    let text = of(&format!(r#"{first}, {{"order_by": "item.short"}}"#)).unwrap();
    assert!(text.contains("1 values for"), "{text}");
    let text = of(&format!(r#"{first}, {{"blend": {{"newest": 1.0}}}}"#)).unwrap();
    assert_eq!(text, "shelf 2, step 2, blend: no source named \"newest\"; known: trending");
    let text = of(&format!(r#"{first}, {first}"#)).unwrap();
    assert!(text.starts_with("shelf 2, step 2, retrieve: a second retrieve"), "{text}");
    assert!(of("").unwrap().starts_with("shelf 2: no steps"));
    let text = of(r#"{"retrieve": [{"source": "trending"}, {"source": "trending", "scope": "region"}]}"#).unwrap();
    assert_eq!(text, "shelf 2, step 1, retrieve: two sources are named \"trending\"");
}
