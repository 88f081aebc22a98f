//! Backups by the command line beside a server that runs, and a server over what came back.

use qianmian_state::State;
use qianmian_tests::{Server, binary, built};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Runs `qianmian backup`: what it said, or why it would not.
fn backup(arguments: &[&str]) -> Result<Value, String> {
    let output = Command::new(binary()).arg("backup").args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("JSON"))
    } else {
        Err(text(&output.stderr))
    }
}

fn order(n: usize, visitor: &str) -> Value {
    let item = format!("p{}", n * 7 % 30);
    json!({ "id": format!("e{n}"), "type": "purchase", "visitor": { "id": visitor }, "item": item, "channel": "app" })
}

/// A page each for some visitors; without what is of the request alone.
fn pages(server: &Server) -> Vec<Value> {
    let page = |visitor: &str| {
        let asked = json!({ "scenario": "again", "visitor": { "id": visitor }, "limit": 12 });
        let reply = server.recommend(asked);
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json["shelves"].clone()
    };
    ["v0", "v1", "v2", "nobody"].map(page).to_vec()
}

fn members(server: &Server, segment: &str) -> BTreeSet<String> {
    server.app.state.label_everybody();
    server.get(&format!("/v1/segments/{segment}/members")).text.lines().map(str::to_owned).collect()
}

fn shop(folder: &Path) -> Server {
    let server = Server::capturing(State::open(folder).expect("a state"));
    let item = |n: usize| json!({ "id": format!("p{n}"), "title": "x", "price": n + 1, "categories": ["all"] });
    server.items(&(0..30).map(item).collect::<Vec<_>>());
    let steps = json!([
        { "retrieve": [{ "source": "buy_again", "limit": 10 }, { "source": "bought_together", "basis": "history", "limit": 20 }] },
        { "blend": {} }, { "take": 12 }
    ]);
    server.scenario(
        "again",
        json!({ "strategy": "compose", "parameters": { "shelves": [{ "id": "s", "steps": steps }] } }),
    );
    server.events(&(0..90).map(|n| order(n, &format!("v{}", n % 3))).collect::<Vec<_>>());
    let ids = b"v0\nv1\n";
    let reply = server.send("PUT", "/v1/segments/invited/members", "text/plain", ids);
    assert_eq!(reply.status, 200, "{}", reply.text);
    server
}

#[test]
fn a_server_over_a_restored_folder_answers_as_before_but_of_the_erased() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (data, keys) = (path("data"), path("keys"));
    assert!(built("plugins").is_dir());
    let server = shop(Path::new(&data));
    let before = pages(&server);

    let made = backup(&["create", &path("first"), "--data", &data, "--keys", &keys]).expect("beside the server");
    assert_eq!((&made["events"], &made["visitors"]), (&json!(90), &json!(4)), "captures of one who never came, too");
    let again = Server::over({
        let back = backup(&["restore", &path("first"), "--keys", &keys, "--data", &path("again")]).expect("restored");
        assert_eq!((&back["events"], &back["erased"]), (&json!(90), &json!(0)));
        State::open(Path::new(&path("again"))).expect("it starts")
    });
    assert_eq!(pages(&again), before);
    let state = |server: &Server| {
        let state = server.get("/v1/state").json;
        (state["offset"].clone(), state["digest"].clone())
    };
    assert_eq!(state(&again), state(&server), "the same folds, part by part");
    assert_eq!(members(&again, "invited"), members(&server, "invited"));
    assert_eq!(again.get("/v1/audit?action=backup.").json[0]["action"], "backup.restored");

    assert_eq!(server.delete("/v1/visitors/v1").status, 204);
    let proof = server.get("/v1/audit?visitor=v1&action=visitor.erased").json;
    assert_eq!((&proof[0]["detail"]["events"], &proof[0]["detail"]["backup_secrets"]), (&json!(30), &json!(1)));
    backup(&["keys", &keys, "--data", &data]).expect("the secrets there are now");
    let back = backup(&["restore", &path("first"), "--keys", &keys, "--data", &path("without")]).expect("restored");
    assert_eq!((&back["events"], &back["erased"]), (&json!(60), &json!(1)));
    let without = Server::over(State::open(Path::new(&path("without"))).expect("it starts"));
    assert_eq!(without.get("/v1/visitors/v1").status, 404);
    assert_eq!(without.get("/v1/visitors/v0").json["orders"], 30);
    assert_eq!(members(&without, "invited").len(), 1);

    let words = backup(&["create", &path("first"), "--data", &data]).expect_err("it is there");
    assert!(words.contains("not empty"), "{words}");
    let inside = format!("{}/keys", path("second"));
    let words = backup(&["create", &path("second"), "--data", &data, "--keys", &inside]).expect_err("keys in it");
    assert!(words.contains("write it elsewhere"), "{words}");
}
