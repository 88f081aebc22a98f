//! Tests of each source on a tiny shop, and of what all of them keep to.

use super::*;
use crate::fold::tests::{day, event, row, shop};
use crate::{CatalogueStore, Item};
use proptest::prelude::*;
use qianmian_core::source::Attribute;
use qianmian_core::{Event, EventKind, ItemKind, Request};
use std::sync::Arc;

fn spec(source: Source) -> SourceSpec {
    SourceSpec { name: "s".into(), source, limit: 10, kinds: vec![], filter: None }
}

struct Case {
    store: Arc<CatalogueStore>,
    folds: Folds,
}

impl Case {
    fn new(events: &[Event]) -> Self {
        let store = shop();
        let folds = Folds::new(Arc::clone(&store), crate::fold::tests::nobody());
        folds.apply(events);
        folds.refresh();
        Self { store, folds }
    }

    fn ctx(&self, visitor: &str, items: &[&str]) -> RequestContext {
        let items = items.iter().map(|id| row(&self.folds, id)).collect();
        let request = Request { items, channel: "app".into(), region: "GB".into(), limit: 10, ..Request::default() };
        RequestContext::new(request, self.folds.visitor(visitor), day(10), 7)
    }

    fn ids(&self, ctx: &RequestContext, spec: &SourceSpec) -> Vec<String> {
        let catalogue = self.store.current();
        let found = self.folds.retrieve(&catalogue, ctx, spec, None);
        assert!(found.windows(2).all(|w| w[0].1 >= w[1].1), "best first: {found:?}");
        found.iter().map(|(row, _)| catalogue.ids[row.index()].to_string()).collect()
    }
}

/// `v` ordered tea1 twice and cup1 once; others bought tea1 with tea2 and with cup2, which has no stock.
fn usual() -> Case {
    Case::new(&[
        event(EventKind::Purchase, day(0), "v", &["tea1", "cup1"]),
        event(EventKind::Purchase, day(1), "v", &["tea1"]),
        event(EventKind::Purchase, day(1), "w", &["tea1", "tea2", "cup2"]),
        event(EventKind::Purchase, day(2), "w", &["tea2", "cup2", "tea1"]),
        event(EventKind::View, day(3), "x", &["tea3"]),
        event(EventKind::View, day(3) + 1000, "x", &["art1"]),
        event(EventKind::Impression, day(3) + 1000, "x", &["art1", "tea2"]),
    ])
}

#[test]
fn bought_together() {
    let case = usual();
    let items = spec(Source::BoughtTogether(Basis::Items));
    assert_eq!(case.ids(&case.ctx("", &["tea1"]), &items), ["tea2", "cup1"], "cup2 is out of stock");
    assert_eq!(case.ids(&case.ctx("", &["tea1", "tea2"]), &items), ["cup1"], "the cart itself is not offered");
    assert!(case.ids(&case.ctx("", &[]), &items).is_empty());
    let history = spec(Source::BoughtTogether(Basis::History));
    assert_eq!(case.ids(&case.ctx("v", &[]), &history), ["tea2", "cup1", "tea1"]);
    assert!(case.ids(&case.ctx("nobody", &[]), &history).is_empty());
    let mut ctx = case.ctx("v", &[]);
    ctx.request.exclude = vec![row(&case.folds, "tea2")];
    assert_eq!(case.ids(&ctx, &SourceSpec { limit: 1, ..history }), ["cup1"]);
}

#[test]
fn viewed_together_and_next_after() {
    let case = usual();
    let viewed = spec(Source::ViewedTogether(Basis::Items));
    assert_eq!(case.ids(&case.ctx("", &["tea3"]), &viewed), ["art1"]);
    assert_eq!(case.ids(&case.ctx("", &["art1"]), &viewed), ["tea3"]);
    let next = spec(Source::NextAfter(Basis::Items));
    assert_eq!(case.ids(&case.ctx("", &["tea3"]), &next), ["art1"]);
    assert!(case.ids(&case.ctx("", &["art1"]), &next).is_empty(), "order matters");
    assert_eq!(case.ids(&case.ctx("x", &[]), &spec(Source::ViewedTogether(Basis::History))), ["tea3", "art1"]);
    let only = SourceSpec { kinds: vec![ItemKind::Product], ..spec(Source::ViewedTogether(Basis::History)) };
    assert_eq!(case.ids(&case.ctx("x", &[]), &only), ["tea3"]);
}

#[test]
fn buy_again_trending_newest_listed() {
    let case = usual();
    assert_eq!(case.ids(&case.ctx("v", &[]), &spec(Source::BuyAgain)), ["tea1", "cup1"]);
    let trending = spec(Source::Trending(Scope::All));
    assert_eq!(case.ids(&case.ctx("", &[]), &trending), ["tea1", "tea2", "cup1", "art1", "tea3"]);
    let content = SourceSpec { kinds: vec![ItemKind::Content, ItemKind::Offer], ..trending };
    assert_eq!(case.ids(&case.ctx("", &[]), &content), ["art1"]);
    for scope in [Scope::Channel, Scope::Region] {
        assert_eq!(case.ids(&case.ctx("", &[]), &spec(Source::Trending(scope))).len(), 5);
    }
    let mut elsewhere = case.ctx("", &[]);
    elsewhere.request.channel = "web".into();
    assert!(case.ids(&elsewhere, &spec(Source::Trending(Scope::Channel))).is_empty());
    assert!(case.ids(&case.ctx("v", &[]), &spec(Source::Trending(Scope::Segment))).is_empty(), "too few events");
    // Created by the last character of the id; ties by id.
    assert_eq!(case.ids(&case.ctx("", &["tea2"]), &spec(Source::Newest)), ["tea3", "art1", "cup1", "tea1"]);
    let rows = ["cup1", "cup2", "cup1", "tea3"].map(|id| row(&case.folds, id)).to_vec();
    assert_eq!(case.ids(&case.ctx("", &[]), &spec(Source::Listed(rows))), ["cup1", "tea3"]);
}

#[test]
fn trending_in_a_segment() {
    let mut events: Vec<_> = (0..60).map(|i| event(EventKind::View, day(0) + i, "fan", &["cup1"])).collect();
    events.push(event(EventKind::Purchase, day(1), "buyer", &["tea1", "tea2"]));
    let case = Case::new(&events);
    assert_eq!(case.ids(&case.ctx("fan", &[]), &spec(Source::Trending(Scope::Segment))), ["cup1"]);
}

#[test]
fn same_by_anchor_and_by_preference() {
    let case = usual();
    let same = |attribute| spec(Source::Same(attribute));
    assert_eq!(case.ids(&case.ctx("", &["tea1"]), &same(Attribute::Category)), ["tea2", "art1", "tea3"]);
    assert_eq!(case.ids(&case.ctx("", &["tea1"]), &same(Attribute::Brand)), ["tea2"]);
    assert_eq!(case.ids(&case.ctx("", &["tea3"]), &same(Attribute::Brand)), Vec::<String>::new());
    assert_eq!(case.ids(&case.ctx("", &["tea1"]), &same(Attribute::Tag)), ["tea2", "art1", "tea3", "cup1"]);
    assert_eq!(case.ids(&case.ctx("v", &[]), &same(Attribute::Category))[..2], ["tea1", "tea2"]);
    assert_eq!(case.ids(&case.ctx("v", &[]), &same(Attribute::Brand)), ["tea1", "tea2", "cup1"]);
    assert_eq!(case.ids(&case.ctx("v", &[]), &same(Attribute::Tag))[0], "tea1");
    assert!(case.ids(&case.ctx("", &[]), &same(Attribute::Category)).is_empty());
}

#[test]
fn exploration_is_seeded_and_prefers_the_unseen() {
    let case = usual();
    let explore = spec(Source::Exploration);
    let found = case.ids(&case.ctx("", &[]), &explore);
    assert_eq!(found, case.ids(&case.ctx("", &[]), &explore));
    assert_eq!(found.len(), 5);
    let mut shown = found[3..].to_vec();
    shown.sort_unstable();
    assert_eq!(shown, ["art1", "tea2"]);
    let orders: std::collections::BTreeSet<_> = (0..20)
        .map(|seed| {
            let ctx = case.ctx("", &[]);
            let ctx = RequestContext::new(ctx.request.clone(), Arc::clone(&ctx.visitor), ctx.now, seed);
            case.ids(&ctx, &explore)
        })
        .collect();
    assert!(orders.len() > 3);
}

#[test]
fn each_reason_against_an_item() {
    let store = shop();
    let only = |id: &str| Item { id: id.into(), ..Item::default() };
    let upsert = [
        Item { channels: vec!["web".into()], ..only("web") },
        Item { regions: vec!["FR".into()], ..only("fr") },
        Item { valid_from: Some(day(11)), ..only("later") },
        Item { valid_to: Some(day(10)), ..only("over") },
        Item { channels: vec!["app".into(), "web".into()], regions: vec!["GB".into()], ..only("here") },
        only("gone"),
    ];
    store.upsert(upsert.to_vec()).unwrap();
    store.delete("gone").unwrap();
    let catalogue = store.current();
    let request = Request { channel: "app".into(), region: "GB".into(), ..Request::default() };
    let ctx = RequestContext::new(request, Arc::default(), day(10), 0);
    let check = |id: &str| eligible(&catalogue, &ctx, catalogue.row(id).unwrap());
    assert_eq!(check("web"), Err(Ineligible::Channel));
    assert_eq!(check("fr"), Err(Ineligible::Region));
    assert_eq!(check("later"), Err(Ineligible::NotYetValid));
    assert_eq!(check("over"), Err(Ineligible::Expired));
    assert_eq!(check("gone"), Err(Ineligible::NotLive));
    assert_eq!(check("cup2"), Err(Ineligible::NoStock));
    assert_eq!(check("here"), Ok(()));
    assert_eq!(eligible(&catalogue, &ctx, ItemRow(999)), Err(Ineligible::NotLive));
    let unknown = RequestContext::new(Request::default(), Arc::default(), day(10), 0);
    assert_eq!(eligible(&catalogue, &unknown, catalogue.row("here").unwrap()), Err(Ineligible::Channel));
    assert_eq!(Ineligible::NotYetValid.to_string(), "not_yet_valid");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_source_keeps_to_the_rules(
        steps in prop::collection::vec((0usize..6, 0i64..12, 0usize..3, prop::collection::vec(0usize..6, 1..5)), 0..60),
        anchors in prop::collection::vec(0usize..6, 0..3),
        exclude in 0usize..6,
        limit in 0u32..6,
        kind in prop::option::of(0usize..2),
    ) {
        let ids = ["tea1", "tea2", "tea3", "cup1", "cup2", "art1"];
        let events: Vec<Event> = steps.iter().map(|(kind, time, visitor, items)| {
            let items: Vec<&str> = items.iter().map(|i| ids[*i]).collect();
            event(EventKind::ALL[*kind], day(*time), ["u", "v", ""][*visitor], &items)
        }).collect();
        let case = Case::new(&events);
        let anchors: Vec<&str> = anchors.iter().map(|i| ids[*i]).collect();
        let mut ctx = case.ctx("v", &anchors);
        ctx.request.exclude = vec![row(&case.folds, ids[exclude])];
        let catalogue = case.store.current();
        let mut sources = vec![Source::BuyAgain, Source::Newest, Source::Exploration];
        sources.push(Source::Listed((0..9).chain(0..9).map(ItemRow).collect()));
        for basis in [Basis::Items, Basis::History] {
            sources.extend([Source::BoughtTogether(basis), Source::ViewedTogether(basis), Source::NextAfter(basis)]);
        }
        sources.extend([Scope::All, Scope::Channel, Scope::Region, Scope::Segment].map(Source::Trending));
        sources.extend([Attribute::Category, Attribute::Brand, Attribute::Tag].map(Source::Same));
        for source in sources {
            let kinds: Vec<ItemKind> = kind.map(|k| ItemKind::ALL[k]).into_iter().collect();
            let spec = SourceSpec { limit, kinds: kinds.clone(), ..spec(source) };
            let found = case.folds.retrieve(&catalogue, &ctx, &spec, None);
            prop_assert!(found.len() <= limit as usize);
            for (at, (row, score)) in found.iter().enumerate() {
                prop_assert!(score.is_finite(), "{spec:?}");
                prop_assert!(eligible(&catalogue, &ctx, *row).is_ok());
                prop_assert!(!ctx.request.items.contains(row) && !ctx.request.exclude.contains(row));
                prop_assert!(kinds.is_empty() || kinds.contains(&catalogue.kind[row.index()]));
                prop_assert!(!found[..at].iter().any(|(other, _)| other == row), "{spec:?} doubles");
                if let Some((other, before)) = at.checked_sub(1).map(|p| found[p]) {
                    let ids = (&catalogue.ids[other.index()], &catalogue.ids[row.index()]);
                    prop_assert!(before > *score || (before == *score && ids.0 < ids.1), "{spec:?} out of order");
                }
            }
            prop_assert_eq!(found, case.folds.retrieve(&catalogue, &ctx, &spec, None), "not the same twice");
        }
    }
}
