//! Strategies that trap, overrun or lie: each ends with its own fault, in time, and hurts nobody else.

use crate::component::{Parts, component, words};
use crate::shop::{HOST, Shop, context, known, reach, reach_of, request};
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

const LOG: &str = r#"(import "qianmian:strategy/log@1.0.0" "write" (func $write (param i32 i32)))"#;
const ORDERS: &str = r#"(import "qianmian:strategy/visitor@1.0.0" "orders" (func $orders (result i32)))"#;
const RETRIEVE: &str =
    r#"(import "qianmian:strategy/retrieval@1.0.0" "retrieve" (func $retrieve (param i32 i32 i32)))"#;

/// A source record at 600: trending over all, with this limit; and its name at 640.
fn source(limit: u32) -> String {
    let record = words(&[640, 8, 6, 0, 0, limit, 0, 0, 0, 0]);
    format!(r#"(data (i32.const 600) "{record}") (data (i32.const 640) "trending")"#)
}

#[test]
fn an_empty_page_is_a_page() {
    let outcome = run(&load(&Parts::default()), &patient());
    assert_eq!(outcome.page.unwrap().slots(), 0);
    assert!(outcome.usage.fuel > 0 && outcome.usage.memory == 65_536 && outcome.usage.host_calls == 0);
    assert!(outcome.usage.instantiate <= outcome.usage.wall);
}

#[test]
fn an_endless_loop_meets_the_clock() {
    let parts = Parts { body: "(loop $l (br $l)) unreachable", ..Parts::default() };
    let limits = Limits { wall: Duration::from_millis(10), fuel: u64::MAX, ..Limits::default() };
    let begun = Instant::now();
    let fault = fault(&parts, &limits);
    assert_eq!(fault, Fault::Timeout { limit: limits.wall });
    assert_eq!(fault.code(), "strategy_timeout");
    // Ticks come late on a busy machine, but they come.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn an_endless_loop_meets_its_fuel_always_at_the_same_place() {
    let strategy = load(&Parts { body: "(loop $l (br $l)) unreachable", ..Parts::default() });
    let limits = Limits { fuel: 100_000, ..patient() };
    let first = run(&strategy, &limits);
    assert_eq!(first.page.unwrap_err().code(), "out_of_fuel");
    assert_eq!(first.usage.fuel, run(&strategy, &limits).usage.fuel);
}

#[test]
fn a_memory_bomb() {
    let bomb = "(loop $l (drop (memory.grow (i32.const 8))) (br $l)) unreachable";
    let fault = fault(&Parts { body: bomb, ..Parts::default() }, &patient());
    assert!(matches!(fault, Fault::MemoryLimit { limit: 16_777_216, .. }), "{fault}");
    let small = Limits { memory: 1 << 20, ..patient() };
    let outcome = run(&load(&Parts { body: bomb, ..Parts::default() }), &small);
    assert_eq!(outcome.page.unwrap_err().code(), "memory_limit");
    assert!(outcome.usage.memory <= 1 << 20);
}

#[test]
fn traps() {
    let trap = |parts: &Parts<'_>| match fault(parts, &patient()) {
        Fault::Trap { detail } => detail,
        other => panic!("{other}"),
    };
    assert!(trap(&Parts { body: "unreachable", ..Parts::default() }).contains("unreachable"));
    let far = "(i32.load (i32.const 99999999))";
    assert!(trap(&Parts { body: far, ..Parts::default() }).contains("out of bounds"));
    let deep = "(func $deep (param i64 i64) (call $deep (local.get 0) (local.get 1)) (call $deep (local.get 1) (local.get 0)))";
    let body = "(call $deep (i64.const 1) (i64.const 2)) (i32.const 128)";
    assert!(trap(&Parts { extra: deep, body, ..Parts::default() }).contains("call stack exhausted"));
    // The last line of the log is the panic's message.
    let body = "(call $write (i32.const 256) (i32.const 7)) unreachable";
    assert!(trap(&Parts { imports: LOG, body, ..Parts::default() }).ends_with("last log line: hostile"));
}

#[test]
fn a_trap_leaves_nothing_behind() {
    // It traps when it sees what an earlier call left in its memory.
    let body = "(if (i32.load (i32.const 2000)) (then unreachable))
                (i32.store (i32.const 2000) (i32.const 1))
                (if (i32.eqz (call $orders)) (then unreachable)) (i32.const 128)";
    let strategy = load(&Parts { imports: ORDERS, body, ..Parts::default() });
    for _ in 0..3 {
        assert!(run(&strategy, &patient()).page.is_err(), "a visitor without orders");
        let outcome = strategy.compose(context(request(10), known()), &reach(), "{}", &patient());
        assert!(outcome.page.is_ok(), "{:?}", outcome.page);
    }
}

#[test]
fn a_storm_of_host_calls() {
    let body = "(loop $l (drop (call $orders)) (br $l)) unreachable";
    let outcome = run(&load(&Parts { imports: ORDERS, body, ..Parts::default() }), &patient());
    assert_eq!(outcome.page.unwrap_err(), Fault::HostCallLimit { limit: 128 });
    assert_eq!(outcome.usage.host_calls, 129);
}

#[test]
fn a_storm_of_sets() {
    let body = "(loop $l (call $retrieve (i32.const 600) (i32.const 0) (i32.const 700)) (br $l)) unreachable";
    assert_eq!(fault(&Parts { imports: RETRIEVE, body, ..Parts::default() }, &patient()).code(), "set_limit");
}

#[test]
fn a_huge_log_is_cut() {
    let body =
        "(call $write (i32.const 2000) (i32.const 200000)) (call $write (i32.const 256) (i32.const 7)) (i32.const 128)";
    let extra = "(func $fill (memory.fill (i32.const 2000) (i32.const 120) (i32.const 200000))) (start $fill)";
    let outcome = run(&load(&Parts { imports: LOG, pages: 8, extra, body, ..Parts::default() }), &patient());
    assert!(outcome.page.is_ok(), "{:?}", outcome.page);
    assert_eq!(outcome.log.iter().map(String::len).sum::<usize>(), Limits::default().log_bytes);
}

#[test]
fn too_much_in_one_call() {
    let body = "(call $write (i32.const 0) (i32.const 4000000)) (i32.const 128)";
    let fault = fault(&Parts { imports: LOG, pages: 80, body, ..Parts::default() }, &patient());
    assert_eq!(fault, Fault::TransferLimit { limit: 1 << 20 });
}

/// A page of one shelf at 200: id at 256, this title, this handle.
fn page_with(title: [u32; 2], handle: u32) -> String {
    let result = words(&[0, 200, 1]);
    let shelf = words(&[256, 7, title[0], title[1], handle, 0, 0]);
    format!(r#"(data (i32.const 128) "{result}") (data (i32.const 200) "{shelf}")"#)
}

#[test]
fn a_forged_handle() {
    let fault = fault(&Parts { extra: &page_with([0, 0], 77), ..Parts::default() }, &patient());
    assert!(matches!(&fault, Fault::Trap { detail } if detail.contains("handle")), "{fault}");
}

#[test]
fn a_list_that_is_not_there() {
    let extra = format!(r#"(data (i32.const 128) "{}")"#, words(&[0, 200, 2_000_000]));
    let fault = fault(&Parts { extra: &extra, ..Parts::default() }, &patient());
    assert!(matches!(fault.code(), "strategy_trap" | "transfer_limit"), "{fault}");
}

#[test]
fn a_title_that_is_too_long() {
    let extra = format!("{} {}", page_with([2000, 3000], 0), source(5));
    let body = "(call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
                (i32.store (i32.const 216) (i32.load (i32.const 704))) (i32.const 128)";
    let fault = fault(&Parts { imports: RETRIEVE, extra: &extra, body, ..Parts::default() }, &patient());
    assert_eq!(fault, Fault::OutputLimit { what: "bytes of a shelf's title", got: 3000, limit: 2000 });
}

#[test]
fn more_slots_than_a_page_has() {
    let extra = format!("{} {}", page_with([0, 0], 0), source(40));
    let body = "(call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
                (i32.store (i32.const 216) (i32.load (i32.const 704))) (i32.const 128)";
    let strategy = load(&Parts { imports: RETRIEVE, extra: &extra, body, ..Parts::default() });
    let page = run(&strategy, &patient()).page.unwrap();
    assert_eq!((page.shelves[0].id.as_str(), page.slots()), ("hostile", 40));
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
    let body = "(call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
                (if (i32.ne (i32.load8_u (i32.const 700)) (i32.const 1)) (then unreachable))
                (i32.store8 (i32.const 128) (i32.const 1))
                (i32.store (i32.const 132) (i32.load (i32.const 708)))
                (i32.store (i32.const 136) (i32.load (i32.const 712)))
                (i32.const 128)";
    let fault = fault(&Parts { imports: RETRIEVE, extra: &source(1_000_000), body, ..Parts::default() }, &patient());
    assert_eq!(fault.code(), "strategy_reject");
    assert_eq!(fault.to_string(), "the strategy refused: the sources ask for 1000000 candidates: at most 5000");
}

#[test]
fn what_it_does_not_need_it_does_not_reach() {
    let extra = format!("{} {}", page_with([0, 0], 0), source(5));
    let body = "(if (call $orders) (then unreachable))
                (call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
                (i32.store (i32.const 216) (i32.load (i32.const 704))) (i32.const 128)";
    let imports = format!("{ORDERS} {RETRIEVE}");
    let parts = Parts { imports: &imports, extra: &extra, body, needs: false, ..Parts::default() };
    let outcome = load(&parts).compose(context(request(10), known()), &reach(), "{}", &patient());
    assert_eq!(outcome.page.unwrap().slots(), 0);
    assert_eq!(outcome.degraded, ["source:trending"]);
    assert!(outcome.log[0].ends_with("denied: the description's needs do not name it"), "{:?}", outcome.log);

    let parts = Parts { needs: true, imports: RETRIEVE, body: body.split_once('\n').unwrap().1, ..parts };
    let strategy = load(&parts);
    assert_eq!(run(&strategy, &patient()).page.unwrap().slots(), 5);
    let allowed = Needs { sources: vec!["near-*".to_owned()], ..Needs::everything() };
    let outcome = run(&strategy.within(allowed), &patient());
    assert_eq!((outcome.page.unwrap().slots(), outcome.degraded), (0, vec!["source:trending".to_owned()]));
}

#[test]
fn scores_that_are_no_numbers_sort_last_and_do_no_harm() {
    let imports = format!(
        r#"{RETRIEVE}
        (import "qianmian:strategy/retrieval@1.0.0" "[method]candidates.put"
          (func $put (param i32 i32 i32 i32 i32 i32)))
        (import "qianmian:strategy/retrieval@1.0.0" "[method]candidates.order-by"
          (func $order (param i32 i32 i32 i32)))"#
    );
    // Of five candidates the second gets 1, the fourth 2, the others NaN.
    let nan = 0xffc0_1234;
    let scores = words(&[nan, 1f32.to_bits(), nan, 2f32.to_bits(), 0x7fa0_0001]);
    let extra = format!(
        r#"{} {} (data (i32.const 800) "{scores}") (data (i32.const 840) "score")"#,
        page_with([0, 0], 0),
        source(5)
    );
    let body = "(call $retrieve (i32.const 600) (i32.const 1) (i32.const 700))
                (i32.store (i32.const 216) (i32.load (i32.const 704)))
                (call $put (i32.load (i32.const 704)) (i32.const 840) (i32.const 5) (i32.const 800) (i32.const 5) (i32.const 900))
                (if (i32.load8_u (i32.const 900)) (then unreachable))
                (call $order (i32.load (i32.const 704)) (i32.const 840) (i32.const 5) (i32.const 900))
                (if (i32.load8_u (i32.const 900)) (then unreachable))
                (i32.const 128)";
    let page =
        run(&load(&Parts { imports: &imports, extra: &extra, body, ..Parts::default() }), &patient()).page.unwrap();
    let rows: Vec<u32> = page.shelves[0].slots.rows().iter().map(|row| row.0).collect();
    assert_eq!(rows, [9, 3, 0, 6, 12], "highest first, then those without a score by id");
}

#[test]
fn one_slot_is_for_one_call_at_a_time() {
    let host = Host::new(HostConfig { instances: 1, ..HostConfig::default() }).unwrap();
    let endless = host.load(&component(&Parts { body: "(loop $l (br $l)) unreachable", ..Parts::default() })).unwrap();
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
