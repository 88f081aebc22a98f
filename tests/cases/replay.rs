//! Captures and replay: the same bytes later, after a restart, elsewhere and with nothing live; a diff with another strategy;
//! erasure and retention.

use qianmian::demo::{Scale, fill, install_models};
use qianmian_benches::process::{self, free_address};
use qianmian_state::State;
use qianmian_tests::{Server, binary, built, copy_folder};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The demo's small shop in a folder, served with every answer captured.
fn shop(folder: &Path) -> Server {
    let server = Server::capturing(State::open(folder).expect("a state"));
    fill(&server.app, 7, Scale::SMALL).expect("items and events are taken");
    install_models(&server.app, Scale::SMALL).expect("scenarios");
    server
}

/// A request of one of many visitors, in one of four scenarios.
fn request(n: usize) -> Value {
    let scenario = ["home", "product", "cart", "content"][n % 4];
    let items = if scenario == "home" { json!([]) } else { json!(["P00001", "P00002"]) };
    json!({
        "scenario": scenario, "visitor": { "id": format!("u{:05}", n % 50) }, "items": items,
        "channel": "app", "limit": 12, "personalised": !n.is_multiple_of(7), "exclude": ["P00003", "no such item"],
    })
}

fn ask(server: &Server, count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| {
            let reply = server.recommend(request(n));
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
    let answers = ask(&server, 200);
    // Much happens afterwards: what was read then is not there any more.
    server.app.state.catalogue.delete("P00001").expect("deleted");
    let id = answers[0]["shelves"][0]["slots"][0]["item"].as_str().expect("an item").to_owned();
    server.app.state.catalogue.patch(&id, &json!({ "stock": { "sellable": 0 } })).expect("sold out");
    let report = replay(&server, json!({ "limit": 2_000 }));
    assert_eq!((report["replayed"].as_u64(), report["same"].as_u64()), (Some(200), Some(200)), "{report}");
    assert_eq!(report["live"], json!(0.0), "the captures answered everything: {report}");
    assert_eq!(report["guarded"][0], report["guarded"][1], "{report}");

    let one = server.get(&format!("/v1/captures/{}", answers[5]["request_id"].as_str().expect("an id")));
    assert_eq!(one.status, 200, "{}", one.text);
    assert_eq!(one.json["answer"]["shelves"], answers[5]["shelves"]);
    let heads = server.get("/v1/captures?scenario=cart&limit=7");
    assert_eq!(heads.json.as_array().map(Vec::len), Some(7), "{}", heads.text);
    assert_eq!(server.get("/v1/captures/none").json["code"], "unknown_capture");
    assert_eq!(server.get("/v1/captures?limit=x").json["code"], "bad_query");

    // Erased with everything else of the visitor.
    let before = server.get("/v1/captures?limit=1000").json.as_array().map_or(0, Vec::len);
    assert_eq!(server.delete("/v1/visitors/u00001").status, 204);
    let after = server.get("/v1/captures?limit=1000").json.as_array().map_or(0, Vec::len);
    assert!(after < before, "{after} captures of {before}");
}

/// A process of the real binary over a data folder.
struct Running {
    process: process::Server,
    agent: ureq::Agent,
}

impl Running {
    fn start(data: &Path, capture_days: u32) -> Self {
        let address = free_address().expect("a port");
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(data);
        command.env("QIANMIAN_CAPTURE_SHARE", "1.0").env("QIANMIAN_STRATEGY_WALL_MS", "5000");
        command.env("QIANMIAN_CAPTURE_DAYS", capture_days.to_string());
        let log = data.with_extension("log");
        let process = process::Server::start(command, address, "/readyz", &log, Duration::from_secs(60));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { process: process.expect("a server"), agent }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.process.address)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let reply = self.agent.post(self.url(path)).content_type("application/json").send(body.to_string());
        let mut reply = reply.expect("an answer");
        let text = reply.body_mut().read_to_string().expect("a text");
        assert_eq!(reply.status(), 200, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn captures(&self) -> usize {
        let reply = self.agent.get(self.url("/v1/captures?limit=10000")).call();
        let text = reply.expect("an answer").body_mut().read_to_string().expect("a text");
        serde_json::from_str::<Value>(&text).expect("JSON").as_array().map_or(0, Vec::len)
    }

    /// Replays all there is: how many, how many the same, and the share that was not in the captures.
    fn replayed(&self) -> (u64, u64, f64) {
        counts(&self.post("/v1/replays", &json!({ "limit": 10_000 })))
    }
}

fn counts(report: &Value) -> (u64, u64, f64) {
    let count = |member: &str| report[member].as_u64().unwrap_or_default();
    (count("replayed"), count("same"), report["live"].as_f64().unwrap_or(1.0))
}

#[test]
fn a_thousand_answers_come_out_again_after_restarts_and_from_a_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let qianmian = |arguments: &[&str], data: &Path| {
        let output = Command::new(binary()).args(arguments).arg("--data").arg(data).output().expect("it starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    qianmian(&["demo", "--small", "--generate-only"], &data);

    let server = Running::start(&data, 7);
    for n in 0..1_000 {
        server.post("/v1/recommend", &request(n));
    }
    assert_eq!(server.replayed(), (1_000, 1_000, 0.0), "in the process that answered");
    // What was read then is not there any more.
    assert_eq!(server.agent.delete(server.url("/v1/catalog/items/P00001")).call().expect("deleted").status(), 204);
    drop(server);

    let server = Running::start(&data, 7);
    assert_eq!(server.replayed(), (1_000, 1_000, 0.0), "after a restart");
    assert_eq!(server.agent.delete(server.url("/v1/visitors/u00001")).call().expect("erased").status(), 204);
    let left = server.captures();
    assert!((950..1_000).contains(&left), "{left}: one of fifty visitors went");
    drop(server);

    // Another machine has the folder alone.
    let copy = folder.path().join("copy");
    copy_folder(&data, &copy);
    let report = qianmian(&["replay", "--limit", "10000", "--json"], &copy);
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(counts(&report), (left as u64, left as u64, 0.0), "{report}");

    let server = Running::start(&data, 7);
    assert_eq!((server.captures(), server.replayed()), (left, (left as u64, left as u64, 0.0)), "erased for good");
    drop(server);
    assert_eq!(Running::start(&data, 0).captures(), 0, "none is kept longer than it may");
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
