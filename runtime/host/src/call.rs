//! The state of one composition on the host's side: its context, its budgets and what it leaves behind.

use crate::expressions::Expressions;
use crate::needs::Grants;
use crate::strategy::Step;
use crate::{Fault, Limits};
use qianmian_core::{
    Candidates, ColumnValues, Columns, ItemRow, Reach, ReachError, RequestContext, Retrieval, Scoring, SourceSpec,
};
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;

/// What a store holds.
pub(crate) struct State {
    pub call: Call,
    /// The candidate sets the strategy has handles to.
    pub sets: ResourceTable,
    pub memory: Memory,
    /// The items in the interactions that a tagger was given.
    pub items: Vec<ItemRow>,
}

/// One composition.
pub(crate) struct Call {
    pub ctx: Arc<RequestContext>,
    pub reach: Reach,
    pub limits: Limits,
    pub expressions: Arc<Expressions>,
    pub grants: Arc<Grants>,
    pub deadline: Instant,
    pub host_calls: u32,
    pub sets_made: u32,
    pub log: Vec<String>,
    pub log_bytes: usize,
    pub steps: Vec<Step>,
    pub degraded: Vec<String>,
}

/// What an explained step began with.
pub(crate) struct StepStart {
    begun: Instant,
    rows: Vec<ItemRow>,
}

impl Call {
    pub fn new(
        ctx: Arc<RequestContext>,
        reach: Reach,
        limits: Limits,
        expressions: Arc<Expressions>,
        grants: Arc<Grants>,
    ) -> Self {
        Self {
            ctx,
            reach,
            limits,
            expressions,
            grants,
            deadline: Instant::now() + limits.wall,
            host_calls: 0,
            sets_made: 0,
            log: Vec::new(),
            log_bytes: 0,
            steps: Vec::new(),
            degraded: Vec::new(),
        }
    }

    /// Every host function begins here.
    pub fn enter(&mut self) -> Result<(), Fault> {
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            return Err(Fault::HostCallLimit { limit: self.limits.host_calls });
        }
        self.check_clock()
    }

    pub fn check_clock(&self) -> Result<(), Fault> {
        if Instant::now() >= self.deadline {
            return Err(Fault::Timeout { limit: self.limits.wall });
        }
        Ok(())
    }

    /// Counts a new candidate set.
    pub fn make_set(&mut self) -> Result<(), Fault> {
        self.sets_made += 1;
        if self.sets_made > self.limits.sets {
            return Err(Fault::SetLimit { limit: self.limits.sets });
        }
        Ok(())
    }

    /// Keeps a line, cut at what is left of the log's budget.
    pub fn write(&mut self, line: &str) {
        let left = self.limits.log_bytes.saturating_sub(self.log_bytes);
        let line = cut(line, left);
        if !line.is_empty() {
            self.log_bytes += line.len();
            self.log.push(line.to_owned());
        }
    }

    /// Records, once, that the answer is not what it could be; the reason goes to the log.
    pub fn degrade(&mut self, what: String, error: &ReachError) {
        if !self.degraded.contains(&what) {
            self.write(&format!("degraded {what}: {error}"));
            self.degraded.push(what);
        }
    }

    /// Notes what an operation starts from; nothing unless the request asks for an explanation.
    pub fn start_step(&self, set: Option<&Candidates>) -> Option<StepStart> {
        let rows = || set.map(|set| set.rows().to_vec()).unwrap_or_default();
        self.ctx.request.explain.then(|| StepStart { begun: Instant::now(), rows: rows() })
    }

    /// Records what an operation did; removed rows only of operations that judge candidates.
    pub fn end_step(
        &mut self,
        start: Option<StepStart>,
        operation: &'static str,
        argument: impl FnOnce() -> String,
        set: &Candidates,
    ) {
        let Some(StepStart { begun, rows }) = start else { return };
        let micros = begun.elapsed().as_micros() as u64;
        let before = rows.len();
        let judges = matches!(operation, "keep" | "cap" | "without-seen" | "without");
        let removed = if judges && set.len() < before {
            let left: FxHashSet<ItemRow> = set.rows().iter().copied().collect();
            rows.into_iter().filter(|row| !left.contains(row)).collect()
        } else {
            Vec::new()
        };
        let argument = cut(&argument(), 1_000).to_owned();
        self.steps.push(Step { operation, argument, before, after: set.len(), removed, micros });
    }
}

/// At most `bytes` of a text, cut between characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Bounds linear memory and tables. Growing beyond ends the call: a guest that goes on without the memory it asked for
/// would only trap later, with a reason nobody understands.
pub(crate) struct Memory {
    pub limit: usize,
    pub peak: usize,
}

/// Entries of one table; handles and function pointers of a strategy are a few hundred.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        // All memories of the component together; none ever shrinks.
        let asked = self.peak.saturating_sub(current).saturating_add(desired);
        if asked > self.limit {
            return Err(Fault::MemoryLimit { asked, limit: self.limit }.into());
        }
        self.peak = asked;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

/// The reach of `describe`: nothing.
struct Nothing;

impl Nothing {
    fn error() -> ReachError {
        ReachError::Failed { what: "describe".to_owned(), detail: "no data can be reached while describing".to_owned() }
    }
}

impl Retrieval for Nothing {
    fn retrieve(&self, _: &RequestContext, _: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        Err(Self::error())
    }
}

impl Columns for Nothing {
    fn column(&self, _: &RequestContext, _: &[ItemRow], _: &str) -> Result<ColumnValues, ReachError> {
        Err(Self::error())
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        vec![Arc::from(""); rows.len()]
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        vec![None; ids.len()]
    }

    fn vectors(&self, _: &[ItemRow], _: &str) -> Result<(Vec<f32>, usize), ReachError> {
        Err(Self::error())
    }
}

impl Scoring for Nothing {
    fn score(&self, _: &RequestContext, _: &Candidates, _: &str) -> Result<Vec<f32>, ReachError> {
        Err(Self::error())
    }
}

/// A reach without any data.
pub(crate) fn no_reach() -> Reach {
    Reach { retrieval: Arc::new(Nothing), columns: Arc::new(Nothing), scoring: Arc::new(Nothing) }
}
