//! Strategies and taggers in JavaScript and TypeScript: the twins of Rust ones, and how mistakes reach their author.

use qianmian::authoring::{Kind, Language, Line, Trial, build, build_with, create, run};
use qianmian::demo::{PERSONAS, Scale, fill};
use qianmian::plugins::golden;
use qianmian_tests::{Server, javascript_builder, root};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn try_out(server: &Server, component: &Path, parameters: Value) -> Vec<Line> {
    let plugin = server.app.plugins.try_out(&std::fs::read(component).expect("a component")).expect("a strategy");
    let visitors = PERSONAS.iter().map(|persona| persona.id.to_owned()).collect();
    run(&server.app, &Trial { plugin, parameters, visitors, items: Vec::new(), limit: 12 }).expect("a trial")
}

/// Shelves with the ids of their items.
type Shelves<'a> = &'a [(String, Vec<String>)];

fn pages(lines: &[Line]) -> Vec<(&str, Shelves<'_>)> {
    lines.iter().map(|line| (line.visitor.as_str(), line.page.as_slice())).collect()
}

#[test]
fn the_twins_give_the_same_pages() {
    let Some(builder) = javascript_builder() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let project = |language, name: &str| {
        let project = folder.path().join(name);
        create("summer", &project, language, Kind::Strategy).expect("a project");
        project
    };
    let rust = project(Language::Rust, "rust");
    // The versions this workspace is tested with.
    std::fs::copy(root().join("Cargo.lock"), rust.join("Cargo.lock")).expect("copied");
    let rust = build(&rust).expect("it builds as it is");
    let javascript = build_with(&builder, &project(Language::Js, "js")).expect("it builds as it is");
    let typescript = build_with(&builder, &project(Language::Ts, "ts")).expect("it builds as it is");

    let server = Server::empty();
    fill(&server.app, 7, Scale::SMALL).expect("items and events are taken");
    for parameters in [json!({}), json!({ "most_expensive": 300, "per_category": 1 }), json!({ "most_expensive": 0 })] {
        let expected = try_out(&server, &rust, parameters.clone());
        assert!(expected.len() > 4 && expected.iter().all(Line::good), "{expected:?}");
        for twin in [&javascript, &typescript] {
            let lines = try_out(&server, twin, parameters.clone());
            assert_eq!(pages(&lines), pages(&expected), "{} with {parameters}", twin.display());
            for line in lines {
                assert!(line.good(), "{line:?}");
                assert!(
                    line.percent["fuel"] < 25.0 && line.percent["memory"] < 50.0 && line.percent["host_calls"] < 20.0,
                    "{line:?}"
                );
            }
        }
    }

    let bytes = std::fs::read(&javascript).expect("a component");
    let reply = server.send("PUT", "/v1/plugins/summer/versions/0.1.0", "application/wasm", &bytes);
    assert_eq!(reply.status, 200, "{}", reply.text);
    server.scenario("summer", json!({ "strategy": "summer", "parameters": { "most_expensive": 300 } }));
    let answer = server.recommend(json!({ "scenario": "summer", "limit": 5 })).json;
    assert_eq!((&answer["strategy"]["name"], &answer["fallback"]), (&json!("summer"), &json!(null)), "{answer}");
}

#[test]
fn taggers_in_every_language_give_the_same_tags() {
    let Some(builder) = javascript_builder() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let project = |language, name: &str| {
        let project = folder.path().join(name);
        create("tastes", &project, language, Kind::Tagger).expect("a project");
        project
    };
    let rust = project(Language::Rust, "rust");
    std::fs::copy(root().join("Cargo.lock"), rust.join("Cargo.lock")).expect("copied");
    let rust = build(&rust).expect("it builds as it is");
    let (javascript, typescript) = (project(Language::Js, "js"), project(Language::Ts, "ts"));
    let twins = [&javascript, &typescript].map(|project| build_with(&builder, project).expect("it builds as it is"));

    let server = Server::empty();
    fill(&server.app, 7, Scale::SMALL).expect("items and events are taken");
    for parameters in [json!({}), json!({ "expensive": 20, "away_days": 1 }), json!({ "expensive": 0 })] {
        let expected = try_out(&server, &rust, parameters.clone());
        assert!(expected.len() > 4 && expected.iter().all(Line::good), "{expected:?}");
        for twin in &twins {
            let lines = try_out(&server, twin, parameters.clone());
            assert_eq!(pages(&lines), pages(&expected), "{} with {parameters}", twin.display());
            assert!(lines.iter().all(|line| line.good() && line.percent["fuel"] < 25.0), "{lines:?}");
        }
    }

    // Uploaded, which asks it about as many visitors at once as a server does, and put to work.
    let plugin = server.app.plugins.try_out(&std::fs::read(&twins[0]).expect("a component")).expect("a tagger");
    let (bytes, cases) =
        golden::bundle(&javascript.join("golden"), &std::fs::read(&twins[0]).expect("a component"), &plugin, false)
            .expect("the golden case of the template");
    assert_eq!(cases, 1);
    let reply = server.send("PUT", "/v1/plugins/tastes/versions/0.1.0", "application/wasm", &bytes);
    assert_eq!((reply.status, &reply.json["tags"]), (200, &json!(["premium", "away"])), "{}", reply.text);
    let spec = json!({ "kind": "code", "plugin": "tastes", "parameters": { "expensive": 0 } }).to_string();
    let reply = server.send("PUT", "/v1/tags/taste", "application/json", spec.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text);
    server.app.state.folds.audience.wait();
    let tags = server.get(&format!("/v1/visitors/{}", PERSONAS[0].id)).json["tags"].to_string();
    assert!(tags.contains("taste:premium"), "{tags}");

    // Without a host, and wrong.
    std::fs::write(typescript.join("test/sdk.test.js"), include_str!("sdk-tagger.test.js")).expect("written");
    let said = |command: &str, project: &Path| {
        let output = Command::new(&builder).arg(command).arg(project).output().expect("it starts");
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
    };
    let text = said("test", &typescript);
    assert!(text.contains("ok one look is no taste") && text.contains("4 passed, 0 failed"), "{text}");
    let module = javascript.join("src/tagger.js");
    let source = std::fs::read_to_string(&module).expect("a module");
    std::fs::write(&module, format!("import {{ Page }} from \"qianmian\";\n{source}")).expect("written");
    assert!(said("build", &javascript).contains("a component is a strategy or a tagger"));
    std::fs::write(&module, source.replace("export default", "export const it =")).expect("written");
    assert!(said("build", &javascript).contains("src/tagger.js exports no tagger"));
    std::fs::write(&module, source.replace("item.price\"]", "item.title\"]")).expect("written");
    let component = build_with(&builder, &javascript).expect("it builds");
    let fault = try_out(&server, &component, json!({})).swap_remove(1).fault;
    assert!(fault.contains("item.price") && fault.contains("(src/tagger.js:16:"), "{fault}");
}

/// A project where, in one file, some words are others.
fn changed(folder: &Path, language: Language, file: &str, words: &str, others: &str) -> PathBuf {
    let project = tempfile::tempdir_in(folder).expect("a folder").keep().join("summer");
    create("summer", &project, language, Kind::Strategy).expect("a project");
    let path = project.join(file);
    let text = std::fs::read_to_string(&path).expect("a module");
    assert!(text.contains(words), "{words} in {text}");
    std::fs::write(path, text.replacen(words, others, 1)).expect("written");
    project
}

#[test]
fn exceptions_and_refusals_reach_the_author() {
    let Some(builder) = javascript_builder() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::empty();
    server.items(&(1..=9).map(|n| json!({ "id": format!("p{n}"), "price": n })).collect::<Vec<_>>());
    let fault = |language, words: &str, others: &str| {
        let file = if language == Language::Ts { "src/strategy.ts" } else { "src/strategy.js" };
        let component = build_with(&builder, &changed(folder.path(), language, file, words, others));
        try_out(&server, &component.expect("it builds"), json!({})).swap_remove(0).fault
    };
    let text = fault(Language::Js, "set.take(request.limit)", "set.take(request.limits)");
    assert!(text.starts_with("strategy_trap") || text.contains("trapped"), "{text}");
    let said =
        "TypeError: the count is undefined: expected a whole number, 0 or more (src/strategy.js:24:12 in compose)";
    assert!(text.contains(said), "{text}");
    // Types are blanked out, so that places are those of the author's file.
    let text = fault(Language::Ts, "set.take(request.limit)", "(set as any).sort()");
    assert!(text.contains("TypeError: not a function (src/strategy.ts:20:"), "{text}");
    let text = fault(Language::Js, "set.take(request.limit)", "set.orderBy('item.weight')");
    assert!(
        text.contains("refused") && text.contains("item.weight") && text.contains("(src/strategy.js:24:"),
        "{text}"
    );
    let refuses = "compose: () => reject('sold out'),\n});\nimport { reject } from 'qianmian';";
    let text = fault(Language::Js, "compose,\n});", refuses);
    assert_eq!(text, "the strategy refused: sold out");
    let text =
        fault(Language::Js, "const parameters = complete(given);", "const parameters = complete(given); for (;;);");
    assert!(text.contains("fuel") || text.contains("took more than"), "{text}");
}

#[test]
fn what_does_not_build_says_where() {
    let Some(builder) = javascript_builder() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let said = |command: &str, project: &Path| {
        let output = Command::new(&builder).arg(command).arg(project).output().expect("it starts");
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        (output.status.success(), text)
    };
    let refused = |language, file: &str, words: &str, others: &str, place: &str| {
        let (good, text) = said("build", &changed(folder.path(), language, file, words, others));
        assert!(!good && text.contains(place), "{text}");
    };
    let (js, ts) = (Language::Js, Language::Ts);
    refused(js, "src/strategy.js", "set.keep(", "set.keep((", "src/strategy.js:");
    refused(
        js,
        "src/strategy.js",
        "\"./parameters.js\"",
        "\"./others.js\"",
        "src/strategy.js:5: cannot find \"./others.js\"",
    );
    refused(js, "src/strategy.js", "export default", "export const it =", "src/strategy.js exports no strategy");
    refused(js, "src/strategy.js", "columns: [", "column: [", "a member of needs is \"column\"");
    refused(js, "package.json", "0.1.0", "1", "the strategy's version is \"1\"");
    refused(
        ts,
        "src/parameters.ts",
        "export interface",
        "export enum Size { Small }\nexport interface",
        "src/parameters.ts:4:",
    );

    let project = changed(folder.path(), ts, "src/parameters.ts", "", "");
    std::fs::write(project.join("test/sdk.test.js"), include_str!("sdk.test.js")).expect("written");
    let (good, text) = said("test", &project);
    assert!(good && text.contains("ok parameters may be left out") && text.contains("7 passed, 0 failed"), "{text}");
    assert!(text.contains("log: a {\"b\":null} undefined"), "{text}");
    let (good, text) = said("test", &changed(folder.path(), js, "src/parameters.js", "toFixed(2)", "toFixed(1)"));
    assert!(!good && text.contains("FAILED") && text.contains("expected \"item.price <= 9.50\""), "{text}");
    assert!(text.contains("test/parameters.test.js:8"), "{text}");
}
