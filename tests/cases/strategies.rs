//! Uploading strategies, releases, and strategies that fail.

use qianmian_tests::{Server, built, served};
use serde_json::json;

const WASM: &str = "application/wasm";

#[test]
fn a_strategy_that_traps_is_answered_by_the_fallback() {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let trap = std::fs::read(built("hostile").join("trap.wasm")).expect("built");
    let reply = server.send("PUT", "/v1/plugins/trap/versions/1.0.0", WASM, &trap);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let checks: Vec<&str> =
        reply.json["checks"].as_array().expect("checks").iter().filter_map(|c| c["check"].as_str()).collect();
    assert_eq!(
        checks,
        ["signature", "component", "imports", "compiled", "world", "describe", "schema", "identity", "golden", "smoke"]
    );
    server.scenario("trap", json!({ "strategy": "trap" }));
    let reply = server.recommend(json!({ "scenario": "trap", "limit": 4, "explain": true }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json["fallback"]["code"], "strategy_trap", "{}", reply.text);
    assert_eq!(served(&reply.json).len(), 4);
    // The next request of another scenario is right, and the metrics know.
    let reply = server.recommend(json!({ "scenario": "home", "limit": 4 }));
    assert_eq!(reply.json["fallback"], json!(null));
    let metrics = server.get("/metrics").text;
    assert!(
        metrics.contains("qianmian_strategy_faults_total{code=\"strategy_trap\",strategy=\"trap\"} 1"),
        "{metrics}"
    );
}

#[test]
fn what_is_no_strategy_is_refused_with_a_reason() {
    let server = Server::empty();
    for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"hello"] {
        let reply = server.send("PUT", "/v1/plugins/x/versions/1.0.0", WASM, bytes);
        assert_eq!((reply.status, &reply.json["code"]), (422, &"not_a_component".into()), "{}", reply.text);
    }
    let home = std::fs::read(built("plugins").join("home.wasm")).expect("built");
    let reply = server.send("PUT", "/v1/plugins/other/versions/1.0.0", WASM, &home);
    assert_eq!((reply.status, &reply.json["code"]), (422, &"wrong_identity".into()), "{}", reply.text);
    assert_eq!(server.get("/v1/plugins/other").status, 404);
}

#[test]
fn a_release_pins_is_checked_and_rolls_back() {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let listed = |id: &str| {
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "x", "steps": [
            { "retrieve": [ { "source": "listed", "ids": [id], "limit": 1 } ] } ] } ] } })
    };
    server.scenario("s", listed("p1"));
    server.scenario("s", listed("p2"));
    let ask = || served(&server.recommend(json!({ "scenario": "s", "limit": 1 })).json);
    assert_eq!(ask(), ["p2"]);
    let wrong = json!({ "strategy": "compose", "parameters": { "shelves": 7 } }).to_string();
    let reply = server.send("PUT", "/v1/scenarios/s", "application/json", wrong.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &"bad_parameters".into()), "{}", reply.text);
    assert!(reply.text.contains("shelves: 7 is not of type"), "{}", reply.text);
    assert_eq!(ask(), ["p2"], "a refused release changes nothing");
    let reply = server.send("POST", "/v1/scenarios/s/rollback", "application/json", b"");
    assert_eq!((reply.status, &reply.json["release"]), (200, &3.into()), "{}", reply.text);
    assert_eq!(ask(), ["p1"]);
    let delete = || server.delete("/v1/scenarios/s");
    assert_eq!([delete().status, delete().status], [204, 404]);
    assert_eq!(server.recommend(json!({ "scenario": "s" })).json["code"], "unknown_scenario");
    server.scenario("s", listed("p2"));
    assert_eq!(server.get("/v1/scenarios/s").json["release"], 5, "a deletion is a version too");
}

#[test]
fn a_missing_model_or_space_degrades_and_does_not_fail() {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    server.scenario("h", json!({ "strategy": "home", "parameters": { "model": "gone", "space": "gone" } }));
    let reply = server.recommend(json!({ "scenario": "h", "visitor": { "id": "u" }, "limit": 4 }));
    assert_eq!((reply.status, &reply.json["fallback"]), (200, &json!(null)), "{}", reply.text);
    assert_eq!(served(&reply.json).len(), 4);
    assert!(reply.json["degraded"].as_array().is_some_and(|d| !d.is_empty()), "{}", reply.text);
}

#[test]
fn a_source_finds_its_limit_of_what_its_filter_lets_through() {
    let server = Server::empty();
    let item = |n: u32| {
        let angle = n as f32 / 200.0;
        json!({ "id": format!("p{n:03}"), "price": n, "embeddings": { "looks": [angle.cos(), angle.sin()] } })
    };
    server.items(&(0..200).map(item).collect::<Vec<_>>());
    let near = |only: &str| {
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "x", "steps": [
            { "retrieve": [ { "source": "near_items", "space": "looks", "limit": 5, "only": only } ] } ] } ] } })
    };
    let ask = || server.recommend(json!({ "scenario": "s", "items": ["p000"], "limit": 5, "explain": true })).json;
    server.scenario("s", near("item.price >= 150.0"));
    let answer = ask();
    assert_eq!(served(&answer), ["p150", "p151", "p152", "p153", "p154"], "{answer}");
    let search = answer["explanation"]["searches"][0].as_str().expect("how it was searched");
    assert!(search.starts_with("near_items: 5 of 5 in looks, gather: 25.0% let through"), "{search}");
    // A changed price is seen by the next request.
    assert_eq!(server.send("PATCH", "/v1/catalog/items/p150", "application/json", b"{\"price\": 1}").status, 200);
    assert_eq!(served(&ask()), ["p151", "p152", "p153", "p154", "p155"]);
    // Of the visitor and of statistics nothing may be read: the strategy is told, and the scenario refused.
    let wrong = near("item.price >= 150.0 && visitor.orders < 3.0").to_string();
    let reply = server.send("PUT", "/v1/scenarios/s", "application/json", wrong.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("refused_by_strategy")), "{}", reply.text);
    assert!(reply.text.contains("visitor.orders"), "{}", reply.text);
}
