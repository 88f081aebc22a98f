//! Tags and segments through the API: defined, back-filled, fresh with the next event, usable by strategies.

use qianmian_state::State;
use qianmian_tests::{Reply, Server, served};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn put(server: &Server, path: &str, body: &Value) -> Reply {
    server.send("PUT", path, "application/json", body.to_string().as_bytes())
}

/// Visitors `v0` to `v9`: the odd ones from Bern, each ordered as often as the number says.
fn shop() -> Server {
    let server = Server::empty();
    server.items(
        &(0..40).map(|n| json!({ "id": format!("p{n}"), "price": n + 1, "categories": ["all"] })).collect::<Vec<_>>(),
    );
    let mut events = Vec::new();
    for visitor in 0..10 {
        for n in 0..=visitor {
            events.push(json!({
                "id": format!("{visitor}-{n}"), "type": if n == 0 { "view" } else { "purchase" }, "item": format!("p{n}"),
                "visitor": { "id": format!("v{visitor}"), "attributes": { "city": (["Basel", "Bern"][visitor % 2]) } },
            }));
        }
    }
    server.events(&events);
    server
}

#[test]
fn tags_are_defined_back_filled_fresh_and_gone() {
    let server = shop();
    let tags = [
        ("city", json!({ "kind": "base", "of": "visitor.attributes.city" })),
        (
            "loyalty",
            json!({ "kind": "layered", "of": "visitor.orders",
            "layers": [{ "name": "some", "from": 1 }, { "name": "much", "from": 5 }] }),
        ),
        (
            "star",
            json!({ "kind": "combined", "when": "'loyalty:much' in visitor.tags && 'city:Bern' in visitor.tags" }),
        ),
        ("likes", json!({ "kind": "preference", "of": "category", "most": 2 })),
    ];
    for (name, spec) in &tags {
        let reply = put(&server, &format!("/v1/tags/{name}"), spec);
        assert_eq!((reply.status, &reply.json["version"]), (200, &json!(1)), "{}", reply.text);
    }
    server.app.state.folds.audience.wait();
    let tag = server.get("/v1/tags/loyalty").json;
    assert_eq!(
        tag["values"],
        json!([{ "tag": "loyalty:much", "visitors": 5 }, { "tag": "loyalty:some", "visitors": 4 }])
    );
    assert_eq!((&tag["backfill"]["finished"], &tag["backfill"]["of"]), (&json!(true), &json!(10)));
    let of = |id: &str| server.get(&format!("/v1/visitors/{id}")).json["tags"].to_string();
    assert!(of("v9").contains("\"star\"") && of("v9").contains("likes:all") && !of("v8").contains("\"star\""));
    let rfm = |id: &str| server.get(&format!("/v1/visitors/{id}")).json["rfm"].clone();
    assert!(rfm("v9").as_str().is_some_and(|rfm| rfm.len() == 3 && rfm.ends_with("55")), "{}", rfm("v9"));
    assert_eq!(rfm("v0"), json!(null), "no orders");
    // fresh with the event
    server.events(&[json!({ "id": "move", "type": "view", "item": "p1",
        "visitor": { "id": "v8", "attributes": { "city": "Bern" } } })]);
    assert!(of("v8").contains("\"star\""), "{}", of("v8"));
    // changed, and taken away
    let reply = put(&server, "/v1/tags/star", &json!({ "kind": "combined", "when": "visitor.orders > 8.0" }));
    assert_eq!(reply.json["version"], 2);
    server.app.state.folds.audience.wait();
    assert!(of("v9").contains("\"star\"") && !of("v8").contains("\"star\""));
    assert_eq!((server.delete("/v1/tags/star").status, server.delete("/v1/tags/star").status), (204, 404));
    server.app.state.folds.audience.wait();
    assert!(!of("v9").contains("\"star\""));
    assert_eq!(server.get("/v1/tags").json.as_array().map(Vec::len), Some(3));
}

#[test]
fn wrong_definitions_are_refused_with_the_reason() {
    let server = shop();
    for (path, spec, code, words) in [
        ("tags/x", json!({ "kind": "base", "of": "visitor.orders" }), "bad_tag", "layered"),
        ("tags/x", json!({ "kind": "base", "of": "visitor.colour" }), "bad_tag", "known: visitor."),
        ("tags/x", json!({ "kind": "combined", "when": "visitor.orders >" }), "bad_expression", "character"),
        ("tags/x", json!({ "kind": "combined", "when": "visitor.orders > 'a'" }), "bad_tag", "compares"),
        ("tags/x", json!({ "kind": "layered", "of": "visitor.orders", "layers": [] }), "bad_layers", "rising"),
        ("tags/x", json!({ "kind": "preference", "of": "brand", "most": 99 }), "bad_preference", "most is 99"),
        ("tags/x", json!({ "kind": "magic" }), "wrong_shape", "magic"),
        ("tags/stage", json!({ "kind": "base", "of": "visitor.region" }), "bad_name", "host's own"),
        ("tags/no name", json!({ "kind": "base", "of": "visitor.region" }), "bad_name", "letters"),
        ("tags/me", json!({ "kind": "combined", "when": "'me' in visitor.tags" }), "circle", "me"),
        ("segments/x", json!({ "when": "item.price > 1.0" }), "bad_expression", "item.price"),
        ("segments/x", json!({ "where": "true" }), "wrong_shape", "where"),
    ] {
        let reply = put(&server, &format!("/v1/{}", path.replace(' ', "%20")), &spec);
        assert_eq!((reply.status, &reply.json["code"]), (422, &json!(code)), "{spec}: {}", reply.text);
        assert!(reply.text.contains(words), "{words:?} is not in {}", reply.text);
    }
    assert_eq!(server.get("/v1/tags/x").json["code"], "unknown_tag");
    assert_eq!(server.get("/v1/segments/x/size").json["code"], "unknown_segment");
}

#[test]
fn segments_have_sizes_samples_lists_and_pages() {
    let server = shop();
    let when = json!({ "when": "visitor.orders >= 5.0", "about": "the loyal" });
    assert_eq!(put(&server, "/v1/segments/loyal", &when).status, 200);
    server.app.state.folds.audience.wait();
    let size = server.get("/v1/segments/loyal/size?sample=3").json;
    assert_eq!((&size["size"], &size["visitors"], &size["exact"]), (&json!(5), &json!(10), &json!(true)));
    assert_eq!(size["sample"].as_array().map(Vec::len), Some(3));
    let draft =
        server.send("POST", "/v1/segments/size", "application/json", b"{\"when\":\"visitor.orders == 0.0\"}").json;
    assert_eq!((&draft["size"], &draft["exact"]), (&json!(1), &json!(true)), "{draft}");
    assert_eq!(server.get("/v1/visitors/v7").json["segments"], json!(["loyal"]));
    assert_eq!(server.get("/v1/segments/loyal/members").text.lines().count(), 5);
    let matched = server.send("POST", "/v1/segments/loyal/members", "text/plain", b"v1\nv7\nnobody\nv9\n");
    assert_eq!(matched.text, "v7\nv9\n");

    let reply = server.send("PUT", "/v1/segments/invited/members", "text/plain", b"v1\nv2\nlater\n");
    assert_eq!((reply.status, &reply.json["spec"]["count"]), (200, &json!(3)), "{}", reply.text);
    server.app.state.folds.audience.wait();
    assert_eq!(server.get("/v1/segments/invited").json["size"], 2);
    server.events(&[json!({ "id": "late", "type": "view", "item": "p1", "visitor": { "id": "later" } })]);
    assert_eq!(server.get("/v1/segments/invited").json["size"], 3, "in it from the first event on");
    assert_eq!(server.delete("/v1/visitors/v2").status, 204);
    assert_eq!(server.get("/v1/segments/invited").json["spec"]["count"], 2, "struck off the list");
    assert_eq!(server.send("PUT", "/v1/segments/e/members", "text/plain", b"\n").json["code"], "bad_list");

    // what members do with which items, as of the last look at them
    let items = server.get("/v1/segments/loyal/items?limit=2").json;
    assert_eq!((&items["members"], &items["looked_at"]), (&json!(5), &json!(5)), "{items}");
    assert!(items["as_of"].as_i64().is_some_and(|at| at > 0), "{items}");
    let first = &items["items"][0];
    assert_eq!(
        (&first["item"], &first["orders"], &first["interest"]),
        (&json!("p5"), &json!(5), &json!(25.0)),
        "{items}"
    );
    let lifted = server.get("/v1/segments/loyal/items?order=lift&limit=1").json;
    assert_eq!(lifted["items"][0]["item"], "p5", "ordered by members only: {lifted}");
    assert!(lifted["items"][0]["lift"].as_f64().is_some_and(|lift| lift > 1.0), "{lifted}");
    assert_eq!(server.get("/v1/segments/x/items").json["code"], "unknown_segment");
    assert_eq!(server.get("/v1/segments/loyal/items?limit=0").json["code"], "limit_out_of_range");
    assert_eq!(server.get("/v1/segments/loyal/items?order=name").json["code"], "bad_query");

    // a strategy reads segments as a column
    let page = |visitor: &str| {
        let asked = json!({ "scenario": "vip", "visitor": { "id": visitor }, "limit": 3, "explain": true });
        served(&server.recommend(asked).json)
    };
    server.scenario(
        "vip",
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "vip", "steps": [
        { "retrieve": [ { "source": "newest", "limit": 40 } ] },
        { "keep": "'loyal' in visitor.segments ? item.price > 30.0 : item.price < 5.0" }, { "take": 3 } ] } ] } }),
    );
    let number = |id: &String| id[1..].parse::<u32>().expect("a number");
    assert!(page("v9").iter().all(|id| number(id) >= 30), "{:?}", page("v9"));
    assert!(page("v1").iter().all(|id| number(id) < 4), "{:?}", page("v1"));
    assert_eq!(server.delete("/v1/segments/loyal").status, 204);
    assert_eq!(server.get("/v1/segments/loyal").status, 404);
}

#[test]
fn members_that_were_taken_out_can_be_brought_in_again() {
    let server = shop();
    assert_eq!(put(&server, "/v1/segments/loyal", &json!({ "when": "visitor.orders >= 5.0" })).status, 200);
    server.app.state.folds.audience.wait();
    let keys = server.get("/v1/segments/loyal/members").text;
    assert_eq!(keys.lines().count(), 5);
    let bring = |query: &str, list: &str| {
        server.send("PUT", &format!("/v1/segments/copy/members{query}"), "text/plain", list.as_bytes())
    };
    let reply = bring("?keys=true", &keys);
    assert_eq!((reply.status, &reply.json["spec"]["count"]), (200, &json!(5)), "{}", reply.text);
    server.app.state.folds.audience.wait();
    assert_eq!(server.get("/v1/segments/copy/members").text, keys);
    let ids = b"v1\nv7\nv9\n";
    assert_eq!(server.send("POST", "/v1/segments/copy/members", "text/plain", ids).text, "v7\nv9\n");
    let reply = bring("?keys=true", &format!("{keys}v7\n"));
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("bad_list")), "{}", reply.text);
    assert!(reply.text.contains("id 5 is no key"), "{}", reply.text);
    assert_eq!(bring("?key=true", &keys).json["code"], "bad_query");
}

#[test]
fn the_erased_leave_what_segments_do_with_items_within_seconds() {
    let server = shop();
    assert_eq!(put(&server, "/v1/segments/all", &json!({ "when": "visitor.orders >= 0.0" })).status, 200);
    server.app.state.folds.audience.wait();
    // p9 was ordered by v9 alone
    let orders = || {
        let items = server.get("/v1/segments/all/items?limit=100").json;
        items["items"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|item| item["item"] == "p9")
            .map(|item| item["orders"].clone())
    };
    assert_eq!(orders(), Some(json!(1)));
    assert_eq!(server.delete("/v1/visitors/v9").status, 204);
    let begun = Instant::now();
    while orders().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(15), "they are still in it");
        std::thread::yield_now();
    }
}

#[test]
fn what_others_name_is_not_taken_away_and_every_version_comes_back() {
    let server = shop();
    let all = [
        ("tags/city", json!({ "kind": "base", "of": "visitor.attributes.city" })),
        ("tags/star", json!({ "kind": "combined", "when": "'city:Bern' in visitor.tags && visitor.orders > 5.0" })),
        ("segments/bern", json!({ "when": "'city:Bern' in visitor.tags" })),
        ("segments/stars", json!({ "when": "'star' in visitor.tags && 'bern' in visitor.segments" })),
    ];
    for (path, spec) in &all {
        let reply = put(&server, &format!("/v1/{path}"), spec);
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    for (path, users) in [
        ("tags/city", "tag \\\"star\\\", segment \\\"bern\\\""),
        ("tags/star", "segment \\\"stars\\\""),
        ("segments/bern", "segment \\\"stars\\\""),
    ] {
        let reply = server.delete(&format!("/v1/{path}"));
        assert_eq!((reply.status, &reply.json["code"]), (409, &json!("in_use")), "{}", reply.text);
        assert!(reply.text.contains(users), "{users} is not in {}", reply.text);
    }
    for path in ["segments/stars", "segments/bern", "tags/star", "tags/city"] {
        assert_eq!(server.delete(&format!("/v1/{path}")).status, 204, "{path}");
    }
    // what it was, and back again
    let versions = server.get("/v1/tags/star/versions").json;
    assert_eq!((&versions[0]["version"], &versions[0]["spec"]), (&json!(2), &Value::Null), "{versions}");
    assert_eq!((&versions[1]["spec"]["kind"], versions[1]["time"].is_i64()), (&json!("combined"), true), "{versions}");
    let restore = |path: &str, version: u32| {
        let body = json!({ "version": version }).to_string();
        server.send("POST", &format!("/v1/{path}/restore"), "application/json", body.as_bytes())
    };
    for (path, version, code) in [
        ("tags/star", 2, "deleted_version"),
        ("tags/star", 9, "unknown_version"),
        ("segments/none", 1, "unknown_version"),
    ] {
        assert_eq!(restore(path, version).json["code"], code, "{path} {version}");
    }
    for path in ["tags/city", "tags/star", "segments/bern", "segments/stars"] {
        let reply = restore(path, 1);
        assert_eq!((reply.status, &reply.json["version"]), (200, &json!(3)), "{}", reply.text);
    }
    server.app.state.folds.audience.wait();
    assert_eq!(server.get("/v1/segments/stars/size").json["size"], 2, "v7 and v9");
    assert_eq!(server.get("/v1/segments/none/versions").json["code"], "unknown_segment");
    // a list that was replaced is not kept
    let bring = |ids: &str| server.send("PUT", "/v1/segments/list/members", "text/plain", ids.as_bytes()).status;
    assert_eq!((bring("v1\n"), bring("v2\n")), (200, 200));
    assert_eq!(restore("segments/list", 1).json["code"], "list_gone");
    assert_eq!(restore("segments/list", 2).status, 200);
}

#[test]
fn the_best_channel_and_hour_of_a_visitor_is_a_ranking_of_items() {
    let server = Server::empty();
    let way = |channel: &str, hour: u32| {
        let attributes = json!({ "channel": channel, "hour": hour });
        json!({ "id": format!("{channel}-{hour}"), "kind": "channel", "attributes": attributes })
    };
    server.items(&[
        way("push", 9),
        way("push", 20),
        way("mail", 9),
        way("mail", 20),
        json!({ "id": "p1", "price": 2 }),
    ]);
    let yesterday = (qianmian::recommend::now_ms() / 86_400_000 - 1) * 86_400_000;
    let looks = [("ann", "push", 20, 3), ("ann", "mail", 9, 1), ("bob", "mail", 9, 2), ("bob", "mail", 20, 1)];
    let mut events = Vec::new();
    for (visitor, channel, hour, times) in looks {
        events.extend((0..times).map(|n| {
            json!({ "id": format!("{visitor}{channel}{hour}{n}"), "type": "view", "item": "p1", "channel": channel,
                "visitor": { "id": visitor }, "time": yesterday + hour * 3_600_000 + n })
        }));
    }
    server.events(&events);
    server.scenario(
        "reach",
        json!({ "strategy": "compose", "parameters": { "shelves": [ { "id": "ways", "steps": [
            { "retrieve": [ { "source": "newest", "limit": 50, "kinds": ["channel"] } ] },
            { "compute": { "column": "fit", "formula": "history.channel_share + 0.5 * history.hour_share" } },
            { "order_by": "fit" } ] } ] } }),
    );
    let ways = |visitor: &str| {
        served(&server.recommend(json!({ "scenario": "reach", "visitor": { "id": visitor }, "limit": 4 })).json)
    };
    assert_eq!(ways("ann"), ["push-20", "push-9", "mail-20", "mail-9"]);
    assert_eq!(ways("bob"), ["mail-9", "mail-20", "push-9", "push-20"]);
}

#[test]
fn definitions_outlive_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let server = Server::over(State::open(folder.path()).expect("a state"));
        server.items(&[json!({ "id": "a" })]);
        server.events(&[json!({ "id": "1", "type": "purchase", "item": "a", "visitor": { "id": "u" } })]);
        assert_eq!(
            put(&server, "/v1/tags/buyer", &json!({ "kind": "combined", "when": "visitor.orders > 0.0" })).status,
            200
        );
        assert_eq!(server.send("PUT", "/v1/segments/listed/members", "text/plain", b"u\n").status, 200);
    }
    // the server of a test lives as long as the test: its folder is read beside it
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder.path(), copy.path());
    let server = Server::over(State::open(copy.path()).expect("a state"));
    server.app.state.folds.audience.wait();
    let profile = server.get("/v1/visitors/u").json;
    assert_eq!((&profile["tags"][1], &profile["segments"]), (&json!("buyer"), &json!(["listed"])), "{profile}");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy_folder(&entry, &target);
        } else if entry.file_name().is_some_and(|name| name != "lock") {
            std::fs::copy(&entry, &target).expect("copied");
        }
    }
}
#[test]
fn a_tagger_says_what_its_code_sees() {
    let server = shop();
    let spec = json!({ "kind": "code", "plugin": "habits", "parameters": { "least": 4, "low_price": 5 } });
    let reply = put(&server, "/v1/tags/habit", &spec);
    assert_eq!((reply.status, &reply.json["version"]), (200, &json!(1)), "{}", reply.text);
    assert!(reply.json["spec"]["version"].is_string(), "pinned: {}", reply.text);
    server.app.state.folds.audience.wait();
    let of = |id: &str| server.get(&format!("/v1/visitors/{id}")).json["tags"].to_string();
    // v3 saw p0 to p3, 1 to 4 in price; v0 saw too little, v9 dearer things too.
    assert!(of("v3").contains("habit:low-price"), "{}", of("v3"));
    assert!(!of("v0").contains("habit:") && !of("v9").contains("habit:low-price"), "{} {}", of("v0"), of("v9"));
    // Fresh with the next event: four more, and v0 is known.
    let more =
        (0..4).map(|n| json!({ "id": format!("m{n}"), "type": "view", "item": "p2", "visitor": { "id": "v0" } }));
    server.events(&more.collect::<Vec<_>>());
    assert!(of("v0").contains("habit:low-price"), "{}", of("v0"));
    let segment = put(&server, "/v1/segments/thrifty", &json!({ "when": "'habit:low-price' in visitor.tags" }));
    assert_eq!(segment.status, 200, "{}", segment.text);

    for (wrong, code) in [
        (json!({ "kind": "code", "plugin": "none" }), "unknown_strategy"),
        (json!({ "kind": "code", "plugin": "home" }), "wrong_world"),
        (json!({ "kind": "code", "plugin": "habits", "parameters": { "least": 0 } }), "bad_parameters"),
    ] {
        let reply = put(&server, "/v1/tags/wrong", &wrong);
        assert_eq!((reply.status, &reply.json["code"]), (422, &json!(code)), "{}", reply.text);
    }
}

#[test]
fn the_erased_are_taken_off_every_list_and_lists_that_no_segment_names_go() {
    let server = shop();
    let bring = |name: &str, ids: &str| {
        let path = format!("/v1/segments/{name}/members");
        assert_eq!(server.send("PUT", &path, "text/plain", ids.as_bytes()).status, 200);
    };
    let list = |name: &str| {
        let document = server.app.state.registry.get("segment", name).expect("readable").expect("a segment");
        document.value.expect("a value")["list"].as_str().expect("a list").to_owned()
    };
    let kept = |list: &str| server.app.state.blobs.contains(list);
    bring("one", "v0\nv1\n");
    bring("same", "v0\nv1\n");
    bring("renewed", "v1\nv2\n");
    let (shared, replaced) = (list("one"), list("renewed"));
    bring("renewed", "v2\n");
    assert!(kept(&shared) && !kept(&replaced));
    assert_eq!(server.delete("/v1/visitors/v1").status, 204);
    assert!(!kept(&shared) && list("one") == list("same"), "shortened for both");
    server.app.state.label_everybody();
    for name in ["one", "same", "renewed"] {
        assert_eq!(server.get(&format!("/v1/segments/{name}/members")).text.lines().count(), 1, "{name}");
    }
    let shortened = list("one");
    assert_eq!(server.delete("/v1/segments/same").status, 204);
    assert!(kept(&shortened), "another segment is made of it");
    assert_eq!(server.delete("/v1/segments/one").status, 204);
    assert!(!kept(&shortened));
}
