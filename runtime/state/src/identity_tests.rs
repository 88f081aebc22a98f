//! Tests of linking, unlinking and erasing over a whole state.

use super::*;
use crate::captures::CaptureHead;
use crate::error::StateError;
use crate::fold::tests::event;
use qianmian_core::EventKind;

fn order(id: &str, visitor: &str, item: &str, time: TimeMs) -> Event {
    let traits = vec![("city".into(), format!("{item}-town"))];
    Event { id: id.into(), values: vec![2.0], traits, ..event(EventKind::Purchase, time, visitor, &[item]) }
}

fn ids(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(id, kind)| ((*id).to_owned(), (*kind).to_owned())).collect()
}

fn shop(dir: &Path) -> State {
    let state = State::open(dir).unwrap();
    state
        .append(vec![
            order("1", "phone-7", "a", 10),
            order("2", "ann", "b", 20),
            order("3", "phone-7", "c", 30),
            order("4", "bob", "d", 40),
        ])
        .unwrap();
    state
}

fn city(state: &State, id: &str) -> String {
    state.visitor(id).attributes.get("city").map_or_else(String::new, ToString::to_string)
}

#[test]
fn linked_ids_are_one_person_now_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let state = shop(dir.path());
    let linked = state.link_visitors(&ids(&[("ann", "login"), ("phone-7", "device")])).unwrap();
    assert_eq!((linked.ids.len(), linked.events), (2, 3));
    for id in ["ann", "phone-7"] {
        assert_eq!((state.visitor(id).orders, city(&state, id)), (3, "c-town".into()), "{id}");
    }
    state.append(vec![order("5", "phone-7", "e", 25)]).unwrap();
    assert_eq!((state.visitor("ann").orders, city(&state, "ann")), (4, "c-town".into()), "what is late is not newer");
    assert_eq!(state.folds.visitors(), 2);
    let before = format!("{:?}", state.visitor("ann").recent);
    drop(state);
    let state = State::open(dir.path()).unwrap();
    assert_eq!((state.visitor("phone-7").orders, state.folds.visitors()), (4, 2));
    assert_eq!(format!("{:?}", state.visitor("ann").recent), before, "the same fold");

    let unlinked = state.unlink_visitor("phone-7").unwrap().unwrap();
    assert_eq!((unlinked.events, state.visitor("ann").orders, state.visitor("phone-7").orders), (3, 1, 3));
    assert_eq!(state.unlink_visitor("phone-7").unwrap(), None);
    let actions: Vec<String> = state
        .audit
        .list(&AuditFilter { limit: 9, ..AuditFilter::default() })
        .unwrap()
        .into_iter()
        .map(|entry| entry.action)
        .collect();
    assert_eq!(actions, ["visitor.unlink", "visitor.link", "visitor.link"]);
}

#[test]
fn erasing_one_id_erases_the_person() {
    let dir = tempfile::tempdir().unwrap();
    let state = shop(dir.path());
    let linked = state.link_visitors(&ids(&[("ann", "login"), ("phone-7", "device")])).unwrap();
    let head = CaptureHead {
        id: "r1".into(),
        time: 1,
        scenario: "home".into(),
        visitor: Some(linked.person.to_string()),
        fault: None,
    };
    state.captures.put(&[(head, b"page".to_vec())]).unwrap();
    let key = state.people.key("phone-7");
    let erased = Erased { ids: 2, events: 3, captures: 1, profile: true, ..Erased::default() };
    assert_eq!(state.erase_visitor("phone-7").unwrap(), erased);
    assert!(state.visitor("ann").is_unknown() && state.visitor("phone-7").is_unknown());
    assert_eq!((state.visitor("bob").orders, state.people.linked()), (1, 0));
    let proof = AuditFilter { subjects: Some(vec![key.clone()]), limit: 1, ..AuditFilter::default() };
    assert_eq!(state.audit.list(&proof).unwrap()[0].action, ERASED);
    drop(state);
    for file in ["events.db", "events.db-wal", "captures.db", "people.db", "folds.db", "folds.db-wal"] {
        let bytes = std::fs::read(dir.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(key.len()).any(|w| w == key.as_bytes()), "the key lingers in {file}");
    }
    let state = State::open(dir.path()).unwrap();
    assert!(state.visitor("ann").is_unknown());
    assert_eq!((state.log.len(), state.erase_visitor("ann").unwrap().events), (1, 0));
    assert!(
        state.append(vec![order("1", "phone-7", "a", 10)]).unwrap().accepted == [false],
        "a retry brings nobody back"
    );
}

/// The folder as a crash would leave it now.
fn crashed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != "lock" && !name.ends_with("-shm") {
            std::fs::copy(&path, copy.path().join(name)).unwrap();
        }
    }
    copy
}

#[test]
fn links_and_erasures_after_a_checkpoint_outlive_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let state = shop(dir.path());
    assert!(state.checkpoint().unwrap());
    state.link_visitors(&ids(&[("ann", "login"), ("phone-7", "device")])).unwrap();
    state.append(vec![order("5", "phone-7", "e", 25)]).unwrap();
    let copy = crashed(dir.path());
    let again = State::open(copy.path()).unwrap();
    for id in ["ann", "phone-7"] {
        assert_eq!((again.visitor(id).orders, again.folds.visitors()), (4, 2), "{id}");
    }
    drop(again);
    state.checkpoint().unwrap();
    state.unlink_visitor("phone-7").unwrap().unwrap();
    let copy = crashed(dir.path());
    let again = State::open(copy.path()).unwrap();
    assert_eq!((again.visitor("ann").orders, again.visitor("phone-7").orders), (1, 3));
    drop(again);
    state.checkpoint().unwrap();
    state.erase_visitor("phone-7").unwrap();
    let copy = crashed(dir.path());
    let again = State::open(copy.path()).unwrap();
    assert!(again.visitor("phone-7").is_unknown() && again.visitor("ann").orders == 1);
    let catalogue = again.catalogue.current();
    let orders = |id: &str| catalogue.row(id).map_or(0, |row| again.folds.item_stats(row).orders);
    assert_eq!(["a", "b", "c", "d", "e"].map(orders), [0, 1, 0, 1, 0], "the sums follow");
}

#[test]
fn no_raw_id_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let state = shop(dir.path());
    state.append(vec![order("9", "very-secret-login", "a", 10)]).unwrap();
    state.link_visitors(&ids(&[("very-secret-login", "login"), ("ann", "device")])).unwrap();
    drop(state);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(17).any(|w| w == b"very-secret-login"), "{}", path.display());
    }
}

#[test]
fn an_erasure_that_was_cut_short_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let state = shop(dir.path());
    let key = state.people.key("ann");
    state.audit.add(now(), ERASING, Some(&key), json!({})).unwrap();
    drop(state);
    let state = State::open(dir.path()).unwrap();
    assert!(state.visitor("ann").is_unknown() && state.visitor("bob").orders == 1);
    let proof = AuditFilter { action: Some(ERASED.into()), limit: 9, ..AuditFilter::default() };
    assert_eq!(state.audit.list(&proof).unwrap().len(), 1);
    drop(state);
    let state = State::open(dir.path()).unwrap();
    assert_eq!(state.audit.list(&proof).unwrap().len(), 1, "once");
}

#[test]
fn a_log_without_its_secret_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(shop(dir.path()));
    std::fs::remove_file(dir.path().join(crate::people::KEY_FILE)).unwrap();
    assert!(matches!(State::open(dir.path()), Err(StateError::Damaged { .. })));
}
