//! Tests of the whole state.

use super::*;
use crate::Item;
use crate::fold::tests::event;
use crate::identity::Erased;
use qianmian_core::EventKind;
use serde_json::json;

fn order(id: &str, visitor: &str, items: &[&str], time: TimeMs) -> Event {
    Event { id: id.into(), ..event(EventKind::Purchase, time, visitor, items) }
}

fn item(id: &str) -> Item {
    Item { id: id.into(), price: Some(2.0), ..Item::default() }
}

#[test]
fn the_folds_are_the_same_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    state.catalogue.upsert(vec![item("a"), item("b")]).unwrap();
    state.registry.put("scenario", "home", &json!({})).unwrap();
    let digest = state.blobs.put(b"component").unwrap();
    let appended = state
        .append(vec![
            order("1", "ann", &["a", "b"], 1_000),
            order("2", "ann", &["a", "new"], 2_000),
            order("1", "ann", &["a"], 3_000),
        ])
        .unwrap();
    assert_eq!(appended.accepted, [true, true, false]);
    let before = state.visitor("ann");
    assert_eq!((before.orders, before.order_lines), (2, 4), "folded when append returns, duplicates not");
    assert!(matches!(State::open(dir.path()), Err(StateError::InUse { .. })));
    drop(state);

    let state = State::open(dir.path()).unwrap();
    let after = state.visitor("ann");
    assert_eq!((after.orders, after.spend, after.last_order), (before.orders, before.spend, before.last_order));
    let catalogue = state.catalogue.current();
    let row = catalogue.row("new").expect("the placeholder comes back from the log");
    assert!(!catalogue.is_live(row));
    assert_eq!(state.folds.item_stats(catalogue.row("a").unwrap()).orders, 2);
    assert_eq!(state.blobs.get(&digest).unwrap(), b"component");
    assert_eq!(state.registry.list("scenario").unwrap().len(), 1);
    let mut seen = 0;
    state
        .scan(2, &mut |chunk| {
            seen += chunk.events.len();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn a_view_knows_only_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    state.catalogue.upsert(vec![item("a")]).unwrap();
    state.append((0..10).map(|i| order(&i.to_string(), "ann", &["a"], i64::from(i) * 100 + 1)).collect()).unwrap();
    assert_eq!(
        state.fold_until(301).unwrap().visitor(&state.people.key("ann")).orders,
        3,
        "`until` itself is not before"
    );
    assert_eq!(state.visitor("ann").orders, 10);
    let view = State::open_until(dir.path(), 501).unwrap();
    assert_eq!((view.visitor("ann").orders, view.queued()), (5, 0));
    assert!(matches!(view.append(vec![]), Err(StateError::ReadOnly)));
    assert!(matches!(view.erase_visitor("ann"), Err(StateError::ReadOnly)));
    assert!(matches!(view.catalogue.upsert(vec![item("b")]), Err(StateError::ReadOnly)));
}

#[test]
fn an_erased_visitor_is_unknown_now_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    let of = |who: &str| (0..20).map(|i| order(&format!("{who}{i}"), who, &["a"], 5)).collect::<Vec<_>>();
    state.append(of("ann")).unwrap();
    state.append(of("bob")).unwrap();
    assert_eq!(state.erase_visitor("ann").unwrap(), Erased { ids: 1, events: 20, profile: true, ..Erased::default() });
    assert_eq!(state.erase_visitor("ann").unwrap(), Erased { ids: 1, ..Erased::default() });
    assert!(state.visitor("ann").is_unknown() && state.visitor("bob").orders == 20);
    assert!(state.append(of("ann")).unwrap().accepted.iter().all(|a| !a), "a retry does not bring them back");
    drop(state);
    let state = State::open(dir.path()).unwrap();
    assert!(state.visitor("ann").is_unknown() && state.visitor("bob").orders == 20);
    assert_eq!((state.log.len(), state.log.last_offset()), (20, 40));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "waits for a thread that answers nobody")]
fn lists_follow_by_themselves_when_it_is_quiet() {
    let state = State::in_memory().unwrap();
    state.catalogue.upsert(vec![item("a"), item("b")]).unwrap();
    state.append(vec![order("0", "ann", &["a"], 5)]).unwrap();
    state.append((1..9).map(|i| order(&i.to_string(), &format!("v{i}"), &["a", "b"], 5)).collect()).unwrap();
    let row = state.catalogue.current().row("a").unwrap();
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    while state.folds.neighbours(crate::fold::Relation::Bought, row).is_empty() {
        assert!(Instant::now() < deadline, "no refresh after events stopped coming");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn folds_made_from_nothing_equal_the_live_ones() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    state.catalogue.upsert((0..6).map(|i| item(&format!("i{i}"))).collect()).unwrap();
    let mut random = 7u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for n in 0..400 {
        let mut event = order(&n.to_string(), &format!("v{}", next(9)), &[], 1_000 + next(90 * 86_400_000) as i64);
        event.kind = EventKind::ALL[next(8) as usize];
        event.items = (0..1 + next(4)).map(|_| format!("i{}", next(12))).collect();
        event.channel = ["app", "web", ""][next(3) as usize].into();
        event.traits = vec![("city".into(), format!("c{}", next(3)))];
        // some alone and some together, as commits fall
        state.submit(vec![event], Box::new(|stored| drop(stored.unwrap()))).unwrap();
        if next(20) == 0 {
            state.refresh().unwrap();
        }
    }
    let (offset, live) = state.digest().unwrap();
    assert_eq!(offset, 400);
    let anew = State::open_at(dir.path(), offset).unwrap();
    assert_eq!(anew.folds.digest(), live, "beside the running one");
    state.append(vec![order("more", "v1", &["i1"], 5)]).unwrap();
    assert_ne!(state.digest().unwrap().1, live);
    assert_eq!(State::open_at(dir.path(), offset).unwrap().folds.digest(), live, "up to where it was compared");
    let now = state.digest().unwrap();
    drop(state);
    assert_eq!(State::open(dir.path()).unwrap().digest().unwrap(), now, "and after a start");
}
