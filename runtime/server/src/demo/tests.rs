//! The generated shop keeps its promises: the same every time, of every kind, within its bounds.

use super::{PERSONAS, Scale, channels, generate, regions};
use qianmian_core::{DAY_MS, EventKind, ItemKind};
use rustc_hash::{FxHashMap, FxHashSet};

const NOW: i64 = 1_790_000_000_000;

#[test]
fn the_same_seed_gives_the_same_shop_and_now_only_shifts_it() {
    let (a, b) = (generate(7, Scale::SMALL, NOW), generate(7, Scale::SMALL, NOW + 5 * DAY_MS));
    assert_eq!(a.items.len(), b.items.len());
    for (x, y) in a.items.iter().zip(&b.items) {
        assert_eq!((&x.id, &x.title, x.price, &x.attributes), (&y.id, &y.title, y.price, &y.attributes));
        assert_eq!(x.created.map(|t| t + 5 * DAY_MS), y.created);
    }
    let mut count = 0;
    for (x, y) in a.events.zip(b.events) {
        count += 1;
        assert_eq!(y.time, x.time + 5 * DAY_MS);
        assert_eq!((x.id, x.kind, x.items), (y.id, y.kind, y.items));
    }
    assert!(count > 4_000, "{count} events");
    let other = generate(8, Scale::SMALL, NOW);
    assert_ne!(generate(7, Scale::SMALL, NOW).items[0].title, other.items[0].title);
}

#[test]
fn items_are_complete_and_of_every_kind() {
    let shop = generate(1, Scale::SMALL, NOW);
    let mut ids = FxHashSet::default();
    let mut kinds: FxHashMap<ItemKind, usize> = FxHashMap::default();
    for item in &shop.items {
        assert!(ids.insert(item.id.clone()), "{} is there twice", item.id);
        assert!(!item.title.is_empty());
        assert!(item.attributes["title_en"].as_str().is_some_and(|t| !t.is_empty() && !t.contains("{}")), "{item:?}");
        assert!(!item.title.contains("{}"));
        assert!(item.created.is_some_and(|t| t <= NOW));
        if let (Some(from), Some(to)) = (item.valid_from, item.valid_to) {
            assert!(from < to, "{} is never valid", item.id);
        }
        if item.kind == ItemKind::Product {
            assert!(item.price.is_some_and(|p| p > 0.0));
            assert!(!item.tags.is_empty(), "{item:?}");
        }
        *kinds.entry(item.kind).or_default() += 1;
    }
    for kind in ItemKind::ALL {
        assert!(kinds.get(&kind).is_some_and(|&n| n >= 5), "{kind}: {kinds:?}");
    }
    assert!(shop.items.iter().any(|i| i.stock.sellable == Some(0)), "something is sold out");
    assert!(shop.items.iter().any(|i| i.valid_to.is_some_and(|t| t < NOW)), "something has ended");
    assert!(shop.items.iter().any(|i| i.valid_from.is_some_and(|t| t > NOW)), "something is to come");
    assert!(shop.items.iter().any(|i| !i.regions.is_empty()) && shop.items.iter().any(|i| !i.channels.is_empty()));
}

#[test]
fn events_are_ordered_recent_and_name_what_there_is() {
    let shop = generate(3, Scale::SMALL, NOW);
    let items: FxHashMap<String, ItemKind> = shop.items.iter().map(|i| (i.id.clone(), i.kind)).collect();
    let visitors: FxHashSet<String> = shop.visitors.iter().map(|v| v.id.clone()).collect();
    let known_channels: FxHashSet<&str> = channels().map(|c| c.0).collect();
    let known_regions: FxHashSet<&str> = regions().map(|r| r.0).collect();
    let mut last = i64::MIN;
    let mut ids = FxHashSet::default();
    let mut kinds: FxHashMap<EventKind, usize> = FxHashMap::default();
    for event in shop.events {
        assert!(event.time >= last, "events are in order");
        last = event.time;
        assert!(event.time < NOW && event.time >= NOW - i64::from(Scale::SMALL.days) * DAY_MS);
        assert!(ids.insert(event.id.clone()), "{} is there twice", event.id);
        assert!(event.visitor.as_ref().is_some_and(|v| visitors.contains(v)));
        assert!(!event.items.is_empty() && event.items.iter().all(|i| items.contains_key(i)));
        assert!(known_channels.contains(event.channel.as_str()) && known_regions.contains(event.region.as_str()));
        if event.kind == EventKind::Purchase {
            assert_eq!((event.items.len(), event.items.len()), (event.quantities.len(), event.values.len()));
            assert!(event.items.iter().all(|i| items[i] == ItemKind::Product));
        }
        *kinds.entry(event.kind).or_default() += 1;
    }
    let of = |kind: EventKind| kinds.get(&kind).copied().unwrap_or(0) as f32;
    let clicks = of(EventKind::Click) / of(EventKind::Impression);
    assert!((0.3..1.2).contains(&clicks), "clicks per slate: {clicks}, {kinds:?}");
    let bought = of(EventKind::Purchase) / (of(EventKind::Click) + of(EventKind::View));
    assert!((0.02..0.2).contains(&bought), "orders per opened page: {bought}");
}

#[test]
fn personas_are_the_first_visitors_and_keep_to_their_taste() {
    let shop = generate(1, Scale::SMALL, NOW);
    for (visitor, persona) in shop.visitors.iter().zip(&PERSONAS) {
        assert_eq!(visitor.id, persona.id);
        assert_eq!(persona.themes.iter().map(|t| u32::from(t.1)).sum::<u32>(), 100);
        assert!(
            visitor
                .favourites
                .iter()
                .zip(persona.favourites)
                .all(|(&at, slug)| { super::catalogue::categories()[at as usize].slug == slug })
        );
    }
    let tags: FxHashMap<String, Vec<String>> = shop.items.iter().map(|i| (i.id.clone(), i.tags.clone())).collect();
    let (mut own, mut all) = (0, 0);
    for event in shop.events.filter(|e| matches!(e.kind, EventKind::Click | EventKind::View)) {
        let Some(persona) = event.visitor.as_deref().and_then(super::persona) else { continue };
        all += 1;
        own += usize::from(persona.themes.iter().any(|(t, _)| tags[&event.items[0]].iter().any(|tag| tag == t.tag())));
    }
    assert!(all > 60 && own * 10 > all * 6, "{own} of {all} are of the persona's own themes");
}

#[test]
fn the_full_shop_is_as_large_as_it_says() {
    let mut shop = generate(1, Scale::FULL, NOW);
    assert!((18_000..22_000).contains(&shop.items.len()), "{} items", shop.items.len());
    assert_eq!(shop.visitors.len(), 50_000);
    let (mut events, mut orders, mut lines) = (0u32, 0u32, 0usize);
    let mut touched: FxHashSet<String> = FxHashSet::default();
    for event in shop.events.by_ref() {
        events += 1;
        if event.kind == EventKind::Purchase {
            orders += 1;
            lines += event.items.len();
        }
        if event.kind != EventKind::Impression {
            touched.extend(event.items);
        }
    }
    let counts = format!("{events} events, {orders} orders, {lines} lines, {} items touched", touched.len());
    assert!((400_000..600_000).contains(&events), "{counts}");
    assert!(orders > 12_000 && lines as f32 / orders as f32 > 1.3, "{counts}");
    assert!(touched.len() * 10 > shop.items.len() * 7 && touched.len() < shop.items.len(), "{counts}");
}
