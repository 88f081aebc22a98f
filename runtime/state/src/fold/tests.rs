//! Tests of the folds, and the tiny shop the tests of sources and columns share.

use super::*;
use crate::Item;
use proptest::prelude::*;
use qianmian_core::{DAY_MS, ItemKind};

/// Six items: three products and an article in "tea", two products in "cups"; `cup2` without stock.
pub(crate) fn shop() -> Arc<CatalogueStore> {
    let item = |id: &str, kind, price: Option<f32>, category: &str, brand: &str| Item {
        id: id.into(),
        kind,
        title: format!("Title {id}"),
        price,
        currency: "GBP".into(),
        categories: vec![category.into()],
        tags: vec![format!("{category}-tag"), "all".into()],
        brand: brand.into(),
        created: Some(DAY_MS * i64::from(id.as_bytes()[id.len() - 1])),
        ..Item::default()
    };
    let mut empty = item("cup2", ItemKind::Product, Some(6.0), "cups", "Öko");
    empty.stock.sellable = Some(0);
    let store = CatalogueStore::open(None).unwrap();
    let items = vec![
        item("tea1", ItemKind::Product, Some(2.0), "tea", "Acme"),
        item("tea2", ItemKind::Product, Some(4.0), "tea", "Acme"),
        item("tea3", ItemKind::Product, None, "tea", ""),
        item("cup1", ItemKind::Product, Some(8.0), "cups", "Öko"),
        empty,
        item("art1", ItemKind::Content, None, "tea", ""),
    ];
    assert!(store.upsert(items).unwrap().rejected.is_empty());
    Arc::new(store)
}

/// Nobody is linked with anybody.
pub(crate) fn nobody() -> Arc<People> {
    Arc::new(People::open(None, true).unwrap())
}

pub(crate) fn row(folds: &Folds, id: &str) -> ItemRow {
    folds.store.current().row(id).unwrap()
}

pub(crate) fn event(kind: EventKind, time: TimeMs, visitor: &str, items: &[&str]) -> Event {
    Event {
        id: format!("{kind:?}-{time}-{visitor}"),
        kind,
        time,
        visitor: (!visitor.is_empty()).then(|| visitor.into()),
        items: items.iter().map(|id| (*id).into()).collect(),
        quantities: vec![],
        values: vec![],
        channel: "app".into(),
        region: "GB".into(),
        scenario: String::new(),
        request_id: String::new(),
        position: 0,
        attributes: Vec::new(),
        traits: Vec::new(),
    }
}

pub(crate) fn day(day: i64) -> TimeMs {
    DAY_MS * (15_000 + day)
}

/// Everything readers can see, in a fixed order.
fn state(folds: &Folds, visitors: &[&str]) -> String {
    let stats = folds.stats();
    let mut text = format!("{:?} {:?}", stats.items, stats.totals);
    for id in visitors {
        let visitor = folds.visitor(id);
        let mut items: Vec<_> = visitor.items.iter().collect();
        items.sort_by_key(|(row, _)| **row);
        let mut categories: Vec<_> = visitor.categories.iter().collect();
        categories.sort_by_key(|(symbol, _)| **symbol);
        text += &format!("{items:?} {categories:?} {:?} {:?} {}", visitor.recent, visitor.tags, visitor.version);
    }
    for relation in [Relation::Bought, Relation::Viewed, Relation::Next] {
        text += &format!("{:?}", folds.lists(relation));
    }
    text + &format!("{:?}", folds.trending().all())
}

#[test]
fn an_order_reaches_visitor_items_and_pairs() {
    let folds = Folds::new(shop(), nobody());
    let mut order = event(EventKind::Purchase, day(0), "v", &["tea1", "cup1", "tea1", "new"]);
    order.quantities = vec![2.0, 1.0, 3.0, f32::NAN];
    order.values = vec![1.5];
    folds.apply(&[order, event(EventKind::Purchase, day(30), "v", &["tea1"])]);
    folds.apply(&[event(EventKind::Purchase, day(31), "", &["tea1", "cup1"])]);
    let visitor = folds.visitor("v");
    assert_eq!((visitor.orders, visitor.order_lines, visitor.events), (2, 4, 2));
    assert_eq!(visitor.order_times, [day(30), day(0)]);
    assert_eq!((visitor.first_seen, visitor.last_seen, visitor.last_order), (day(0), day(30), day(30)));
    // 5 x 1.5 and 1 x 8 and an unknown price, then 1 x 2.0 from the catalogue.
    assert!((visitor.spend - 17.5).abs() < 1e-6);
    assert!((visitor.price_sum / 4.0 - (1.5 + 8.0 + 4.75 + 2.0) / 4.0).abs() < 1e-6);
    let (tea, cup, new) = (row(&folds, "tea1"), row(&folds, "cup1"), row(&folds, "new"));
    let history = visitor.items[&tea];
    assert_eq!((history.orders, history.quantity, history.first_order), (2, 6.0, day(0)));
    assert_eq!((&*visitor.channel, &*visitor.region), ("app", "GB"));
    assert_eq!(visitor.recent.iter().map(|r| r.item).collect::<Vec<_>>(), [tea, tea, cup, new]);

    let stats = folds.item_stats(tea);
    assert_eq!((stats.orders, stats.buyers, stats.repeat_buyers), (3, 1, 1));
    let decayed = stats.orders_30d.read(day(31), 30.0);
    assert!((decayed - (1.0 + (-1.0f64 / 30.0).exp2() + (-31.0f64 / 30.0).exp2())).abs() < 1e-9);

    folds.refresh();
    let bought = folds.bought();
    let pair = bought.partners(tea.0).unwrap()[&cup.0];
    assert_eq!((pair.count(), bought.total(tea.0), bought.total(cup.0)), (2.0, 3.0, 2.0));
    assert!((pair.recent(pairs::fading(day(31))) - (1.0 + (-31.0f32 / 30.0).exp2())).abs() < 1e-5);
    let list = folds.neighbours(Relation::Bought, tea);
    assert_eq!(list[0], Neighbour { row: cup.0, similarity: 2.0 / (6f32.sqrt() + 10.0) });
    // Order after order: the second is tea1 alone, after tea1, cup1 and new at weight 1/3.
    let next = folds.counted(Relation::Next);
    assert_eq!(next.partners(cup.0).unwrap()[&tea.0], 1.0 / 3.0);
}

#[test]
fn looking_pairs_within_half_an_hour_and_in_order() {
    let folds = Folds::new(shop(), nobody());
    let minute = |m: i64| day(0) + m * 60_000;
    folds.apply(&[
        event(EventKind::View, minute(0), "v", &["tea1"]),
        event(EventKind::Impression, minute(1), "v", &["cup1", "cup2"]),
        event(EventKind::Click, minute(10), "v", &["tea2"]),
        event(EventKind::Cart, minute(11), "v", &["tea2"]),
        event(EventKind::View, minute(35), "v", &["tea3"]),
        event(EventKind::View, minute(5), "other", &["tea3"]),
    ]);
    let [a, b, c] = ["tea1", "tea2", "tea3"].map(|id| row(&folds, id).0);
    let viewed = folds.counted(Relation::Viewed);
    assert_eq!(viewed.partners(a).unwrap()[&b], 1.0);
    assert_eq!(viewed.partners(b).unwrap()[&a], 1.0, "the cart after the click is the same look");
    assert_eq!(viewed.partners(b).unwrap()[&c], 1.0);
    assert!(!viewed.partners(a).unwrap().contains_key(&c), "35 minutes apart");
    assert_eq!(viewed.total(b), 1.0);
    drop(viewed);
    let next = folds.counted(Relation::Next);
    assert_eq!((next.partners(a).unwrap()[&b], next.partners(b).unwrap()[&c]), (1.0, 1.0));
    assert_eq!(next.partners(a).unwrap()[&c], 0.5);
    assert!(next.partners(c).is_none_or(FxHashMap::is_empty));
    let visitor = folds.visitor("v");
    assert_eq!((visitor.recent.len(), visitor.items.len(), visitor.events), (4, 5, 5));
    assert_eq!(folds.item_stats(ItemRow(b)).views, 1);
    assert_eq!(folds.totals().impressions, 2.0);
}

#[test]
fn interests_fade_and_name_tags() {
    let folds = Folds::new(shop(), nobody());
    folds.apply(&[
        event(EventKind::View, day(0), "v", &["tea1"]),
        event(EventKind::Cart, day(30), "v", &["cup1"]),
        event(EventKind::View, day(0), "v", &["tea1"]),
    ]);
    let visitor = folds.visitor("v");
    let catalogue = folds.store.current();
    let interest = |name: &str| visitor.categories[&catalogue.symbols.get(name).unwrap()];
    assert!((interest("tea") - 1.0).abs() < 1e-6, "two views, each faded to a half; one came late");
    assert_eq!(interest("cups"), 3.0);
    assert_eq!(visitor.tags.iter().map(|t| &**t).collect::<Vec<_>>(), ["prefers:cups", "stage:retention"]);
    folds.edit_visitor("v", |visitor| visitor.tags.push("vip".into()));
    folds.apply(&[event(EventKind::Purchase, day(31), "v", &["cup1"])]);
    let tags = folds.visitor("v").tags.clone();
    assert_eq!(tags.iter().map(|t| &**t).collect::<Vec<_>>(), ["prefers:cups", "stage:revenue", "vip"]);
    assert_eq!(folds.visitors(), 1);
    assert!(folds.remove_visitor("v") && !folds.remove_visitor("v"));
    assert!(folds.visitor("v").is_unknown());
}

#[test]
fn no_version_of_an_id_comes_twice_whatever_is_forgotten() {
    let folds = Folds::new(shop(), nobody());
    let mut seen = FxHashSet::default();
    let mut new = |what: &str| assert!(seen.insert(folds.visitor("v").version), "after {what}");
    let view = || folds.apply(&[event(EventKind::View, day(0), "v", &["tea1"])]);
    for what in ["a look", "another", "a third"] {
        view();
        new(what);
    }
    folds.refold("v", &[event(EventKind::View, day(0), "v", &["cup1"])]);
    new("its history was folded anew");
    view();
    new("a look beyond it");
    folds.remove_visitor("v");
    view();
    new("it was forgotten");
    assert_eq!(folds.expire_visitors(TimeMs::MAX), 1);
    folds.refold("v", &[event(EventKind::View, day(0), "v", &["cup1"])]);
    new("it was idle for too long");
}

#[test]
fn the_stars_of_a_rating_are_no_price() {
    let folds = Folds::new(shop(), nobody());
    let of = |kind, visitor| Event { values: vec![5.0], ..event(kind, day(0), visitor, &["cup1"]) };
    folds.apply(&[of(EventKind::Rating, "rates"), of(EventKind::Purchase, "pays")]);
    let bands = |id: &str| folds.visitor(id).prices.iter().map(|(band, _)| *band).collect::<Vec<_>>();
    assert_eq!((bands("rates"), bands("pays")), (vec![3], vec![2]), "the catalogue says 8, 5 were paid");
}

#[test]
fn stages_of_the_life_cycle_are_reached_one_after_the_other() {
    let folds = Folds::new(shop(), nobody());
    let mut share = event(EventKind::Custom, day(1) + 3, "v", &[]);
    share.attributes.push(("action".into(), "share".into()));
    let steps = [
        (event(EventKind::View, day(0), "v", &["tea1"]), "acquisition"),
        (event(EventKind::View, day(0) + 1, "v", &["tea2"]), "acquisition"),
        (event(EventKind::Click, day(0) + 2, "v", &["tea3"]), "activation"),
        (event(EventKind::Impression, day(1), "v", &["tea3"]), "retention"),
        (event(EventKind::Purchase, day(1) + 2, "v", &["tea1"]), "revenue"),
        (share, "referral"),
        (event(EventKind::View, day(2), "v", &["tea1"]), "referral"),
    ];
    assert_eq!(folds.visitor("v").stage(), "");
    for (event, stage) in steps {
        folds.apply(&[event]);
        let visitor = folds.visitor("v");
        assert_eq!(visitor.stage(), stage);
        let carried: Vec<&str> = visitor.tags.iter().filter_map(|tag| tag.strip_prefix("stage:")).collect();
        assert_eq!(carried, [stage]);
    }
    folds.apply(&[event(EventKind::Cart, day(3), "w", &["tea1"])]);
    assert_eq!(folds.visitor("w").stage(), "activation", "a cart is enough");
}

#[test]
fn a_held_snapshot_does_not_change() {
    let folds = Folds::new(shop(), nobody());
    folds.apply(&[event(EventKind::View, day(0), "v", &["tea1"])]);
    let before = folds.visitor("v");
    folds.apply(&[event(EventKind::View, day(1), "v", &["tea2"])]);
    assert_eq!((before.events, folds.visitor("v").events), (1, 2));
}

#[test]
fn huge_orders_and_histories_stay_bounded() {
    let folds = Folds::new(shop(), nobody());
    let ids: Vec<String> = (0..1100).map(|i| format!("i{i:04}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    folds.apply(&[event(EventKind::Purchase, day(0), "v", &ids)]);
    folds.refresh();
    let bought = folds.bought();
    let rows: Vec<u32> = ids.iter().map(|id| row(&folds, id).0).collect();
    for r in &rows {
        assert_eq!(bought.partners(*r).unwrap().len(), ALL_PAIRS);
        assert_eq!(bought.total(*r), 1.0);
    }
    assert_eq!(bought.partners(rows[0]).unwrap()[&rows[250]].count(), 1.0);
    assert_eq!(bought.partners(rows[250]).unwrap()[&rows[0]].count(), 1.0);
    drop(bought);
    for t in 0..3 {
        let more: Vec<String> = (0..1000).map(|i| format!("j{t}-{i}")).collect();
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        folds.apply(&[event(EventKind::Impression, day(1 + t), "v", &more)]);
    }
    let visitor = folds.visitor("v");
    assert!(visitor.items.len() <= 2200, "{}", visitor.items.len());
    assert!(visitor.recent.len() <= 256);
    assert!(visitor.items.keys().all(|r| *r != row(&folds, "i0000")), "the least recently touched went");
}

#[test]
fn trending_by_scope_and_kind() {
    let folds = Folds::new(shop(), nobody());
    let mut events = vec![
        event(EventKind::Purchase, day(0), "a", &["tea1"]),
        event(EventKind::View, day(20), "a", &["tea2"]),
        event(EventKind::View, day(20), "b", &["art1"]),
        event(EventKind::Impression, day(21), "b", &["cup1"]),
        event(EventKind::Cart, day(20), "b", &["unknown"]),
    ];
    events[1].channel = "web".into();
    folds.apply(&events);
    folds.refresh();
    let trending = folds.trending();
    let ids = |list: &trends::TrendList| -> Vec<Arc<str>> {
        list.iter().map(|(r, _)| Arc::clone(&folds.store.current().ids[*r as usize])).collect()
    };
    let list = ids(&trending.all()[5]);
    assert_eq!(list.iter().map(|i| &**i).collect::<Vec<_>>(), ["art1", "tea2", "tea1"], "ties by id, 5 faded below 1");
    assert_eq!(ids(&trending.all()[ItemKind::Content as usize]).len(), 1);
    assert_eq!(&*ids(&trending.of(Follow::Channel, "web").unwrap()[5])[0], "tea2");
    assert!(trending.of(Follow::Channel, "store").is_none());
    folds.store.upsert(vec![Item { id: "unknown".into(), ..Item::default() }]).unwrap();
    folds.refresh();
    assert_eq!(&*ids(&folds.trending().all()[5])[0], "unknown", "counted before it was described");
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let ids = ["tea1", "tea2", "tea3", "cup1", "cup2", "art1", "x", "y"];
    let one = (0usize..8, -40i64..40, 0usize..4, prop::collection::vec(0usize..8, 0..5)).prop_map(
        move |(kind, hours, visitor, items)| {
            let items: Vec<&str> = items.into_iter().map(|i| ids[i]).collect();
            event(EventKind::ALL[kind], day(0) + hours * 900_000, ["", "u", "v", "w"][visitor], &items)
        },
    );
    prop::collection::vec(one, 0..60)
}

#[test]
fn with_little_memory_the_state_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(crate::SqliteStore::open(Some(dir.path())).unwrap());
    let (roomy, tight) = (Folds::new(shop(), nobody()), Folds::kept(shop(), nobody(), Some(64 * 3_000), store));
    let items = ["tea1", "tea2", "tea3", "cup1", "cup2", "art1", "x", "y"];
    for round in 0..6usize {
        let one = |n: usize| {
            let kind = EventKind::ALL[(n + round) % EventKind::ALL.len()];
            let bought = [items[n % 8], items[(n * 3 + round) % 8]];
            event(kind, day(0) + (n * 31 % 900) as i64 * 1_000_000, &format!("v{}", n * 7 % 1_500), &bought)
        };
        let events: Vec<Event> = (0..3_000).map(one).collect();
        for folds in [&roomy, &tight] {
            events.chunks(700).for_each(|events| folds.apply(events));
            folds.refresh();
        }
    }
    assert_eq!(roomy.visitors(), 1_500);
    assert_eq!(roomy.digest(), tight.digest());
    tight.checkpoint().unwrap();
    let (bytes, lost) = tight.room();
    assert!(bytes <= 64 * 3_000 && lost == 0, "{bytes} bytes, {lost} lost");
    assert_eq!(tight.expire_visitors(i64::MAX), 1_500);
    assert_eq!(tight.visitors(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_same_events_in_any_chunks_give_the_same_state(events in events(), cut in 1usize..20) {
        let whole = Folds::new(shop(), nobody());
        whole.apply(&events);
        whole.refresh();
        let chunked = Folds::new(shop(), nobody());
        for chunk in events.chunks(cut) {
            chunked.apply(chunk);
        }
        chunked.refresh();
        let visitors = ["u", "v", "w"];
        prop_assert_eq!(state(&whole, &visitors), state(&chunked, &visitors));
        for id in visitors {
            let visitor = whole.visitor(id);
            prop_assert!(visitor.recent.windows(2).all(|w| w[0].time >= w[1].time));
            prop_assert!(visitor.categories.values().all(|v| v.is_finite() && *v >= 0.0));
        }
    }
}
