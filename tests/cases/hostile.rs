//! Hostile strategies through the whole server: the fallback answers, says why, and nobody else notices.

use qianmian::Config;
use qianmian_components::{Case, Expected, Parts, case, component};
use qianmian_state::State;
use qianmian_tests::{Reply, Server, binary, served};
use serde_json::{Value, json};

const WASM: &str = "application/wasm";

/// Cases that behave while they are tried out, and not afterwards.
const SLY: [&str; 14] = [
    "loop-plain",
    "stack-recursion",
    "memory-grow",
    "memory-far-load",
    "trap-divide-by-zero",
    "list-longest",
    "result-neither",
    "result-at-the-edge",
    "text-bad-utf8",
    "text-title-of-a-megabyte",
    "handle-forged",
    "page-too-many-shelves",
    "storm-of-host-calls",
    "storm-of-sets",
];

/// Cases that no upload gets past.
const REFUSED: [&str; 12] = [
    "bomb-of-components",
    "bomb-locals",
    "describe-path-as-name",
    "export-half",
    "feature-threads",
    "forged-machine-code",
    "import-wasi-sockets",
    "loop-at-start",
    "memory-large",
    "realloc-out-of-bounds",
    "trap-after-the-page",
    "trap-unreachable",
];

/// A shop that tries uploads in a process of their own, as a server does.
fn shop() -> Server {
    let config = Config { compiler: Some(binary()), ..Config::default() };
    let server = Server::with(config, State::in_memory().expect("a state"));
    server.items(&(0..30).map(|n| json!({ "id": format!("p{n}"), "price": n })).collect::<Vec<_>>());
    server
}

fn upload(server: &Server, name: &str, component: &[u8]) -> Reply {
    server.send("PUT", &format!("/v1/plugins/{name}/versions/1.0.0"), WASM, component)
}

/// The shelves that the shipped strategy gives to one and the same request.
fn usual(server: &Server) -> String {
    let body = json!({ "scenario": "home", "visitor": { "id": "v" }, "limit": 8 }).to_string();
    let id = [("x-request-id", "the-usual-one")];
    let reply = server.send_with("POST", "/v1/recommend", "application/json", &id, body.as_bytes());
    assert_eq!((reply.status, &reply.json["fallback"]), (200, &Value::Null), "{}", reply.text);
    assert_eq!(served(&reply.json).len(), 8, "{}", reply.text);
    reply.json["shelves"].to_string()
}

fn code(case: &Case) -> &str {
    match &case.expected {
        Expected::Refused(code, _) | Expected::Fault(code, _) => code,
        Expected::Page(_) => panic!("{} does no harm", case.name),
    }
}

#[test]
fn a_hostile_strategy_is_answered_by_the_fallback() {
    let server = shop();
    let before = usual(&server);
    for (number, case) in SLY.iter().map(|name| case(name)).enumerate() {
        let name = format!("sly{number}");
        let reply = upload(&server, &name, &case.sly(&name));
        assert_eq!(reply.status, 200, "{}: {}", case.name, reply.text);
        let scenario = format!("{name}-scenario");
        server.scenario(&scenario, json!({ "strategy": name }));
        for _ in 0..3 {
            let reply = server.recommend(json!({ "scenario": scenario, "visitor": { "id": "v" }, "limit": 4 }));
            assert_eq!(reply.status, 200, "{}: {}", case.name, reply.text);
            assert_eq!(reply.json["fallback"]["code"], code(&case), "{}: {}", case.name, reply.text);
            assert_eq!(served(&reply.json).len(), 4, "{}: {}", case.name, reply.text);
            assert_eq!(usual(&server), before, "after {}", case.name);
        }
        let metrics = server.get("/metrics").text;
        let counted = format!("qianmian_strategy_faults_total{{code=\"{}\",strategy=\"{name}\"}} 3", code(&case));
        assert!(metrics.contains(&counted), "{counted} is not in {metrics}");
    }
}

#[test]
fn a_hostile_component_is_not_taken() {
    let server = shop();
    let before = usual(&server);
    for case in REFUSED.iter().map(|name| case(name)) {
        let reply = upload(&server, "hostile", &case.bytes("hostile"));
        let wanted = match &case.expected {
            Expected::Refused(code, _) => code,
            _ => "smoke_failed",
        };
        assert_eq!((reply.status, &reply.json["code"]), (422, &json!(wanted)), "{}: {}", case.name, reply.text);
        assert_eq!(server.get("/v1/plugins/hostile").status, 404, "{}", case.name);
        assert_eq!(usual(&server), before, "after {}", case.name);
    }
}

/// Schemas of parameters: what they cost is the uploader's own time, and never the process.
#[test]
fn schemas_that_bite_are_refused_or_harmless() {
    let server = shop();
    let deep = format!("{}{}", r#"{"not":"#.repeat(200), "{}".to_owned() + &"}".repeat(200));
    let schemas = [
        (r##"{"$ref":"#"}"##, "round in a circle"),
        (r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##, "round in two"),
        (r##"{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}"##, "branching"),
        (r#"{"$ref":"http://127.0.0.1:1/schema"}"#, "somebody else's"),
        (r#"{"$ref":"file:///etc/passwd"}"#, "a file"),
        (r#"{"properties":{"a":{"pattern":"^(a+)+$"}}}"#, "a pattern that takes for ever"),
        (r#"{"properties":{"a":{"pattern":"((a{1000}){1000}){1000}"}}}"#, "a pattern that takes all memory"),
        (r#"{"type":"nothing"}"#, "no schema"),
        ("{]}", "no JSON"),
        (deep.as_str(), "deep"),
    ];
    let long = "a".repeat(40) + "!";
    for (number, (schema, what)) in schemas.iter().enumerate() {
        let name = format!("schema{number}");
        let reply = upload(&server, &name, &component(&Parts { name: &name, schema, ..Parts::default() }));
        if reply.status == 200 {
            let spec = json!({ "strategy": name, "parameters": { "a": long } }).to_string();
            let reply = server.send("PUT", "/v1/scenarios/s", "application/json", spec.as_bytes());
            assert!([200, 422].contains(&reply.status), "{what}: {}", reply.text);
        } else {
            assert_eq!((reply.status, &reply.json["code"]), (422, &json!("bad_schema")), "{what}: {}", reply.text);
        }
        usual(&server);
    }
}
