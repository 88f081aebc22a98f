//! What events may be, how many at once, and of what time.

use qianmian::Config;
use qianmian::recommend::now_ms;
use qianmian_state::State;
use qianmian_tests::{Reply, Server};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const HOUR: i64 = 3_600_000;

fn post(server: &Server, events: &Value) -> Reply {
    let body = json!({ "events": events }).to_string();
    server.send("POST", "/v1/events", "application/json", body.as_bytes())
}

#[test]
fn texts_that_are_too_long_are_refused_by_index() {
    let server = Server::empty();
    let long = "x".repeat(257);
    let fits = "y".repeat(256);
    let with = |id: &str, member: &str, value: Value| {
        let mut event = json!({ "id": id, "type": "view", "item": "a" });
        event[member] = value;
        event
    };
    let names = ["channel", "region", "scenario", "request_id"];
    let mut events: Vec<Value> = names.iter().map(|name| with(name, name, json!(long))).collect();
    events.push(with("v", "visitor", json!({ "id": long })));
    events.push(with("w", "visitor", json!({ "anonymous_id": long })));
    events.push(with("r", "attributes", json!({ "region": "z".repeat(300) })));
    events.extend(names.iter().map(|name| with(&format!("good {name}"), name, json!(fits))));
    events.push(with("good", "visitor", json!({ "id": fits })));
    let reply = post(&server, &json!(events));
    assert_eq!((reply.status, &reply.json["accepted"]), (202, &json!(5)), "{}", reply.text);
    let refused: Vec<(u64, &str)> = reply.json["rejected"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|bad| (bad["index"].as_u64().expect("an index"), bad["code"].as_str().expect("a code")))
        .collect();
    let codes = ["channel", "region", "scenario", "request_id", "visitor", "visitor", "region"];
    let expected: Vec<(u64, String)> = (0..).zip(codes).map(|(index, code)| (index, format!("bad_{code}"))).collect();
    assert_eq!(refused, expected.iter().map(|(index, code)| (*index, code.as_str())).collect::<Vec<_>>());
    assert!(reply.text.contains("channel has 257 bytes: at most 256"), "{}", reply.text);
}

#[test]
fn a_body_of_more_events_than_the_queue_likes_is_refused_with_the_number() {
    let server = Server::empty();
    let lines = |count: usize| {
        (0..count).fold(String::new(), |mut text, n| {
            writeln!(text, "{{\"id\":\"{n}\",\"type\":\"search\"}}").expect("written");
            text
        })
    };
    let send = |count| server.send("POST", "/v1/events", "application/x-ndjson", lines(count).as_bytes());
    let reply = send(131_073);
    assert_eq!((reply.status, &reply.json["code"]), (413, &json!("too_many_events")), "{}", reply.text);
    assert!(reply.text.contains("131073 events in one body, at most 131072"), "{}", reply.text);
    let reply = send(131_072);
    assert_eq!((reply.status, &reply.json["accepted"]), (202, &json!(131_072)), "{}", reply.text);
}

#[test]
fn when_there_is_no_room_for_bodies_the_answer_is_503_with_retry_after() {
    let config = Config { max_body: 1 << 20, event_bodies_mb: 1, ..Config::default() };
    let server = Server::with(config, State::in_memory().expect("a state"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let event =
        json!({ "id": "1", "type": "search", "attributes": { "words": "x".repeat(500), "more": "y".repeat(500) } });
    let body = json!({ "events": [event] }).to_string();
    let send = || agent.post(format!("{}/v1/events", server.url)).content_type("application/json").send(&body);
    assert_eq!(send().expect("an answer").status().as_u16(), 202);
    // Somebody's body fills the room and does not come to its end.
    let mut slow = TcpStream::connect(server.url.trim_start_matches("http://")).expect("connected");
    let head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n";
    slow.write_all(head.as_bytes()).expect("sent");
    slow.write_all(&vec![b' '; 1_048_000]).expect("sent");
    let begun = Instant::now();
    // else it might be the slow one that finds no room
    while server.app.event_room.available_permits() != 576 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} left", server.app.event_room.available_permits());
        std::thread::yield_now();
    }
    let until = |status: u16| loop {
        let mut answer = send().expect("an answer");
        if answer.status().as_u16() == status {
            let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
            let (wait, kind) = (header("retry-after"), header("content-type"));
            return (wait, kind, answer.body_mut().read_to_string().expect("a text"));
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "never {status}");
    };
    let (wait, kind, text) = until(503);
    assert_eq!((wait.as_deref(), kind.as_deref()), (Some("1"), Some("application/problem+json")), "{text}");
    assert!(text.contains("\"overloaded\""), "{text}");
    assert!(server.get("/metrics").text.contains("qianmian_shed_total{queue=\"event_bodies\"}"));
    drop(slow);
    until(202);
    let large = vec![b' '; (1 << 20) + 1];
    let begun = Instant::now();
    // the answer comes before the body is read to its end: a client that still writes may find the connection closed
    let refused = std::iter::repeat_with(|| agent.post(format!("{}/v1/events", server.url)).send(&large[..]));
    let answer =
        refused.take_while(|_| begun.elapsed() < Duration::from_secs(20)).find_map(Result::ok).expect("an answer");
    assert_eq!(answer.status().as_u16(), 413);
}

#[test]
fn a_clock_that_is_ahead_is_told_and_stands_for_nothing_later() {
    let server = Server::empty();
    server.items(&[json!({ "id": "a" })]);
    let look = |id: &str, channel: &str, ahead: i64| {
        let visitor = json!({ "id": "u", "attributes": { "city": channel } });
        let time = now_ms() + ahead;
        json!({ "id": id, "type": "view", "item": "a", "visitor": visitor, "channel": channel, "time": time })
    };
    let reply =
        post(&server, &json!([look("1", "app", -HOUR), look("2", "phone", 20 * HOUR), look("3", "app", 5_000)]));
    assert_eq!((reply.status, &reply.json["accepted"]), (202, &json!(3)), "{}", reply.text);
    let told = reply.json["clock_ahead"].as_array().expect("a list");
    assert_eq!((told.len(), &told[0]["index"]), (1, &json!(1)), "{}", reply.text);
    let by = told[0]["by_ms"].as_i64().expect("a number");
    assert!((19 * HOUR..=20 * HOUR).contains(&by), "{by}");
    assert_eq!(post(&server, &json!([look("4", "web", 0)])).json["clock_ahead"], json!([]));
    server.app.state.refresh().expect("folded");
    let profile = server.get("/v1/visitors/u").json;
    assert_eq!((&profile["channel"], &profile["attributes"]["city"]), (&json!("web"), &json!("web")), "{profile}");
    assert!(profile["last_seen"].as_i64().is_some_and(|last| last <= now_ms()), "{profile}");
    assert_eq!(post(&server, &json!([look("5", "app", 25 * HOUR)])).json["rejected"][0]["code"], "bad_time");
    assert!(server.get("/metrics").text.contains("qianmian_events_clock_ahead_total 1\n"));
}

#[test]
fn channels_beyond_those_that_are_counted_show_in_the_metrics() {
    let server = Server::empty();
    server.items(&[json!({ "id": "a" })]);
    let look =
        |n: usize| json!({ "id": n.to_string(), "type": "view", "item": "a", "channel": format!("c{}", n % 67) });
    server.events(&(0..64).map(look).collect::<Vec<_>>());
    assert!(server.get("/metrics").text.contains("qianmian_channel_events_uncounted 0\n"));
    server.events(&(64..134).map(look).collect::<Vec<_>>());
    assert!(
        server.get("/metrics").text.contains("qianmian_channel_events_uncounted 6\n"),
        "three channels, each twice"
    );
}
