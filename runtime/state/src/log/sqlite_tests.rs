//! Tests of the event log on SQLite.

use super::*;
use qianmian_core::EventKind;

fn event(id: &str, visitor: &str) -> Event {
    Event {
        id: id.into(),
        kind: EventKind::Purchase,
        time: 1_320_000_000_000,
        visitor: Some(visitor.into()),
        items: vec!["22423".into(), "85123A".into()],
        quantities: vec![1.0, 12.0],
        values: vec![12.75, 2.55],
        channel: "app".into(),
        region: "GB".into(),
        scenario: "home".into(),
        request_id: "r1".into(),
        position: 3,
        attributes: Vec::new(),
        traits: Vec::new(),
    }
}

fn batch(ids: std::ops::Range<u32>) -> Vec<Event> {
    ids.map(|i| event(&format!("e{i}"), &format!("v{}", i % 7))).collect()
}

fn all(log: &SqliteLog, from: u64) -> Vec<(u64, Event)> {
    let mut found = Vec::new();
    log.scan(from, &mut |chunk| {
        assert_eq!(chunk.offsets.len(), chunk.events.len());
        found.extend(chunk.offsets.into_iter().zip(chunk.events));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

#[test]
fn events_come_back_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    let events = batch(0..2500);
    let appended = log.append(&events).unwrap();
    assert_eq!((appended.first_offset, appended.last_offset), (1, 2500));
    assert!(appended.accepted.iter().all(|&a| a));
    drop(log);
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    assert_eq!((log.len(), log.last_offset()), (2500, 2500));
    let found = all(&log, 0);
    assert!(found.iter().map(|(_, e)| e).eq(&events));
    assert!(found.iter().map(|(o, _)| *o).eq(1..=2500));
    assert_eq!(all(&log, 1700).first().map(|(o, e)| (*o, e.id.clone())), Some((1700, "e1699".into())));
    assert!(all(&log, 2501).is_empty() && all(&log, u64::MAX).is_empty());
}

#[test]
fn a_scan_of_many_small_rows_sees_each_event_once_and_stops_when_told() {
    let log = SqliteLog::open(None).unwrap();
    for i in 0..SCAN as u32 + 300 {
        log.append(&batch(i..i + 1)).unwrap();
    }
    assert!(all(&log, 1).iter().map(|(o, _)| *o).eq(1..=SCAN as u64 + 300));
    let mut visits = 0;
    log.scan(1, &mut |_| {
        visits += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(visits, 1);
}

#[test]
fn duplicates_are_found_within_and_across_batches_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    let twice = vec![event("a", "v"), event("a", "v"), event("b", "v")];
    assert_eq!(
        log.append(&twice).unwrap(),
        Appended { accepted: vec![true, false, true], first_offset: 1, last_offset: 2 }
    );
    assert_eq!(log.append(&twice).unwrap(), Appended { accepted: vec![false; 3], first_offset: 0, last_offset: 0 });
    drop(log);
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    let mixed = vec![event("c", "v"), event("b", "w")];
    assert_eq!(log.append(&mixed).unwrap(), Appended { accepted: vec![true, false], first_offset: 3, last_offset: 3 });
    assert_eq!(log.append(&[]).unwrap(), Appended::default());
    assert_eq!((log.len(), log.last_offset()), (3, 3));
    let ids: Vec<_> = all(&log, 1).into_iter().map(|(_, e)| e.id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[test]
fn what_was_acknowledged_survives_a_crash() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    log.append(&batch(0..10)).unwrap();
    log.append(&batch(10..20)).unwrap();
    // what a crash leaves: the files as they are while the log is open, nothing closed or checkpointed
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), after.path().join(file.file_name())).unwrap();
    }
    let survivor = SqliteLog::open(Some(after.path())).unwrap();
    assert_eq!(all(&survivor, 1), all(&log, 1));
    assert_eq!(survivor.append(&batch(15..22)).unwrap().accepted, [false, false, false, false, false, true, true]);
}

#[test]
fn flipped_bytes_in_the_file_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    log.append(&batch(0..200)).unwrap();
    drop(log);
    let path = dir.path().join(NAME);
    let clean = std::fs::read(&path).unwrap();
    let at = |needle: &[u8]| clean.windows(needle.len()).position(|w| w == needle).unwrap();
    let flip = |position: usize| {
        let mut bytes = clean.clone();
        bytes[position] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
    };
    flip(at(b"e137") + 1);
    let damaged = SqliteLog::open(Some(dir.path())).unwrap();
    let error = damaged.scan(1, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(&error, StateError::Damaged { what, .. } if what == "event chunk events/1"), "{error}");

    drop(damaged);
    flip(at(&short_id("e42")));
    let error = SqliteLog::open(Some(dir.path())).err().expect("ids are read on opening");
    assert!(matches!(&error, StateError::Damaged { what, .. } if what == "event ids ids/1"), "{error}");
}

#[test]
fn an_erased_visitor_is_gone_from_the_disk_and_stays_gone() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    let mut events = batch(0..3000);
    for (i, e) in events.iter_mut().enumerate().filter(|(i, _)| i % 100 == 5) {
        e.visitor = Some("secret-visitor".into());
        e.request_id = format!("secret-{i}");
    }
    log.append(&events).unwrap();
    assert_eq!(log.erase(&["secret-visitor".into()]).unwrap(), 30);
    assert_eq!(log.erase(&["secret-visitor".into()]).unwrap(), 0);
    assert!(log.scrub().unwrap());
    assert_eq!((log.len(), log.last_offset()), (2970, 3000));
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"secret-"), "{} still names the visitor", path.display());
    }
    drop(log);
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    assert_eq!((log.len(), log.last_offset()), (2970, 3000));
    let expected = events.iter().zip(1..).filter(|(e, _)| e.visitor.as_deref() != Some("secret-visitor"));
    assert!(all(&log, 1).iter().map(|(o, e)| (e, *o)).eq(expected));
    assert_eq!(log.append(&events[5..6]).unwrap().accepted, [false], "a late retry does not bring it back");
    assert_eq!(log.append(&batch(3000..3001)).unwrap().first_offset, 3001);
}

#[test]
fn a_read_only_view_reads_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    assert!(SqliteLog::open_read_only(dir.path()).is_err());
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    log.append(&batch(0..5)).unwrap();
    let view = SqliteLog::open_read_only(dir.path()).unwrap();
    assert_eq!(view.len(), 5);
    assert_eq!(all(&view, 1), all(&log, 1));
    assert!(matches!(view.append(&batch(5..6)), Err(StateError::ReadOnly)));
    assert!(matches!(view.erase(&["v1".into()]), Err(StateError::ReadOnly)));
}

#[test]
fn visitors_are_found_and_old_events_expire() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    let aged = |from: u32, time: TimeMs| -> Vec<Event> {
        batch(from..from + 1500).into_iter().map(|event| Event { time, ..event }).collect()
    };
    log.append(&aged(0, 100)).unwrap();
    log.append(&aged(1500, 900)).unwrap();
    let of = |log: &SqliteLog, who: &[&str]| {
        let (keys, mut found): (Vec<Arc<str>>, Vec<Event>) = (who.iter().map(|w| (*w).into()).collect(), vec![]);
        log.of(&keys, &mut |chunk| found.extend(chunk.events)).unwrap();
        found
    };
    let two = of(&log, &["v1", "v2"]);
    let scanned: Vec<Event> = all(&log, 1).into_iter().map(|(_, event)| event).collect();
    let wanted = |event: &&Event| ["v1", "v2"].contains(&event.visitor.as_deref().unwrap_or_default());
    assert!(two.iter().eq(scanned.iter().filter(wanted)) && !two.is_empty());
    assert!(of(&log, &["nobody"]).is_empty());

    assert_eq!((log.expire(500).unwrap(), log.expire(500).unwrap()), (1500, 0));
    assert_eq!((log.len(), log.last_offset(), all(&log, 1).len()), (1500, 3000, 1500));
    assert!(of(&log, &["v1"]).iter().all(|event| event.time == 900));
    assert_eq!(log.expire(1_000).unwrap(), 1500);
    drop(log);
    let log = SqliteLog::open(Some(dir.path())).unwrap();
    assert_eq!((log.len(), log.last_offset()), (0, 3000), "offsets are not given out twice");
    assert_eq!(log.append(&batch(0..1)).unwrap().first_offset, 3001, "an id of long ago is free again");
}
