//! What is refused, with a stable code and words that say where: nothing is taken by halves, nothing is guessed.

use qianmian_tests::{Reply, Server, root};
use serde_json::{Value, json};

fn problem(reply: &Reply, status: u16, code: &str, words: &str) {
    assert_eq!((reply.status, reply.kind.as_str()), (status, "application/problem+json"), "{}", reply.text);
    assert_eq!(reply.json["code"], code, "{}", reply.text);
    assert!(reply.text.contains(words), "{words:?} is not in {}", reply.text);
}

fn shop() -> Server {
    let server = Server::empty();
    server.items(&(0..9).map(|n| json!({ "id": format!("p{n}"), "title": "tea", "price": n })).collect::<Vec<_>>());
    server
}

#[test]
fn members_nobody_knows_are_refused_and_named() {
    let server = shop();
    // A wrong spelling would be a personalised page that was not to be one.
    let reply = server.recommend(json!({ "scenario": "home", "personalized": false }));
    problem(&reply, 422, "wrong_shape", "personalized");
    problem(&server.recommend(json!({ "scenario": "home", "visitor": { "idd": "x" } })), 422, "wrong_shape", "visitor");
    problem(&server.recommend(json!({ "scenario": "home", "limit": -1 })), 422, "wrong_shape", "limit");
    problem(&server.recommend(json!(["home"])), 422, "wrong_shape", "a list where an object is expected");
    problem(&server.send("POST", "/v1/recommend", "application/json", b" "), 400, "malformed_json", "empty");
    let reply = server.send("PUT", "/v1/catalog/items", "application/x-ndjson", b"{\"id\":\"x\",\"prise\":3}\n[1]\n");
    assert_eq!(reply.json["upserted"], 0, "{}", reply.text);
    assert!(reply.text.contains("prise"), "{}", reply.text);
    let reply = server.send("PUT", "/v1/embeddings/s?metrik=cosine", "application/x-ndjson", b"");
    problem(&reply, 400, "bad_request", "metrik");
    let reply = server.send("PUT", "/v1/embeddings/s?visitor=ials&alpha=-1", "application/x-ndjson", b"");
    problem(&reply, 400, "bad_visitor", "alpha");
}

#[test]
fn events_that_cannot_have_happened_are_refused() {
    let server = shop();
    let with = |member: &str, value: Value| {
        let mut event = json!({ "id": "e", "type": "purchase", "item": "p1", "visitor": { "id": "v" } });
        event[member] = value;
        let body = json!({ "events": [event] }).to_string();
        let reply = server.send("POST", "/v1/events", "application/json", body.as_bytes());
        (reply.json["accepted"].clone(), reply.json["rejected"][0]["code"].as_str().unwrap_or_default().to_owned())
    };
    for (member, value, code) in [
        ("quantity", json!(-5), "bad_quantity"),
        ("value", json!(-100), "bad_value"),
        ("position", json!(0), "bad_position"),
        ("time", json!(1_700_000_000), "bad_time"),
        ("items", json!(["p2"]), "bad_item"),
        ("typo", json!(1), "wrong_shape"),
    ] {
        assert_eq!(with(member, value), (json!(0), code.to_owned()), "{member}");
    }
    assert_eq!(with("quantity", json!(2)).0, 1);
}

#[test]
fn a_mistake_in_a_filter_is_refused_before_it_is_live() {
    let server = shop();
    let compose = |keep: &str| {
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "sun", "steps": [
            { "retrieve": [ { "source": "newest", "limit": 9 } ] }, { "keep": keep }, { "take": 5 } ] } ] } })
        .to_string()
    };
    let put = |body: String| server.send("PUT", "/v1/scenarios/s", "application/json", body.as_bytes());
    assert_eq!(put(compose("item.price < 5.0")).status, 200);
    for wrong in ["item.price <", "item.prise < 5.0", "foo(1)"] {
        problem(&put(compose(wrong)), 422, "refused_by_strategy", "shelf 1, step 2, keep: ");
    }
    let home = json!({ "strategy": "home", "parameters": { "keep": "item.prise < 5.0" } }).to_string();
    problem(&put(home), 422, "refused_by_strategy", "prise");
    assert_eq!(server.get("/v1/scenarios/s").json["release"], 1, "what is refused changes nothing");
}

#[test]
fn a_model_whose_features_are_not_there_is_refused_and_versions_stay() {
    let server = shop();
    let onnx = std::fs::read(root().join("runtime/server/src/demo/models/model.onnx")).expect("the demo's ranker");
    let count = serde_json::from_slice::<Value>(
        &std::fs::read(root().join("runtime/server/src/demo/models/manifest.json")).expect("its manifest"),
    )
    .expect("JSON")["features"]
        .as_array()
        .map_or(0, Vec::len);
    let put = |version: &str, first: &str| {
        let mut features: Vec<String> = (0..count).map(|n| format!("item.attributes.f{n}")).collect();
        features[0] = first.to_owned();
        let manifest = json!({ "name": "m", "kind": "ranker", "features": features }).to_string();
        let form = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").into_bytes();
        let body = [
            form("manifest"),
            manifest.into_bytes(),
            b"\r\n".to_vec(),
            form("model"),
            onnx.clone(),
            b"\r\n--b--\r\n".to_vec(),
        ];
        let path = format!("/v1/models/m/versions/{version}");
        server.send("PUT", &path, "multipart/form-data; boundary=b", &body.concat())
    };
    problem(&put("1", "item.prise"), 422, "unknown_feature", "item.prise");
    problem(&put("1", "item.title"), 422, "unknown_feature", "text");
    problem(&put("1", "near.nowhere"), 422, "unknown_feature", "nowhere");
    assert_eq!(put("1", "item.price").status, 200);
    assert_eq!(put("1", "item.price").status, 200, "the same again");
    problem(&put("1", "item.orders"), 409, "version_exists", "raise");
    assert_eq!(put("2", "item.orders").status, 200);
    problem(&server.send("PUT", "/v1/models/m/versions/3", "text/plain", b"{}"), 400, "bad_request", "boundary");
}

#[test]
fn what_is_too_large_or_from_elsewhere_is_a_problem_too() {
    let server = shop();
    let large = vec![b' '; 3 << 20];
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    // The answer comes before the body is read: a client that is still writing may find the connection closed first.
    let url = format!("{}/v1/recommend", server.url);
    let mut answers = (0..40).filter_map(|_| agent.post(&url).content_type("application/json").send(&large[..]).ok());
    let mut reply = answers.next().expect("an answer");
    let text = reply.body_mut().read_to_string().expect("a text");
    assert_eq!(
        (reply.status().as_u16(), text.contains("too_large") && text.contains("max_body")),
        (413, true),
        "{text}"
    );
    // Not over a connection that was closed then.
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let asked = |name: &str, value: &str| {
        let call = agent.get(format!("{}/healthz", server.url)).header(name, value).call();
        call.expect("an answer").status().as_u16()
    };
    assert_eq!(asked("x-nothing", "1"), 200);
    assert_eq!(asked("origin", "http://evil.example"), 403);
    assert_eq!(asked("host", "evil.example"), 403);
}
