//! The console in a real browser: a tag and a segment are defined, events come in, the visitor is looked up, in both
//! languages. Nothing goes wrong, and nothing is asked for from elsewhere.

use crate::browser::{DESKTOP, PHONE, Visit, chromium};
use qianmian_tests::Server;
use serde_json::{Value, json};

/// An id that would be a script, were it ever taken for more than a text.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

#[test]
fn a_team_defines_tags_and_segments_and_looks_a_visitor_up() {
    let Some(browser) = chromium() else { return };
    let server = shop();
    for window in [PHONE, DESKTOP] {
        let page = Visit::new(&browser, &server.url, window);
        let (tag, segment) = (format!("loyalty-{}", window.name), format!("loyal-{}", window.name));
        the_language_is_chosen(&page);
        a_layered_tag_is_defined(&page, &server, &tag);
        let before = a_segment_is_defined(&page, &server, &segment, &tag);
        a_visitor_joins(&page, &server, &segment, before);
        the_visitor_is_looked_up(&page, &segment, &tag);
        every_page_looks_right(&page, &segment, &tag);
        let asked = "JSON.stringify(performance.getEntriesByType('resource').map(entry => entry.name))";
        let asked: Vec<String> = serde_json::from_str(&text(&page, asked)).expect("addresses");
        assert!(asked.len() > 10 && asked.iter().all(|name| name.starts_with(&server.url)), "{asked:?}");
        // typed slowly, a condition that is not written to its end is refused, and a browser logs every refusal
        let unfinished = |error: &&String| error.contains("/v1/segments/size") && error.contains("status of 422");
        let errors = page.errors.lock().expect("errors").clone();
        let errors: Vec<&String> = errors.iter().filter(|error| !unfinished(error)).collect();
        assert!(errors.is_empty(), "on {}: {errors:?}", window.name);
        a_refusal_stands_beside_its_field(&page);
    }
}

#[test]
fn the_console_is_served_at_its_addresses() {
    let server = Server::empty();
    for path in ["/console", "/console/tags/any", "/console/visitor"] {
        let reply = server.get(path);
        assert_eq!((reply.status, &*reply.kind), (200, "text/html; charset=utf-8"), "{path}");
        assert!(reply.text.contains("/console/assets/app.js"), "{path}");
    }
    let reply = server.get("/console/assets/app.js");
    assert_eq!((reply.status, &*reply.kind), (200, "text/javascript; charset=utf-8"));
    assert_eq!(server.get("/console/assets/nothing.js").json["code"], "no_route");
}

/// Visitors `v0` to `v9`, each with as many orders as the number says.
fn shop() -> Server {
    let server = Server::empty();
    server.items(&[json!({ "id": "p0", "title": "Tea", "price": 9, "categories": ["tea"] })]);
    let mut events = vec![json!({ "id": "hostile", "type": "view", "item": "p0", "channel": HOSTILE,
        "visitor": { "id": HOSTILE, "attributes": { "city": HOSTILE } } })];
    for visitor in 0..10 {
        for n in 0..=visitor {
            let kind = if n == 0 { "view" } else { "purchase" };
            let id = format!("{visitor}-{n}");
            events.push(json!({ "id": id, "type": kind, "item": "p0", "visitor": { "id": format!("v{visitor}") } }));
        }
    }
    server.events(&events);
    server
}

fn the_language_is_chosen(page: &Visit) {
    page.open("/console");
    press(page, "[data-language=en]");
    page.wait(|p| p.text("h1") == "Tags", "the page speaks English");
    press(page, "[data-language=zh]");
    page.wait(|p| p.text("h1") == "标签", "the page speaks Chinese");
    assert_eq!(text(page, "document.documentElement.lang"), "zh-CN");
}

fn a_layered_tag_is_defined(page: &Visit, server: &Server, tag: &str) {
    open(page, "/console/new-tag");
    write(page, "input[name=name]", tag);
    write(page, "input[name=of]", "visitor.orders");
    for (at, (name, from)) in [("some", "1"), ("much", "5")].into_iter().enumerate() {
        let row = format!(".layers li:nth-child({})", at + 1);
        write(page, &format!("{row} [data-layer=name]"), name);
        write(page, &format!("{row} [data-layer=from]"), from);
    }
    page.wait(|p| p.number("[...document.querySelectorAll('.layers output b')].length") == 2.0, "layers are counted");
    // Another language, and what was typed is still there.
    press(page, "[data-language=en]");
    page.wait(|p| p.text("h1") == "New tag", "the page speaks English");
    assert_eq!(text(page, "document.querySelector('input[name=name]').value"), tag);
    press(page, "[data-language=zh]");
    press(page, "main button[type=submit]");
    arrives(page, "tags", tag);
    server.app.state.folds.audience.wait();
    page.wait(|p| p.text(".bars").contains(&format!("{tag}:much")), "visitors carry the tag");
}

/// How many are in it.
fn a_segment_is_defined(page: &Visit, server: &Server, segment: &str, tag: &str) -> f64 {
    open(page, "/console/new-segment");
    write(page, "input[name=name]", segment);
    write(page, "textarea[name=when]", &format!("'{tag}:much' in visitor.tags"));
    page.wait(|p| size(p) >= 5.0, "the size is estimated while the condition is written");
    page.picture("console-estimate");
    press(page, "main button[type=submit]");
    arrives(page, "segments", segment);
    server.app.state.folds.audience.wait();
    let counted = server.get(&format!("/v1/segments/{segment}/size")).json["size"].as_f64().expect("a size");
    page.wait(|p| size(p) == counted, "the page shows the size");
    counted
}

fn a_visitor_joins(page: &Visit, server: &Server, segment: &str, before: f64) {
    let id = visitor(page);
    let order = |n| json!({ "id": format!("{id}-{n}"), "type": "purchase", "item": "p0", "visitor": { "id": id } });
    server.events(&(0..6).map(order).collect::<Vec<_>>());
    page.wait(|p| size(p) == before + 1.0, "the size follows the events");
    open(page, "/console/segments");
    page.wait(|p| p.text("tbody").contains(segment), "the list has the segment");
}

fn the_visitor_is_looked_up(page: &Visit, segment: &str, tag: &str) {
    open(page, "/console/visitor");
    write(page, "input[name=visitor]", &visitor(page));
    press(page, "main button[type=submit]");
    page.wait(|p| p.text(".id") == visitor(p), "the profile is there");
    let said = page.text("main");
    for words in [format!("{tag}:much").as_str(), segment, "变现", "购买"] {
        assert!(said.contains(words), "{words} is in {said}");
    }
    page.wait(|p| p.text(".timeline").contains("Tea"), "items have their titles");
    press(page, "[data-language=en]");
    page.wait(|p| p.text(".stages .now") == "Revenue", "what was looked up speaks English too");
    press(page, "[data-language=zh]");

    // A hostile id is a text like any other.
    open(page, "/console/visitor");
    write(page, "input[name=visitor]", HOSTILE);
    press(page, "main button[type=submit]");
    page.wait(|p| p.text(".id") == HOSTILE, "the profile is there");
    assert!(page.text("main").matches(HOSTILE).count() >= 3, "its id, city and channel are texts");
    assert_eq!(page.number("document.querySelectorAll('main img').length"), 0.0);
}

fn every_page_looks_right(page: &Visit, segment: &str, tag: &str) {
    for theme in ["light", "dark"] {
        page.theme(theme);
        for (name, address) in [
            ("tags", "/console/tags".to_owned()),
            ("tag", format!("/console/tags/{tag}")),
            ("segment", format!("/console/segments/{segment}")),
        ] {
            open(page, &address);
            page.picture(&format!("console-{name}-{theme}"));
        }
    }
    page.theme("light");
}

/// Last, because a refusal is an error in the browser's log.
fn a_refusal_stands_beside_its_field(page: &Visit) {
    open(page, "/console/new-segment");
    write(page, "textarea[name=when]", "visitor.orders >");
    page.wait(|p| p.text(".field .problem-code").contains("bad_expression"), "the problem is shown in full");
    assert!(page.text(".field .problem-detail").contains("character 17"), "{}", page.text(".field .problem-detail"));
    assert_eq!(text(page, "document.querySelector('textarea').value"), "visitor.orders >", "nothing typed is lost");
}

/// Who joins the segment, another one for each window.
fn visitor(page: &Visit) -> String {
    format!("console-{}", page.window.name)
}

/// The number the page shows in large.
fn size(page: &Visit) -> f64 {
    page.text(".figure strong").parse().unwrap_or(f64::NAN)
}

fn open(page: &Visit, address: &str) {
    page.open(address);
    page.wait(|p| !p.text("h1").is_empty(), "the page is drawn");
}

/// Waits for the page of what was just made.
fn arrives(page: &Visit, list: &str, name: &str) {
    let address = Value::from(format!("/console/{list}/{name}"));
    let here = format!("Number(location.pathname === {address})");
    page.wait(|p| p.number(&here) == 1.0 && p.text("h1") == name, "the page of what was made is there");
}

fn press(page: &Visit, selector: &str) {
    page.tab.wait_for_element(selector).expect("a button").click().expect("a click");
}

fn write(page: &Visit, selector: &str, text: &str) {
    page.tab.wait_for_element(selector).expect("a field").type_into(text).expect("typed");
}

fn text(page: &Visit, script: &str) -> String {
    let value = page.tab.evaluate(script, false).expect("a script").value.unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
