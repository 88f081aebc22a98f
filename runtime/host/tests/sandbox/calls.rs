//! Sequences of host calls with any arguments: nothing breaks, what comes out is a page of real rows or a fault, and the
//! same both times. `QIANMIAN_FUZZ=100` runs a hundred times as many, with another seed.

use crate::neighbour;
use crate::shop::{HOST, ITEMS, context, known, reach, request};
use proptest::prelude::*;
use proptest::strategy::Strategy as Values;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use qianmian_components::{Parts, component};
use qianmian_core::Page;
use qianmian_host::{Limits, Outcome, Strategy};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const PROGRAMS: u32 = 3_000;

/// Texts that mean something somewhere, one behind the other from here on.
const TEXTS: (u32, [&str; 28]) = (
    10_000,
    [
        "",
        "trending",
        "newest",
        "score",
        "vectors",
        "ranker",
        "nan",
        "short",
        "broken",
        "nothing",
        "item.price",
        "item.brand",
        "item.tags",
        "item.short",
        "item.kind",
        "source.trending.rank",
        "source.trending.score",
        "source.newest.rank",
        "i007",
        "i299",
        "i300",
        "item.price > 30.0",
        "item.price / (score - score)",
        "item.brand == 'brand 3' || 'tag 1' in item.tags",
        "score * 2.0 + coalesce(source.newest.rank, 0.0)",
        "item.price + ",
        "((((((((((1.0))))))))))",
        "!true",
    ],
);
/// Source records, of 40 bytes each.
const SOURCES: (u32, u32) = (20_000, 16);
/// Lists of texts: an address and a length each.
const LISTS: u32 = 22_000;
/// Pairs of a text and a weight.
const WEIGHTS: u32 = 23_000;

/// What each operation of `calls.wat` takes: a handle, a text, an address and a length of something, a number, a float.
const OPERATIONS: [&str; 27] = [
    "S", "H", "H", "HT", "HT", "HTV", "HT", "HT", "HTT", "HT", "HW", "HTFN", "HTNE", "HI", "HK", "HR", "HN", "HN", "H",
    "T", "", "", "", "KN", "T", "HTC", "NN",
];

static INTERPRETER: LazyLock<Arc<Strategy>> = LazyLock::new(|| {
    let text = include_str!("../../../../tests/hostile/calls.wat");
    let extra = format!("{text}{}", library());
    // What the host passes in from then on stands above everything else.
    let body = "(global.set $free (i32.const 65536)) (call $run (local.get 14) (local.get 15))";
    HOST.load(&component(&Parts { extra: &extra, body, pages: 16, ..Parts::default() })).unwrap()
});

fn places() -> Vec<(u32, u32)> {
    let mut at = TEXTS.0;
    let place = |text: &&str| {
        let place = (at, text.len() as u32);
        at += text.len() as u32;
        place
    };
    TEXTS.1.iter().map(place).collect()
}

/// The data segments the programs point to.
fn library() -> String {
    let texts = places();
    let mut sources = Vec::new();
    for origin in 0..SOURCES.1 {
        let (name, len) = texts[1 + origin as usize % 3];
        // Of the origins with a payload, 0 and 1 name a space, 9 lists ids, the others hold a small number.
        let payload = match origin {
            0 | 1 => [texts[4].0, texts[4].1],
            9 => [LISTS, 5],
            _ => [origin % 2, 0],
        };
        let (filter, filter_len) = if origin % 4 == 0 { texts[21] } else { texts[0] };
        sources.extend([name, len, origin.min(10), payload[0], payload[1], origin * 7, 0, 0, filter, filter_len]);
    }
    let list: Vec<u32> = texts.iter().rev().flat_map(|&(at, len)| [at, len]).collect();
    let weight = |&(at, len): &(u32, u32)| [at, len, 0.5f32.to_bits()];
    let weights: Vec<u32> = texts.iter().skip(1).flat_map(weight).collect();
    let data = |at: u32, words: &[u32]| format!("(data (i32.const {at}) \"{}\")", qianmian_components::words(words));
    let bytes: String = TEXTS.1.concat().bytes().map(|byte| format!("\\{byte:02x}")).collect();
    format!(
        "(data (i32.const {}) \"{bytes}\") {} {} {}",
        TEXTS.0,
        data(SOURCES.0, &sources),
        data(LISTS, &list),
        data(WEIGHTS, &weights)
    )
}

fn number() -> impl Values<Value = u32> {
    prop_oneof![8 => 0u32..8, 4 => 0u32..400, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

/// An address and a length that are mostly sound.
fn place(sound: impl Values<Value = (u32, u32)> + 'static) -> BoxedStrategy<Vec<u32>> {
    let wild = prop_oneof![(0u32..65_536, 0u32..64), any::<(u32, u32)>()];
    prop_oneof![100 => sound.boxed(), 1 => wild.boxed()].prop_map(|(at, len)| vec![at, len]).boxed()
}

fn argument(kind: char) -> BoxedStrategy<Vec<u32>> {
    let one = |value: BoxedStrategy<u32>| value.prop_map(|value| vec![value]).boxed();
    match kind {
        'H' => one(prop_oneof![200 => 0u32..8, 4 => 0u32..16, 1 => any::<u32>()].boxed()),
        'T' => place(prop::sample::select(places())),
        'S' => place((0..SOURCES.1, 0u32..4).prop_map(|(from, count)| (SOURCES.0 + 40 * from, count))),
        'V' => place((0u32..500, prop_oneof![Just(5u32), 0u32..120]).prop_map(|(at, count)| (4 * at, count))),
        'W' => place((0u32..24, 0u32..3).prop_map(|(from, count)| (WEIGHTS + 12 * from, count))),
        'I' => place((0u32..20, 0u32..6).prop_map(|(from, count)| (LISTS + 8 * from, count))),
        'C' => place(
            (0u32..20, prop_oneof![6 => Just(0u32), 1 => 0u32..6]).prop_map(|(at, count)| (LISTS + 8 * at, count)),
        ),
        // Zeros stand at 30,000: the first kind, and row 0.
        'K' => place((Just(30_000u32), 0u32..9)),
        'R' => place((prop_oneof![Just(30_000u32), Just(4_096u32)], 0u32..50)),
        'F' => one(prop_oneof![4 => 0.0f32..1.0, 1 => any::<f32>()].prop_map(f32::to_bits).boxed()),
        'E' => one(prop_oneof![40 => 0u32..2, 1 => any::<u32>()].boxed()),
        _ => one(number().boxed()),
    }
}

fn instruction() -> impl Values<Value = Vec<u32>> {
    // Retrieving and shelves more often than the rest, so that there is something to work on and to show.
    let operation = prop_oneof![3 => Just(0usize), 2 => Just(25), 20 => 0..OPERATIONS.len()];
    operation.prop_flat_map(|operation| {
        let arguments: Vec<_> = OPERATIONS[operation].chars().map(argument).collect();
        arguments.prop_map(move |words| std::iter::once(operation as u32).chain(words.into_iter().flatten()).collect())
    })
}

fn program() -> impl Values<Value = Vec<Vec<u32>>> {
    prop::collection::vec(instruction(), 0..40).prop_map(|mut program| {
        // It begins with something to work on.
        program.insert(0, vec![0, SOURCES.0 + 40 * 6, 2]);
        program
    })
}

/// As `calls.wat` reads it.
fn encode(program: &[Vec<u32>]) -> String {
    let digits = |word: u32| (0..6).map(move |place| char::from(48 + ((u64::from(word) >> (6 * place)) & 63) as u8));
    program.iter().flatten().copied().flat_map(digits).collect()
}

fn run(program: &str) -> Outcome {
    let limits = Limits { wall: Duration::from_secs(20), fuel: 5_000_000, ..Limits::default() };
    INTERPRETER.compose(context(request(10), known()), &reach(), program, &limits)
}

/// Rows are real and on a shelf once, columns as long as the shelf, and the page within its limits.
fn sound(page: &Page) -> Result<(), TestCaseError> {
    let limits = Limits::default();
    prop_assert!(page.shelves.len() <= limits.shelves && page.slots() <= limits.slots);
    for shelf in &page.shelves {
        let rows = shelf.slots.rows();
        prop_assert!(rows.iter().all(|row| row.0 < ITEMS), "{rows:?}");
        prop_assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "{:?}", rows);
        prop_assert!(shelf.slots.columns().iter().all(|column| column.values.len() == rows.len()));
        prop_assert!(shelf.copies.len() <= rows.len());
    }
    Ok(())
}

#[test]
fn any_sequence_of_host_calls_is_survived() {
    let times: u32 = std::env::var("QIANMIAN_FUZZ").map_or(1, |times| times.parse().unwrap());
    let usual = neighbour::page();
    let (pages, faults) = (Cell::new(0), Cell::new(0));
    let config = Config {
        cases: PROGRAMS * times,
        rng_seed: RngSeed::Fixed(times.into()),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&program(), |program| {
        let program = encode(&program);
        let outcome = run(&program);
        match &outcome.page {
            Ok(page) => {
                sound(page)?;
                pages.set(pages.get() + u32::from(page.slots() > 0));
            }
            Err(_) => faults.set(faults.get() + 1),
        }
        prop_assert_eq!(format!("{:?}", run(&program).page), format!("{:?}", outcome.page));
        prop_assert_eq!(&neighbour::page(), &usual);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let enough = PROGRAMS / 10;
    assert!(pages.get() > enough && faults.get() > enough, "{} pages, {} faults", pages.get(), faults.get());
}
