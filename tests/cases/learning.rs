//! Events change pages: what is learned, counted once, and forgotten.

use qianmian::import::{events, feed::feed};
use qianmian::recommend::now_ms;
use qianmian_tests::{Server, served};
use serde_json::json;

#[test]
fn a_purchase_is_bought_again_and_counted_once() {
    let server = Server::empty();
    server.items(&(0..30).map(|n| json!({ "id": format!("p{n}"), "title": "x", "price": 1 })).collect::<Vec<_>>());
    let order =
        json!({ "id": "o1", "type": "purchase", "visitor": { "id": "u1" }, "items": ["p7", "p8"], "channel": "app" });
    server.events(std::slice::from_ref(&order));
    let again = json!({ "events": [order] }).to_string();
    let reply = server.send("POST", "/v1/events", "application/json", again.as_bytes());
    assert_eq!((&reply.json["accepted"], &reply.json["duplicates"]), (&0.into(), &1.into()));
    let profile = server.get("/v1/visitors/u1").json;
    assert_eq!(profile["orders"], 1);
    server.scenario(
        "again",
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "again", "steps": [
        { "retrieve": [ { "source": "buy_again", "limit": 10 } ] } ] } ] } }),
    );
    let ask = |personalised: bool| {
        let request = json!({ "scenario": "again", "visitor": { "id": "u1" }, "limit": 2, "personalised": personalised,
            "explain": true });
        server.recommend(request).json
    };
    let mut page = served(&ask(true));
    page.sort();
    assert_eq!(page, ["p7", "p8"]);
    let anonymous = ask(false);
    assert_eq!(anonymous["degraded"], json!(["backfilled"]), "without a profile there is nothing to buy again");
    assert_eq!(server.delete("/v1/visitors/u1").status, 204);
    assert_eq!(server.get("/v1/visitors/u1").status, 404);
}

#[test]
fn bad_events_are_reported_by_index_and_the_good_ones_taken() {
    let server = Server::empty();
    let body = json!({ "events": [
        { "id": "1", "type": "view", "item": "a", "visitor": { "id": "u" } },
        { "id": "2", "type": "dance", "item": "a" },
        { "id": "3", "type": "view" },
        { "id": "4", "type": "view", "item": "a", "time": "yesterday" },
        { "id": "", "type": "view", "item": "a" },
        { "id": "6", "type": "purchase", "items": ["a", "b"], "quantity": [1] },
        7,
    ] });
    let reply = server.send("POST", "/v1/events", "application/json", body.to_string().as_bytes());
    assert_eq!(reply.status, 202);
    assert_eq!(reply.json["accepted"], 1);
    assert_eq!(reply.json["durability"], "fsync");
    let codes: Vec<_> = reply.json["rejected"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|r| (r["index"].as_u64().expect("an index"), r["code"].as_str().expect("a code").to_owned()))
        .collect();
    let expected =
        [(1, "unknown_type"), (2, "bad_item"), (3, "bad_time"), (4, "bad_id"), (5, "bad_quantity"), (6, "wrong_shape")];
    assert_eq!(codes, expected.map(|(index, code)| (index, code.to_owned())));
}

#[test]
fn ndjson_is_taken_line_by_line() {
    let server = Server::empty();
    let body = "{\"id\":\"1\",\"type\":\"view\",\"item\":\"a\"}\n\nnot json\n{\"id\":\"2\",\"type\":\"view\",\"item\":\"b\"}\n";
    let reply = server.send("POST", "/v1/events", "application/x-ndjson", body.as_bytes());
    assert_eq!(
        (&reply.json["accepted"], &reply.json["rejected"][0]["index"]),
        (&2.into(), &1.into()),
        "{}",
        reply.text
    );
}

#[test]
fn a_file_of_events_is_fed_into_a_running_server_in_its_own_rhythm() {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}"), "price": 4 })).collect::<Vec<_>>());
    let (start, hour) = (1_700_000_000_000_i64, 3_600_000_i64);
    let mut lines = vec!["no event".to_owned(), r#"{"id":"bad","type":"view"}"#.to_owned()];
    for n in 0..48 {
        let event = json!({
            "id": format!("e{n}"), "type": if n % 4 == 3 { "purchase" } else { "view" }, "time": start + n * hour,
            "visitor": { "id": format!("v{}", n % 2), "attributes": { "city": if n < 40 { "Basel" } else { "Bern" } } },
            "item": format!("p{}", n % 9), "channel": "app", "scenario": "home", "request_id": format!("r{n}"), "position": 2,
            "attributes": { "action": "look" },
        });
        lines.push(event.to_string());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.ndjson");
    std::fs::write(&path, lines.join("\n")).expect("written");
    let imported = events::read(&path, None).expect("read");
    // two days in a second
    let (begun, fed) = (now_ms(), feed(&imported, &server.url, 172_800.0).expect("fed"));
    assert_eq!((fed.events, fed.duplicates, fed.refused), (48, 0, 0), "{fed:?}");
    assert_eq!(fed.rejected.values().sum::<usize>(), 2, "{fed:?}");
    assert!(fed.seconds > 0.9 && fed.speed > 0.0 && fed.speed < 180_000.0 && fed.lag_seconds > 0.0, "{fed:?}");
    server.app.state.refresh().expect("folded");
    let profile = server.get("/v1/visitors/v1").json;
    assert_eq!((&profile["events"], &profile["orders"]), (&json!(24), &json!(12)), "{profile}");
    assert_eq!((&profile["attributes"]["city"], &profile["channel"]), (&json!("Bern"), &json!("app")));
    assert!(profile["first_seen"].as_i64().is_some_and(|first| first >= begun), "as if it happened now: {profile}");
    assert_eq!(server.get("/v1/visitors/v0").json["orders"], 0);
    let mut seen = 0;
    let visit = &mut |chunk: qianmian_state::Chunk| {
        for event in chunk.events {
            assert_eq!(
                (&*event.scenario, event.request_id, event.position),
                ("home", format!("r{}", &event.id[1..]), 2)
            );
            assert_eq!(event.attributes, [("action".to_owned(), "look".to_owned())]);
            seen += 1;
        }
        std::ops::ControlFlow::Continue(())
    };
    server.app.state.scan(1, visit).expect("a log");
    assert_eq!(seen, 48);
    let again = feed(&imported, &server.url, 1e9).expect("fed");
    assert_eq!((again.events, again.duplicates), (0, 48), "{again:?}");
    assert!(again.lag_seconds > 0.0 && again.speed < 1e9, "no server is that fast: {again:?}");
}

#[test]
fn near_the_visitor_follows_what_was_viewed() {
    let server = Server::empty();
    server.items(&(0..60).map(|n| json!({ "id": format!("p{n}"), "price": 1 })).collect::<Vec<_>>());
    // Two directions: even items one way, odd ones another, each a little different.
    let vectors: String = (0..60)
        .map(|n| {
            let (x, y) = if n % 2 == 0 { (1.0, 0.01 * f64::from(n)) } else { (0.01 * f64::from(n), 1.0) };
            format!("{}\n", json!({ "id": format!("p{n}"), "vector": [x, y] }))
        })
        .collect();
    let reply = server.send("PUT", "/v1/embeddings/taste?metric=cosine", "application/x-ndjson", vectors.as_bytes());
    assert_eq!((reply.status, &reply.json["vectors"]), (200, &60.into()), "{}", reply.text);
    server.scenario(
        "near",
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "near", "steps": [
        { "retrieve": [ { "source": "near_visitor", "space": "taste", "limit": 10 } ] } ] } ] } }),
    );
    server.events(&[json!({ "id": "v", "type": "view", "visitor": { "id": "u" }, "item": "p4" })]);
    let page = served(&server.recommend(json!({ "scenario": "near", "visitor": { "id": "u" }, "limit": 5 })).json);
    assert_eq!(page.len(), 5);
    assert!(page.iter().all(|id| id[1..].parse::<u32>().is_ok_and(|n| n % 2 == 0)), "{page:?}");
}
