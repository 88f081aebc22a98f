//! Releases on trial: canaries that take themselves out, shadows that are compared, steps, promotion, and swaps under load.

use qianmian_tests::{Server, built, served};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn shop() -> Server {
    let server = Server::empty();
    server.items(&(0..40).map(|n| json!({ "id": format!("p{n}"), "price": n })).collect::<Vec<_>>());
    server
}

/// A page of these items in this order.
fn listed(ids: &[&str]) -> Value {
    json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "x", "steps": [
        { "retrieve": [ { "source": "listed", "ids": ids, "limit": 9 } ] } ] } ] } })
}

fn try_out(server: &Server, spec: &Value, plan: Value) -> Value {
    let body = json!({ "spec": spec, "plan": plan }).to_string();
    let reply = server.send("POST", "/v1/scenarios/s/releases", "application/json", body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json
}

fn ask(server: &Server, visitor: usize) -> Value {
    let request = json!({ "scenario": "s", "visitor": { "id": format!("v{visitor}") }, "limit": 4 });
    let reply = server.recommend(request);
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json
}

#[test]
fn a_canary_that_traps_takes_itself_out() {
    let server = shop();
    let trap = std::fs::read(built("hostile").join("trap.wasm")).expect("built");
    assert_eq!(server.send("PUT", "/v1/plugins/trap/versions/1.0.0", "application/wasm", &trap).status, 200);
    server.scenario("s", listed(&["p1", "p2"]));
    try_out(&server, &json!({ "strategy": "trap" }), json!({ "share": 0.3, "min_answers": 10 }));
    let answers: Vec<Value> = (0..200).map(|visitor| ask(&server, visitor)).collect();
    let failed = answers.iter().filter(|answer| !answer["fallback"].is_null()).count();
    assert_eq!(failed, 10, "as many as it takes to judge, and not one more");
    assert!(answers.iter().all(|answer| !served(answer).is_empty()), "every visitor got a page");
    let scenario = server.get("/v1/scenarios/s").json;
    assert_eq!((&scenario["release"], &scenario["candidate"]["running"]), (&json!(1), &json!(false)), "{scenario}");
    let timeline = scenario["candidate"]["timeline"].to_string();
    assert!(
        timeline.contains("taken out: fault rate 1.000 over 0.02 after 10 answers, 10 strategy_trap"),
        "{timeline}"
    );
    assert!(server.get("/metrics").text.contains("qianmian_rollbacks_total{scenario=\"s\"} 1"));
}

#[test]
fn a_canary_is_sticky_grows_by_steps_and_is_promoted() {
    let server = shop();
    server.scenario("s", listed(&["p1"]));
    let plan = json!({ "share": 0.2, "steps": [0.5, 1.0], "step_answers": 60, "min_answers": 10 });
    try_out(&server, &listed(&["p2"]), plan);
    let on_trial = |visitor| ask(&server, visitor)["variants"]["release"] == "candidate";
    let first: Vec<usize> = (0..100).filter(|visitor| on_trial(*visitor)).collect();
    assert!((8..35).contains(&first.len()), "{first:?}");
    assert_eq!(served(&ask(&server, first[0])), ["p2"]);
    assert!(first.iter().all(|visitor| on_trial(*visitor)), "who is in stays in");
    (0..900).for_each(|visitor| drop(ask(&server, visitor)));
    let scenario = server.get("/v1/scenarios/s").json;
    assert_eq!(scenario["candidate"]["share"], 1.0, "{scenario}");
    assert!((0..50).all(on_trial), "everybody now");
    let promoted = server.send("POST", "/v1/scenarios/s/promote", "application/json", b"").json;
    assert_eq!((&promoted["release"], &promoted["candidate"]["running"]), (&json!(2), &json!(false)), "{promoted}");
    assert_eq!(served(&ask(&server, 1)), ["p2"]);
    assert_eq!(ask(&server, 1)["variants"], json!({}));
    assert_eq!(server.send("POST", "/v1/scenarios/s/rollback", "application/json", b"").status, 200);
    assert_eq!(served(&ask(&server, 1)), ["p1"]);
    let reply = server.send("POST", "/v1/scenarios/s/promote", "application/json", b"");
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("no_candidate")));
    let wrong = json!({ "spec": listed(&["p1"]), "plan": { "share": 2 } }).to_string();
    let reply = server.send("POST", "/v1/scenarios/s/releases", "application/json", wrong.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("bad_plan")), "{}", reply.text);
}

#[test]
fn a_shadow_is_compared_and_nobody_sees_it() {
    let server = shop();
    server.scenario("s", listed(&["p1", "p2", "p3", "p4"]));
    try_out(&server, &listed(&["p1", "p2", "p8", "p9"]), json!({ "shadow": 1.0 }));
    for visitor in 0..20 {
        assert_eq!(served(&ask(&server, visitor)), ["p1", "p2", "p3", "p4"]);
    }
    let begun = Instant::now();
    loop {
        let candidate = server.get("/v1/scenarios/s").json["candidate"].clone();
        if candidate["shadowed"] == 20 {
            assert_eq!((&candidate["shadow_overlap"], &candidate["answers"]), (&json!(0.5), &json!(0)), "{candidate}");
            assert!(candidate["shadow_fuel"][1].as_f64().is_some_and(|fuel| fuel > 0.0), "{candidate}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{candidate}");
        std::thread::yield_now();
    }
    // A call ends it; the live release stays.
    let reply = server.send("POST", "/v1/scenarios/s/rollback", "application/json", b"");
    assert_eq!((&reply.json["release"], &reply.json["candidate"]["running"]), (&json!(1), &json!(false)));
}

#[test]
fn swaps_under_load_fail_nobody() {
    let server = shop();
    server.scenario("s", listed(&["p1"]));
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..3 {
            let (server, stop, asked) = (&server, &stop, &asked);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(server, client);
                    assert!(answer["fallback"].is_null(), "{answer}");
                    let page = served(&answer);
                    assert!(page == ["p1"] || page == ["p2", "p3"], "one release or the other: {page:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 0..300 {
            server.scenario("s", if swap % 2 == 0 { listed(&["p2", "p3"]) } else { listed(&["p1"]) });
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.into_inner() > 100);
    assert_eq!(server.get("/v1/scenarios/s").json["release"], 301);
}
