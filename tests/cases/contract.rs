//! The outer contract: routes, problem documents, OpenAPI, security headers.

use qianmian_tests::Server;
use serde_json::json;

#[test]
fn openapi_lists_every_route_and_they_answer() {
    let server = Server::empty();
    let api = server.get("/openapi.json").json;
    assert!(api["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")));
    let paths = api["paths"].as_object().expect("paths");
    for path in [
        "/v1/recommend",
        "/v1/events",
        "/v1/catalog/items",
        "/v1/embeddings/{space}",
        "/v1/plugins",
        "/v1/models",
        "/v1/scenarios/{name}",
        "/v1/visitors/{id}",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} is not in the contract");
    }
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let answers = operation["responses"].as_object().expect("responses");
            assert!(answers.contains_key("403"), "{method} {path}");
            assert_eq!(answers.contains_key("413"), operation.get("requestBody").is_some(), "{method} {path}");
        }
        if methods.get("get").is_some() {
            let reply = server.get(&path.replace("{id}", "none").replace("{name}", "none"));
            assert!([200, 404].contains(&reply.status), "{path}: {}", reply.text);
            assert!(reply.status == 200 || reply.kind == "application/problem+json", "{path}: {}", reply.kind);
        }
    }
}

#[test]
fn no_route_and_a_wrong_method_are_problems() {
    let server = Server::empty();
    let reply = server.get("/v1/nothing");
    assert_eq!((reply.status, &reply.json["code"]), (404, &"no_route".into()));
    let reply = server.get("/v1/recommend");
    assert_eq!((reply.status, &reply.json["code"]), (405, &"wrong_method".into()));
}

#[test]
fn items_come_back_change_and_go() {
    let server = Server::empty();
    let body = "{\"id\":\"a\",\"title\":\"A\",\"price\":3}\n{\"id\":\"b\",\"price\":-1}\n{\"id\":7}\n";
    let reply = server.send("PUT", "/v1/catalog/items", "application/x-ndjson", body.as_bytes());
    assert_eq!(reply.json["upserted"], 1, "{}", reply.text);
    assert_eq!(reply.json["rejected"].as_array().map(Vec::len), Some(2), "{}", reply.text);
    assert_eq!(server.get("/v1/catalog/items/a").json["price"], json!(3.0));
    let reply = server.send("PATCH", "/v1/catalog/items/a", "application/json", b"{\"price\": 4, \"title\": null}");
    assert_eq!(
        (reply.status, &reply.json["price"], &reply.json["title"]),
        (200, &json!(4.0), &json!("")),
        "{}",
        reply.text
    );
    assert_eq!(server.send("PATCH", "/v1/catalog/items/zzz", "application/json", b"{}").status, 404);
    assert_eq!(server.delete("/v1/catalog/items/a").status, 204);
    assert_eq!(server.get("/v1/catalog/items/a").json["code"], "unknown_item");
}

#[test]
fn models_and_vectors_that_are_wrong_are_refused() {
    let server = Server::empty();
    let part =
        |name: &str, text: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    let manifest = json!({ "name": "m", "kind": "ranker", "features": ["item.price"] }).to_string();
    let body = format!("{}{}--b--\r\n", part("manifest", &manifest), part("model", "not a model"));
    let reply = server.send("PUT", "/v1/models/m/versions/1", "multipart/form-data; boundary=b", body.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &"model_refused".into()), "{}", reply.text);
    let body = format!("{}--b--\r\n", part("manifest", &manifest));
    let reply = server.send("PUT", "/v1/models/m/versions/1", "multipart/form-data; boundary=b", body.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (400, &"missing_part".into()), "{}", reply.text);
    let put = |path: &str, body: &str| server.send("PUT", path, "application/x-ndjson", body.as_bytes());
    let reply = put("/v1/embeddings/s", "{\"id\":\"a\",\"vector\":[1,2]}\n{\"id\":\"b\",\"vector\":[1]}\n");
    assert_eq!((reply.status, &reply.json["code"]), (422, &"wrong_dimension".into()), "{}", reply.text);
    assert_eq!(put("/v1/embeddings/s", "").json["code"], "no_vectors");
    assert_eq!(put("/v1/embeddings/s?metric=taxi", "{\"id\":\"a\",\"vector\":[1,2]}").json["code"], "bad_metric");
    assert_eq!(put("/v1/embeddings/no%20name", "{\"id\":\"a\",\"vector\":[1,2]}").json["code"], "bad_name");
}

#[test]
fn pages_carry_security_headers() {
    let server = Server::empty();
    let response = ureq::get(format!("{}/healthz", server.url)).call().expect("alive");
    for name in ["x-content-type-options", "x-frame-options", "content-security-policy", "referrer-policy"] {
        assert!(response.headers().contains_key(name), "{name} is missing");
    }
}
