//! Strategies that trap, overrun or lie, where more is to be seen than a code: what they used, logged and reached.

use crate::shop::{HOST, Shop, context, known, reach, reach_of, request};
use qianmian_components::{Parts, component, words};
use qianmian_core::Visitor;
use qianmian_host::{Fault, Host, HostConfig, Limits, Needs, Outcome, Strategy};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Patient enough for a busy machine; only tests of the clock set their own.
fn patient() -> Limits {
    Limits { wall: Duration::from_secs(20), ..Limits::default() }
}

fn load(parts: &Parts<'_>) -> Arc<Strategy> {
    HOST.load(&component(parts)).unwrap()
}

fn run(strategy: &Strategy, limits: &Limits) -> Outcome {
    strategy.compose(context(request(10), Visitor::default()), &reach(), "{}", limits)
}

fn fault(parts: &Parts<'_>, limits: &Limits) -> Fault {
    run(&load(parts), limits).page.unwrap_err()
}

const ENDLESS: Parts<'_> = Parts {
    name: "hostile",
    schema: "{}",
    pages: 1,
    extra: "",
    body: "(loop $l (br $l)) unreachable",
    needs: true,
    own: &[],
};

#[test]
fn an_empty_page_is_a_page() {
    let outcome = run(&load(&Parts::default()), &patient());
    assert_eq!(outcome.page.unwrap().slots(), 0);
    assert!(outcome.usage.fuel > 0 && outcome.usage.memory == 65_536 && outcome.usage.host_calls == 0);
    assert!(outcome.usage.instantiate <= outcome.usage.wall);
}

#[test]
fn an_endless_loop_meets_the_clock() {
    let limits = Limits { wall: Duration::from_millis(10), fuel: u64::MAX, ..Limits::default() };
    let begun = Instant::now();
    let fault = fault(&ENDLESS, &limits);
    assert_eq!(fault, Fault::Timeout { limit: limits.wall });
    assert_eq!(fault.code(), "strategy_timeout");
    // Ticks come late on a busy machine, but they come.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn an_endless_loop_meets_its_fuel_always_at_the_same_place() {
    let strategy = load(&ENDLESS);
    let limits = Limits { fuel: 100_000, ..patient() };
    let first = run(&strategy, &limits);
    assert_eq!(first.page.unwrap_err().code(), "out_of_fuel");
    assert_eq!(first.usage.fuel, run(&strategy, &limits).usage.fuel);
}

#[test]
fn a_memory_bomb_gets_no_more_than_its_limit() {
    let bomb = "(loop $l (drop (memory.grow (i32.const 8))) (br $l)) unreachable";
    let strategy = load(&Parts { body: bomb, ..Parts::default() });
    let fault = run(&strategy, &patient()).page.unwrap_err();
    assert!(matches!(fault, Fault::MemoryLimit { limit: 16_777_216, .. }), "{fault}");
    let outcome = run(&strategy, &Limits { memory: 1 << 20, ..patient() });
    assert_eq!(outcome.page.unwrap_err().code(), "memory_limit");
    assert!(outcome.usage.memory <= 1 << 20);
}

#[test]
fn the_last_line_of_the_log_is_part_of_a_trap() {
    let body = "(call $write (i32.const 256) (i32.const 7)) unreachable";
    let fault = fault(&Parts { body, ..Parts::default() }, &patient());
    assert!(matches!(&fault, Fault::Trap { detail } if detail.ends_with("last log line: hostile")), "{fault}");
}

#[test]
fn a_trap_leaves_nothing_behind() {
    // It traps when it sees what an earlier call left in its memory.
    let body = "(if (i32.load (i32.const 2000)) (then unreachable))
                (i32.store (i32.const 2000) (i32.const 1))
                (if (i32.eqz (call $orders)) (then unreachable)) (i32.const 128)";
    let strategy = load(&Parts { body, ..Parts::default() });
    for _ in 0..3 {
        assert!(run(&strategy, &patient()).page.is_err(), "a visitor without orders");
        let outcome = strategy.compose(context(request(10), known()), &reach(), "{}", &patient());
        assert!(outcome.page.is_ok(), "{:?}", outcome.page);
    }
}

#[test]
fn a_storm_of_host_calls_is_counted() {
    let body = "(loop $l (drop (call $orders)) (br $l)) unreachable";
    let outcome = run(&load(&Parts { body, ..Parts::default() }), &patient());
    assert_eq!(outcome.page.unwrap_err(), Fault::HostCallLimit { limit: 128 });
    assert_eq!(outcome.usage.host_calls, 129);
}

#[test]
fn a_huge_log_is_cut() {
    let body =
        "(call $write (i32.const 2000) (i32.const 200000)) (call $write (i32.const 256) (i32.const 7)) (i32.const 128)";
    let extra = "(func $fill (memory.fill (i32.const 2000) (i32.const 120) (i32.const 200000))) (start $fill)";
    let outcome = run(&load(&Parts { pages: 8, extra, body, ..Parts::default() }), &patient());
    assert!(outcome.page.is_ok(), "{:?}", outcome.page);
    assert_eq!(outcome.log.iter().map(String::len).sum::<usize>(), Limits::default().log_bytes);
}

#[test]
fn more_slots_than_a_page_has() {
    let strategy = load(&Parts { body: "(call $page (call $trending (i32.const 40)))", ..Parts::default() });
    let page = run(&strategy, &patient()).page.unwrap();
    assert_eq!((page.shelves[0].id.as_str(), page.slots()), ("host", 40));
    let few = Limits { slots: 39, ..patient() };
    assert_eq!(run(&strategy, &few).page.unwrap_err().code(), "output_limit");
    // A source that answers with more than it was asked for is cut.
    let generous = reach_of(Shop { generous: true });
    let outcome = strategy.compose(context(request(10), known()), &generous, "{}", &patient());
    assert_eq!(outcome.page.unwrap().slots(), 40);
}

#[test]
fn too_many_candidates_are_an_error_for_the_strategy() {
    // It refuses with the error's text: the variant `error::invalid` holds a text at 712.
    let body = "(i32.store (i32.const 620) (i32.const 1000000))
                (call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
                (call $must-not)
                (i32.store8 (i32.const 128) (i32.const 1))
                (i32.store (i32.const 132) (i32.load (i32.const 708)))
                (i32.store (i32.const 136) (i32.load (i32.const 712)))
                (i32.const 128)";
    let fault = fault(&Parts { body, ..Parts::default() }, &patient());
    assert_eq!(fault.code(), "strategy_reject");
    assert_eq!(fault.to_string(), "the strategy refused: the sources ask for 1000000 candidates: at most 5000");
}

#[test]
fn what_it_does_not_need_it_does_not_reach() {
    let body = "(if (call $orders) (then unreachable)) (call $page (call $trending (i32.const 5)))";
    let parts = Parts { body, needs: false, ..Parts::default() };
    let outcome = load(&parts).compose(context(request(10), known()), &reach(), "{}", &patient());
    assert_eq!(outcome.page.unwrap().slots(), 0);
    assert_eq!(outcome.degraded, ["source:trending"]);
    assert!(outcome.log[0].ends_with("denied: the description's needs do not name it"), "{:?}", outcome.log);

    let strategy = load(&Parts { body: "(call $page (call $trending (i32.const 5)))", ..Parts::default() });
    assert_eq!(run(&strategy, &patient()).page.unwrap().slots(), 5);
    let allowed = Needs { sources: vec!["near-*".to_owned()], ..Needs::everything() };
    let outcome = run(&strategy.within(allowed), &patient());
    assert_eq!((outcome.page.unwrap().slots(), outcome.degraded), (0, vec!["source:trending".to_owned()]));
}

#[test]
fn scores_that_are_no_numbers_sort_last_and_do_no_harm() {
    // Of five candidates the second gets 1, the fourth 2, the others NaN.
    let nan = 0xffc0_1234;
    let scores = words(&[nan, 1f32.to_bits(), nan, 2f32.to_bits(), 0x7fa0_0001]);
    let extra = format!(
        r#"(data (i32.const 800) "{scores}") (data (i32.const 840) "score")
        (func $compose (result i32) (local $set i32)
          (local.set $set (call $trending (i32.const 5)))
          (call $put (local.get $set) (i32.const 840) (i32.const 5) (i32.const 800) (i32.const 5) (i32.const 700))
          (call $must)
          (call $order-by (local.get $set) (i32.const 840) (i32.const 5) (i32.const 700))
          (call $must)
          (call $page (local.get $set)))"#
    );
    let strategy = load(&Parts { extra: &extra, body: "(call $compose)", ..Parts::default() });
    let page = run(&strategy, &patient()).page.unwrap();
    let rows: Vec<u32> = page.shelves[0].slots.rows().iter().map(|row| row.0).collect();
    assert_eq!(rows, [9, 3, 0, 6, 12], "highest first, then those without a score by id");
}

#[test]
fn one_slot_is_for_one_call_at_a_time() {
    let host = Host::new(HostConfig { instances: 1, ..HostConfig::default() }).unwrap();
    let endless = host.load(&component(&ENDLESS)).unwrap();
    let other = host.load(&component(&Parts::default())).unwrap();
    let limits = Limits { wall: Duration::from_millis(500), fuel: u64::MAX, ..Limits::default() };
    std::thread::scope(|scope| {
        // It may find the slot taken by the other one at first.
        let long = scope.spawn(|| while run(&endless, &limits).page.is_err_and(|fault| fault == Fault::Busy) {});
        let mut busy = false;
        while !long.is_finished() && !busy {
            busy = run(&other, &limits).page.is_err_and(|fault| fault == Fault::Busy);
        }
        assert!(busy, "the only slot was never in use");
        long.join().unwrap();
    });
    assert!(run(&other, &limits).page.is_ok(), "the slot is free again");
    drop(host);
    assert_eq!(run(&endless, &limits).page.unwrap_err().code(), "strategy_timeout", "the clock outlives the host");
}
