//! Tests of tags and segments over a state.

use super::*;
use crate::fold::tests::event as fold_event;
use crate::fold::trends::TrendList;
use crate::{Item, State};
use qianmian_core::{Affinity, DAY_MS, Event, EventKind, Layer, Members, Request, RequestContext, SegmentRule, Tagger};

fn event(id: usize, kind: EventKind, visitor: &str, item: &str, traits: &[(&str, &str)]) -> Event {
    let traits = traits.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let like = fold_event(kind, crate::identity::now() - DAY_MS, visitor, &[item]);
    Event { id: format!("e{id}"), values: vec![20.0], traits, ..like }
}

fn tag(name: &str, rule: TagRule) -> Tag {
    Tag { name: name.into(), rule }
}

fn when(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

fn segment(name: &str, text: &str) -> Segment {
    Segment { name: name.into(), rule: SegmentRule::When(when(text)) }
}

fn layers(all: &[(&str, f32)]) -> Vec<Layer> {
    all.iter().map(|(name, from)| Layer { name: (*name).into(), from: *from }).collect()
}

/// A visitor `v0`..`v9`, who ordered as often as the name says.
fn shop() -> State {
    let state = State::in_memory().unwrap();
    let item = |id: &str| Item { id: id.into(), categories: vec![format!("of-{id}")], ..Item::default() };
    state.catalogue.upsert(vec![item("a"), item("b")]).unwrap();
    let mut events = Vec::new();
    for visitor in 0..10 {
        let who = format!("v{visitor}");
        events.push(event(events.len(), EventKind::View, &who, "b", &[("city", ["Bern", "Basel"][visitor % 2])]));
        (0..visitor).for_each(|_| events.push(event(events.len(), EventKind::Purchase, &who, "a", &[])));
    }
    state.append(events).unwrap();
    state
}

fn labels(state: &State, id: &str) -> (Vec<String>, Vec<String>) {
    let visitor = state.visitor(id);
    let texts = |list: &[Arc<str>]| list.iter().map(ToString::to_string).collect();
    (texts(&visitor.tags), texts(&visitor.segments))
}

fn usual() -> (Vec<Tag>, Vec<Segment>) {
    let tags = vec![
        // the first needs the second, which needs the others
        tag("courted", TagRule::Combined { when: when("'loyal' in visitor.tags && 'city:Basel' in visitor.tags") }),
        tag("loyal", TagRule::Combined { when: when("'value:high' in visitor.tags && visitor.orders >= 5.0") }),
        tag("city", TagRule::Base { of: "visitor.attributes.city".into() }),
        tag("value", TagRule::Layered { of: "visitor.spend".into(), layers: layers(&[("low", 1.0), ("high", 100.0)]) }),
        tag("likes", TagRule::Preference { of: Affinity::Category, most: 1, share: 0.6 }),
    ];
    let segments = vec![
        segment("inner", "'outer' in visitor.segments && visitor.orders > 7.0"),
        segment("outer", "'loyal' in visitor.tags"),
    ];
    (tags, segments)
}

#[test]
fn tags_of_every_kind_are_back_filled_and_follow_events() {
    let state = shop();
    let (tags, segments) = usual();
    state.folds.audience.define(tags, segments).unwrap();
    state.folds.audience.wait();
    let (tags, segments) = labels(&state, "v9");
    assert_eq!(tags, ["prefers:of-a", "stage:revenue", "city:Basel", "value:high", "likes:of-a", "loyal", "courted"]);
    assert_eq!(segments, ["outer", "inner"]);
    assert_eq!(labels(&state, "v0").0, ["stage:acquisition", "city:Bern"]);
    assert!(labels(&state, "v4").0.contains(&"value:low".to_owned()));
    let audience = &state.folds.audience;
    assert_eq!((audience.size("outer"), audience.size("inner"), audience.size("none")), (Some(5), Some(2), None));
    assert_eq!(audience.values("city"), [("city:Basel".into(), 5), ("city:Bern".into(), 5)]);
    assert_eq!(audience.values("loyal"), [("loyal".into(), 5)]);

    // fresh with the event: v0 orders five times, and moves
    let events = (0..5).map(|n| event(1_000 + n, EventKind::Purchase, "v0", "a", &[("city", "Basel")])).collect();
    state.append(events).unwrap();
    let (tags, segments) = labels(&state, "v0");
    assert!(tags.contains(&"courted".to_owned()) && segments == ["outer"], "{tags:?} {segments:?}");
    assert_eq!((audience.size("outer"), audience.values("city")[1].1), (Some(6), 4));
    state.erase_visitor("v0").unwrap();
    assert_eq!((audience.size("outer"), audience.values("city")[0].1), (Some(5), 5));
}

#[test]
fn what_is_defined_no_more_is_carried_no_more() {
    let state = shop();
    let audience = &state.folds.audience;
    let (tags, segments) = usual();
    audience.define(tags, segments).unwrap();
    audience.wait();
    audience.define(vec![tag("buyer", TagRule::Combined { when: when("visitor.orders > 0.0") })], vec![]).unwrap();
    audience.wait();
    let progress = audience.progress();
    assert_eq!((progress.done, progress.of, progress.finished), (10, 10, true));
    assert_eq!(labels(&state, "v9"), (vec!["prefers:of-a".into(), "stage:revenue".into(), "buyer".into()], vec![]));
    assert_eq!((audience.size("outer"), audience.values("city").len(), audience.values("buyer")[0].1), (None, 0, 9));
}

#[test]
fn circles_and_rules_that_cannot_be_evaluated_are_refused() {
    let state = shop();
    let audience = &state.folds.audience;
    let both =
        |a: &str, b: &str| TagRule::Combined { when: when(&format!("'{a}' in visitor.tags || '{b}' in visitor.tags")) };
    let error = audience.define(vec![tag("a", both("b", "x")), tag("b", both("a", "x"))], vec![]).unwrap_err();
    assert!(error.contains("a, b need one another"), "{error}");
    let catalogue = state.catalogue.current();
    let wrong = |rule: TagRule| audience.check(&rule, &catalogue).unwrap_err().to_string();
    assert!(wrong(TagRule::Base { of: "visitor.orders".into() }).contains("layered"));
    assert!(wrong(TagRule::Layered { of: "visitor.stage".into(), layers: vec![] }).contains("base"));
    assert!(wrong(TagRule::Base { of: "visitor.colour".into() }).contains("known: visitor.orders"));
    assert!(wrong(TagRule::Combined { when: when("visitor.orders > 'x'") }).contains("compares"));
    assert!(wrong(TagRule::Combined { when: when("item.price > 1.0") }).contains("item.price"));
}

#[derive(Debug)]
struct Listed(Vec<String>);

impl Members for Listed {
    fn contains(&self, key: &str) -> bool {
        self.0.iter().any(|listed| listed == key)
    }
}

struct Even;

impl Tagger for Even {
    fn values(&self, visitors: &[&Visitor], _: TimeMs) -> Result<Vec<Vec<Arc<str>>>, String> {
        Ok(visitors.iter().map(|visitor| if visitor.orders % 2 == 0 { vec!["yes".into()] } else { vec![] }).collect())
    }
}

#[test]
fn lists_code_and_trends_of_segments() {
    let state = shop();
    let audience = &state.folds.audience;
    let listed = Listed(vec![state.people.key("v3"), state.people.key("phone-7")]);
    let segments = vec![Segment { name: "invited".into(), rule: SegmentRule::Listed(Arc::new(listed)) }];
    audience.define(vec![tag("even", TagRule::Code { tagger: Arc::new(Even) })], segments).unwrap();
    audience.wait();
    assert_eq!((audience.size("invited"), audience.values("even")[0].clone()), (Some(1), ("even:yes".into(), 5)));
    assert_eq!(audience.members("invited", 5).len(), 1);
    let ids = [("v5".to_owned(), "login".to_owned()), ("phone-7".to_owned(), "device".to_owned())];
    state.link_visitors(&ids).unwrap();
    assert_eq!(audience.size("invited"), Some(2), "by any of their ids");
    let members = audience.members.load();
    let invited = members.named("invited").unwrap();
    let ids = |list: &TrendList| -> Vec<Arc<str>> {
        list.iter().map(|(row, _)| Arc::clone(&state.catalogue.current().ids[*row as usize])).collect()
    };
    assert_eq!((invited.events, ids(&invited.lists[5])), (4, vec!["a".into(), "b".into()]));
}

/// `fan` looks 60 times at `a` and orders it twice; nine others look once at `b`, and one of them at `a`.
fn fans() -> State {
    let state = State::in_memory().unwrap();
    state.catalogue.upsert(["a", "b"].map(|id| Item { id: id.into(), ..Item::default() }).to_vec()).unwrap();
    let mut events: Vec<Event> = (0..60).map(|n| event(n, EventKind::View, "fan", "a", &[])).collect();
    events.extend((60..62).map(|n| event(n, EventKind::Purchase, "fan", "a", &[])));
    events.extend((0..9).map(|n| event(70 + n, EventKind::View, &format!("other{n}"), "b", &[])));
    events.push(event(80, EventKind::View, "other1", "a", &[]));
    events.push(event(81, EventKind::Impression, "fan", "b", &[]));
    state.append(events).unwrap();
    let segments = vec![segment("all", "visitor.events > 1000.0"), segment("fans", "visitor.orders > 1.0")];
    state.folds.audience.define(vec![], segments).unwrap();
    state.folds.audience.wait();
    state
}

#[test]
fn items_are_counted_among_the_members_of_a_segment() {
    let state = fans();
    let (catalogue, folds) = (state.catalogue.current(), &state.folds);
    let rows = ["a", "b"].map(|id| catalogue.row(id).unwrap());
    let read = |visitor: &str, name: &str| {
        let ctx = RequestContext::new(Request::default(), state.visitor(visitor), crate::identity::now(), 1);
        let Some(ColumnValues::Numbers(found)) = folds.column(&catalogue, &ctx, &rows, name) else { panic!("{name}") };
        found
    };
    let counts = ["impressions", "views", "carts", "orders"].map(|name| read("fan", &format!("item.segment_{name}")));
    assert_eq!(counts, [[0.0, 1.0], [60.0, 0.0], [0.0, 0.0], [2.0, 0.0]].map(Vec::from));
    // the item's own rate over everybody is worth 20 views
    let (mean, rate) = (2.0 / 70.0, |part: f32, whole: f32, prior: f32| (part + 20.0 * prior) / (whole + 20.0));
    let want = [rate(2.0, 60.0, rate(2.0, 61.0, mean)), rate(0.0, 0.0, rate(0.0, 9.0, mean))];
    let found = read("fan", "item.segment_conversion");
    assert!(found.iter().zip(&want).all(|(found, want)| (found - want).abs() < 1e-6), "{found:?}, want {want:?}");
    let alone = read("other1", "item.conversion");
    assert_eq!(read("other1", "item.segment_conversion"), alone, "without a segment the rate over everybody");
    assert_eq!(read("other1", "item.segment_views"), [0.0; 2]);

    let items = |order, most| folds.segment_items("fans", order, most).unwrap();
    let found = items(ItemOrder::Interest, 9);
    assert_eq!((found.members, found.looked_at, found.items.len()), (1, 1, 2));
    assert_eq!((found.items[0].row, found.items[0].interest), (rows[0], 70.0));
    // of everybody's interest of 80, fans have 70: 71 of it is in `a`, 9 in `b`
    let lift = |own: f64, all: f64| (own + 5.0) / (all * 70.0 / 80.0 + 5.0);
    let lifts: Vec<f64> = found.items.iter().map(|item| item.lift).collect();
    assert!(lifts.iter().zip([lift(70.0, 71.0), lift(0.0, 9.0)]).all(|(a, b)| (a - b).abs() < 1e-9), "{lifts:?}");
    assert_eq!(items(ItemOrder::Lift, 1).items.len(), 1);
    assert_eq!(folds.segment_items("all", ItemOrder::Lift, 9).map(|found| found.items.len()), Some(0));
    assert_eq!(folds.segment_items("none", ItemOrder::Lift, 9), None);
}
