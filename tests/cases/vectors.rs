//! Embedding spaces: changes that the next request sees and the next start keeps, graphs kept over a restart, interests.

use qianmian_state::State;
use qianmian_tests::{Server, copy_folder, served};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const NDJSON: &str = "application/x-ndjson";

fn lines(vectors: impl Iterator<Item = (String, Value)>) -> String {
    vectors.fold(String::new(), |mut text, (id, vector)| {
        writeln!(text, "{}", json!({ "id": id, "vector": vector })).expect("written");
        text
    })
}

fn send(server: &Server, method: &str, path: &str, body: &str) -> Value {
    let reply = server.send(method, path, NDJSON, body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json
}

/// What is nearest to an item.
fn near(server: &Server, item: &str, limit: usize) -> Vec<String> {
    let answer = server.recommend(json!({ "scenario": "near", "items": [item], "limit": limit }));
    assert_eq!(answer.json["degraded"], json!([]), "{}", answer.text);
    served(&answer.json)
}

/// Items `p0` and so on, each in a direction of its own on a circle, and a scenario that shows what is near.
fn shop(folder: &Path, count: usize) -> Server {
    let server = Server::over(State::open(folder).expect("a state"));
    server.items(&(0..count).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let on_circle = |n: usize| {
        let angle = n as f64 / count as f64;
        json!([angle.cos(), angle.sin()])
    };
    let all = lines((0..count).map(|n| (format!("p{n}"), on_circle(n))));
    send(&server, "PUT", "/v1/embeddings/s?metric=cosine", &all);
    let retrieve = json!({ "retrieve": [{ "source": "near_items", "space": "s", "limit": 20 }] });
    let shelves = json!([{ "id": "x", "steps": [retrieve] }]);
    server.scenario("near", json!({ "strategy": "compose", "parameters": { "shelves": shelves } }));
    server
}

fn copied(folder: &Path) -> (tempfile::TempDir, Server) {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder, copy.path());
    let server = Server::over(State::open(copy.path()).expect("the copy opens"));
    (copy, server)
}

#[test]
fn a_change_is_seen_by_the_next_request_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(folder.path(), 100);
    assert_eq!(near(&server, "p0", 3), ["p1", "p2", "p3"]);
    // The last one comes beside the first, and the second goes.
    let changes = lines([("p99".to_owned(), json!([1.0, 0.001])), ("p1".to_owned(), Value::Null)].into_iter());
    let report = send(&server, "PATCH", "/v1/embeddings/s", &changes);
    assert_eq!((&report["upserted"], &report["deleted"]), (&json!(1), &json!(1)), "{report}");
    assert_eq!(near(&server, "p0", 3), ["p99", "p2", "p3"]);
    // An item brings its own.
    server.items(&[json!({ "id": "new", "embeddings": { "s": [1.0, 0.0] } })]);
    assert_eq!(near(&server, "p0", 2), ["new", "p99"]);

    // What is wrong is left out, says why, and changes nothing.
    let wrong = lines([("p2".to_owned(), json!([1.0])), ("p3".to_owned(), json!([0.0, 0.0]))].into_iter());
    let report = send(&server, "PATCH", "/v1/embeddings/s", &wrong);
    assert_eq!(report["rejected"][0]["detail"], "it has 1 numbers, expected 2", "{report}");
    assert_eq!((&report["rejected"][1]["id"], &report["upserted"]), (&json!("p3"), &json!(0)), "{report}");
    let report = send(&server, "PUT", "/v1/catalog/items", "{\"id\":\"odd\",\"embeddings\":{\"s\":[1,2,3]}}");
    assert_eq!((&report["upserted"], &report["rejected"][0]["code"]), (&json!(0), &json!("bad_embedding")), "{report}");
    assert_eq!(server.get("/v1/catalog/items/odd").status, 404, "nothing is taken by halves");
    let twice = lines(["p5", "p6", "p5"].into_iter().map(|id| (id.to_owned(), json!([1.0, 0.0]))));
    let reply = server.send("PATCH", "/v1/embeddings/s", NDJSON, twice.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("duplicate_id")), "{}", reply.text);
    let reply = server.send("PATCH", "/v1/embeddings/none", NDJSON, changes.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (404, &json!("unknown_space")));
    assert_eq!(near(&server, "p0", 4), ["new", "p99", "p2", "p3"]);

    let (_copy, again) = copied(folder.path());
    assert_eq!(near(&again, "p0", 4), ["new", "p99", "p2", "p3"], "after a restart");
    // A whole set is newer than every change before it.
    let all = lines((0..3).map(|n| (format!("p{n}"), json!([1.0, n]))));
    send(&again, "PUT", "/v1/embeddings/s?metric=cosine", &all);
    assert_eq!(near(&again, "p0", 2), ["p1", "p2"]);
    let (_copy, again) = copied(_copy.path());
    assert_eq!(near(&again, "p0", 2), ["p1", "p2"]);
}

#[test]
fn an_item_that_is_changed_is_found_by_its_new_vector() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(folder.path(), 50);
    let change = |item: &str, change: Value| {
        let path = format!("/v1/catalog/items/{item}");
        let reply = server.send("PATCH", &path, "application/json", change.to_string().as_bytes());
        (reply.status, reply.json["code"].as_str().unwrap_or_default().to_owned())
    };
    let done = (200, String::new());
    assert_eq!(change("p40", json!({ "embeddings": { "s": [1.0, 0.001] } })), done);
    assert_eq!(near(&server, "p0", 2), ["p40", "p1"]);
    for wrong in [json!({ "s": [1, 2, 3] }), json!({ "no name": [1, 2] }), json!({ "s": [0, 0] })] {
        let all = json!({ "title": "half", "embeddings": wrong });
        assert_eq!(change("p41", all), (422, "bad_embedding".to_owned()), "{wrong}");
    }
    assert_eq!(server.get("/v1/catalog/items/p41").json["title"], "", "nothing is changed by halves");
    assert_eq!(change("p41", json!({ "title": "tea" })), done, "without vectors");
    assert_eq!(change("p42", json!({ "embeddings": { "fresh": [1, 2, 3] } })), done);
    let spaces = server.get("/v1/embeddings").json.to_string();
    assert!(spaces.contains("\"fresh\""), "{spaces}");
    assert_eq!(change("p40", json!({ "embeddings": { "s": null } })), done);
    assert_eq!(near(&server, "p0", 2), ["p1", "p2"]);
    // Of two that begin a space the first says how many numbers it has.
    let items = "{\"id\":\"a\",\"embeddings\":{\"t\":[1,2]}}\n{\"id\":\"b\",\"embeddings\":{\"t\":[1]}}\n";
    let report = send(&server, "PUT", "/v1/catalog/items", items);
    assert_eq!((&report["upserted"], &report["rejected"][0]["id"]), (&json!(1), &json!("b")), "{report}");
}

#[test]
fn items_that_begin_a_space_at_once_are_all_in_it() {
    let server = Server::empty();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let server = &server;
            scope.spawn(move || {
                server.items(&[json!({ "id": format!("p{n}"), "embeddings": { "begun": [1.0, n] } })]);
            });
        }
    });
    assert_eq!(server.get("/v1/embeddings").json[0]["vectors"], 8);
}

#[test]
fn what_is_recent_is_taken_into_the_graph_behind_the_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(folder.path(), 3_000);
    let before = near(&server, "p10", 10);
    // Everything moves by a quarter of a turn: who is near whom stays.
    let turned = |n: usize| {
        let angle = n as f64 / 3_000.0 + std::f64::consts::FRAC_PI_2;
        json!([angle.cos(), angle.sin()])
    };
    let all = lines((0..3_000).map(|n| (format!("p{n}"), turned(n))));
    let report = send(&server, "PATCH", "/v1/embeddings/s", &all);
    assert_eq!((&report["upserted"], &report["recent"]), (&json!(3_000), &json!(3_000)), "{report}");
    let begun = Instant::now();
    while server.get("/v1/embeddings").json[0]["recent"] != 0 {
        assert_eq!(near(&server, "p10", 10), before, "while it is taken in");
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", server.get("/v1/embeddings").text);
    }
    assert_eq!(near(&server, "p10", 10), before);
    // The log is forgotten once the set is stored whole.
    while !server.app.state.vectors.since("s", 0).expect("a log").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the changes stay in the log");
        std::thread::yield_now();
    }
    let (_copy, again) = copied(folder.path());
    assert_eq!(near(&again, "p10", 10), before);
}

#[test]
fn a_kept_graph_is_opened_where_it_fits_and_built_again_where_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = near(&shop(folder.path(), 200), "p5", 10);
    let graph = |folder: &Path| -> std::path::PathBuf {
        let files = std::fs::read_dir(folder.join("spaces")).expect("a folder").map(|entry| entry.expect("it").path());
        files.into_iter().find(|file| file.extension().is_some_and(|end| end == "index")).expect("a kept graph")
    };
    let kept = std::fs::metadata(graph(folder.path())).expect("it").modified().expect("a time");
    let (copy, again) = copied(folder.path());
    assert_eq!(near(&again, "p5", 10), expected);
    assert!(std::fs::metadata(graph(copy.path())).expect("it").modified().expect("a time") >= kept);

    // A bit that flipped, a file cut short, a note of another set: each start is right.
    let spoil: [&dyn Fn(&Path); 3] = [
        &|folder| {
            let mut bytes = std::fs::read(graph(folder)).expect("read");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::write(graph(folder), bytes).expect("written");
        },
        &|folder| {
            let bytes = std::fs::read(graph(folder)).expect("read");
            std::fs::write(graph(folder), &bytes[..bytes.len() / 3]).expect("written");
        },
        &|folder| std::fs::write(folder.join("spaces/s.json"), "{\"digest\":\"\",\"rows\":\"\"}").expect("written"),
    ];
    for spoil in spoil {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(folder.path(), copy.path());
        spoil(copy.path());
        assert_eq!(near(&Server::over(State::open(copy.path()).expect("it opens")), "p5", 10), expected);
    }
}

#[test]
fn each_interest_of_a_visitor_finds_its_share() {
    let server = Server::empty();
    let all = (0..40).map(|n| json!({ "id": format!("{}{n}", if n < 20 { "tea" } else { "bike" }) }));
    server.items(&all.collect::<Vec<_>>());
    // Two directions, and a little of each item's own.
    let vector =
        |n: usize| if n < 20 { json!([1.0, 0.01 * n as f64, 0.0]) } else { json!([0.0, 0.01 * n as f64, 1.0]) };
    let name = |n: usize| format!("{}{n}", if n < 20 { "tea" } else { "bike" });
    let body = lines((0..40).map(|n| (name(n), vector(n))));
    let path = "/v1/embeddings/tastes?metric=cosine&visitor=interests&most=3";
    send(&server, "PUT", path, &body);
    let views = |items: &[&str]| -> Vec<Value> {
        let view = |id: &&str| json!({ "id": format!("v-{id}"), "type": "view", "item": id, "visitor": { "id": "u" } });
        items.iter().map(view).collect()
    };
    // Three teas and a bike: the mean points to the teas alone.
    server.events(&views(&["tea1", "tea2", "tea3", "bike21"]));
    let retrieve = json!({ "retrieve": [{ "source": "near_visitor", "space": "tastes", "limit": 8 }] });
    let shelves = json!([{ "id": "x", "steps": [retrieve] }]);
    server.scenario("s", json!({ "strategy": "compose", "parameters": { "shelves": shelves } }));
    let ask = || {
        let request = json!({ "scenario": "s", "visitor": { "id": "u" }, "limit": 8, "explain": true });
        server.recommend(request).json
    };
    let answer = ask();
    let page = served(&answer);
    let bikes = page.iter().filter(|id| id.starts_with("bike")).count();
    assert_eq!((page.len(), bikes), (8, 2), "a quarter of what they did: {page:?}");
    let searches = answer["explanation"]["searches"].to_string();
    assert!(searches.contains("0.75 of the visitor") && searches.contains("0.25 of the visitor"), "{searches}");
    send(&server, "PUT", "/v1/embeddings/tastes?metric=cosine&visitor=mean", &body);
    assert!(served(&ask()).iter().filter(|id| id.starts_with("bike")).count() == 0, "the mean knows one direction");
    let reply = server.send("PUT", "/v1/embeddings/t?visitor=interests&most=1", NDJSON, body.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (400, &json!("bad_visitor")), "{}", reply.text);
}

#[test]
fn who_was_erased_and_comes_back_is_not_met_with_the_vector_of_before() {
    let server = Server::empty();
    server.items(&["tea1", "tea2", "bike1", "bike2"].map(|id| json!({ "id": id })));
    let at = |id: &str, vector: [f64; 2]| (id.to_owned(), json!(vector));
    let body = [at("tea1", [1.0, 0.0]), at("tea2", [0.9, 0.1]), at("bike1", [0.0, 1.0]), at("bike2", [0.1, 0.9])];
    send(&server, "PUT", "/v1/embeddings/s?visitor=ials", &lines(body.into_iter()));
    let retrieve = json!({ "retrieve": [{ "source": "near_visitor", "space": "s", "limit": 2 }] });
    let shelves = json!([{ "id": "x", "steps": [retrieve] }]);
    server.scenario("s", json!({ "strategy": "compose", "parameters": { "shelves": shelves } }));
    let first = || {
        let page = served(&server.recommend(json!({ "scenario": "s", "visitor": { "id": "u" }, "limit": 2 })).json);
        page.first().cloned().unwrap_or_default()
    };
    server.events(&[json!({ "id": "1", "type": "view", "item": "tea1", "visitor": { "id": "u" } })]);
    assert_eq!(first(), "tea1");
    assert_eq!(server.delete("/v1/visitors/u").status, 204);
    server.events(&[json!({ "id": "2", "type": "view", "item": "bike1", "visitor": { "id": "u" } })]);
    assert_eq!(first(), "bike1", "one event again, and another history");
}

#[test]
fn a_space_may_compare_by_distance() {
    let server = Server::empty();
    server.items(&["here", "far", "close"].map(|id| json!({ "id": id })));
    let at = |id: &str, vector: [f64; 2]| (id.to_owned(), json!(vector));
    let body = lines([at("here", [1.0, 0.0]), at("far", [9.0, 0.0]), at("close", [1.0, 0.7])].into_iter());
    for (metric, nearest) in [("dot", "far"), ("cosine", "far"), ("l2", "close")] {
        send(&server, "PUT", &format!("/v1/embeddings/s?metric={metric}"), &body);
        let retrieve = json!({ "retrieve": [{ "source": "near_items", "space": "s", "limit": 1 }] });
        let shelves = json!([{ "id": "x", "steps": [retrieve] }]);
        server.scenario("near", json!({ "strategy": "compose", "parameters": { "shelves": shelves } }));
        assert_eq!(near(&server, "here", 1), [nearest], "{metric}");
    }
    let reply = server.send("PUT", "/v1/embeddings/s?metric=hamming", NDJSON, body.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (422, &json!("bad_metric")), "{}", reply.text);
}

/// Flips a bit in the largest blobs that hold a set of vectors, so many of them.
fn spoil(folder: &Path, count: usize) {
    let mut blobs = vec![];
    let mut folders = vec![folder.join("blobs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if let bytes = std::fs::read(&entry).expect("read")
                && bytes.starts_with(b"QMEMBED")
            {
                blobs.push((bytes.len(), entry));
            }
        }
    }
    blobs.sort();
    assert!(blobs.len() >= count);
    for (len, blob) in blobs.iter().rev().take(count) {
        let mut bytes = std::fs::read(blob).expect("read");
        bytes[len / 2] ^= 1;
        std::fs::write(blob, bytes).expect("written");
    }
}

#[test]
fn of_a_set_that_is_damaged_the_one_before_serves_until_it_is_put_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(folder.path(), 100);
    let before = near(&server, "p5", 5);
    // a second generation with more items, of which the first knows nothing
    let all = lines((0..150).map(|n| (format!("p{n}"), json!([1.0, f64::from(n)]))));
    send(&server, "PUT", "/v1/embeddings/s?metric=cosine", &all);
    let spoilt = |count: usize| {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(folder.path(), copy.path());
        spoil(copy.path(), count);
        let server = Server::over(State::open(copy.path()).expect("it opens"));
        (copy, server)
    };
    let report = |server: &Server| server.get("/v1/embeddings").json[0].clone();
    let (_one, server) = spoilt(1);
    let told = report(&server);
    assert!(told["damage"].as_str().is_some_and(|told| told.contains("generation 1 serves instead")), "{told}");
    assert_eq!((&told["vectors"], &told["generation"]), (&json!(100), &json!(1)));
    assert_eq!(near(&server, "p5", 5), before);
    // changes are made to what serves
    send(&server, "PATCH", "/v1/embeddings/s", &lines([("p6".to_owned(), Value::Null)].into_iter()));
    assert!(!near(&server, "p5", 5).contains(&"p6".to_owned()));

    let (_both, server) = spoilt(2);
    let told = report(&server);
    assert!(told["damage"].as_str().is_some_and(|told| told.contains("nothing serves")), "{told}");
    assert_eq!(told["vectors"], json!(0));
    let answer = server.recommend(json!({ "scenario": "near", "items": ["p5"], "limit": 3 }));
    assert_ne!(answer.json["degraded"], json!([]), "an answer all the same, and it says what is missing");
    let change = lines([("p5".to_owned(), json!([1.0, 0.0]))].into_iter());
    let refused = server.send("PATCH", "/v1/embeddings/s", NDJSON, change.as_bytes());
    assert_eq!((refused.status, &refused.json["code"]), (409, &json!("damaged_space")), "{}", refused.text);
    send(&server, "PUT", "/v1/embeddings/s?metric=cosine", &all);
    assert_eq!(report(&server)["vectors"], json!(150));
    assert_eq!(report(&server)["damage"], Value::Null);
}

#[test]
fn without_changes_that_are_damaged_the_set_serves_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = shop(folder.path(), 100);
    let before = near(&server, "p5", 5);
    let own = [0.123_456_7f32, -0.765_432_1];
    send(&server, "PATCH", "/v1/embeddings/s", &lines([("p6".to_owned(), json!(own))].into_iter()));
    assert_ne!(near(&server, "p5", 5), before);
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(folder.path(), copy.path());
    let pattern: Vec<u8> = own.iter().flat_map(|x| x.to_le_bytes()).collect();
    let file = copy.path().join("vectors.db");
    let mut bytes = std::fs::read(&file).expect("read");
    let at = bytes.windows(8).position(|window| window == pattern).expect("the vector");
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let server = Server::over(State::open(copy.path()).expect("it opens"));
    assert_eq!(near(&server, "p5", 5), before);
    let told = server.get("/v1/embeddings").json[0]["damage"].clone();
    assert!(told.as_str().is_some_and(|told| told.contains("without the changes")), "{told}");
}

#[test]
fn a_matrix_and_its_ids_are_a_set_too() {
    let server = Server::empty();
    server.items(&(0..4).map(|n| json!({ "id": format!("p{n}") })).collect::<Vec<_>>());
    let head = format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }");
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((head.len() as u16).to_le_bytes());
    npy.extend(head.as_bytes());
    npy.extend([1.0f32, 0.0, 0.9, 0.1, 0.0, 1.0, -1.0, 0.0].iter().flat_map(|x| x.to_le_bytes()));
    let put = |query: &str, ids: &str| {
        let part = |name: &str, value: &[u8]| {
            let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
            [head.as_bytes(), value, b"\r\n"].concat()
        };
        let body = [part("vectors", &npy), part("ids", ids.as_bytes()), b"--b--\r\n".to_vec()].concat();
        server.send("PUT", &format!("/v1/embeddings/s?{query}"), "multipart/form-data; boundary=b", &body)
    };
    let reply = put("metric=cosine&ef_search=300&m=24", r#"["p0", "p1", "p2", "p3"]"#);
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(
        (&reply.json["vectors"], &reply.json["dimension"], &reply.json["graph"]),
        (&json!(4), &json!(2), &json!(false))
    );
    let retrieve = json!({ "retrieve": [{ "source": "near_items", "space": "s", "limit": 20 }] });
    let shelves = json!([{ "id": "x", "steps": [retrieve] }]);
    server.scenario("near", json!({ "strategy": "compose", "parameters": { "shelves": shelves } }));
    assert_eq!(near(&server, "p0", 2)[0], "p1");
    for (query, ids, code) in [
        ("metric=cosine", r#"["p0", "p1"]"#, "wrong_shape"),
        ("metric=cosine", r#"{"p0": 1}"#, "wrong_shape"),
        ("metric=cosine", r#"["p0", "p1", "p2", "p2"]"#, "wrong_shape"),
        ("metric=cosine&m=1", r#"["p0", "p1", "p2", "p3"]"#, "bad_vectors"),
        ("ef_search=0", r#"["p0", "p1", "p2", "p3"]"#, "bad_vectors"),
    ] {
        let reply = put(query, ids);
        assert_eq!((reply.status, &reply.json["code"]), (422, &json!(code)), "{}", reply.text);
    }
    let body = "--b\r\ncontent-disposition: form-data; name=\"vectors\"\r\n\r\nx\r\n--b--\r\n";
    let reply = server.send("PUT", "/v1/embeddings/s", "multipart/form-data; boundary=b", body.as_bytes());
    assert_eq!((reply.status, &reply.json["code"]), (400, &json!("missing_part")), "{}", reply.text);
}
