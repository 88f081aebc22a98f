//! Tests of the writer thread.

use super::*;
use crate::log::{Chunk, SqliteLog};
use parking_lot::Mutex;
use qianmian_core::EventKind;
use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

fn event(id: String) -> Event {
    Event {
        id,
        kind: EventKind::View,
        time: 1,
        visitor: None,
        items: vec!["a".into()],
        quantities: vec![],
        values: vec![],
        channel: String::new(),
        region: String::new(),
        scenario: String::new(),
        request_id: String::new(),
        position: 0,
        attributes: Vec::new(),
        traits: Vec::new(),
    }
}

type Folded = Arc<Mutex<Vec<(u64, String)>>>;

fn start(log: Arc<dyn EventLog>, limit: usize) -> (Writer, Folded) {
    let folded = Folded::default();
    let into = Arc::clone(&folded);
    let writer = Writer::start(log, limit, move |first, events| {
        into.lock().extend(events.iter().zip(first..).map(|(e, o)| (o, e.id.clone())));
    });
    (writer.unwrap(), folded)
}

#[test]
fn many_threads_one_order() {
    let log: Arc<dyn EventLog> = Arc::new(SqliteLog::open(None).unwrap());
    let (writer, folded) = start(Arc::clone(&log), 100_000);
    let answers = Arc::new(Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for t in 0..4 {
            let (writer, answers) = (&writer, &answers);
            scope.spawn(move || {
                for b in 0..50 {
                    // every fourth id is shared by all threads: exactly one of the four is new
                    let events =
                        (0..8).map(|i| event(if i % 4 == 0 { format!("{b}/{i}") } else { format!("{t}/{b}/{i}") }));
                    let answers = Arc::clone(answers);
                    writer.submit(events.collect(), Box::new(move |r| answers.lock().push(r.unwrap()))).unwrap();
                }
            });
        }
    });
    writer.flush().unwrap();
    assert_eq!(writer.queued(), 0);
    let answers = answers.lock();
    assert_eq!(answers.len(), 200);
    let accepted: usize = answers.iter().map(|a| a.accepted.iter().filter(|&&x| x).count()).sum();
    assert_eq!((accepted, log.len()), (200 * 6 + 50 * 2, 1300));
    for a in answers.iter() {
        let n = a.accepted.iter().filter(|&&x| x).count() as u64;
        assert_eq!(if n == 0 { 0 } else { a.last_offset - a.first_offset + 1 }, n);
    }
    let mut stored = Vec::new();
    let mut keep = |c: Chunk| {
        stored.extend(c.offsets.into_iter().zip(c.events.into_iter().map(|e| e.id)));
        ControlFlow::Continue(())
    };
    log.scan(1, &mut keep).unwrap();
    assert_eq!(*folded.lock(), stored, "folded in log order, each once");
}

#[test]
fn a_full_queue_says_busy_and_recovers() {
    let (writer, folded) = start(Arc::new(SqliteLog::open(None).unwrap()), 10);
    let (hold, release) = sync_channel::<()>(0);
    let (entered, is_held) = sync_channel(0);
    // the first answer holds the writer's thread, so that what follows has to wait
    let done: Done = Box::new(move |_| {
        entered.send(()).unwrap();
        release.recv().unwrap();
    });
    writer.submit(vec![event("first".into())], done).unwrap();
    is_held.recv().unwrap();
    let many = |n: usize, name: &str| (0..n).map(|i| event(format!("{name}{i}"))).collect::<Vec<_>>();
    writer.submit(many(30, "large"), Box::new(|r| drop(r.unwrap()))).unwrap();
    let refused = writer.submit(many(1, "more"), Box::new(|_| panic!("refused, so never answered")));
    assert!(matches!(refused, Err(StateError::Busy { queued: 30, limit: 10 })));
    hold.send(()).unwrap();
    writer.flush().unwrap();
    writer.submit(many(1, "more"), Box::new(|r| drop(r.unwrap()))).unwrap();
    drop(writer);
    assert_eq!(folded.lock().len(), 32, "dropping stores and folds what waits");
}

struct Broken;

impl EventLog for Broken {
    fn append(&self, _: &[Event]) -> Result<Appended> {
        Err(StateError::ReadOnly)
    }
    fn scan(&self, _: u64, _: &mut dyn FnMut(Chunk) -> ControlFlow<()>) -> Result<()> {
        Ok(())
    }
    fn of(&self, _: &[Arc<str>], _: &mut dyn FnMut(Chunk)) -> Result<()> {
        Ok(())
    }
    fn erase(&self, _: &[Arc<str>]) -> Result<u64> {
        Ok(0)
    }
    fn expire(&self, _: qianmian_core::TimeMs) -> Result<u64> {
        Ok(0)
    }
    fn scrub(&self) -> Result<bool> {
        Ok(true)
    }
    fn id_at(&self, _: u64) -> Result<Option<[u8; 16]>> {
        Ok(None)
    }
    fn len(&self) -> u64 {
        0
    }
    fn last_offset(&self) -> u64 {
        0
    }
}

#[test]
fn a_failed_commit_is_told_and_not_folded() {
    let (writer, folded) = start(Arc::new(Broken), 10);
    let (answer, result) = sync_channel(1);
    writer.submit(vec![event("a".into())], Box::new(move |r| answer.send(r).unwrap())).unwrap();
    assert!(matches!(result.recv().unwrap(), Err(StateError::NotStored { .. })));
    writer.flush().unwrap();
    assert!(folded.lock().is_empty());
}
