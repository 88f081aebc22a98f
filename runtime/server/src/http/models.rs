//! Models: `PUT /v1/models/{name}/versions/{version}` checks one and swaps it in.

use super::body;
use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::manifests;
use crate::ml::{ModelReport, Taken};
use crate::scenario::Release;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Multipart, Path, Query, State};
use qianmian_models::FeaturePlan;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// How a model is put.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    /// On trial: only who names `name@version` gets it, until it is promoted.
    #[serde(default)]
    trial: bool,
}

/// Uploads a model: multipart parts `model` (ONNX), `manifest` (JSON) and, where they are not in that, `golden` answers. Its features must be there, and its golden
/// rows, where it brings some, must come out, before it serves. Where captures hold what the live version was given, the
/// answer says how the new one differs on it.
#[utoipa::path(put, path = "/v1/models/{name}/versions/{version}", tag = "data science",
    params(("name" = String, Path), ("version" = String, Path), How),
    request_body(content = Vec<u8>, content_type = "multipart/form-data", description = "Parts model, manifest and golden"),
    responses((status = 200, body = Taken),
        (status = 409, description = "That version is there and is another file", body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
    how: Result<Query<How>, QueryRejection>,
    form: Multipart,
) -> Result<Json<Taken>, ApiError> {
    let Query(How { trial }) = how.map_err(|error| ApiError::bad_request("bad_query", error.body_text()))?;
    let [model, manifest, golden] = body::parts(form, ["model", "manifest", "golden"]).await?;
    let (model, manifest) = (body::part(model, "model")?, body::part(manifest, "manifest")?);
    let manifest = manifests::read(&manifest, golden.as_deref())?;
    blocking(move || {
        let some: Vec<_> = app.state.catalogue.current().live_rows().take(1).collect();
        FeaturePlan::of(&manifest)
            .map_err(|error| ApiError::unprocessable("model_refused", error.to_string()))?
            .check(&*app.reach.columns, &some)
            .map_err(|detail| ApiError::unprocessable("unknown_feature", detail))?;
        let mut taken = app.models.put(&name, &version, &model, manifest, trial)?;
        if !trial {
            taken.report = told(&app, taken.report);
        }
        Ok(Json(taken))
    })
    .await
}

/// A report that names the scenarios whose live release pins another version than it is of.
fn told(app: &App, report: ModelReport) -> ModelReport {
    let pinned = |release: &Arc<Release>| release.pins.models.get(&report.name).cloned();
    let other = |release: &Arc<Release>| pinned(release).is_some_and(|version| version != report.version);
    let not_in = app.scenarios.list().into_iter().filter(other).map(|release| release.scenario.clone()).collect();
    ModelReport { not_in, ..report }
}

/// Every live model.
#[utoipa::path(get, path = "/v1/models", tag = "data science", responses((status = 200, body = Vec<ModelReport>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<ModelReport>> {
    Json(app.models.list())
}

/// A model: its live version, and what is on trial beside it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelView {
    #[serde(flatten)]
    report: ModelReport,
    /// The version on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<ModelReport>,
}

/// One model; of one that was never live the version on trial.
#[utoipa::path(get, path = "/v1/models/{name}", tag = "data science", params(("name" = String, Path)),
    responses((status = 200, body = ModelView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<ModelView>, ApiError> {
    Ok(Json(ModelView { report: app.models.report(&name)?, trial: app.models.trial(&name) }))
}

/// Makes the version on trial the live one. Requests under way finish on the old one; releases that pin another version go on
/// with that.
#[utoipa::path(post, path = "/v1/models/{name}/promote", tag = "data science", params(("name" = String, Path)),
    responses((status = 200, body = ModelReport), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn promote(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<ModelReport>, ApiError> {
    blocking(move || Ok(Json(told(&app, app.models.promote(&name)?)))).await
}

/// Ends a trial; without one, goes back to the version that was live before.
#[utoipa::path(post, path = "/v1/models/{name}/rollback", tag = "data science", params(("name" = String, Path)),
    responses((status = 200, body = ModelReport), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<ModelReport>, ApiError> {
    blocking(move || Ok(Json(told(&app, app.models.rollback(&name)?)))).await
}

/// How far the inputs and scores of a live ranker went from those it was trained on, or from the first it scored: the
/// population stability index over tenths, below 0.1 little, above 0.25 much.
#[utoipa::path(get, path = "/v1/models/{name}/drift", tag = "data science", params(("name" = String, Path)),
    responses((status = 200, description = "model, version, reference, collecting, rows, score, features by their index",
        body = Object), (status = 404, body = Problem)))]
pub(super) async fn drift(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let served = app
        .models
        .get(&name)
        .ok_or_else(|| ApiError::not_found("unknown_model", format!("no model named {name:?}")))?;
    let mut report = serde_json::to_value(served.drift.report()).map_err(ApiError::internal)?;
    report["model"] = served.name.as_str().into();
    report["version"] = served.version.as_str().into();
    Ok(Json(report))
}
