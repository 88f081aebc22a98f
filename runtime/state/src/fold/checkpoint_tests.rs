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
        first.folds.checkpoint().unwrap();
        assert!(!first.folds.checkpoint().unwrap(), "once, until something changes");
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
fn who_is_erased_is_gone_from_the_disk_and_from_the_sums() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Process::start(dir.path(), None);
    let key = "secret-key-of-ann";
    let hers: Vec<Event> = (0..40)
        .map(|n| {
            let kind = EventKind::ALL[n % 5];
            event(kind, day(1) + n as i64 * 60_000, key, &["tea1", ["cup1", "x", "only hers"][n % 3]])
        })
        .collect();
    let others = events(0, 300);
    first.add(&others[..200]);
    first.add(&hers);
    first.add(&others[200..]);
    first.folds.checkpoint().unwrap();
    assert!(first.folds.erase(key, &hers).unwrap() && !first.folds.erase(key, &[]).unwrap());
    for entry in std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.to_string_lossy().contains("folds.db") {
            let bytes = std::fs::read(&entry).unwrap();
            assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{}", entry.display());
        }
    }
    // What is kept is of after the erasure: nothing is left to be kept.
    assert!(!first.folds.checkpoint().unwrap());
    let without = Folds::new(shop(), nobody());
    without.apply(&others);
    first.folds.refresh();
    without.refresh();
    let (second, offset) = Process::start(dir.path(), None);
    assert_eq!(offset.unwrap(), 340);
    second.folds.refresh();
    for folds in [&first.folds, &second.folds] {
        for id in ["tea1", "tea2", "cup1", "x", "only hers"] {
            let rows = [folds, &without].map(|folds| folds.store.reserve(&[id])[0]);
            let [left, right] = [folds.item_stats(rows[0]), without.item_stats(rows[1])];
            let counts = |item: crate::fold::ItemStats| {
                [item.impressions, item.views, item.carts, item.orders, item.buyers, item.repeat_buyers]
            };
            assert_eq!(counts(left), counts(right), "{id}");
            let fading = |item: crate::fold::ItemStats| item.orders_30d.read(day(2), 30.0);
            assert!((fading(left) - fading(right)).abs() < 1e-9, "{id}");
        }
        let [left, right] = [folds, &without].map(|folds| folds.trending().all()[5].to_vec());
        assert_eq!(left.len(), right.len());
        assert!(left.iter().zip(&right).all(|(a, b)| (a.1 - b.1).abs() < 1e-6));
        let partners = |folds: &Folds| -> usize {
            let pairs = folds.bought();
            (0..pairs.rows()).map(|row| pairs.partners(row).map_or(0, FxHashMap::len)).sum()
        };
        assert_eq!(partners(folds), partners(&without));
        for relation in [super::super::Relation::Viewed, super::super::Relation::Next] {
            let sum = |folds: &Folds| {
                let pairs = folds.counted(relation);
                let rows = (0..pairs.rows()).flat_map(|row| pairs.partners(row).into_iter().flatten());
                rows.fold((0, 0.0), |(count, sum), (_, value)| (count + 1, sum + f64::from(*value)))
            };
            let (left, right) = (sum(folds), sum(&without));
            assert!(left.0 == right.0 && (left.1 - right.1).abs() < 1e-2, "{relation:?}: {left:?} {right:?}");
        }
    }
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

#[test]
fn visitors_are_taken_up_as_of_the_last_checkpoint_from_either_place() {
    let dir = tempfile::tempdir().unwrap();
    let little = Some(64 * 3_000);
    let mut kept = None;
    for round in 0..6 {
        let (process, offset) = Process::start(dir.path(), little);
        assert_eq!(offset.unwrap(), round * 400);
        assert!(kept.is_none_or(|kept| kept == process.folds.digest()), "round {round}");
        let from = round as usize * 400;
        // the second half of a round is lost with the process, though much of it had to leave memory
        process
            .folds
            .apply_to(&events(from, from + 400), process.log.append(&events(from, from + 400)).unwrap().last_offset);
        process.folds.checkpoint().unwrap();
        kept = Some(process.folds.digest());
        process.folds.apply(&events(from + 400, from + 700));
        process.folds.make_room().unwrap();
    }
    // an older copy does not stand in for the newest; without the older one all is well
    let path = dir.path().join("folds.db");
    let (first, width) = ((Space::Visitors as i64) << 32, 1i64 << 32);
    let mut refused = 0;
    for place in [0, width] {
        let whole = std::fs::read(&path).unwrap();
        let db = rusqlite::Connection::open(&path).unwrap();
        let twice = "SELECT at FROM cells WHERE at BETWEEN ?1 AND ?1 + ?2 - 1 AND at + ?2 IN (SELECT at FROM cells)";
        let at: i64 = db.query_row(twice, [first, width], |row| row.get(0)).unwrap();
        db.execute("DELETE FROM cells WHERE at = ?1", [at + place]).unwrap();
        drop(db);
        match Process::start(dir.path(), little) {
            (_, Err(StateError::Damaged { .. })) => refused += 1,
            (process, offset) => assert_eq!((offset.unwrap(), Some(process.folds.digest())), (2_400, kept.clone())),
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert_eq!(refused, 1);
}

#[test]
fn what_was_taken_out_of_a_profile_leaves_the_disk_with_the_next_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let (process, _) = Process::start(dir.path(), None);
    let both = [event(EventKind::View, day(1), "ann", &["tea1"]), {
        let mut hers = event(EventKind::View, day(1), "ann", &["tea2"]);
        hers.traits = vec![("city".into(), "only-hers-to-know".into())];
        hers
    }];
    process.folds.apply(&both);
    process.folds.checkpoint().unwrap();
    process.folds.refold("ann", &both[..1]);
    process.folds.checkpoint().unwrap();
    process.folds.scrub().unwrap();
    let bytes = std::fs::read(dir.path().join("folds.db")).unwrap();
    let there = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(there("ann") && !there("only-hers-to-know"));
}
