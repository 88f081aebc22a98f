//! Preset `events`: a shop's own events, a line each, as `POST /v1/events` takes them and `qianmian export events` writes them.

use super::{Imported, open};
use crate::http::{WireEvent, body};
use crate::recommend::now_ms;
use anyhow::Context;
use qianmian_core::{Event, TimeMs};
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Reads the events before `until`, in order of time; lines the server would refuse are listed as rejects.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path, until: Option<TimeMs>) -> anyhow::Result<Imported> {
    let now = now_ms();
    let mut imported = Imported::default();
    let mut file = BufReader::new(open(path)?);
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        if file.read_until(b'\n', &mut text).with_context(|| format!("cannot read {}", path.display()))? == 0 {
            break;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let event = body::line::<WireEvent<'_>>(&text).map_err(|detail| ("wrong_shape", detail));
        match event.and_then(|event| event.check(now)) {
            Ok(event) if until.is_some_and(|until| event.time >= until) => {}
            // as of now, as the server takes it
            Ok(event) => imported.events.push(Event { time: event.time.min(now), ..event }),
            Err((code, detail)) => imported.rejects.push(number, code, detail),
        }
    }
    imported.events.sort_by_key(|event| event.time);
    Ok(imported)
}

/// An event as a line, at a time of its own; what is empty is left out, but for the channel and the region.
#[must_use]
pub fn line(event: &Event, time: TimeMs) -> Value {
    let mut line = json!({
        "id": event.id, "type": event.kind.as_str(), "time": time, "items": event.items, "channel": event.channel,
        "region": event.region,
    });
    let object = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
    };
    if let Some(visitor) = &event.visitor {
        line["visitor"] = json!({ "id": visitor });
    }
    if !event.traits.is_empty() {
        line["visitor"]["attributes"] = object(&event.traits).into();
    }
    for (name, numbers) in [("quantity", &event.quantities), ("value", &event.values)] {
        if !numbers.is_empty() {
            line[name] = json!(numbers);
        }
    }
    for (name, text) in [("scenario", &event.scenario), ("request_id", &event.request_id)] {
        if !text.is_empty() {
            line[name] = json!(text);
        }
    }
    if event.position > 0 {
        line["position"] = event.position.into();
    }
    if !event.attributes.is_empty() {
        line["attributes"] = object(&event.attributes).into();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_written_is_read_again_and_what_is_wrong_is_listed() {
        let lines = [
            r#"{"id":"2","type":"purchase","time":1700000002000,"visitor":{"id":"u","attributes":{"city":"Bern","n":3}},
                "items":["a","b"],"quantity":[1,2],"value":3.5,"channel":"app","region":"CH","scenario":"home",
                "request_id":"r1","position":4,"attributes":{"words":"x","is":true}}"#
                .replace('\n', " "),
            String::new(),
            r#"{"id":"1","type":"custom","time":"2023-11-14T22:13:20Z"}"#.to_owned(),
            r#"{"id":"3","type":"view"}"#.to_owned(),
            "no event".to_owned(),
        ];
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(lines.join("\n").as_bytes()).expect("written");
        let first = read(file.path(), None).expect("read");
        assert_eq!(first.events.iter().map(|event| &*event.id).collect::<Vec<_>>(), ["1", "2"], "in order of time");
        assert_eq!(
            first.rejects.counts().into_iter().collect::<Vec<_>>(),
            [("bad_item".into(), 1), ("wrong_shape".into(), 1)]
        );
        let order = &first.events[1];
        assert_eq!((&*order.scenario, &*order.request_id, order.position), ("home", "r1", 4));
        assert_eq!(order.traits, [("city".into(), "Bern".into()), ("n".into(), "3".into())]);

        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for event in &first.events {
            writeln!(file, "{}", line(event, event.time)).expect("written");
        }
        let again = read(file.path(), None).expect("read");
        assert_eq!(again.events, first.events);
        let before = read(file.path(), Some(1_700_000_002_000)).expect("read");
        assert_eq!(before.events.len(), 1, "until itself is not before");
    }
}
