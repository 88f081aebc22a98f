//! What `POST /v1/recommend` says to good, odd and bad requests.

use qianmian::Config;
use qianmian_state::State;
use qianmian_tests::{Reply, Server, served};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn shop() -> Server {
    let server = Server::empty();
    let items: Vec<_> = (0..40)
        .map(|n| {
            json!({ "id": format!("p{n}"), "title": format!("Item {n}"), "price": n + 1, "categories": [format!("c{}", n % 4)],
                "created": 1_700_000_000_000_i64 + n })
        })
        .collect();
    server.items(&items);
    server
}

fn problem(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.kind, "application/problem+json");
    assert_eq!(reply.json["code"], code);
    assert_eq!(reply.json["status"], status);
    assert!(reply.json["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{}", reply.text);
}

#[test]
fn an_unknown_scenario_is_404_and_names_those_there_are() {
    let reply = shop().recommend(json!({ "scenario": "nowhere" }));
    problem(&reply, 404, "unknown_scenario");
    assert!(reply.json["detail"].as_str().is_some_and(|detail| detail.contains("home")), "{}", reply.text);
}

#[test]
fn malformed_json_is_400_and_says_where() {
    let server = shop();
    let reply = server.send("POST", "/v1/recommend", "application/json", b"{\"scenario\": \"home\",");
    problem(&reply, 400, "malformed_json");
    assert!(reply.text.contains("line 1"), "{}", reply.text);
    let reply = server.send("POST", "/v1/recommend", "application/json", b"{\"limit\": 3}");
    problem(&reply, 422, "wrong_shape");
    assert!(reply.text.contains("scenario"), "{}", reply.text);
}

#[test]
fn a_limit_out_of_range_is_400() {
    let server = shop();
    for limit in [0, 100_000] {
        let reply = server.recommend(json!({ "scenario": "home", "limit": limit }));
        problem(&reply, 400, "limit_out_of_range");
        assert!(reply.text.contains(&limit.to_string()), "{}", reply.text);
    }
}

#[test]
fn an_unknown_visitor_gets_a_page() {
    let reply = shop().recommend(json!({ "scenario": "home", "visitor": { "id": "nobody" }, "limit": 5 }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(served(&reply.json).len(), 5);
    assert_eq!(reply.json["fallback"], json!(null));
}

#[test]
fn an_unknown_anchor_is_reported_and_the_page_comes() {
    let reply = shop().recommend(json!({ "scenario": "product", "items": ["p1", "no-such-item"], "limit": 5 }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json["unknown_items"], json!(["no-such-item"]));
    assert!(reply.json["degraded"].as_array().is_some_and(|d| d.contains(&json!("unknown_items"))));
    assert!(!served(&reply.json).is_empty());
}

#[test]
fn an_empty_catalogue_gives_an_empty_page() {
    let reply = Server::empty().recommend(json!({ "scenario": "home", "visitor": { "id": "u1" } }));
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json["shelves"], json!([]));
}

#[test]
fn slots_are_numbered_over_shelves_and_nothing_is_twice() {
    let reply = shop().recommend(json!({ "scenario": "home", "visitor": { "id": "u1" }, "limit": 24 }));
    let positions: Vec<u64> = reply.json["shelves"]
        .as_array()
        .expect("shelves")
        .iter()
        .flat_map(|shelf| shelf["slots"].as_array().expect("slots"))
        .map(|slot| slot["position"].as_u64().expect("a position"))
        .collect();
    assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
    let items = served(&reply.json);
    let distinct: std::collections::HashSet<_> = items.iter().collect();
    assert_eq!(distinct.len(), items.len());
}

#[test]
fn guards_have_the_last_word() {
    let server = shop();
    let listed = json!({ "strategy": "compose", "blocked": ["p4"], "parameters": { "shelves": [ { "id": "all", "steps": [
        { "retrieve": [ { "source": "listed", "ids": ["p1", "p2", "p3", "p4", "p5"], "limit": 5 } ] } ] } ] } });
    server.scenario("listed", listed);
    let patch = |id: &str, change: serde_json::Value| {
        let path = format!("/v1/catalog/items/{id}");
        let reply = server.send("PATCH", &path, "application/json", change.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text);
    };
    patch("p1", json!({ "stock": { "sellable": 0 } }));
    patch("p2", json!({ "valid_to": "2001-01-01T00:00:00Z" }));
    patch("p3", json!({ "channels": ["store"] }));
    let reply = server.recommend(json!({ "scenario": "listed", "channel": "app", "limit": 2, "explain": true }));
    let page = served(&reply.json);
    assert_eq!((page.len(), page[0].as_str()), (2, "p5"), "the blocked one's place is filled: {}", reply.text);
    assert_eq!(reply.json["explanation"]["removed"], json!([{ "item": "p4", "reason": "blocked" }]));
    assert!(!page.iter().any(|id| ["p1", "p2", "p3", "p4"].contains(&id.as_str())), "{}", reply.text);
    let reply = server.recommend(json!({ "scenario": "listed", "channel": "store", "limit": 2, "exclude": ["p5"] }));
    assert_eq!(served(&reply.json)[0], "p3", "{}", reply.text);
    assert!(!served(&reply.json).iter().any(|id| ["p1", "p2", "p4", "p5"].contains(&id.as_str())), "{}", reply.text);
}

#[test]
fn explain_says_why() {
    let reply = shop().recommend(json!({ "scenario": "home", "limit": 3, "explain": true }));
    let slot = &reply.json["shelves"][0]["slots"][0];
    let columns = slot["explain"].as_object().expect("columns of the slot");
    assert!(columns.keys().any(|name| name.starts_with("source.")), "{}", reply.text);
    assert!(reply.json["explanation"]["steps"].as_array().is_some_and(|steps| steps.len() >= 2), "{}", reply.text);
    assert!(reply.json["explanation"]["usage"]["fuel"].as_u64().is_some_and(|fuel| fuel > 0), "{}", reply.text);
}

#[test]
fn the_same_request_id_gives_the_same_page() {
    let server = shop();
    let ask = || {
        let agent: ureq::Agent = ureq::Agent::new_with_defaults();
        let body = json!({ "scenario": "home", "visitor": { "id": "u1" }, "limit": 20 });
        let mut reply = agent
            .post(format!("{}/v1/recommend", server.url))
            .header("x-request-id", "fixed-1")
            .send_json(&body)
            .expect("an answer");
        assert_eq!(reply.headers()["x-request-id"], "fixed-1");
        reply.body_mut().read_json::<serde_json::Value>().expect("JSON")["shelves"].clone()
    };
    assert_eq!(ask(), ask());
}

#[test]
fn a_caller_in_a_hurry_is_answered_in_time_and_nobody_is_blamed() {
    let one = Config { compose_threads: 1, ..Config::default() };
    let server = Server::with(one, State::in_memory().expect("a state in memory"));
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let ask = |deadline: &str| {
        let body = json!({ "scenario": "home", "limit": 4 }).to_string();
        let headers = [("x-deadline-ms", deadline)];
        server.send_with("POST", "/v1/recommend", "application/json", &headers, body.as_bytes())
    };
    for wrong in ["soon", "0", "-1", "60001", ""] {
        let reply = ask(wrong);
        assert_eq!((reply.status, &reply.json["code"]), (400, &json!("bad_deadline")), "{wrong:?}: {}", reply.text);
    }
    assert_eq!(ask("60000").json["fallback"], json!(null));
    // Its one thread is busy until the deadline is over: the request waits, however fast the machine is.
    let app = Arc::clone(&server.app);
    let (started, running) = std::sync::mpsc::channel();
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let busy = std::thread::spawn(move || {
        let work = move || {
            started.send(()).expect("someone listens");
            wait.recv().expect("released");
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(app.pool.run(work)).expect("ran");
    });
    running.recv().expect("the thread is busy");
    let answer = std::thread::scope(|scope| {
        let asker = scope.spawn(|| ask("1").json);
        while server.app.pool.waiting() == 0 {
            std::thread::yield_now();
        }
        let queued = Instant::now();
        while queued.elapsed() < Duration::from_millis(2) {
            std::thread::yield_now();
        }
        release.send(()).expect("the thread waits");
        asker.join().expect("an answer")
    });
    busy.join().expect("the thread is free again");
    assert_eq!(answer["fallback"]["code"], "deadline_passed", "{answer}");
    assert_eq!(served(&answer).len(), 4, "always an answer: {answer}");
    assert_eq!(server.get("/v1/plugins/home").json[0]["breaker_open"], false);
}
