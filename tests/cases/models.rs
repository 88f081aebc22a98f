//! Models over HTTP: features that are definitions, networks over histories, what is kept of served features, drift.

use qianmian::Config;
use qianmian_core::{Candidates, Request, RequestContext};
use qianmian_state::State;
use qianmian_tests::{Reply, Server, binary, root};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;

fn fixture(path: &str) -> Vec<u8> {
    std::fs::read(root().join("models/tests/fixtures").join(path)).expect("a fixture")
}

fn put(server: &Server, onnx: &[u8], manifest: &Value) -> Reply {
    put_as(server, onnx, manifest, "1")
}

fn put_as(server: &Server, onnx: &[u8], manifest: &Value, version: &str) -> Reply {
    let form = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes();
    let body = [
        form("manifest"),
        manifest.to_string().into_bytes(),
        b"\r\n".to_vec(),
        form("model"),
        onnx.to_vec(),
        b"\r\n--b--\r\n".to_vec(),
    ];
    let path = format!("/v1/models/{}/versions/{version}", manifest["name"].as_str().expect("a name"));
    server.send("PUT", &path, "multipart/form-data; boundary=b", &body.concat())
}

/// Eight numbers out of five features.
fn features() -> Value {
    json!([
        {"type": "number", "column": "item.price", "scale": "log1p", "missing": 0.0},
        {"type": "string", "column": "item.brand", "values": ["Acme", "Nord"], "missing": 0.0},
        {"type": "local_time", "part": "hour", "offset": "+08:00", "cyclic": true},
        {"type": "interacted_with", "column": "item.category", "events": ["view"], "days": [1, 30]},
        {"type": "expr", "expr": "size(item.tags) + source.absent.score", "missing": 3.0},
    ])
}

fn ranker() -> Value {
    json!({"name": "taste", "kind": "ranker", "features": features()})
}

/// A shop whose home page is scored by `taste`.
fn shop(config: Config, state: State) -> Server {
    let server = Server::with(config, state);
    let item = |n: usize| {
        let (category, brand) = (["tea", "cups"][n % 2], ["Acme", "Nord", "Öko"][n % 3]);
        json!({"id": format!("i{n}"), "title": format!("Item {n}"), "price": n, "categories": [category], "brand": brand,
            "tags": ["all"]})
    };
    server.items(&(1..=40).map(item).collect::<Vec<_>>());
    let reply = put(&server, &fixture("ranker.onnx"), &ranker());
    assert_eq!(reply.status, 200, "{}", reply.text);
    let names =
        ["log1p(item.price)", "item.brand=Acme", "item.brand=Nord", "local_time.hour.sin", "local_time.hour.cos"];
    assert_eq!(reply.json["features"].as_array().expect("names")[..5], names.map(Value::from), "{}", reply.text);
    server.scenario("home", json!({"strategy": "home", "parameters": {"model": "taste"}}));
    server
}

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

fn view(id: usize, visitor: &str, item: &str, time: i64) -> Value {
    json!({"id": format!("e{id}-{visitor}"), "type": "view", "time": time, "visitor": {"id": visitor}, "item": item})
}

#[test]
fn definitions_are_computed_explained_and_refused_by_their_place() {
    let server = shop(Config::default(), State::in_memory().expect("a state"));
    server.events(&[view(1, "ann", "i3", now() - 1_000), view(2, "ann", "i5", now() - 5 * 86_400_000)]);
    let reply = server.recommend(json!({"scenario": "home", "visitor": {"id": "ann"}, "explain": true, "limit": 20}));
    assert_eq!((reply.status, &reply.json["fallback"]), (200, &Value::Null), "{}", reply.text);
    let slots: Vec<Value> = reply.json["shelves"]
        .as_array()
        .expect("shelves")
        .iter()
        .flat_map(|shelf| shelf["slots"].as_array().cloned().unwrap_or_default())
        .collect();
    let scored: Vec<&Value> = slots.iter().filter(|slot| slot["explain"]["log1p(item.price)"].is_number()).collect();
    assert!(!scored.is_empty(), "{}", reply.text);
    for slot in scored {
        let (id, why) = (slot["item"].as_str().expect("an item"), &slot["explain"]);
        let n: usize = id[1..].parse().expect("a number");
        let is = |name: &str, want: f64| {
            assert!((why[name].as_f64().expect(name) - want).abs() < 1e-5, "{id} {name}: {why}, want {want}");
        };
        is("log1p(item.price)", (n as f64).ln_1p());
        is("item.brand=Acme", f64::from(u8::from(n.is_multiple_of(3))));
        is("interacted_with(item.category)/1d", f64::from(u8::from(n % 2 == 1)));
        is("interacted_with(item.category)/30d", 2.0 * f64::from(u8::from(n % 2 == 1)));
    }

    for (features, code, want) in [
        (json!([{"type": "string", "column": "item.brand"}]), "wrong_shape", "features[0]: \"values\" is a required"),
        (json!(["item.price", {"type": "nonsense"}]), "wrong_shape", "features[1].type: \"nonsense\" is not one of"),
        (json!([{"type": "expr", "expr": "1 +"}]), "model_refused", "features[0].expr: character"),
        (json!([{"type": "expr", "expr": "item.prise + 1.0"}]), "unknown_feature", "features[0] \"item.prise\""),
        (json!([{"type": "item_id"}]), "model_refused", "features[0]: ids of items need item_ids"),
        (json!(["item.price"]), "model_refused", "8"),
    ] {
        let reply =
            put(&server, &fixture("ranker.onnx"), &json!({"name": "other", "kind": "ranker", "features": features}));
        assert_eq!((reply.status, &reply.json["code"]), (422, &code.into()), "{}", reply.text);
        assert!(reply.json["detail"].as_str().expect("a detail").contains(want), "{}\nwant {want}", reply.text);
    }
}

#[test]
fn a_network_over_the_history_is_served() {
    let server = Server::empty();
    let runs: Value = serde_json::from_slice(&fixture("networks/din.json")).expect("JSON");
    let run = &runs["runs"][0];
    let inputs = |name: &str| run["inputs"][name].as_array().expect("numbers").clone();
    let context: serde_json::Map<String, Value> =
        inputs("context").into_iter().enumerate().map(|(at, value)| (format!("c{at}"), value)).collect();
    let item = |n: usize| json!({"id": n.to_string(), "attributes": context});
    server.items(&(1..20).map(item).collect::<Vec<_>>());
    let columns: Vec<String> = (0..16).map(|at| format!("item.attributes.c{at}")).collect();
    let manifest = json!({
        "name": "din", "kind": "ranker", "item_ids": "numeric", "vocabulary": 20,
        "tensors": [
            {"name": "target", "features": [{"type": "item_id", "missing": 0}], "ids": {"vocabulary": 20}},
            {"name": "hist", "side": "visitor", "ids": {"vocabulary": 20},
             "features": [{"type": "history", "length": 7, "events": ["view"], "pad": "right"}]},
            {"name": "context", "features": columns},
        ],
    });
    let reply = put(&server, &fixture("networks/din.onnx"), &manifest);
    assert_eq!((reply.status, reply.json["features"].as_array().map(Vec::len)), (200, Some(24)), "{}", reply.text);

    let seen: Vec<String> = inputs("hist").iter().map(Value::to_string).filter(|id| id != "0").collect();
    let mut events: Vec<Value> =
        seen.iter().enumerate().map(|(at, item)| view(at, "ann", item, now() - 60_000 + at as i64)).collect();
    // What the model does not know, and what it was not trained on, is not in its history.
    events.push(view(90, "ann", "unheard of", now() - 30_000));
    events.push(json!({"id": "cart", "type": "cart", "time": now() - 20_000, "visitor": {"id": "ann"}, "item": "3"}));
    server.events(&events);
    let visitor = server.app.state.folds.visitor(&server.app.state.people.of("ann"));
    let ctx = RequestContext::new(Request::default(), visitor, now(), 1).keeping_scored();
    let target = inputs("target")[0].to_string();
    let rows = [target.as_str(), "1", "2"].map(|id| server.app.state.catalogue.current().row(id).expect("an item"));
    let found = rows.iter().map(|row| (*row, 1.0)).collect();
    let set = Candidates::union(&[(Arc::from("all"), found)]).expect("a set");
    let scores = server.app.reach.scoring.score(&ctx, &set, "din").expect("scores");
    let want = run["outputs"]["score"][0].as_f64().expect("a score") as f32;
    assert!((scores[0] - want).abs() < 1e-5, "{scores:?}, want {want}");
    let kept = ctx.scored();
    let history: Vec<Value> = kept[0].features[1..8].iter().map(|x| json!(*x as i64)).collect();
    assert_eq!(history, inputs("hist"), "{:?}", kept[0].names);

    let stranger = RequestContext::new(Request::default(), Arc::default(), now(), 1);
    assert!(server.app.reach.scoring.score(&stranger, &set, "din").expect("scores").iter().all(|s| s.is_finite()));
}

#[test]
fn served_features_are_kept_exported_and_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { feature_share: 1.0, capture_share: 0.0, ..Config::default() };
    let server = shop(config, State::open(folder.path()).expect("a state"));
    let ask = |visitor: &str| {
        let reply = server.recommend(json!({"scenario": "home", "visitor": {"id": visitor}, "limit": 10}));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json
    };
    let (ann, bob) = (ask("ann"), ask("bob"));
    assert_eq!(server.get("/v1/captures").json.as_array().map(Vec::len), Some(2));
    let export = || {
        let out = folder.path().join("features.ndjson");
        let run = Command::new(binary())
            .args(["export", "features", "--since", "1h", "--model", "taste", "--data"])
            .args([folder.path(), std::path::Path::new("--out"), &out])
            .output()
            .expect("it runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let text = std::fs::read_to_string(out).expect("lines");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>()
    };
    let lines = export();
    assert!(lines.len() >= 2, "{lines:?}");
    let line = lines.iter().find(|line| line["request_id"] == ann["request_id"]).expect("ann's");
    let count = line["items"].as_array().expect("items").len();
    assert!(count > 10 && line["scores"].as_array().map(Vec::len) == Some(count), "{line}");
    assert_eq!(
        (line["names"][0].as_str(), line["names"].as_array().map(Vec::len)),
        (Some("log1p(item.price)"), Some(8))
    );
    for (item, row) in line["items"].as_array().expect("items").iter().zip(line["features"].as_array().expect("rows")) {
        let n: f64 = item.as_str().expect("an id")[1..].parse().expect("a number");
        assert!((row[0].as_f64().expect("a price") - n.ln_1p()).abs() < 1e-5, "{item}: {row}");
    }
    // The same model against itself, with a click on what it was given for ann.
    let clicked = json!({"id": "click", "type": "click", "time": now(), "visitor": {"id": "ann"}, "item": line["items"][0],
        "request_id": ann["request_id"]});
    server.events(&[clicked]);
    let manifest = folder.path().join("manifest.json");
    std::fs::write(&manifest, ranker().to_string()).expect("written");
    let run = Command::new(binary())
        .args(["model", "check", "--json", "--since", "1h", "--manifest"])
        .arg(&manifest)
        .arg("--against")
        .arg(folder.path())
        .arg(root().join("models/tests/fixtures/ranker.onnx"))
        .output()
        .expect("it runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let compared = &serde_json::from_slice::<Value>(&run.stdout).expect("JSON")["compared"];
    assert_eq!((&compared["correlation"], &compared["overlap"]), (&json!(1.0), &json!(1.0)), "{compared}");
    assert_eq!(compared["sets"], lines.len(), "{compared}");
    assert!(compared["judged"].as_u64() >= Some(1), "{compared}");
    assert_eq!(compared["ndcg"][0], compared["ndcg"][1], "{compared}");
    // The captures are replayed as before.
    let replayed = server.send("POST", "/v1/replays", "application/json", b"{\"limit\": 10}");
    assert_eq!(replayed.json["same"], 2, "{}", replayed.text);
    assert_eq!(server.delete("/v1/visitors/ann").status, 204);
    let left = export();
    assert!(left.iter().all(|line| line["request_id"] == bob["request_id"]) && !left.is_empty(), "{left:?}");
}

#[test]
fn drift_is_told_and_counted() {
    let server = shop(Config::default(), State::in_memory().expect("a state"));
    let mut manifest = ranker();
    manifest["name"] = "watched".into();
    let tenths = json!({"edges": [0.5, 1.5, 2.5], "shares": [0.1, 0.2, 0.3, 0.4]});
    manifest["reference"] = json!({"log1p(item.price)": tenths, "score": {"edges": [0.0], "shares": [1, 1]}});
    let reply = put(&server, &fixture("ranker.onnx"), &manifest);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let told = || server.get("/v1/models/watched/drift").json;
    assert_eq!((&told()["reference"], &told()["rows"]), (&"manifest".into(), &0.into()), "{}", told());
    let catalogue = server.app.state.catalogue.current();
    let found = catalogue.live_rows().map(|row| (row, 1.0)).collect();
    let set = Candidates::union(&[(Arc::from("all"), found)]).expect("a set");
    for seed in 0..3_000u64 {
        let ctx = RequestContext::new(Request::default(), Arc::default(), now(), seed);
        server.app.reach.scoring.score(&ctx, &set, "watched").expect("scores");
    }
    let report = told();
    let rows = report["rows"].as_u64().expect("a number");
    // About one request of 32, with forty candidates.
    assert!((1_000..8_000).contains(&rows), "{report}");
    assert!(report["score"]["psi"].is_number() && report["features"][0]["psi"].as_f64() > Some(0.0), "{report}");
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("qianmian_model_score_psi{model=\"watched\"}"), "{metrics}");
    assert!(
        metrics.contains("qianmian_model_feature_psi{feature=\"log1p(item.price)\",model=\"watched\"}"),
        "{metrics}"
    );
    assert_eq!(server.get("/v1/models/taste/drift").json["reference"], "served");
    assert_eq!(server.get("/v1/models/none/drift").json["code"], "unknown_model");
    manifest["reference"] = json!({"nothing": {"edges": [], "shares": [1]}});
    let reply = put(&server, &fixture("ranker.onnx"), &manifest);
    assert!(reply.status == 422 && reply.text.contains("reference.nothing"), "{}", reply.text);
}

/// A version on trial beside the live one: compared, in a scenario's canary, promoted, taken back; and over a restart.
#[test]
fn a_version_is_tried_promoted_and_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { feature_share: 1.0, ..Config::default() };
    let server = shop(config, State::open(folder.path()).expect("a state"));
    // A release pins the versions of its day unless it says otherwise.
    server.scenario("home", json!({"strategy": "home", "parameters": {"model": "taste"}, "models": "live"}));
    // The same id gives the same seed.
    let ask = || {
        let request = json!({"scenario": "home", "visitor": {"id": "ann"}, "limit": 10}).to_string();
        server.send_with("POST", "/v1/recommend", "application/json", &[("x-request-id", "one")], request.as_bytes())
    };
    let first = ask();
    assert_eq!((first.status, &first.json["fallback"]), (200, &Value::Null), "{}", first.text);
    let clicked = first.json["shelves"][0]["slots"][0]["item"].clone();
    server.events(&[json!({"id": "click", "type": "click", "time": now(), "visitor": {"id": "ann"}, "item": clicked,
        "request_id": first.json["request_id"]})]);
    let first = ask();
    let reply = put_as(&server, &fixture("mlp.onnx"), &ranker(), "2?trial=true");
    assert_eq!((reply.status, &reply.json["live"]), (200, &json!(false)), "{}", reply.text);
    let compared = &reply.json["compared"];
    assert!(compared["sets"].as_u64() >= Some(1) && compared["judged"].as_u64() >= Some(1), "{}", reply.text);
    assert!(compared["correlation"].as_f64().expect("a correlation") < 1.0, "{}", reply.text);
    let versions = |server: &Server| {
        let told = server.get("/v1/models/taste").json;
        (told["version"].clone(), told["trial"]["version"].clone())
    };
    assert_eq!(versions(&server), (json!("1"), json!("2")));
    assert_eq!(ask().json["shelves"], first.json["shelves"], "who does not name it does not get it");

    let spec =
        |model: &str| json!({"strategy": "home", "parameters": {"model": model}, "allow": {"models": ["taste"]}});
    let trial = json!({"spec": spec("taste@2"), "plan": {"share": 1.0}}).to_string();
    let reply = server.send("POST", "/v1/scenarios/home/releases", "application/json", trial.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text);
    let canary = ask();
    assert_eq!((canary.status, &canary.json["fallback"]), (200, &Value::Null), "{}", canary.text);
    assert_ne!(canary.json["shelves"], first.json["shelves"]);
    let back = server.send("POST", "/v1/scenarios/home/rollback", "application/json", b"");
    assert_eq!(back.status, 200, "{}", back.text);

    let reply = server.send("POST", "/v1/models/taste/promote", "application/json", b"");
    assert_eq!((reply.status, &reply.json["version"]), (200, &json!("2")), "{}", reply.text);
    assert_eq!(ask().json["shelves"], canary.json["shelves"]);
    let reply = server.send("POST", "/v1/models/taste/promote", "application/json", b"");
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("nothing_on_trial")), "{}", reply.text);
    let reply = server.send("POST", "/v1/models/taste/rollback", "application/json", b"");
    assert_eq!((reply.status, &reply.json["version"]), (200, &json!("1")), "{}", reply.text);
    assert_eq!(ask().json["shelves"], first.json["shelves"]);
    let reply = put_as(&server, &fixture("ranker.onnx"), &ranker(), "2?trial=true");
    assert_eq!((reply.status, &reply.json["code"]), (409, &json!("version_exists")), "{}", reply.text);
    let reply = put_as(&server, &fixture("mlp.onnx"), &ranker(), "2?trail=true");
    assert_eq!((reply.status, &reply.json["code"]), (400, &json!("bad_query")), "{}", reply.text);

    // The same from the command line.
    let manifest = folder.path().join("manifest.json");
    std::fs::write(&manifest, ranker().to_string()).expect("written");
    let run = |arguments: &[&str]| {
        let run = Command::new(binary()).args(["model"]).args(arguments).output().expect("it runs");
        let text = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
        (run.status.success(), text)
    };
    let onnx = root().join("models/tests/fixtures/mlp.onnx");
    let (onnx, manifest, url) = (onnx.to_str().expect("a path"), manifest.to_str().expect("a path"), &server.url);
    let push = ["push", onnx, "--manifest", manifest, "--version", "3", "--trial", "--url", url];
    let pushed = run(&push);
    assert!(pushed.0 && pushed.1.contains("\"live\":false"), "{pushed:?}");
    assert_eq!(versions(&server), (json!("1"), json!("3")));
    let copy = tempfile::tempdir().expect("a folder");
    qianmian_tests::copy_folder(folder.path(), copy.path());
    let server = Server::over(State::open(copy.path()).expect("the copy opens"));
    assert_eq!(versions(&server), (json!("1"), json!("3")), "after a restart");
    let url = &server.url;
    assert!(run(&["promote", "taste", "--url", url]).0);
    assert_eq!(versions(&server), (json!("3"), Value::Null));
    assert!(run(&["rollback", "taste", "--url", url]).0);
    assert_eq!(versions(&server), (json!("1"), Value::Null));
    assert!(run(&["rollback", "nothing", "--url", url]).1.contains("unknown_model"));
}
