//! Every page renders in both languages, escapes what it prints and holds to its content policy.

use super::{Face, Learned, Query, Storefront, Visit, assets};
use crate::demo::{Scale, generate};
use crate::recommend::Answer;
use qianmian_core::ItemKind;
use qianmian_state::Item;
use rustc_hash::FxHashMap;
use serde_json::json;
use std::sync::Arc;

const NOW: i64 = 1_790_000_000_000;

fn catalogue() -> FxHashMap<String, Arc<Item>> {
    generate(1, Scale::SMALL, NOW).items.into_iter().map(|i| (i.id.clone(), Arc::new(i))).collect()
}

fn answer(shelves: &serde_json::Value) -> Answer {
    serde_json::from_value(json!({
        "request_id": "r-1", "scenario": "home", "release": 3,
        "strategy": {"name": "home", "version": "0.1.0", "digest": "d"},
        "variants": {}, "degraded": ["model ranker"], "fallback": null, "shelves": shelves, "took_us": 2345
    }))
    .expect("an answer")
}

fn page_of(items: &FxHashMap<String, Arc<Item>>) -> Answer {
    let mut ids: Vec<&String> = items.iter().filter(|(_, i)| i.kind == ItemKind::Product).map(|(id, _)| id).collect();
    ids.sort();
    let slot = |at: usize, kind: &str, id: &str| json!({"position": at, "item": id, "kind": kind, "score": 0.5, "reasons": ["viewed_together"], "copy": null});
    answer(&json!([
        {"id": "for-you", "title": "", "slots": (1..=6).map(|n| slot(n, "product", ids[n * 7])).collect::<Vec<_>>()},
        {"id": "stories", "title": "x", "slots": [slot(7, "content", "A00001"), slot(8, "content", "gone")]},
        {"id": "offers", "title": "y", "slots": [slot(9, "offer", "O00001")]},
        {"id": "own-shelf", "title": "<b>own</b>", "slots": [slot(10, "product", ids[0])]},
        {"id": "empty", "title": "nothing", "slots": []},
    ]))
}

fn query(visitor: &str, lang: &str) -> Query {
    Query {
        visitor: Some(visitor.into()),
        lang: Some(lang.into()),
        cart: Some("P00003.nothing".into()),
        ..Query::default()
    }
}

#[test]
fn every_page_renders_in_both_languages() {
    let (front, items) = (Storefront::demo().expect("templates parse"), catalogue());
    let find = |id: &str| items.get(id).cloned();
    let answer = page_of(&items);
    let learned = Learned { events: 9, recent: vec!["P00010".into(), "A00002".into(), "gone".into()], now: NOW };
    for lang in ["zh", "en"] {
        let visit = front.visit(&query("u00001", lang), None);
        let other = front.visit(&query("u00002", lang), None);
        let article = items.get("A00003").expect("an article");
        let pages = [
            front.home(&visit, &answer, &learned, &find),
            front.home(&front.visit(&query("nobody", lang), None), &answer, &Learned::default(), &find),
            front.home(&visit, &super::tests::answer(&json!([])), &learned, &find),
            front.item(&visit, &items["P00001"], &answer, &learned, &find),
            front.item(&visit, article, &answer, &learned, &find),
            front.cart(&visit, Some(&answer), &learned, &find),
            front.cart(&Visit { cart: Vec::new(), ..visit.clone() }, None, &learned, &find),
            front.compare((&visit, &answer, &learned), (&other, &answer, &learned), &find),
            front.message(&visit, 404, "no such item"),
        ];
        for page in pages {
            let page = page.expect("renders");
            assert!(page.contains(if lang == "zh" { "lang=\"zh-CN\"" } else { "lang=\"en\"" }));
            assert!(!page.contains("<b>own"), "titles are escaped");
            assert!(
                !page.contains(" style=") && !page.contains("<style") && !page.contains("<script>"),
                "nothing inline"
            );
            assert!(!page.contains(" onclick") && !page.contains("http://") && !page.contains("https://"));
        }
    }
}

#[test]
fn a_page_says_who_why_and_how() {
    let (front, items) = (Storefront::demo().expect("templates parse"), catalogue());
    let find = |id: &str| items.get(id).cloned();
    let mut answer = page_of(&items);
    let category = |id: &str| items.get(id).and_then(|i| i.categories.last().cloned());
    let slot = answer.shelves[0].slots[0].item.clone();
    let sibling = items
        .values()
        .filter(|i| i.id != slot && i.kind == ItemKind::Product && i.categories.last().cloned() == category(&slot))
        .map(|i| i.id.clone())
        .min()
        .expect("another of its category");
    let learned = Learned { events: 1, recent: vec![sibling], now: NOW };
    let visit = front.visit(&query("u00001", "zh"), None);
    let page = front.home(&visit, &answer, &learned, &find).expect("renders");
    for expected in
        ["林悦", "因为你看过", "2.34 ms", "model ranker", "r-1", "为你挑选", "data-position=\"1\"", "最近看过"]
    {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    answer.shelves[0].slots[0].reasons = vec!["bought_together".into()];
    let english = front.visit(&query("u00001", "en"), None);
    let page = front.home(&english, &answer, &learned, &find).expect("renders");
    assert!(page.contains("Often bought together") && page.contains("Lin Yue"));
    let unpersonal = front.visit(&Query { personalised: Some("0".into()), ..query("u00001", "en") }, None);
    let page = front.home(&unpersonal, &answer, &learned, &find).expect("renders");
    assert!(!page.contains("Because you viewed") && !page.contains("Recently opened"));
}

#[test]
fn what_visitors_and_shops_write_is_escaped() {
    let face = Face {
        id: "\"><script>".into(),
        name: ("<i>".into(), "<i>".into()),
        about: ("'&".into(), "'&".into()),
        channel: "web".into(),
        region: String::new(),
    };
    let front = Storefront::new(vec![face], Vec::new()).expect("templates parse");
    let item = Arc::new(Item { id: "a\"b".into(), title: "<img src=x>".into(), ..Item::default() });
    let find = |_: &str| Some(Arc::clone(&item));
    let slots = json!([{"id": "s\"s", "title": "", "slots": [
        {"position": 1, "item": "a\"b", "kind": "product", "score": null, "reasons": ["<x>"], "copy": "<y>"}]}]);
    let visit = front.visit(&Query::default(), Some("en"));
    let page = front.home(&visit, &answer(&slots), &Learned::default(), &find).expect("renders");
    for raw in ["<img src=x", "<i>", "<x>", "<y>", "\"><script>", "s\"s"] {
        assert!(!page.contains(raw), "{raw} is raw");
    }
}

#[test]
fn tiles_have_their_symbols_and_colours() {
    let text = |path: &str| {
        let asset = assets().iter().find(|a| a.path == path).expect("asset");
        std::str::from_utf8(asset.bytes).expect("text")
    };
    let (icons, css) = (text("/assets/icons.svg"), text("/assets/storefront.css"));
    let (front, items) = (Storefront::demo().expect("templates parse"), catalogue());
    let visit = front.visit(&Query::default(), None);
    for item in items.values() {
        let view = super::view::item(item, &visit, "/");
        assert!(icons.contains(&format!("id=\"{}\"", view.icon)), "no symbol {}", view.icon);
        assert!(css.contains(&format!(".h{} {{", view.hue)) && css.contains(&format!(".p{}::before", view.pattern)));
        assert_ne!(view.icon, "box", "{:?} has a symbol of its own", item.categories);
    }
}
