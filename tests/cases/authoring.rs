//! From an empty folder to a live page: the way of a strategy's author, with the real compiler.

use qianmian::authoring::{Language, Trial, build, create, run};
use qianmian_tests::{Server, root, served};
use serde_json::json;

#[test]
fn from_an_empty_folder_to_a_live_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("summer");
    create("summer", &project, Language::Rust).expect("a project");
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
        assert!(line.fuel > 0.0 && line.fuel < 5.0 && line.memory < 10.0 && line.host_calls < 20.0, "{line:?}");
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
}
