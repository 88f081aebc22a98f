//! Quotas that stop exactly at their number, and items shown by every kind of stock.

use qianmian_state::State;
use qianmian_tests::{Reply, Server, copy_folder, served};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

fn send(server: &Server, method: &str, path: &str, body: &Value) -> Reply {
    server.send(method, path, "application/json", body.to_string().as_bytes())
}

#[test]
fn a_flash_sale_reserves_exactly_its_quota_from_64_clients() {
    let server = Server::empty();
    server.items(&[json!({ "id": "tv", "stock": { "sellable": 0 } })]);
    let put = send(
        &server,
        "PUT",
        "/v1/campaigns/flash",
        &json!({ "quotas": { "tv": 1_000 }, "to": "2999-01-01T00:00:00Z" }),
    );
    assert_eq!((put.status, &put.json["open"]), (200, &json!(true)), "{}", put.text);
    let (reserved, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for client in 0..64 {
            let (server, reserved, refused) = (&server, &reserved, &refused);
            scope.spawn(move || {
                for n in 0..20 {
                    let wish = json!({ "id": format!("{client}-{n}"), "item": "tv" });
                    let reply = send(server, "POST", "/v1/campaigns/flash/reservations", &wish);
                    match (reply.status, reply.json["code"].as_str()) {
                        (201, _) => reserved.fetch_add(1, Ordering::Relaxed),
                        (409, Some("sold_out")) => refused.fetch_add(1, Ordering::Relaxed),
                        _ => panic!("{}", reply.text),
                    };
                }
            });
        }
    });
    assert_eq!((reserved.into_inner(), refused.into_inner()), (1_000, 280));
    assert_eq!(
        server.get("/v1/campaigns/flash").json["quotas"],
        json!([{ "item": "tv", "quota": 1_000, "reserved": 1_000 }])
    );
}

#[test]
fn reservations_are_idempotent_limited_and_given_back() {
    let server = Server::empty();
    let spec = json!({ "quotas": { "tea": 5 }, "per_visitor": 2, "from": 1_000_000, "to": 4_000_000_000_000_i64 });
    assert_eq!(send(&server, "PUT", "/v1/campaigns/c", &spec).status, 200);
    let reserve = |id: &str, quantity: u64, visitor: Option<&str>| {
        let mut wish = json!({ "id": id, "item": "tea", "quantity": quantity });
        if let Some(visitor) = visitor {
            wish["visitor"] = json!({ "id": visitor });
        }
        let reply = send(&server, "POST", "/v1/campaigns/c/reservations", &wish);
        (reply.status, reply.json["code"].as_str().unwrap_or_default().to_owned(), reply.json["left"].clone())
    };
    assert_eq!(reserve("a", 2, Some("ann")), (201, String::new(), json!(3)));
    assert_eq!(reserve("a", 2, Some("ann")), (200, String::new(), json!(3)), "a retry");
    assert_eq!(reserve("a", 1, Some("ann")).1, "id_used");
    assert_eq!(reserve("b", 1, Some("ann")).1, "visitor_limit");
    assert_eq!(reserve("b", 1, None).1, "visitor_needed");
    assert_eq!(reserve("b", 0, Some("bob")).1, "bad_reservation");
    assert_eq!(server.delete("/v1/campaigns/c/reservations/a").status, 204);
    assert_eq!(server.delete("/v1/campaigns/c/reservations/a").json["code"], "unknown_reservation");
    assert_eq!(reserve("d", 1, Some("ann")).2, json!(4));
    for (spec, words) in [
        (json!({ "quotas": {} }), "quotas"),
        (json!({ "quotas": { "a": 1 }, "from": 5, "to": 5 }), "not before"),
        (json!({ "quotas": { "a": 1 }, "to": "soon" }), "to:"),
    ] {
        let reply = send(&server, "PUT", "/v1/campaigns/bad", &spec);
        assert!(reply.status == 422 && reply.text.contains(words), "{}", reply.text);
    }
    assert_eq!(server.delete("/v1/campaigns/c").status, 204);
    assert_eq!(reserve("e", 1, Some("ann")).1, "unknown_campaign");
    assert_eq!(send(&server, "PUT", "/v1/campaigns/past", &json!({ "quotas": { "tea": 1 }, "to": 1_000 })).status, 200);
    let late = send(&server, "POST", "/v1/campaigns/past/reservations", &json!({ "id": "x", "item": "tea" }));
    assert_eq!((late.status, &late.json["code"]), (409, &json!("campaign_closed")));
}

#[test]
fn the_limit_of_a_visitor_is_that_of_all_their_ids() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::over(State::open(folder.path()).expect("a state"));
    let spec = json!({ "quotas": { "tea": 90 }, "per_visitor": 2 });
    assert_eq!(send(&server, "PUT", "/v1/campaigns/c", &spec).status, 200);
    let reserve = |server: &Server, order: &str, visitor: &str| {
        let wish = json!({ "id": order, "item": "tea", "quantity": 1, "visitor": { "id": visitor } });
        let reply = send(server, "POST", "/v1/campaigns/c/reservations", &wish);
        (reply.status, reply.json["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = (409, "visitor_limit".to_owned());
    assert_eq!(reserve(&server, "1", "phone"), (201, String::new()));
    assert_eq!(reserve(&server, "2", "phone"), (201, String::new()));
    let ids = json!({ "ids": [{ "id": "ann", "kind": "login" }, { "id": "phone", "kind": "device" }] });
    assert_eq!(send(&server, "POST", "/v1/visitors/link", &ids).status, 200);
    assert_eq!(reserve(&server, "3", "ann"), refused, "the same benefits on every channel");
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder.path(), copy.path());
    let server = Server::over(State::open(copy.path()).expect("the copy opens"));
    assert_eq!(reserve(&server, "3", "ann"), refused, "after a restart");
    assert_eq!(send(&server, "POST", "/v1/visitors/unlink", &json!({ "id": "phone" })).status, 200);
    assert_eq!(reserve(&server, "3", "ann"), (201, String::new()));
    assert_eq!(reserve(&server, "4", "phone"), refused, "what the phone reserved is the phone's");
}

#[test]
fn an_item_is_shown_while_any_kind_of_stock_is_there() {
    let server = Server::empty();
    let item = |id: &str, stock: Value| json!({ "id": id, "price": 1, "stock": stock });
    server.items(&[
        item("uncounted", json!({})),
        item("sellable", json!({ "sellable": 1 })),
        item("gone", json!({ "sellable": 0, "locked": 4, "campaign": 3 })),
        item("presale", json!({ "sellable": 0, "presale": 9 })),
        item("flash", json!({ "sellable": 0, "campaign": 1 })),
        item("spent", json!({ "sellable": 0, "campaign": 0 })),
        item("held", json!({ "sellable": 2, "locked": 5 })),
    ]);
    server.scenario(
        "all",
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "all", "steps": [
        { "retrieve": [ { "source": "newest", "limit": 40 } ] } ] } ] } }),
    );
    let page = || {
        let mut page = served(&server.recommend(json!({ "scenario": "all", "limit": 10 })).json);
        page.sort();
        page
    };
    assert_eq!(page(), ["held", "presale", "sellable", "uncounted"], "what is locked is not among what is sellable");
    let quotas = json!({ "quotas": { "flash": 1, "spent": 9 } });
    assert_eq!(send(&server, "PUT", "/v1/campaigns/now", &quotas).status, 200);
    assert_eq!(
        page(),
        ["flash", "held", "presale", "sellable", "uncounted"],
        "none is set aside of the one that is spent"
    );
    let wish = json!({ "id": "1", "item": "flash" });
    assert_eq!(send(&server, "POST", "/v1/campaigns/now/reservations", &wish).status, 201);
    assert_eq!(page(), ["held", "presale", "sellable", "uncounted"], "the last unit is taken");
}
