//! How long it takes to look at visitors that memory has no room for: `cargo run --example cold -p qianmian-state`, with how
//! many visitors there are and megabytes of room for them.

use qianmian_core::{Event, EventKind};
use qianmian_state::{Item, Limits, State};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

type Failed = Box<dyn std::error::Error>;

const ITEMS: usize = 20_000;
const EVENTS: usize = 20;
const LOOKS: usize = 20_000;

fn main() -> Result<(), Failed> {
    let mut asked = std::env::args().skip(1).map(|number| number.parse::<usize>());
    let visitors = asked.next().transpose()?.unwrap_or(100_000);
    let room = asked.next().transpose()?.unwrap_or(32);
    let folder = tempfile::tempdir()?;
    // with room for all, or filling it would be most of the time
    let state = State::open(folder.path())?;
    let item = |n: usize| Item { id: format!("p{n}"), categories: vec![format!("c{}", n % 60)], ..Item::default() };
    state.catalogue.upsert((0..ITEMS).map(item).collect())?;
    for round in 0..EVENTS {
        for first in (0..visitors).step_by(8_192) {
            state.append((first..visitors.min(first + 8_192)).map(|visitor| event(visitor, round)).collect())?;
        }
    }
    drop(state);
    let limits = Limits { visitor_bytes: Some(room << 20), checkpoint: Duration::from_secs(60) };
    let state = State::open_within(folder.path(), limits)?;
    let keys: Vec<String> = (0..visitors).map(|visitor| state.people.key(&format!("u{visitor}"))).collect();
    eprintln!("{visitors} visitors, room for {room} MB");
    // the first half in turn: at first all of them are on disk, later all that there is no room for
    let look = |n: usize| {
        let begun = Instant::now();
        black_box(state.folds.visitor(&keys[n * 7_919 % (visitors / 2)]).events);
        begun.elapsed()
    };
    tell("quiet", (0..LOOKS).map(look).collect());
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // the second half comes back from disk, changes, and is kept again
        let busy = scope.spawn(|| -> qianmian_state::Result<usize> {
            let mut at = 0;
            while !ends.load(Ordering::Relaxed) {
                let changed = (at..at + 256).map(|n| event(visitors / 2 + n % (visitors - visitors / 2), EVENTS + n));
                state.append(changed.collect())?;
                at += 256;
            }
            Ok(at)
        });
        tell("beside events", (0..LOOKS * 4).map(look).collect());
        ends.store(true, Ordering::Relaxed);
        let sent = busy.join().map_err(|_| "the thread of events panicked")??;
        eprintln!("{sent} events beside");
        Ok::<_, Failed>(())
    })?;
    state.checkpoint()?;
    let one = &keys[visitors - 1];
    tell("in memory", (0..LOOKS).map(|_| timed(|| state.folds.visitor(one).events)).collect());
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    let (p50, p99, p999, most) = (at(0.5), at(0.99), at(0.999), at(1.0));
    eprintln!("{what}: p50 {p50:.1} us, p99 {p99:.1} us, p99.9 {p999:.1} us, most {most:.1} us");
}

fn event(visitor: usize, round: usize) -> Event {
    Event {
        id: format!("{visitor}-{round}"),
        kind: if round % 7 == 6 { EventKind::Purchase } else { EventKind::View },
        time: 1_700_000_000_000 + (round * 60_000) as i64,
        visitor: Some(format!("u{visitor}")),
        items: vec![format!("p{}", (visitor * 7_919 + round * round * 31 + round * 977) % ITEMS)],
        quantities: vec![],
        values: vec![20.0],
        channel: "app".into(),
        region: "GB".into(),
        scenario: String::new(),
        request_id: String::new(),
        position: 0,
        attributes: vec![],
        traits: vec![],
    }
}
