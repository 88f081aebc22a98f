//! What the sandbox costs: the strategy as a Wasm component against its native twin, in one process over one reach.

use crate::lines::{Better, Line};
use crate::shop::{NAME, SLOTS};
use crate::twin::{self, Parameters};
use anyhow::{Context, Result, anyhow, ensure};
use qianmian::recommend::now_ms;
use qianmian::scenario::Release;
use qianmian::{App, Config};
use qianmian_components::{Parts, component};
use qianmian_core::{ItemRow, Page, Request, RequestContext};
use qianmian_host::{Limits, Outcome, Strategy};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Wasm over native throughput.
const TARGET: f64 = 0.9;
/// Pages that must be the same before anything is measured.
const COMPARED: usize = 200;

/// Both ways of composing the bench's scenario.
pub struct Pair {
    app: Arc<App>,
    release: Arc<Release>,
    parameters: Parameters,
    limits: Limits,
    visitors: usize,
}

impl Pair {
    /// Opens a data folder that [`crate::shop::load`] filled through a server that has ended, and checks that both
    /// compose the same pages.
    ///
    /// # Errors
    /// When the folder cannot be opened, its scenario has parameters the twin does not know, or pages differ.
    pub fn open(data: &Path, visitors: usize) -> Result<Self> {
        let app = App::open(Config { data: data.to_owned(), ..Config::default() })?;
        let release = app.scenarios.get(NAME).map_err(|error| anyhow!("{error:?}"))?;
        let parameters = Parameters::parse(&release.parameters).context("parameters the twin does not know")?;
        // The bench's machine may stop for longer than a request may take; that is not what is measured.
        let limits = Limits { wall: Duration::from_secs(5), ..Limits::default() };
        let pair = Self { app, release, parameters, limits, visitors };
        for visitor in 0..COMPARED.min(visitors) {
            let (wasm, native) = (pair.wasm(visitor).page, pair.native(visitor)?);
            let wasm = wasm.map_err(|fault| anyhow!("the strategy failed: {fault}"))?;
            ensure!(native.slots() == SLOTS, "visitor v{visitor} got {} slots instead of {SLOTS}", native.slots());
            ensure!(content(&wasm) == content(&native), "v{visitor}: {wasm:?} is not the twin's {native:?}");
        }
        Ok(pair)
    }

    /// A new context a call: what one call computed must not help the next.
    fn ctx(&self, visitor: usize) -> RequestContext {
        let id = format!("v{}", visitor % self.visitors);
        let snapshot = self.app.state.visitor(&id);
        let request = Request {
            id: id.clone(),
            scenario: NAME.to_owned(),
            visitor: Some(id),
            limit: SLOTS as u32,
            personalised: true,
            ..Request::default()
        };
        RequestContext::new(request, snapshot, now_ms(), visitor as u64)
    }

    fn wasm(&self, visitor: usize) -> Outcome {
        self.call(&self.release.strategy, &self.release.parameters, visitor)
    }

    /// One composition of a strategy's, for a visitor, over the bench's shop.
    #[must_use]
    pub fn call(&self, strategy: &Strategy, parameters: &str, visitor: usize) -> Outcome {
        self.call_within(strategy, parameters, visitor, &self.limits)
    }

    /// The same with limits of its own.
    #[must_use]
    pub fn call_within(&self, strategy: &Strategy, parameters: &str, visitor: usize, limits: &Limits) -> Outcome {
        strategy.compose(Arc::new(self.ctx(visitor)), &self.app.reach, parameters, limits)
    }

    /// Compiles another strategy.
    ///
    /// # Errors
    /// When it is none.
    pub fn load(&self, component: &[u8]) -> Result<Arc<Strategy>> {
        let plugin = self.app.plugins.try_out(component).map_err(|error| anyhow!("{error:?}"))?;
        Ok(Arc::clone(plugin.strategy()?))
    }

    /// Composes the bench's page once.
    ///
    /// # Errors
    /// When the strategy fails.
    pub fn compose(&self, visitor: usize) -> Result<()> {
        self.wasm(visitor).page.map(drop).map_err(|fault| anyhow!("the strategy failed: {fault}"))
    }

    fn native(&self, visitor: usize) -> Result<Page> {
        Ok(twin::compose(&self.ctx(visitor), &self.app.reach, &self.parameters)?)
    }

    /// Throughput of both, alternated, on as many threads as there are cores.
    ///
    /// # Errors
    /// When a composition fails.
    pub fn throughput(&self, bench: &'static str, rounds: usize, each: Duration) -> Result<Line> {
        let wasm = |visitor| self.compose(visitor);
        let native = |visitor| self.native(visitor).map(drop);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            // Short turns, so that what else the machine does falls on both.
            let turns = if round % 2 == 0 { [true, false] } else { [false, true] };
            for turn in turns {
                if turn { ours.push(calls_a_second(each, &wasm)?) } else { theirs.push(calls_a_second(each, &native)?) }
            }
        }
        Ok(Line::against((bench, "home", "throughput"), Better::Higher, &ours, ("native twin", &theirs), TARGET))
    }

    /// Microseconds of each host operation of the bench's page, and of a column of 500 numbers that crosses into the
    /// sandbox: medians over `calls`, one thread.
    ///
    /// # Errors
    /// When a composition fails.
    pub fn operations(&self, calls: usize) -> Result<Vec<Line>> {
        let mut micros: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
        for call in 0..calls {
            let mut ctx = self.ctx(call);
            ctx.request.explain = true;
            let outcome =
                self.release.strategy.compose(Arc::new(ctx), &self.app.reach, &self.release.parameters, &self.limits);
            outcome.page.map_err(|fault| anyhow!("the strategy failed: {fault}"))?;
            for step in outcome.steps {
                micros.entry(step.operation).or_default().push(step.micros as f64);
            }
        }
        let line = |case: &str, metric, values: &[f64]| {
            Line::alone(("sandbox", &format!("{case}, us"), metric), Better::Lower, values, None)
        };
        let mut lines: Vec<Line> =
            micros.iter().map(|(operation, micros)| line(operation, "host_operation", micros)).collect();
        // So many reads of one column, less one read.
        let wall = |strategy: &Strategy, call| -> Result<f64> {
            let outcome = self.call(strategy, "{}", call);
            outcome.page.map_err(|fault| anyhow!("the reader failed: {fault}"))?;
            Ok(outcome.usage.wall.as_secs_f64() * 1e6)
        };
        let (once, often) = (self.load(&reader(1))?, self.load(&reader(1 + COLUMNS))?);
        let read = |call| Ok((wall(&often, call)? - wall(&once, call)?) / COLUMNS as f64);
        let columns = (0..calls).map(read).collect::<Result<Vec<f64>>>()?;
        lines.push(line("500 numbers", "column", &columns));
        Ok(lines)
    }

    /// Microseconds of instantiation, and of a whole call less the twin's: medians over `calls`, one thread.
    ///
    /// # Errors
    /// When a composition fails.
    pub fn costs(&self, calls: usize) -> Result<Vec<Line>> {
        let micros = |d: Duration| d.as_secs_f64() * 1e6;
        let (mut instantiate, mut whole, mut native) = (Vec::new(), Vec::new(), Vec::new());
        for call in 0..calls {
            // The second of the two finds what the first has read in the caches, so each visitor is asked about once.
            if call % 2 == 0 {
                let outcome = self.wasm(call);
                outcome.page.map_err(|fault| anyhow!("the strategy failed: {fault}"))?;
                instantiate.push(micros(outcome.usage.instantiate));
                whole.push(micros(outcome.usage.wall));
            } else {
                let begun = Instant::now();
                self.native(call)?;
                native.push(micros(begun.elapsed()));
            }
        }
        Ok(vec![
            Line::alone(("sandbox", "home, us", "instantiate"), Better::Lower, &instantiate, None),
            Line::alone(("sandbox", "home, us", "call"), Better::Lower, &whole, None),
            Line::alone(("sandbox", "native twin, us", "call"), Better::Lower, &native, None),
        ])
    }
}

/// Columns that the reader reads more than once.
const COLUMNS: usize = 20;

/// A strategy that takes 500 trending items and reads one of their columns so many times.
fn reader(times: usize) -> Vec<u8> {
    let read = "(i32.const 800) (i32.const 10) (i32.const 700)) (call $must)";
    let reads = format!("(call $numbers (local.get $set) {read}").repeat(times);
    let full = "(if (i32.ne (call $size (local.get $set)) (i32.const 500)) (then unreachable))";
    let body =
        format!("(local $set i32) (local.set $set (call $trending (i32.const 500))) {full} {reads} (i32.const 128)");
    component(&Parts {
        extra: r#"(data (i32.const 800) "item.price")"#,
        body: &body,
        pages: 2,
        name: "reader",
        ..Parts::default()
    })
}

/// A shelf's id, title, rows and scores. Not what sources scored: trends decay from one call to the next.
pub(crate) type Content<'p> = (&'p str, &'p str, &'p [ItemRow], Option<&'p [f32]>);

pub(crate) fn content(page: &Page) -> Vec<Content<'_>> {
    page.shelves.iter().map(|s| (s.id.as_str(), s.title.as_str(), s.slots.rows(), s.slots.column("score"))).collect()
}

/// Calls on every core for about this long; the rate over the time it really took.
fn calls_a_second(each: Duration, call: &(dyn Fn(usize) -> Result<()> + Sync)) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let drive = || -> Result<()> {
            while begun.elapsed() < each {
                call(next.fetch_add(1, Ordering::Relaxed))?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(drive)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    Ok(next.into_inner() as f64 / begun.elapsed().as_secs_f64())
}
