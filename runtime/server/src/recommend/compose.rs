//! One composition on a CPU thread: the strategy, or the fallback in its place, then the host's last word.

use super::answer::{Answer, Fallback, Removed, Served, StrategyId};
use super::ground::Ground;
use super::guards::Guards;
use super::{DEADLINE_PASSED, explain, fallback};
use crate::app::App;
use crate::scenario::Release;
use qianmian_core::{Page, Reach, RequestContext};
use qianmian_host::{Fault, Limits, NEAR_LIMIT, Outcome, Step, Usage};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What came of a composition.
pub struct Composed {
    /// The answer, but for what the edge adds.
    pub answer: Answer,
    /// What the guards took out.
    pub removed: Vec<Removed>,
    /// What the strategy used.
    pub usage: Usage,
    /// Why the strategy failed, in words; empty when it did not.
    pub fault: String,
}

/// Runs the release's strategy over `reach` and gives the host the last word over `ground`. On a CPU thread. It depends on
/// nothing else but the explanation, which reads live columns.
#[must_use]
pub fn compose(
    app: &App,
    reach: &Reach,
    ground: &dyn Ground,
    release: &Release,
    ctx: &Arc<RequestContext>,
) -> Composed {
    let mut limits = release.limits(app.config.strategy_wall_ms);
    let left = ctx.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let hurried = left.is_some_and(|left| left < limits.wall);
    match left {
        Some(left) if left.is_zero() => {
            let why = "the caller's deadline passed while the request waited";
            return without_strategy(app, ground, release, ctx, (DEADLINE_PASSED, why));
        }
        Some(left) => limits.wall = limits.wall.min(left),
        None => {}
    }
    let outcome = release.strategy.compose(Arc::clone(ctx), reach, &release.parameters, &limits);
    near_limits(app, release, &outcome.usage, &limits);
    let Outcome { page, usage, log, steps, degraded } = outcome;
    let page = page.map_err(|fault| match fault {
        Fault::Timeout { .. } if hurried => (DEADLINE_PASSED, fault.to_string()),
        fault => (fault.code(), fault.to_string()),
    });
    finish(app, ground, release, ctx, Ran { page, usage, log, steps, degraded })
}

/// The popular page, for a reason: a code and words.
pub(super) fn without_strategy(
    app: &App,
    ground: &dyn Ground,
    release: &Release,
    ctx: &Arc<RequestContext>,
    (code, why): (&'static str, &str),
) -> Composed {
    let page = Err((code, why.to_owned()));
    let (usage, log, steps, degraded) = (Usage::default(), Vec::new(), Vec::new(), Vec::new());
    finish(app, ground, release, ctx, Ran { page, usage, log, steps, degraded })
}

/// Tells whoever watches before a budget hurts.
fn near_limits(app: &App, release: &Release, usage: &Usage, limits: &Limits) {
    for (budget, _) in usage.shares(limits).into_iter().filter(|(_, used)| *used > NEAR_LIMIT) {
        app.metrics.near_limit.with_label_values(&[&release.strategy.description().name, budget]).inc();
    }
}

/// What a strategy did, or the code and words for why it did nothing.
struct Ran {
    page: Result<Page, (&'static str, String)>,
    usage: Usage,
    log: Vec<String>,
    steps: Vec<Step>,
    degraded: Vec<String>,
}

/// From a strategy's page to the answer: fallback, guards, backfill, explanation.
fn finish(app: &App, ground: &dyn Ground, release: &Release, ctx: &Arc<RequestContext>, ran: Ran) -> Composed {
    let Ran { page, usage, log, steps, mut degraded } = ran;
    let (page, fault) = match page {
        Ok(page) => (page, None),
        Err(fault) => (fallback::popular(ground, ctx, release), Some(fault)),
    };
    let guards = Guards::new(ground, ctx, release);
    let Served { mut shelves, removed } = guards.apply(&page);
    let wanted = ctx.request.limit as usize;
    let served: usize = shelves.iter().map(|shelf| shelf.slots.len()).sum();
    // An empty page, or holes the guards made, are filled; a short page the strategy meant is left alone.
    if (served == 0 || !removed.is_empty()) && served < wanted {
        let missing = if served == 0 { wanted } else { removed.len().min(wanted - served) };
        if guards.backfill(&mut shelves, missing) > 0 {
            degraded.push("backfilled".to_owned());
        }
    }
    let description = release.strategy.description();
    let said = fault.as_ref().map(|(_, detail)| detail.clone()).unwrap_or_default();
    let mut answer = Answer {
        request_id: ctx.request.id.clone(),
        scenario: release.scenario.clone(),
        release: release.number,
        strategy: StrategyId {
            name: description.name.clone(),
            version: description.version.clone(),
            digest: release.strategy.digest().to_owned(),
        },
        variants: BTreeMap::new(),
        degraded,
        fallback: fault.map(|(code, detail)| Fallback {
            kind: "popular",
            code: code.to_owned(),
            detail: ctx.request.explain.then_some(detail),
        }),
        shelves,
        unknown_items: Vec::new(),
        explanation: None,
        took_us: 0,
    };
    if ctx.request.explain {
        let ran = explain::Ran { page: &page, removed: &removed, steps, log };
        explain::explain(app, ctx, ran, &usage, &mut answer);
    }
    Composed { answer, removed, usage, fault: said }
}
