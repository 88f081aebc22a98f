//! Captures and replay: the same bytes later, elsewhere and with nothing live; a diff with another strategy; erasure.

use qianmian::demo::{Scale, fill, install_models};
use qianmian_state::State;
use qianmian_tests::{Server, built, copy_folder};
use serde_json::{Value, json};
use std::path::Path;

/// The demo's small shop in a folder, served with every answer captured.
fn shop(folder: &Path) -> Server {
    let server = Server::capturing(State::open(folder).expect("a state"));
    fill(&server.app, 7, Scale::SMALL).expect("items and events are taken");
    install_models(&server.app, Scale::SMALL).expect("scenarios");
    server
}

fn ask(server: &Server, count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| {
            let scenario = ["home", "product", "cart", "content"][n % 4];
            let items = if scenario == "home" { json!([]) } else { json!(["P00001", "P00002"]) };
            let reply = server.recommend(json!({
                "scenario": scenario, "visitor": { "id": format!("u{:05}", n % 50) }, "items": items,
                "channel": "app", "limit": 12, "personalised": n % 7 != 0, "exclude": ["P00003", "no such item"],
            }));
            assert_eq!(reply.status, 200, "{}", reply.text);
            reply.json
        })
        .collect()
}

fn replay(server: &Server, body: Value) -> Value {
    let reply = server.send("POST", "/v1/replays", "application/json", body.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json
}

#[test]
fn the_same_bytes_later_and_elsewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(folder.path());
    let answers = ask(&server, 1_000);
    // Much happens afterwards: what was read then is not there any more.
    server.app.state.catalogue.delete("P00001").expect("deleted");
    let id = answers[0]["shelves"][0]["slots"][0]["item"].as_str().expect("an item").to_owned();
    server.app.state.catalogue.patch(&id, &json!({ "stock": { "sellable": 0 } })).expect("sold out");
    let report = replay(&server, json!({ "limit": 2_000 }));
    assert_eq!((report["replayed"].as_u64(), report["same"].as_u64()), (Some(1_000), Some(1_000)), "{report}");
    assert_eq!(report["live"], json!(0.0), "the captures answered everything: {report}");
    assert_eq!(report["guarded"][0], report["guarded"][1], "{report}");

    let one = server.get(&format!("/v1/captures/{}", answers[5]["request_id"].as_str().expect("an id")));
    assert_eq!(one.status, 200, "{}", one.text);
    assert_eq!(one.json["answer"]["shelves"], answers[5]["shelves"]);
    let heads = server.get("/v1/captures?scenario=cart&limit=7");
    assert_eq!(heads.json.as_array().map(Vec::len), Some(7), "{}", heads.text);
    assert_eq!(server.get("/v1/captures/none").json["code"], "unknown_capture");
    assert_eq!(server.get("/v1/captures?limit=x").json["code"], "bad_query");

    // A copy of the folder, opened by another process: everything again, from the disk.
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder.path(), copy.path());
    let other = Server::over(State::open(copy.path()).expect("the copy opens"));
    let report = replay(&other, json!({ "limit": 2_000 }));
    assert_eq!((report["replayed"].as_u64(), report["same"].as_u64()), (Some(1_000), Some(1_000)), "{report}");

    // Erased with everything else of the visitor.
    let before = server.get("/v1/captures?limit=1000").json.as_array().map_or(0, Vec::len);
    assert_eq!(server.delete("/v1/visitors/u00001").status, 204);
    let after = server.get("/v1/captures?limit=1000").json.as_array().map_or(0, Vec::len);
    assert!(after < before, "{after} captures of {before}");
}

#[test]
fn another_strategy_is_told_apart_slot_by_slot() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(folder.path());
    let trap = std::fs::read(built("hostile").join("trap.wasm")).expect("built");
    assert_eq!(server.send("PUT", "/v1/plugins/trap/versions/1.0.0", "application/wasm", &trap).status, 200);
    let answers = ask(&server, 8);
    let id = answers[0]["request_id"].as_str().expect("an id");
    let diff = replay(&server, json!({ "request_id": id, "strategy": "trap" }));
    assert_eq!((&diff["same"], &diff["faults"]), (&json!(false), &json!([null, "strategy_trap"])), "{diff}");
    assert!(diff["slots"].as_array().is_some_and(|slots| !slots.is_empty()), "{diff}");
    let all = replay(&server, json!({ "strategy": "trap", "scenario": "home" }));
    assert_eq!((&all["replayed"], &all["changed"]), (&json!(2), &json!(1.0)), "{all}");
    assert_eq!(all["faults"][1]["strategy_trap"], 2, "{all}");

    // A failure is captured however small the share, and replays to the same failure.
    server.scenario("trap", json!({ "strategy": "trap" }));
    let failed = server.recommend(json!({ "scenario": "trap", "visitor": { "id": "u00002" } })).json;
    let diff = replay(&server, json!({ "request_id": failed["request_id"] }));
    assert_eq!(diff["same"], true, "{diff}");
    assert_eq!(server.get("/v1/captures?faults=true").json.as_array().map(Vec::len), Some(1));
}
