//! How late a strategy that never ends is stopped, and what its neighbour feels of it.

use crate::lines::{Better, Line};
use crate::sandbox::Pair;
use anyhow::{Result, anyhow, ensure};
use qianmian_components::{Parts, component};
use qianmian_host::{Fault, Limits, Strategy};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Wall clock of a strategy that never ends.
const BUDGET: Duration = Duration::from_millis(10);
/// Microseconds that it may take longer, at the 99th percentile.
const LATE: f64 = 5_000.0;
/// The neighbour's 99th percentile beside it, against alone.
const SLOWER: f64 = 1.1;

/// Beside what the neighbour is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// An endless strategy, started again each time it is stopped.
    Endless,
    /// A thread of this process that computes for ever: what the machine itself takes.
    Thread,
}

/// An endless strategy beside the bench's own, in one engine.
pub struct Hostile<'a> {
    pair: &'a Pair,
    endless: Arc<Strategy>,
}

impl<'a> Hostile<'a> {
    /// Loads the endless strategy.
    ///
    /// # Errors
    /// When it is refused.
    pub fn beside(pair: &'a Pair) -> Result<Self> {
        let endless = component(&Parts { body: "(loop $l (br $l)) unreachable", ..Parts::default() });
        Ok(Self { pair, endless: pair.load(&endless)? })
    }

    /// The time an endless strategy really took.
    fn stopped(&self) -> Result<Duration> {
        let limits = Limits { wall: BUDGET, fuel: u64::MAX, ..Limits::default() };
        let begun = Instant::now();
        let outcome = self.pair.call_within(&self.endless, "{}", 0, &limits);
        let took = begun.elapsed();
        let stopped = matches!(outcome.page, Err(Fault::Timeout { .. }));
        ensure!(stopped, "an endless strategy ended with {:?}", outcome.page.map(|page| page.slots()));
        Ok(took)
    }

    /// Microseconds beyond the budget after which it stopped: percentiles of `calls`, medians over `rounds`.
    ///
    /// # Errors
    /// When it ends in another way.
    pub fn stop(&self, rounds: usize, calls: usize) -> Result<Vec<Line>> {
        let mut percentiles: [Vec<f64>; 3] = Default::default();
        for _ in 0..rounds {
            let mut late = Vec::with_capacity(calls);
            for _ in 0..calls {
                late.push((self.stopped()?.as_secs_f64() - BUDGET.as_secs_f64()) * 1e6);
            }
            late.sort_unstable_by(f64::total_cmp);
            for (all, share) in percentiles.iter_mut().zip([0.5, 0.99, 1.0]) {
                all.push(percentile(&late, share));
            }
        }
        let line =
            |metric, values: &[f64], target| Line::alone(("sandbox", "stop", metric), Better::Lower, values, target);
        Ok(vec![
            line("late_p50", &percentiles[0], None),
            line("late_p99", &percentiles[1], Some(LATE)),
            line("late_max", &percentiles[2], None),
        ])
    }

    /// Microseconds of the neighbour's call at the 99th percentile: alone, beside an endless strategy, and beside a thread
    /// of this process.
    ///
    /// # Errors
    /// When the neighbour fails.
    pub fn neighbour(&self, rounds: usize, each: Duration) -> Result<Vec<Line>> {
        let (mut alone, mut endless, mut thread) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            alone.push(self.calls(each, Beside::Nothing)?);
            endless.push(self.calls(each, Beside::Endless)?);
            thread.push(self.calls(each, Beside::Thread)?);
        }
        let name = ("sandbox", "neighbour", "p99");
        Ok(vec![
            Line::against(name, Better::Lower, &endless, ("alone", &alone), SLOWER),
            Line::against(name, Better::Lower, &endless, ("beside a native loop", &thread), SLOWER),
        ])
    }

    /// The 99th percentile of the neighbour's calls on this thread for about so long.
    fn calls(&self, each: Duration, beside: Beside) -> Result<f64> {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| -> Result<()> {
                while !done.load(Ordering::Relaxed) {
                    match beside {
                        Beside::Nothing => return Ok(()),
                        Beside::Endless => drop(self.stopped()?),
                        Beside::Thread => drop(black_box((0..1_000u64).sum::<u64>())),
                    }
                }
                Ok(())
            });
            let begun = Instant::now();
            let mut took = Vec::new();
            let mut result = Ok(());
            while begun.elapsed() < each && result.is_ok() {
                let call = Instant::now();
                result = self.pair.compose(took.len());
                took.push(call.elapsed().as_secs_f64() * 1e6);
            }
            done.store(true, Ordering::Relaxed);
            other.join().map_err(|_| anyhow!("a thread panicked"))??;
            result?;
            took.sort_unstable_by(f64::total_cmp);
            Ok(percentile(&took, 0.99))
        })
    }
}

/// The value that this share of the sorted values does not exceed; NaN of nothing.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| percentile(&values, share)), [100.0, 198.0, 200.0]);
        assert!(percentile(&[], 0.5).is_nan());
    }
}
