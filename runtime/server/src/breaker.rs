//! A breaker for each component: one that fails again and again is not run for a while, whichever scenario runs it.

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers that are looked back on, as bits.
const WINDOW: u32 = 64;
/// Answers before it may open.
const LEAST: u32 = 16;
/// Opens when so many of the window's answers failed: half of them.
const SHARE: f64 = 0.5;
/// How long it stays open at first; doubled by each probe that fails.
const PAUSE: Duration = Duration::from_secs(5);
/// How long it stays open at most.
const LONGEST: Duration = Duration::from_secs(320);

/// One component's breaker.
#[derive(Default)]
pub struct Breaker(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Failed answers among the last `seen`, the newest lowest.
    failed: u64,
    seen: u32,
    /// Open until then; the first request after it is a probe.
    open: Option<(Instant, Duration)>,
    probing: bool,
}

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It opened, for so long.
    Opened(Duration),
    /// A probe went well.
    Closed,
}

impl Breaker {
    /// Whether the component may run now. Whoever is let through an open breaker is the probe, and must report.
    pub fn admits(&self, now: Instant) -> bool {
        let mut inner = self.0.lock();
        match inner.open {
            None => true,
            Some((until, _)) if now < until || inner.probing => false,
            Some(_) => {
                inner.probing = true;
                true
            }
        }
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock().open.is_some()
    }

    /// Takes note of an answer.
    pub fn report(&self, failed: bool, now: Instant) -> Change {
        let mut inner = self.0.lock();
        inner.failed = inner.failed << 1 | u64::from(failed);
        inner.seen = (inner.seen + 1).min(WINDOW);
        match (inner.open, inner.probing) {
            // An answer that was under way when it opened.
            (Some(_), false) => Change::None,
            (Some((_, pause)), true) => {
                inner.probing = false;
                if failed {
                    let pause = (pause * 2).min(LONGEST);
                    inner.open = Some((now + pause, pause));
                    Change::Opened(pause)
                } else {
                    *inner = Inner::default();
                    Change::Closed
                }
            }
            (None, _) => {
                let window = if inner.seen == WINDOW { u64::MAX } else { (1 << inner.seen) - 1 };
                let failures = (inner.failed & window).count_ones();
                if inner.seen < LEAST || f64::from(failures) < SHARE * f64::from(inner.seen) {
                    return Change::None;
                }
                inner.open = Some((now + PAUSE, PAUSE));
                Change::Opened(PAUSE)
            }
        }
    }
}

/// The breakers of all components, by digest.
#[derive(Default)]
pub struct Breakers(RwLock<FxHashMap<String, Arc<Breaker>>>);

impl Breakers {
    /// The breaker of a component.
    #[must_use]
    pub fn of(&self, digest: &str) -> Arc<Breaker> {
        if let Some(found) = self.0.read().get(digest) {
            return Arc::clone(found);
        }
        Arc::clone(self.0.write().entry(digest.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_at_half_and_one_probe_decides() {
        let (breaker, begun) = (Breaker::default(), Instant::now());
        for i in 0..15 {
            assert_eq!(breaker.report(i % 2 == 0, begun), Change::None, "too few to judge");
        }
        assert_eq!(breaker.report(true, begun), Change::Opened(PAUSE));
        assert!(!breaker.admits(begun) && breaker.is_open());
        assert_eq!(breaker.report(false, begun), Change::None, "one that was under way");

        let later = begun + PAUSE;
        assert!(breaker.admits(later) && !breaker.admits(later), "one probe at a time");
        assert_eq!(breaker.report(true, later), Change::Opened(PAUSE * 2));
        assert!(!breaker.admits(later + PAUSE));
        assert!(breaker.admits(later + PAUSE * 2));
        assert_eq!(breaker.report(false, later + PAUSE * 2), Change::Closed);
        assert!(breaker.admits(later) && !breaker.is_open());
    }

    #[test]
    fn a_few_failures_among_many_answers_do_nothing() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert!((0..1_000).all(|i| breaker.report(i % 3 == 0, now) == Change::None));
        // Old answers are forgotten: what fails now counts.
        let changes: Vec<Change> = (0..64).map(|_| breaker.report(true, now)).collect();
        assert!(changes.contains(&Change::Opened(PAUSE)));
    }
}
