//! What a call costs. Run by hand, in release:
//! `cargo test --release -p qianmian-host -- --ignored --nocapture measure`.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use crate::component::{Parts, component};
use crate::shop::{HOST, Shop, context, known, reach_of, request, shipped};
use qianmian_host::{Limits, Strategy};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3_000;

fn measure(name: &str, strategy: &Strategy, parameters: &str) {
    let reach = reach_of(Shop { generous: true });
    let limits = Limits { wall: Duration::from_secs(20), ..Limits::default() };
    let mut wall = Vec::with_capacity(ROUNDS);
    let mut instantiate = Vec::with_capacity(ROUNDS);
    let mut last = None;
    for _ in 0..ROUNDS {
        let context = context(request(20), known());
        let begun = Instant::now();
        let outcome = strategy.compose(context, &reach, parameters, &limits);
        wall.push(begun.elapsed());
        instantiate.push(outcome.usage.instantiate);
        last = Some((outcome.page.unwrap().slots(), outcome.usage));
    }
    wall.sort();
    instantiate.sort();
    let at = |times: &[Duration], share: f64| times[(ROUNDS as f64 * share) as usize].as_nanos() as f64 / 1e3;
    println!(
        "{name:24} median {:7.1} us, p99 {:7.1} us, instantiate {:5.1} us, {last:?}",
        at(&wall, 0.5),
        at(&wall, 0.99),
        at(&instantiate, 0.5)
    );
}

#[test]
#[ignore = "a measurement, not a test"]
fn measure_a_call() {
    measure("nothing", &HOST.load(&component(&Parts::default())).unwrap(), "{}");
    let Some(home) = shipped("home") else { return };
    let only_near = r#"{"flat": true, "space": "vectors", "model": "ranker", "per_category": 4, "sources": {"near": 300,
        "bought_together": 0, "viewed_together": 0, "next_after": 0, "buy_again": 0, "same_category": 0, "trending": 0,
        "trending_region": 0, "newest": 0, "exploration": 0}}"#;
    measure("home flat, 300 near", &home, only_near);
    measure("home flat, default", &home, r#"{"flat": true, "space": "vectors", "model": "ranker"}"#);
    measure("home, three shelves", &home, r#"{"space": "vectors", "model": "ranker"}"#);
}
