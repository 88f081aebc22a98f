//! What every implementation of [`EventLog`], [`StateStore`], [`Registry`] and [`BlobStore`] must do: one suite each, run
//! over the embedded ones here, and meant for those of a cluster.
//!
//! Each takes a function that opens the store; opening it again must show what was acknowledged before.

use crate::store::{Cell, Space, StateStore};
use crate::{BlobStore, Chunk, EventLog, Registry, StateError};
use qianmian_core::{Event, EventKind, TimeMs};
use serde_json::json;
use std::ops::ControlFlow;
use std::sync::Arc;

fn event(n: u64, visitor: &str, time: TimeMs) -> Event {
    Event {
        id: format!("e{n}"),
        kind: EventKind::View,
        time,
        visitor: Some(visitor.into()),
        items: vec![format!("p{n}")],
        quantities: vec![],
        values: vec![],
        channel: String::new(),
        region: String::new(),
        scenario: String::new(),
        request_id: String::new(),
        position: 0,
        attributes: vec![("n".into(), n.to_string())],
        traits: vec![],
    }
}

fn scanned(log: &dyn EventLog, from: u64) -> Vec<(u64, Event)> {
    let mut all = Vec::new();
    let result = log.scan(from, &mut |chunk| {
        assert_eq!(chunk.offsets.len(), chunk.events.len(), "offsets stand beside events");
        all.extend(chunk.offsets.into_iter().zip(chunk.events));
        ControlFlow::Continue(())
    });
    assert!(result.is_ok(), "a scan: {result:?}");
    all
}

/// The suite of event logs; `open` opens one log, empty at first.
///
/// # Panics
/// When the log does not do as [`EventLog`] says.
pub fn event_log(open: impl Fn() -> Arc<dyn EventLog>) {
    let log = open();
    assert!(log.is_empty() && log.last_offset() == 0, "it begins empty");
    let batch: Vec<Event> = (0..300).map(|n| event(n, if n % 3 == 0 { "ann" } else { "bob" }, n as i64)).collect();
    let first = log.append(&batch[..200]).expect("a batch is taken");
    assert_eq!((first.first_offset, first.last_offset), (1, 200), "offsets begin at 1, without gaps");
    let second = log.append(&batch[150..]).expect("a batch is taken");
    assert!(second.accepted[..50].iter().all(|taken| !taken), "what is known is not taken twice");
    assert!(second.accepted[50..].iter().all(|taken| *taken), "what is new is taken");
    assert_eq!((second.first_offset, second.last_offset, log.len()), (201, 300, 300));
    let twice = log.append(&[event(900, "cyd", 1), event(900, "cyd", 2)]).expect("a batch is taken");
    assert_eq!(twice.accepted, [true, false], "in one batch neither");

    let all = scanned(&*log, 1);
    assert!(all.iter().map(|(offset, _)| *offset).eq(1..=301), "a scan goes in order of offsets");
    assert!(all.iter().map(|(_, event)| event).take(300).eq(&batch), "and gives what was put in");
    assert_eq!(scanned(&*log, 250).first().map(|(offset, _)| *offset), Some(250));
    let mut seen = 0;
    let stopped = log.scan(1, &mut |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert!(stopped.is_ok() && seen == 1, "a visit may end the scan");

    let mut of = Vec::new();
    let found = log.of(&["ann".into(), "cyd".into()], &mut |chunk: Chunk| of.extend(chunk.offsets));
    assert!(found.is_ok() && of.len() == 101 && of.is_sorted(), "events of some visitors, in order");
    assert_eq!(log.erase(&["ann".into()]).expect("erased"), 100);
    assert_eq!(log.erase(&["ann".into()]).expect("erased"), 0, "once");
    assert_eq!(log.append(&batch[..1]).expect("taken").accepted, [false], "a retry brings nobody back");
    assert_eq!((log.len(), log.last_offset()), (201, 301), "erased offsets stay unused");
    assert!(log.scrub().is_ok());
    let ids = |log: &dyn EventLog| [0, 1, 2, 301, 302].map(|offset| log.id_at(offset).expect("read"));
    let before = ids(&*log);
    assert!(before[1].is_some() && before[3].is_some() && before[1] != before[2], "each event has a name of its own");
    assert_eq!((before[0], before[4]), (None, None), "there is none before the first and after the last");
    drop(log);

    let log = open();
    assert_eq!((log.len(), log.last_offset()), (201, 301), "what was acknowledged is there after reopening");
    assert_eq!(ids(&*log), before);
    assert!(scanned(&*log, 1).iter().all(|(_, event)| event.visitor.as_deref() != Some("ann")));
    let before = scanned(&*log, 1).iter().filter(|(_, event)| event.time < 100).count() as u64;
    assert_eq!(log.expire(100).expect("expired"), before, "by when they happened");
    assert!(scanned(&*log, 1).iter().all(|(_, event)| event.time >= 100));
    let next = log.append(&[event(1_000, "dan", 500)]).expect("taken");
    assert_eq!(next.first_offset, 302, "offsets are not given out twice");
}

/// The suite of registries; `open` opens one registry, empty at first.
///
/// # Panics
/// When the registry does not do as [`Registry`] says.
pub fn registry(open: impl Fn() -> Arc<dyn Registry>) {
    let registry = open();
    let value = |registry: &dyn Registry, name: &str| {
        registry.get("kind", name).expect("read").and_then(|document| document.value)
    };
    assert_eq!(registry.put("kind", "a", &json!(1)).expect("written"), 1, "versions begin at 1");
    assert_eq!(registry.put("kind", "a", &json!({ "x": [2] })).expect("written"), 2);
    assert_eq!(registry.put("other", "a", &json!(3)).expect("written"), 1, "kinds are apart");
    assert_eq!(value(&*registry, "a"), Some(json!({ "x": [2] })), "the latest");
    assert_eq!(value(&*registry, "b"), None);
    let first = registry.version("kind", "a", 1).expect("read").and_then(|document| document.value);
    assert_eq!(first, Some(json!(1)), "a version does not change");
    assert!(registry.delete("kind", "a").expect("deleted") && !registry.delete("kind", "a").expect("deleted"));
    assert_eq!(value(&*registry, "a"), None);
    assert_eq!(registry.put("kind", "a", &json!(4)).expect("written"), 4, "numbers are not used twice");
    registry.put("kind", "0", &json!(null)).expect("written");
    drop(registry);
    let registry = open();
    let names: Vec<String> = registry.list("kind").expect("read").into_iter().map(|document| document.name).collect();
    assert_eq!(names, ["0", "a"], "by name, after reopening");
    assert_eq!(registry.history("kind", "a").expect("read").len(), 4, "every version, the deletion among them");
    let refused = registry.put("kind", "", &json!(1));
    assert!(matches!(refused, Err(StateError::Rejected { .. })), "a document has a name");
}

/// The suite of blob stores; `open` opens one store, empty at first.
///
/// # Panics
/// When the store does not do as [`BlobStore`] says.
pub fn blob_store(open: impl Fn() -> Arc<dyn BlobStore>) {
    let blobs = open();
    let digest = blobs.put(b"abc").expect("stored");
    assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "SHA-256, hexadecimal");
    assert_eq!(blobs.put(b"abc").expect("stored"), digest, "again is the same");
    let large: Vec<u8> = (0..300_000u32).map(|n| (n * 31 % 251) as u8).collect();
    let other = blobs.put(&large).expect("stored");
    let nothing = blobs.put(b"").expect("stored");
    drop(blobs);
    let blobs = open();
    assert_eq!(blobs.get(&digest).expect("read"), b"abc", "after reopening");
    assert!(blobs.get(&other).expect("read") == large && blobs.get(&nothing).expect("read").is_empty());
    assert!(blobs.contains(&other) && blobs.delete(&other).expect("deleted") && !blobs.contains(&other));
    assert!(!blobs.delete(&other).expect("deleted"));
    assert!(matches!(blobs.get(&other), Err(StateError::Unknown { .. })));
    for name in ["", "../../etc/passwd", &"A".repeat(64)] {
        assert!(matches!(blobs.get(name), Err(StateError::Rejected { .. })), "{name:?} is no digest");
    }
}

/// The suite of stores of folded state; `open` opens one store, empty at first.
///
/// # Panics
/// When the store does not do as [`StateStore`] says.
pub fn state_store(open: impl Fn() -> Arc<dyn StateStore>) {
    let store = open();
    let cell = |space, number| Cell { space, number };
    let all = |store: &dyn StateStore, space| {
        let mut all = Vec::new();
        store.scan(space, &mut |number, value| {
            all.push((number, value.to_vec()));
            Ok(())
        })?;
        Ok::<_, StateError>(all)
    };
    let head = cell(Space::Head, 0);
    assert_eq!(store.get(head).expect("read"), None, "it begins empty");
    let large = vec![7; 200_000];
    let put = store.change(&mut |put| {
        put(head, Some(b"one"))?;
        put(cell(Space::Visitors, u32::MAX), Some(&large))?;
        put(cell(Space::Visitors, 3), Some(b""))?;
        put(cell(Space::Trends, 3), Some(b"other"))
    });
    assert!(put.is_ok());
    let visitors = vec![(3, vec![]), (u32::MAX, large)];
    assert_eq!(all(&*store, Space::Visitors).expect("read"), visitors, "by number, of one space");
    let failed = store.change(&mut |put| {
        put(head, Some(b"two"))?;
        Err(StateError::Stopped)
    });
    assert!(matches!(failed, Err(StateError::Stopped)));
    assert_eq!(store.get(head).expect("read"), Some(b"one".to_vec()), "all or none");
    let changed = store.change(&mut |put| {
        put(head, Some(b"three"))?;
        put(cell(Space::Visitors, 3), None)?;
        put(cell(Space::Visitors, 4), None)
    });
    assert!(changed.is_ok(), "what is not there can be taken out");
    assert!(store.scrub().is_ok());
    drop(store);
    let store = open();
    assert_eq!(store.get(head).expect("read"), Some(b"three".to_vec()), "after reopening");
    assert_eq!(all(&*store, Space::Visitors).expect("read").len(), 1);
    assert_eq!(store.get(cell(Space::Visitors, 3)).expect("read"), None);
    assert!(store.clear().is_ok());
    assert!(store.get(head).expect("read").is_none() && all(&*store, Space::Trends).expect("read").is_empty());
}

#[cfg(test)]
mod tests {
    use crate::blobs::FolderBlobs;
    use crate::log::SqliteLog;
    use crate::registry::SqliteRegistry;
    use crate::store::SqliteStore;
    use std::sync::Arc;

    #[test]
    fn the_embedded_stores_conform() {
        let dir = tempfile::tempdir().unwrap();
        super::event_log(|| Arc::new(SqliteLog::open(Some(dir.path())).unwrap()));
        super::state_store(|| Arc::new(SqliteStore::open(Some(dir.path())).unwrap()));
        super::registry(|| Arc::new(SqliteRegistry::open(Some(dir.path())).unwrap()));
        super::blob_store(|| Arc::new(FolderBlobs::open(Some(dir.path())).unwrap()));
    }
}
