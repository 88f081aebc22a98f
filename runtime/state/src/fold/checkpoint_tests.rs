//! Tests of what is kept of the folds.

use super::super::tests::{day, event, nobody, shop};
use super::*;
use crate::SqliteStore;
use crate::log::SqliteLog;
use qianmian_core::EventKind;
use std::path::Path;

/// A log and its folds, as a process has them.
struct Process {
    log: SqliteLog,
    folds: Folds,
}

impl Process {
    fn start(dir: &Path, bytes: Option<usize>) -> (Self, Result<u64>) {
        let log = SqliteLog::open(Some(dir)).unwrap();
        let store = Arc::new(SqliteStore::open(Some(dir)).unwrap());
        let folds = Folds::kept(shop(), nobody(), bytes, store);
        let offset = folds.restore(&log);
        (Self { log, folds }, offset)
    }

    fn add(&self, events: &[Event]) {
        let appended = self.log.append(events).unwrap();
        self.folds.apply_to(events, appended.last_offset);
    }
}

fn events(from: usize, to: usize) -> Vec<Event> {
    let items = ["tea1", "tea2", "tea3", "cup1", "cup2", "art1", "x", "y"];
    let one = |n: usize| {
        let kind = EventKind::ALL[n % EventKind::ALL.len()];
        let mut event = event(
            kind,
            day(0) + (n * 31 % 900) as i64 * 1_000_000,
            &format!("v{}", n * 7 % 150),
            &[items[n % 8], items[(n * 3) % 8]],
        );
        event.id = format!("e{n}");
        event.channel = ["app", "web", ""][n % 3].into();
        event.traits = vec![("city".into(), format!("c{}", n % 5))];
        event
    };
    (from..to).map(one).collect()
}

#[test]
fn a_start_goes_on_where_the_last_checkpoint_was() {
    for bytes in [None, Some(64 * 3_000)] {
        let dir = tempfile::tempdir().unwrap();
        let (first, offset) = Process::start(dir.path(), bytes);
        assert_eq!(offset.unwrap(), 0);
        first.add(&events(0, 2_000));
        assert!(first.folds.checkpoint().unwrap() && !first.folds.checkpoint().unwrap(), "once, until something changes");
        first.add(&events(2_000, 2_300));
        first.folds.remove_visitor("v7");
        first.folds.checkpoint().unwrap();
        let kept = first.folds.digest();
        first.add(&events(2_300, 2_400));
        let now = first.folds.digest();
        drop(first);

        let (second, offset) = Process::start(dir.path(), bytes);
        assert_eq!(offset.unwrap(), 2_300);
        assert_eq!(second.folds.digest(), kept);
        second.folds.apply_to(&events(2_300, 2_400), 2_400);
        assert_eq!(second.folds.digest(), now);
        // what is new gets numbers that nobody had
        second.add(&[event(EventKind::View, day(3), "new", &["new"])]);
        second.folds.checkpoint().unwrap();
        let last = second.folds.digest();
        drop(second);
        let (third, offset) = Process::start(dir.path(), bytes);
        assert_eq!((offset.unwrap(), third.folds.digest()), (2_401, last));
    }
}

#[test]
fn what_is_kept_of_another_log_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Process::start(dir.path(), None);
    first.add(&events(0, 50));
    first.folds.checkpoint().unwrap();
    drop(first);
    let other = tempfile::tempdir().unwrap();
    let (second, _) = Process::start(other.path(), None);
    second.add(&events(50, 100));
    drop(second);
    std::fs::copy(dir.path().join("folds.db"), other.path().join("folds.db")).unwrap();
    assert!(matches!(Process::start(other.path(), None).1, Err(StateError::Damaged { .. })), "of as many events");
    let empty = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("folds.db"), empty.path().join("folds.db")).unwrap();
    assert!(matches!(Process::start(empty.path(), None).1, Err(StateError::Damaged { .. })), "of none");
}

#[test]
fn who_is_erased_is_gone_from_the_disk_and_the_sums_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Process::start(dir.path(), None);
    let mut named = events(0, 300);
    named.push(event(EventKind::Purchase, day(1), "secret-key-of-ann", &["tea1"]));
    first.add(&named);
    first.folds.checkpoint().unwrap();
    assert!(first.folds.erase("secret-key-of-ann").unwrap() && !first.folds.erase("secret-key-of-ann").unwrap());
    for entry in std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.to_string_lossy().contains("folds.db") {
            let bytes = std::fs::read(&entry).unwrap();
            assert!(!bytes.windows(17).any(|window| window == b"secret-key-of-ann"), "{}", entry.display());
        }
    }
    first.folds.checkpoint().unwrap();
    drop(first);
    assert!(Process::start(dir.path(), None).1.is_err(), "their orders are in the sums that were kept");
}

#[test]
fn a_checkpoint_that_could_not_be_written_is_made_up_for() {
    struct Full(SqliteStore, AtomicBool);
    impl StateStore for Full {
        fn change(&self, changes: &mut dyn FnMut(Put<'_>) -> Result<()>) -> Result<()> {
            if self.1.load(Ordering::Relaxed) {
                return Err(StateError::Stopped);
            }
            self.0.change(changes)
        }
        fn get(&self, cell: Cell) -> Result<Option<Vec<u8>>> {
            self.0.get(cell)
        }
        fn scan(&self, space: Space, visit: &mut dyn FnMut(u32, &[u8]) -> Result<()>) -> Result<()> {
            self.0.scan(space, visit)
        }
        fn clear(&self) -> Result<()> {
            self.0.clear()
        }
        fn scrub(&self) -> Result<bool> {
            self.0.scrub()
        }
    }
    let log = SqliteLog::open(None).unwrap();
    let store = Arc::new(Full(SqliteStore::open(None).unwrap(), AtomicBool::new(false)));
    let folds = Folds::kept(shop(), nobody(), None, Arc::clone(&store) as Arc<dyn StateStore>);
    let add = |events: &[Event]| folds.apply_to(events, log.append(events).unwrap().last_offset);
    add(&events(0, 500));
    folds.checkpoint().unwrap();
    add(&events(500, 700));
    folds.remove_visitor("v3");
    store.1.store(true, Ordering::Relaxed);
    assert!(folds.checkpoint().is_err());
    add(&events(700, 720));
    assert!(folds.checkpoint().is_err());
    store.1.store(false, Ordering::Relaxed);
    assert!(folds.checkpoint().unwrap());
    let again = Folds::kept(shop(), nobody(), None, store);
    assert_eq!((again.restore(&log).unwrap(), again.digest()), (720, folds.digest()));
}
