//! Scenarios: what runs where.

use super::body;
use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::scenario::{Release, ScenarioSpec};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::Serialize;
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
    #[serde(flatten)]
    spec: ScenarioSpec,
}

fn view(release: &Release) -> ScenarioView {
    ScenarioView {
        name: release.scenario.clone(),
        release: release.number,
        digest: release.strategy.digest().to_owned(),
        spec: release.spec.clone(),
    }
}

/// Every scenario.
#[utoipa::path(get, path = "/v1/scenarios", tag = "strategy", responses((status = 200, body = Vec<ScenarioView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<ScenarioView>> {
    Json(app.scenarios.list().iter().map(|release| view(release)).collect())
}

/// One scenario.
#[utoipa::path(get, path = "/v1/scenarios/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = ScenarioView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<ScenarioView>, ApiError> {
    app.scenarios.get(&name).map(|release| Json(view(&release)))
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
    blocking(move || app.put_scenario(&name, spec).map(|release| Json(view(&release)))).await
}

/// Goes back to what ran before.
#[utoipa::path(post, path = "/v1/scenarios/{name}/rollback", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = ScenarioView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<ScenarioView>, ApiError> {
    blocking(move || app.scenarios.rollback(&name, &app.plugins).map(|release| Json(view(&release)))).await
}
