//! A recommendation: request -> scenario's release -> visitor snapshot -> sandbox -> guards -> answer.

pub mod answer;
mod compose;
mod explain;
mod fallback;
pub mod ground;
mod guards;

pub use answer::{Answer, RecommendRequest};
pub use compose::{Composed, compose};

use crate::app::App;
use crate::breaker::Change;
use crate::error::ApiError;
use crate::pool::PoolError;
use crate::replay::{Recorder, Taken};
use crate::rollout::{Candidate, LivePage, Verdict};
use crate::scenario::Release;
use answer::Fallback;
use compose::without_strategy;
use ground::{LiveGround, RecordingGround};
use qianmian_core::{Request, RequestContext, TimeMs, Visitor};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The code of answers whose caller did not wait for the strategy.
const DEADLINE_PASSED: &str = "deadline_passed";
/// The code of answers while a component is not run.
const BREAKER_OPEN: &str = "breaker_open";

/// Milliseconds since 1970 UTC, now.
#[must_use]
pub fn now_ms() -> TimeMs {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as TimeMs)
}

/// Answers one request.
///
/// # Errors
/// What the caller did wrong (400, 404), or 503 when the CPU pool's queue is full. A strategy that fails is not an
/// error: the fallback answers and the answer says so.
pub async fn recommend(app: &Arc<App>, asked: RecommendRequest, request_id: String) -> Result<Answer, ApiError> {
    let begun = Instant::now();
    let scenario = asked.scenario.clone();
    let result = answer(app, asked, request_id, begun).await;
    let outcome = match &result {
        Ok(answer) if answer.fallback.is_some() => "fallback",
        Ok(_) => "ok",
        Err(_) => "error",
    };
    // Only known scenarios become labels: a stranger must not be able to grow the metrics.
    let label = if app.scenarios.get(&scenario).is_ok() { scenario.as_str() } else { "unknown" };
    app.metrics.recommendations.with_label_values(&[label, outcome]).inc();
    app.metrics.recommend_seconds.with_label_values(&[label]).observe(begun.elapsed().as_secs_f64());
    result
}

async fn answer(
    app: &Arc<App>,
    asked: RecommendRequest,
    request_id: String,
    begun: Instant,
) -> Result<Answer, ApiError> {
    let live = app.scenarios.get(&asked.scenario)?;
    let candidate = app.scenarios.candidate(&asked.scenario);
    let deadline = asked.deadline.map(|left| begun + left);
    let (request, unknown_items) = resolve(app, asked, request_id)?;
    let visitor = match (&request.visitor, request.personalised) {
        (Some(person), true) => app.state.folds.visitor(person),
        _ => Arc::new(Visitor::default()),
    };
    let seed = seed_of(&request.id);
    let now = app.config.frozen_clock.unwrap_or_else(now_ms);
    let keep = request.explain || app.config.keeps_features(seed);
    let ctx = RequestContext::new(request, visitor, now, seed);
    let ctx = if keep { ctx.keeping_scored() } else { ctx };
    let ctx = Arc::new(match deadline {
        Some(deadline) => ctx.until(deadline),
        None => ctx,
    });
    // Who is not named is sorted by request.
    let who = ctx.request.visitor.as_deref().unwrap_or(&ctx.request.id);
    let trial = candidate.as_ref().filter(|candidate| candidate.answers(who)).cloned();
    let release = trial.as_ref().map_or(live, |candidate| Arc::clone(&candidate.release));
    let (worker, shared) = (Arc::clone(app), Arc::clone(&ctx));
    let on_trial = trial.is_some();
    let (composed, taken) = app
        .pool
        .run(move || if on_trial { record(&worker, release, shared) } else { guarded(&worker, release, shared) })
        .await
        .map_err(|error| match error {
            PoolError::Full => {
                app.metrics.shed.with_label_values(&["compose"]).inc();
                ApiError::overloaded("every compose thread is busy and the queue is full; try again in a second")
            }
            PoolError::Panicked => ApiError::internal("composing panicked"),
        })?;
    count(app, &composed);
    match (&trial, candidate) {
        (Some(trial), _) if failed(&composed.answer) || composed.answer.fallback.is_none() => {
            judge(app, trial, &composed)
        }
        (None, Some(candidate)) if candidate.shadows(&ctx.request.id) => {
            shadow(app, candidate, ctx, LivePage::of(&composed));
        }
        _ => {}
    }
    let Composed { mut answer, .. } = composed;
    if trial.is_some() {
        answer.variants.insert("release".to_owned(), "candidate".to_owned());
    }
    if !unknown_items.is_empty() {
        answer.degraded.push("unknown_items".to_owned());
        answer.unknown_items = unknown_items;
    }
    answer.took_us = begun.elapsed().as_micros() as u64;
    if let Some(taken) = taken
        && !app.captures().keep(taken, answer.clone())
    {
        app.metrics.shed.with_label_values(&["captures"]).inc();
    }
    Ok(answer)
}

/// Counts a candidate's answer; one that fails too often is taken out at once, and the live release answers everybody.
fn judge(app: &Arc<App>, candidate: &Arc<Candidate>, composed: &Composed) {
    if let Verdict::Out(reason) = candidate.count(composed) {
        let scenario = candidate.release.scenario.clone();
        tracing::error!(scenario, reason, "a candidate was taken out");
        app.metrics.rollbacks.with_label_values(&[&scenario]).inc();
        let (app, candidate) = (Arc::clone(app), Arc::clone(candidate));
        // The registry's write is not the visitor's to wait for.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = app.scenarios.end_trial_of(&candidate) {
                tracing::error!(scenario, %error, "the end of a trial could not be stored");
            }
        });
    }
}

/// Composes with the candidate after the answer; when there is no room, it is left out.
fn shadow(app: &Arc<App>, candidate: Arc<Candidate>, ctx: Arc<RequestContext>, live: LivePage) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let worker = Arc::clone(&app);
        let ran = app.pool.run(move || {
            // What the live release computed must not help: a fresh memo.
            let again = RequestContext::new(ctx.request.clone(), Arc::clone(&ctx.visitor), ctx.now, ctx.seed);
            let ground = LiveGround::new(&worker);
            let reach = candidate.release.reach(&worker.reach);
            let shadow = compose(&worker, &reach, &ground, &candidate.release, &Arc::new(again));
            candidate.compare(&live, &shadow);
        });
        if ran.await.is_err() {
            app.metrics.shed.with_label_values(&["shadow"]).inc();
        }
    });
}

/// Composes with the live release, unless its component's breaker is open: then with what ran before, or not at all.
fn guarded(app: &App, release: Arc<Release>, ctx: Arc<RequestContext>) -> (Composed, Option<Taken>) {
    let breaker = app.breakers.of(release.strategy.digest());
    if !breaker.admits(Instant::now()) {
        return (stand_in(app, &release, &ctx), None);
    }
    let (composed, taken) = record(app, Arc::clone(&release), ctx);
    // Refusing is the strategy's right, and a full sandbox is ours.
    let blameless = |fallback: &Fallback| matches!(fallback.code.as_str(), "strategy_reject" | "sandbox_busy");
    let failed = failed(&composed.answer) && !composed.answer.fallback.as_ref().is_some_and(blameless);
    let strategy = &release.strategy.description().name;
    match breaker.report(failed, Instant::now()) {
        Change::Opened(pause) => {
            tracing::error!(
                strategy,
                digest = release.strategy.digest(),
                ?pause,
                fault = composed.fault,
                "breaker opened"
            );
            app.metrics.breakers.with_label_values(&[strategy]).inc();
        }
        Change::Closed => tracing::info!(strategy, digest = release.strategy.digest(), "breaker closed"),
        Change::None => {}
    }
    (composed, taken)
}

/// Whether the strategy failed by itself, and not for want of the caller's patience.
fn failed(answer: &Answer) -> bool {
    answer.fallback.as_ref().is_some_and(|fallback| fallback.code != DEADLINE_PASSED)
}

/// The answer while a component is not run.
fn stand_in(app: &App, release: &Arc<Release>, ctx: &Arc<RequestContext>) -> Composed {
    let ground = LiveGround::new(app);
    let why = "the strategy failed too often and is not run for a while";
    let before = release.previous.as_ref().filter(|before| !app.breakers.of(before.strategy.digest()).is_open());
    let mut composed = match before {
        Some(before) => compose(app, &before.reach(&app.reach), &ground, before, ctx),
        None => without_strategy(app, &ground, release, ctx, (BREAKER_OPEN, why)),
    };
    let fallback = composed.answer.fallback.take();
    // Where the stand-in failed too, its own reason is the one to mend.
    composed.answer.fallback = fallback.filter(|own| own.code != BREAKER_OPEN).or_else(|| {
        let kind = if before.is_some() { "previous" } else { "popular" };
        let detail = ctx.request.explain.then(|| why.to_owned());
        Some(Fallback { kind, code: BREAKER_OPEN.to_owned(), detail })
    });
    composed
}

/// Composes and writes down what that depended on: whether it is kept is known when the strategy has run, and what is not
/// kept is dropped here, on the CPU thread.
fn record(app: &App, release: Arc<Release>, ctx: Arc<RequestContext>) -> (Composed, Option<Taken>) {
    let (recorder, reach) = Recorder::over(&release.reach(&app.reach));
    let ground = RecordingGround::new(app);
    let composed = compose(app, &reach, &ground, &release, &ctx);
    let taken = app.config.captures(ctx.seed, failed(&composed.answer)).then(|| {
        let (ground, catalogue) = ground.finish();
        let (usage, guarded) = (composed.usage, composed.removed.len());
        let scored = if app.config.keeps_features(ctx.seed) { ctx.scored() } else { Vec::new() };
        Taken { ctx, release, calls: recorder.take(), ground, catalogue, usage, guarded, scored }
    });
    (composed, taken)
}

fn count(app: &App, composed: &Composed) {
    let (name, answer) = (composed.answer.strategy.name.as_str(), &composed.answer);
    app.metrics.strategy_seconds.with_label_values(&[name]).observe(composed.usage.wall.as_secs_f64());
    if let Some(fallback) = &answer.fallback {
        let (scenario, code) = (&answer.scenario, &fallback.code);
        tracing::warn!(scenario, strategy = name, code, fault = composed.fault, "a strategy failed");
        app.metrics.faults.with_label_values(&[name, code]).inc();
    }
    for gone in &composed.removed {
        app.metrics.guarded.with_label_values(&[&gone.reason]).inc();
    }
    for what in &answer.degraded {
        app.metrics.degraded.with_label_values(&[what.split(':').next().unwrap_or_default()]).inc();
    }
}

/// From the wire to the vocabulary: ids become rows; ids nobody knows are reported, not an error.
fn resolve(app: &App, asked: RecommendRequest, id: String) -> Result<(Request, Vec<String>), ApiError> {
    let most = app.config.max_limit;
    let limit = asked.limit.unwrap_or(20);
    if limit == 0 || limit > u64::from(most) {
        return Err(ApiError::bad_request(
            "limit_out_of_range",
            format!("limit is {limit}: expected a whole number from 1 to {most}"),
        ));
    }
    let catalogue = app.state.catalogue.current();
    let mut unknown = Vec::new();
    let mut rows = |ids: &[String]| {
        ids.iter()
            .filter_map(|id| {
                let row = catalogue.row(id);
                if row.is_none() {
                    unknown.push(id.clone());
                }
                row
            })
            .collect::<Vec<_>>()
    };
    let items = rows(&asked.items);
    let exclude = rows(&asked.exclude);
    let mut context = asked.context;
    let region = context.remove("region").unwrap_or_default();
    // From here on a visitor is a key; without personalisation there is none, not even to remember the answer by.
    let personalised = asked.personalised.unwrap_or(true);
    let visitor = asked.visitor.filter(|_| personalised).and_then(|visitor| visitor.id.or(visitor.anonymous_id));
    let visitor = visitor.filter(|id| !id.is_empty()).map(|id| app.state.people.of(&id).to_string());
    let request = Request {
        id,
        scenario: asked.scenario,
        visitor,
        channel: asked.channel.unwrap_or_default(),
        region,
        context: context.into_iter().collect(),
        items,
        limit: limit as u32,
        exclude,
        personalised,
        explain: asked.explain.unwrap_or(false),
    };
    Ok((request, unknown))
}

/// The same request id gives the same seed: an answer can be computed again.
fn seed_of(request_id: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(request_id.as_bytes());
    hasher.finish()
}
