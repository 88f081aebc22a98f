//! Scenarios: what runs where.

use super::body;
use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::rollout::{Plan, Stats};
use crate::scenario::{Pins, Release, ScenarioSpec};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A scenario and its live release.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScenarioView {
    name: String,
    /// The live release's number.
    release: u64,
    /// The digest it pins.
    digest: String,
    /// What it pins: this digest, versions of models, and for the record generations of spaces.
    pins: Pins,
    #[serde(flatten)]
    spec: ScenarioSpec,
    /// A release on trial, or the last one that was taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<CandidateView>,
}

/// A release on trial.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CandidateView {
    /// False when it was taken out.
    running: bool,
    /// The digest it pins.
    digest: String,
    pins: Pins,
    spec: ScenarioSpec,
    plan: Plan,
    #[serde(flatten)]
    stats: Stats,
}

fn trial(app: &App, name: &str) -> Option<CandidateView> {
    let running = app.scenarios.candidate(name);
    let candidate = running.clone().or_else(|| app.scenarios.last_trial(name))?;
    Some(CandidateView {
        running: running.is_some(),
        digest: candidate.release.strategy.digest().to_owned(),
        pins: candidate.release.pins.clone(),
        spec: candidate.release.spec.clone(),
        plan: candidate.plan.clone(),
        stats: candidate.stats(),
    })
}

fn view(app: &App, release: &Release) -> ScenarioView {
    ScenarioView {
        candidate: trial(app, &release.scenario),
        name: release.scenario.clone(),
        release: release.number,
        digest: release.strategy.digest().to_owned(),
        pins: release.pins.clone(),
        spec: release.spec.clone(),
    }
}

/// Every scenario.
#[utoipa::path(get, path = "/v1/scenarios", tag = "strategy", responses((status = 200, body = Vec<ScenarioView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<ScenarioView>> {
    Json(app.scenarios.list().iter().map(|release| view(&app, release)).collect())
}

/// One scenario.
#[utoipa::path(get, path = "/v1/scenarios/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = ScenarioView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<ScenarioView>, ApiError> {
    app.scenarios.get(&name).map(|release| Json(view(&app, &release)))
}

/// Creates or changes a scenario: a new release, swapped in at once. Requests under way finish on the old one.
#[utoipa::path(put, path = "/v1/scenarios/{name}", tag = "strategy", params(("name" = String, Path)),
    request_body = ScenarioSpec,
    responses((status = 200, body = ScenarioView), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<ScenarioView>, ApiError> {
    let spec: ScenarioSpec = body::json(&bytes)?;
    blocking(move || app.put_scenario(&name, spec).map(|release| Json(view(&app, &release)))).await
}

/// A release to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    /// The scenario as it would be.
    spec: ScenarioSpec,
    /// How to try it.
    #[serde(default)]
    plan: Plan,
}

/// Puts a release on trial: in shadow, as a canary, or both. It takes itself out when it fails.
#[utoipa::path(post, path = "/v1/scenarios/{name}/releases", tag = "strategy", params(("name" = String, Path)),
    request_body = Trial,
    responses((status = 200, body = ScenarioView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn release(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<ScenarioView>, ApiError> {
    let asked: Trial = body::json(&bytes)?;
    blocking(move || {
        app.check_scenario(&name, &asked.spec)?;
        app.scenarios.try_out(&name, asked.spec, asked.plan)?;
        app.scenarios.get(&name).map(|release| Json(view(&app, &release)))
    })
    .await
}

/// Makes the release on trial the live one.
#[utoipa::path(post, path = "/v1/scenarios/{name}/promote", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = ScenarioView), (status = 422, body = Problem)))]
pub(super) async fn promote(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<ScenarioView>, ApiError> {
    blocking(move || app.scenarios.promote(&name).map(|release| Json(view(&app, &release)))).await
}

/// Ends a trial; without one, goes back to what ran before.
#[utoipa::path(post, path = "/v1/scenarios/{name}/rollback", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = ScenarioView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<ScenarioView>, ApiError> {
    blocking(move || {
        let release =
            if app.scenarios.end_trial(&name)? { app.scenarios.get(&name)? } else { app.scenarios.rollback(&name)? };
        Ok(Json(view(&app, &release)))
    })
    .await
}

/// Takes a scenario out; requests for it are answered 404 from then on.
#[utoipa::path(delete, path = "/v1/scenarios/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || app.scenarios.delete(&name).map(|()| StatusCode::NO_CONTENT)).await
}
