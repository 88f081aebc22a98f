//! Taggers: the shipped one over the invented shop, and those that lie, overrun or reach too far.

use crate::shop::{HOST, built, known, reach};
use qianmian_components::{Parts, component, tagger, words};
use qianmian_core::{EventKind, Interaction, ItemRow, Visitor};
use qianmian_host::{Limits, Tagged, Tagger};
use std::sync::Arc;
use std::time::Duration;

const HOUR: i64 = 3_600_000;

fn patient() -> Limits {
    Limits { wall: Duration::from_secs(20), ..Limits::default() }
}

fn load(component: &[u8]) -> Arc<Tagger> {
    Arc::clone(HOST.program(component).unwrap().tagger().unwrap())
}

/// Somebody who looked at these items at this hour of a Thursday.
fn visitor(items: &[u32], hour: i64) -> Visitor {
    let recent =
        items.iter().map(|item| Interaction { item: ItemRow(*item), kind: EventKind::View, time: hour * HOUR });
    Visitor { recent: recent.collect(), events: 1, ..Visitor::default() }
}

fn ask(tagger: &Tagger, visitors: &[Visitor], parameters: &str) -> Tagged {
    ask_within(tagger, visitors, parameters, &patient())
}

fn ask_within(tagger: &Tagger, visitors: &[Visitor], parameters: &str, limits: &Limits) -> Tagged {
    let visitors: Vec<&Visitor> = visitors.iter().collect();
    tagger.tag(&visitors, 0, &reach().columns, parameters, limits)
}

#[test]
fn habits_are_seen_and_visitors_are_not_mixed_up() {
    let Some(bytes) = built("habits") else { return };
    let habits = load(&bytes);
    assert_eq!((habits.description().name.as_str(), habits.description().tags.len()), ("habits", 7));
    let visitors = [visitor(&[1, 2, 3, 4, 5], 7), Visitor::default(), visitor(&[], 7), visitor(&[250; 6], 20)];
    let tagged = ask(&habits, &visitors, "{}");
    let of = |tagged: &Tagged, tag: &str| {
        let at = habits.description().tags.iter().position(|known| known == tag).unwrap();
        tagged.tags.as_ref().unwrap()[at].clone()
    };
    assert_eq!((of(&tagged, "morning"), of(&tagged, "low-price")), (vec![0], vec![0]));
    assert_eq!((of(&tagged, "evening"), of(&tagged, "high-price"), of(&tagged, "weekend")), (vec![3], vec![3], vec![]));
    assert!(tagged.usage.fuel > 0 && tagged.usage.host_calls == 1);
    // Eight hours on it is the afternoon, and the night of a Friday.
    let elsewhere = ask(&habits, &visitors, r#"{"utc_offset_minutes": 480}"#);
    assert_eq!((of(&elsewhere, "afternoon"), of(&elsewhere, "night")), (vec![0], vec![3]));
    // The first visitor of many, and alone, gets the same.
    assert_eq!(of(&ask(&habits, &visitors[..1], "{}"), "morning"), vec![0]);
    assert!(ask(&habits, &[], "{}").tags.unwrap().iter().all(Vec::is_empty));
    let wrong = ask(&habits, &visitors, r#"{"leest": 1}"#).tags.unwrap_err();
    assert!(wrong.code() == "strategy_reject" && wrong.to_string().contains("leest"), "{wrong}");
}

#[test]
fn what_it_says_must_be_visitors_that_are_there_and_rising() {
    let people = vec![known(); 3];
    for (numbers, right) in
        [(&[0u32, 2][..], true), (&[2, 0], false), (&[1, 1], false), (&[3], false), (&[0; 4], false)]
    {
        // The first of the two lists holds the numbers.
        let lists = words(&[900, numbers.len() as u32, 0, 0]);
        let extra = format!(r#"(data (i32.const 200) "{lists}") (data (i32.const 900) "{}")"#, words(numbers));
        let tags = ask(&load(&tagger(&extra, "(i32.const 128)")), &people, "{}").tags;
        match tags {
            Ok(tags) => assert_eq!((right, &tags[0][..]), (true, numbers)),
            Err(fault) => assert!(!right && ["wrong_output", "output_limit"].contains(&fault.code()), "{fault}"),
        }
    }
    let extra = format!(r#"(data (i32.const 200) "{}")"#, words(&[0, 0]));
    let short = tagger(&extra, "(i32.store (i32.const 136) (i32.const 1)) (i32.const 128)");
    assert_eq!(ask(&load(&short), &people, "{}").tags.unwrap_err().code(), "wrong_output", "one list for two tags");
}

#[test]
fn it_reads_the_catalogue_and_nothing_else() {
    let people = [visitor(&[5, 5], 1)];
    let read = |column: &str| {
        let extra = format!(r#"(data (i32.const 800) "{column}")"#);
        let ask_it = format!("(call $numbers (i32.const 800) (i32.const {}) (i32.const 700))", column.len());
        // Traps where the host gave an error.
        let body = format!("{ask_it} (if (i32.load8_u (i32.const 700)) (then unreachable)) (i32.const 128)");
        let extra = extra + &format!(r#"(data (i32.const 200) "{}")"#, words(&[0, 0, 0, 0]));
        ask(&load(&tagger(&extra, &body)), &people, "{}").tags
    };
    assert!(read("item.price").is_ok());
    for nothing in ["visitor.orders", "history.orders", "item.category", "item.none", "score"] {
        assert_eq!(read(nothing).unwrap_err().code(), "strategy_trap", "{nothing}");
    }
}

#[test]
fn budgets_end_it_and_the_other_world_is_told_apart() {
    let people = [visitor(&[1], 1)];
    let endless = load(&tagger("", "(loop $on (br $on)) (i32.const 128)"));
    let short = Limits { wall: Duration::from_millis(20), fuel: u64::MAX / 2, ..Limits::default() };
    assert_eq!(ask_within(&endless, &people, "{}", &short).tags.unwrap_err().code(), "strategy_timeout");
    let thirsty = Limits { fuel: 10_000, ..patient() };
    assert_eq!(ask_within(&endless, &people, "{}", &thirsty).tags.unwrap_err().code(), "out_of_fuel");
    let storm = "(loop $on (call $numbers (i32.const 0) (i32.const 0) (i32.const 700)) (br $on)) (i32.const 128)";
    assert_eq!(ask(&load(&tagger("", storm)), &people, "{}").tags.unwrap_err().code(), "host_call_limit");

    let error = HOST.load(&tagger("", "(i32.const 128)")).err().unwrap();
    assert!(error.code() == "wrong_world" && error.to_string().contains("tagger"), "{error}");
    let strategy = HOST.program(&component(&Parts::default())).unwrap();
    assert_eq!(strategy.tagger().err().map(|error| error.code()), Some("wrong_world"));
}
