//! What a release holds still: the versions of models and the bytes of its component, over new uploads, rollback and a
//! restart; and what may be taken out.

use qianmian::Config;
use qianmian::plugins::Upload;
use qianmian::scenario::ScenarioSpec;
use qianmian_host::with_section;
use qianmian_state::State;
use qianmian_tests::{Reply, Server, built, copy_folder, root};
use serde_json::{Value, json};

/// A version of the model `m`, whose eight features are these attributes.
fn put_model(server: &Server, version: &str, attributes: [usize; 8]) -> Reply {
    let onnx = std::fs::read(root().join("models/tests/fixtures/ranker.onnx")).expect("a fixture");
    let features = attributes.map(|at| format!("item.attributes.f{at}"));
    let manifest = json!({ "name": "m", "kind": "ranker", "features": features }).to_string();
    let form = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes();
    let body =
        [form("manifest"), manifest.into_bytes(), b"\r\n".to_vec(), form("model"), onnx, b"\r\n--b--\r\n".to_vec()];
    let path = format!("/v1/models/m/versions/{version}");
    server.send("PUT", &path, "multipart/form-data; boundary=b", &body.concat())
}

const FIRST: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const SECOND: [usize; 8] = [7, 6, 5, 4, 3, 2, 1, 0];

fn shop(state: State) -> Server {
    let server = Server::over(state);
    let item = |n: usize| {
        let attributes = (0..8).map(|at| (format!("f{at}"), json!(((n * (at + 3) * 7) % 23) as f64 / 4.0 - 2.0)));
        json!({ "id": format!("p{n:02}"), "attributes": attributes.collect::<serde_json::Map<_, _>>() })
    };
    server.items(&(0..30).map(item).collect::<Vec<_>>());
    server
}

fn scored() -> Value {
    json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "x", "steps": [
        { "retrieve": [ { "source": "newest", "limit": 30 } ] }, { "score": "m" } ] } ] } })
}

/// The page of one and the same request.
fn page(server: &Server) -> String {
    let answer = server.recommend(json!({ "scenario": "s", "limit": 30 })).json;
    assert_eq!((&answer["fallback"], &answer["degraded"]), (&Value::Null, &json!([])), "{answer}");
    answer["shelves"].to_string()
}

fn pinned(server: &Server) -> Value {
    server.get("/v1/scenarios/s").json["pins"]["models"].clone()
}

#[test]
fn a_release_keeps_its_models_and_going_back_restores_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(State::open(folder.path()).expect("a state"));
    assert_eq!(put_model(&server, "1", FIRST).status, 200);
    server.scenario("s", scored());
    let first = page(&server);
    assert_eq!(pinned(&server), json!({ "m": "1" }));

    // A new version is live for what is made from now on, and the answer names whom it does not reach.
    let reply = put_model(&server, "2", SECOND);
    assert_eq!((reply.status, &reply.json["not_in"]), (200, &json!(["s"])), "{}", reply.text);
    assert_eq!((page(&server), pinned(&server)), (first.clone(), json!({ "m": "1" })));

    // A trial is of the new version, and promoting it makes live what was tried.
    let trial = json!({ "spec": scored(), "plan": { "shadow": 1.0 } }).to_string();
    let reply = server.send("POST", "/v1/scenarios/s/releases", "application/json", trial.as_bytes());
    assert_eq!(reply.json["candidate"]["pins"]["models"], json!({ "m": "2" }), "{}", reply.text);
    assert_eq!(put_model(&server, "3", FIRST).status, 200);
    let reply = server.send("POST", "/v1/scenarios/s/promote", "application/json", b"");
    assert_eq!((reply.status, &reply.json["pins"]["models"]), (200, &json!({ "m": "2" })), "{}", reply.text);
    let second = page(&server);
    assert_ne!(second, first);

    // The spec is the same: the models alone make it another release to go back to.
    let reply = server.send("POST", "/v1/scenarios/s/rollback", "application/json", b"");
    assert_eq!((reply.status, &reply.json["pins"]["models"]), (200, &json!({ "m": "1" })), "{}", reply.text);
    assert_eq!(page(&server), first);

    // The same after a restart, when another version is live.
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder.path(), copy.path());
    let again = Server::over(State::open(copy.path()).expect("the copy opens"));
    assert_eq!(again.get("/v1/models/m").json["version"], "3");
    assert_eq!((page(&again), pinned(&again)), (first.clone(), json!({ "m": "1" })));

    // Who wants the live one says so.
    let mut live = scored();
    live["models"] = json!("live");
    server.scenario("s", live);
    assert_eq!((page(&server), pinned(&server)), (first, json!({})));
    assert_eq!(put_model(&server, "2", SECOND).json["not_in"], Value::Null);
    assert_eq!(page(&server), second);
}

#[test]
fn a_release_keeps_the_bytes_it_was_made_with() {
    let (data, old, new) = (tempfile::tempdir(), tempfile::tempdir(), tempfile::tempdir());
    let [data, old, new] = [data, old, new].map(|folder| folder.expect("a folder"));
    let home = std::fs::read(built("plugins").join("home.wasm")).expect("built");
    std::fs::write(old.path().join("home.wasm"), &home).expect("written");
    std::fs::write(new.path().join("home.wasm"), with_section(&home, "more", b"of the same")).expect("written");
    let open = |plugins: &std::path::Path| {
        let config = Config { data: data.path().to_owned(), plugins: plugins.to_owned(), ..Config::default() };
        qianmian::App::open(config).expect("an application")
    };
    let digest = |app: &qianmian::App| app.scenarios.get("home").expect("live").pins.digest.clone();
    let first = digest(&open(old.path()));
    let app = open(new.path());
    assert_eq!(digest(&app), first, "newer bytes of a version are no reason to run something else");
    let installed = app.plugins.get("home", None).expect("installed").program.digest().to_owned();
    assert_ne!(installed, first);
    let spec: ScenarioSpec = serde_json::from_value(json!({ "strategy": "home" })).expect("a spec");
    assert_eq!(app.scenarios.put("home", spec).expect("released").pins.digest, installed);
    assert_eq!(app.scenarios.rollback("home").expect("back").pins.digest, first);
    assert_eq!(app.scenarios.get("home").expect("live").strategy.digest(), first);
}

#[test]
fn what_something_holds_is_not_taken_out() {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let trap = std::fs::read(built("hostile").join("trap.wasm")).expect("built");
    let put = |bytes: &[u8]| server.send("PUT", "/v1/plugins/trap/versions/1.0.0", "application/wasm", bytes);
    assert_eq!(put(&trap).status, 200);
    let delete = |path: &str| {
        let reply = server.delete(path);
        let words = reply.json["detail"].as_str().unwrap_or_default().to_owned();
        (reply.status, reply.json["code"].as_str().unwrap_or_default().to_owned(), words)
    };
    let gone = |path: &str| assert_eq!(delete(path), (204, String::new(), String::new()), "{path}");
    let refused = |path: &str, status: u16, code: &str, words: &str| {
        let (got, found, detail) = delete(path);
        assert_eq!((got, found.as_str()), (status, code), "{detail}");
        assert!(detail.contains(words), "{detail}\nwant {words}");
    };
    let version = "/v1/plugins/trap/versions/1.0.0";
    server.scenario("s", json!({ "strategy": "trap" }));
    refused(version, 409, "in_use", "scenario \"s\" runs it");
    server.scenario("s", json!({ "strategy": "home" }));
    refused(version, 409, "in_use", "scenario \"s\" would go back to it");
    server.scenario("s", json!({ "strategy": "home", "parameters": { "flat": true } }));
    refused(version, 409, "in_use", "would go back to it");
    assert_eq!(server.delete("/v1/scenarios/s").status, 204);
    gone(version);
    refused(version, 404, "unknown_strategy", "1.0.0");
    assert_eq!(server.get("/v1/plugins/trap").status, 404);
    let reply = put(&with_section(&trap, "more", b"bytes"));
    assert_eq!((reply.status, &reply.json["code"]), (409, &json!("version_exists")), "{}", reply.text);
    assert_eq!(put(&trap).status, 200, "the same bytes are the same version");
    let home = server.app.plugins.get("home", None).expect("shipped").version.clone();
    refused(&format!("/v1/plugins/home/versions/{home}"), 409, "shipped", "next start");

    // A tagger is held by its tag.
    let habits = std::fs::read(built("plugins").join("habits.wasm")).expect("built");
    let habits = with_section(&habits, "more", b"of the same");
    let shipped = server.app.plugins.get("habits", None).expect("shipped").version.clone();
    let upload = Upload { name: "habits", version: &shipped, component: &habits, signature: None };
    assert_eq!(server.app.plugins.upload(&upload).map_err(|error| error.code).err(), Some("version_exists"));
    let spec = json!({ "kind": "code", "plugin": "habits" }).to_string();
    assert_eq!(server.send("PUT", "/v1/tags/habit", "application/json", spec.as_bytes()).status, 200);
    assert_eq!(
        server.app.audiences.runs("habits", &shipped).expect("read"),
        Some("tag \"habit\" is made by it".to_owned())
    );
}

#[test]
fn a_space_that_nothing_names_is_taken_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::over(State::open(folder.path()).expect("a state"));
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let put = |second: f64| {
        let lines: String = (0..9).map(|n| format!("{{\"id\":\"p{n}\",\"vector\":[{n},{second}]}}\n")).collect();
        server.send("PUT", "/v1/embeddings/looks", "application/x-ndjson", lines.as_bytes())
    };
    assert_eq!(put(1.0).status, 200);
    let patch = b"{\"id\":\"p1\",\"vector\":[9,9]}";
    assert_eq!(server.send("PATCH", "/v1/embeddings/looks", "application/x-ndjson", patch).status, 200);
    let near = json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "x", "steps": [
        { "retrieve": [ { "source": "near_items", "space": "looks" }, { "source": "newest" } ] } ] } ] } });
    server.scenario("s", near);
    let delete = || server.delete("/v1/embeddings/looks");
    let reply = delete();
    assert_eq!((reply.status, &reply.json["code"]), (409, &json!("in_use")), "{}", reply.text);
    assert!(reply.text.contains("scenario \\\"s\\\" names it"), "{}", reply.text);
    server.scenario("s", json!({ "strategy": "home" }));
    assert_eq!([delete().status, delete().status], [204, 404]);
    assert_eq!(server.get("/v1/embeddings").json, json!([]));
    let left = std::fs::read_dir(folder.path().join("spaces")).expect("the folder of graphs").count();
    assert_eq!(left, 0);

    // What changed before it went does not come back with the next space of the name.
    assert_eq!(put(2.0).status, 200);
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder.path(), copy.path());
    let again = Server::over(State::open(copy.path()).expect("the copy opens"));
    assert_eq!(
        (&again.get("/v1/embeddings").json[0]["vectors"], &again.get("/v1/embeddings").json[0]["recent"]),
        (&json!(9), &json!(0))
    );
}
