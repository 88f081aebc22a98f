//! From an empty folder to a live page: the way of a strategy's author, with the real compiler.

use qianmian::authoring::{Kind, Language, Trial, build, create, run};
use qianmian_tests::{Server, root, served};
use serde_json::json;
use std::path::Path;

#[test]
fn from_an_empty_folder_to_a_live_page() {
    let folder = tempfile::tempdir().expect("a folder");
    // What both projects stand on is compiled once.
    std::fs::create_dir(folder.path().join(".cargo")).expect("made");
    std::fs::write(folder.path().join(".cargo/config.toml"), "[build]\ntarget-dir = \"built\"\n").expect("written");
    let project = folder.path().join("summer");
    create("summer", &project, Language::Rust, Kind::Strategy).expect("a project");
    // The versions this workspace is tested with.
    std::fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).expect("copied");
    let component = build(&project).expect("it builds as it is");
    let bytes = std::fs::read(&component).expect("a component");
    assert!(bytes.len() < 150_000, "{} bytes", bytes.len());

    let server = Server::empty();
    server.items(&(1..=40).map(|n| json!({ "id": format!("p{n:02}"), "price": n })).collect::<Vec<_>>());
    server.events(&[
        json!({ "id": "1", "type": "purchase", "item": "p07", "visitor": { "id": "ann" } }),
        json!({ "id": "2", "type": "view", "item": "p09", "visitor": { "id": "bob" } }),
        json!({ "id": "3", "type": "view", "item": "p30", "visitor": { "id": "bob" } }),
    ]);
    let trial = |parameters| {
        let plugin = server.app.plugins.try_out(&bytes).expect("a strategy");
        let trial = Trial { plugin, parameters, visitors: vec!["ann".to_owned()], items: Vec::new(), limit: 5 };
        run(&server.app, &trial)
    };
    let lines = trial(json!({ "most_expensive": 10 })).expect("a trial");
    assert_eq!(lines.len(), 2, "nobody and ann");
    for line in &lines {
        assert!(line.good(), "{line:?}");
        assert!(
            line.percent["fuel"] > 0.0
                && line.percent["fuel"] < 5.0
                && line.percent["memory"] < 10.0
                && line.percent["host_calls"] < 20.0,
            "{line:?}"
        );
    }
    assert_eq!(lines[1].page[0].1[0], "p07", "ann buys it again: {lines:?}");
    let refused = trial(json!({ "most_expensive": "cheap" })).expect_err("parameters that do not fit");
    assert!(refused.to_string().contains("most_expensive"), "{refused}");

    let reply = server.send("PUT", "/v1/plugins/summer/versions/0.1.0", "application/wasm", &bytes);
    assert_eq!(reply.status, 200, "{}", reply.text);
    server.scenario("summer", json!({ "strategy": "summer", "parameters": { "most_expensive": 10 } }));
    let answer = server.recommend(json!({ "scenario": "summer", "visitor": { "id": "ann" }, "limit": 5 })).json;
    assert_eq!((&answer["strategy"]["name"], &answer["fallback"]), (&json!("summer"), &json!(null)), "{answer}");
    let page = served(&answer);
    assert_eq!(page[0], "p07", "{page:?}");
    assert!(page.contains(&"p09".to_owned()) && page.iter().all(|id| id.as_str() <= "p10"), "{page:?}");

    tagger(folder.path(), &server);
}

/// The same way for a tagger.
fn tagger(folder: &Path, server: &Server) {
    let project = folder.join("tastes");
    create("tastes", &project, Language::Rust, Kind::Tagger).expect("a project");
    std::fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).expect("copied");
    let bytes = std::fs::read(build(&project).expect("it builds as it is")).expect("a component");
    server.events(
        &[30, 31, 32].map(
            |n| json!({ "id": format!("c{n}"), "type": "view", "item": format!("p{n}"), "visitor": { "id": "cy" } }),
        ),
    );
    let plugin = server.app.plugins.try_out(&bytes).expect("a tagger");
    let visitors = vec!["ann".to_owned(), "cy".to_owned()];
    let trial = Trial { plugin, parameters: json!({ "expensive": 30 }), visitors, items: Vec::new(), limit: 5 };
    let lines = run(&server.app, &trial).expect("a trial");
    assert!(lines.iter().all(|line| line.good() && line.percent["fuel"] < 1.0), "{lines:?}");
    assert!(lines[1].page[0].1.is_empty() && lines[2].page[0].1 == ["premium"], "{lines:?}");

    let reply = server.send("PUT", "/v1/plugins/tastes/versions/0.1.0", "application/wasm", &bytes);
    assert_eq!((reply.status, &reply.json["tags"]), (200, &json!(["premium", "away"])), "{}", reply.text);
    let body = json!({ "strategy": "tastes" }).to_string();
    let reply = server.send("PUT", "/v1/scenarios/tastes", "application/json", body.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("wrong_world")), "{}", reply.text);
}
