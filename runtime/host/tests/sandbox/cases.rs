//! Every case of `tests/hostile/cases`: it ends as its header says, hurts nobody after it and leaves nothing behind.

use crate::neighbour;
use crate::shop::{HOST, context, known, reach, request};
use qianmian_components::{Case, Expected, NAME, cases};
use qianmian_host::{Limits, Strategy};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Says how many rounds a child process is to run; others run one.
const ROUNDS: &str = "QIANMIAN_HOSTILE_ROUNDS";
/// Of a child that watches its memory.
const MANY: u32 = 20;
/// Rounds until caches and pools are full.
const WARM: u32 = 5;
/// Bytes that a process may grow by from then on: less than 3 KiB a composition.
const GROWTH: usize = 8 << 20;

fn limits(case: &Case) -> Limits {
    match case.wall {
        Some(wall) => Limits { wall, fuel: u64::MAX, ..Limits::default() },
        // Patient enough for a busy machine, and fuel for a few milliseconds.
        None => Limits { wall: Duration::from_secs(20), fuel: 5_000_000, ..Limits::default() },
    }
}

fn same(got: &str, words: &str, wanted: (&str, &str)) -> Result<(), String> {
    if got == wanted.0 && words.contains(wanted.1) {
        return Ok(());
    }
    Err(format!("{got}: {words}; expected {}: {}", wanted.0, wanted.1))
}

/// Loads a case; none where it is right that it is refused.
fn load(case: &Case) -> Result<Option<Arc<Strategy>>, String> {
    match (HOST.load(&case.bytes(NAME)), &case.expected) {
        (Ok(_), Expected::Refused(code, _)) => Err(format!("it loads; expected {code}")),
        (Err(error), Expected::Refused(code, words)) => {
            same(error.code(), &error.to_string(), (code, words)).map(|()| None)
        }
        (Err(error), _) => Err(format!("refused: {error}")),
        (Ok(strategy), _) => Ok(Some(strategy)),
    }
}

fn compose(case: &Case, strategy: &Strategy) -> Result<(), String> {
    let begun = Instant::now();
    let outcome = strategy.compose(context(request(10), known()), &reach(), "{}", &limits(case));
    // Ticks come late on a busy machine, but they come.
    assert!(begun.elapsed() < Duration::from_secs(10), "{}: {:?}", case.name, begun.elapsed());
    assert!(outcome.log.iter().map(String::len).sum::<usize>() <= Limits::default().log_bytes);
    assert!(outcome.usage.memory <= Limits::default().memory && outcome.usage.host_calls <= 129);
    match (outcome.page, &case.expected) {
        (Ok(page), Expected::Page(slots)) if page.slots() == *slots => Ok(()),
        (Err(fault), Expected::Fault(code, words)) => same(fault.code(), &fault.to_string(), (code, words)),
        (Ok(page), expected) => Err(format!("a page of {} slots; expected {expected:?}", page.slots())),
        (Err(fault), expected) => Err(format!("{}: {fault}; expected {expected:?}", fault.code())),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the test that started this one reads it")]
fn every_case_ends_as_it_says_and_hurts_nobody() {
    let rounds = std::env::var(ROUNDS).map_or(1, |rounds| rounds.parse().unwrap());
    let cases = cases();
    assert!(cases.len() >= 45, "{}", cases.len());
    let usual = neighbour::page();
    let (mut loaded, mut wrong, mut before) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        // Loading takes most of the time.
        if round % WARM == 0 {
            loaded.clear();
            for case in &cases {
                match load(case) {
                    Ok(strategy) => loaded.extend(strategy.map(|strategy| (case, strategy))),
                    Err(error) => wrong.push(format!("{}: {error}", case.name)),
                }
                assert_eq!(neighbour::page(), usual, "after {}", case.name);
            }
        }
        for (case, strategy) in &loaded {
            wrong.extend(compose(case, strategy).err().map(|error| format!("{}: {error}", case.name)));
            assert_eq!(neighbour::page(), usual, "after {}", case.name);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        if round == WARM {
            before = resident();
        }
    }
    if rounds > WARM {
        let after = resident();
        println!("resident memory: {before} bytes, {after} after {} rounds of {} cases", rounds - WARM, cases.len());
        assert!(after < before + GROWTH, "{before} bytes became {after}");
    }
}

/// In a process of its own: other tests take and give back memory as they like, and it must live to the end.
#[test]
#[cfg(target_os = "linux")]
fn many_rounds_leave_the_memory_as_it_was() {
    let test = "cases::every_case_ends_as_it_says_and_hurts_nobody";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let output = child.args(["--exact", test, "--nocapture"]).env(ROUNDS, MANY.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said} {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("resident memory: "), "{said}");
}

/// Bytes of memory in use; zero where the system does not say.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
}
