//! Models: `PUT /v1/models/{name}/versions/{version}` checks one and swaps it in.

use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::manifests;
use crate::ml::ModelReport;
use crate::scenario::Release;
use axum::Json;
use axum::extract::{Multipart, Path, State};
use qianmian_models::FeaturePlan;
use serde_json::Value;
use std::sync::Arc;

/// Uploads a model: multipart parts `model` (ONNX) and `manifest` (JSON). Its features must be there, and its golden
/// rows, where it brings some, must come out, before it serves.
#[utoipa::path(put, path = "/v1/models/{name}/versions/{version}", tag = "data science",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body(content = Vec<u8>, content_type = "multipart/form-data", description = "Parts model and manifest"),
    responses((status = 200, body = ModelReport),
        (status = 409, description = "That version is there and is another file", body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
    mut form: Multipart,
) -> Result<Json<ModelReport>, ApiError> {
    let bad = |error: axum::extract::multipart::MultipartError| {
        ApiError::new(error.status(), "bad_multipart", error.body_text())
    };
    let (mut model, mut manifest) = (None, None);
    while let Some(part) = form.next_field().await.map_err(bad)? {
        match part.name().unwrap_or_default() {
            "model" => model = Some(part.bytes().await.map_err(bad)?),
            "manifest" => manifest = Some(manifests::read(&part.bytes().await.map_err(bad)?)?),
            other => {
                return Err(ApiError::bad_request(
                    "unknown_part",
                    format!("part {other:?}: expected \"model\" and \"manifest\""),
                ));
            }
        }
    }
    let missing = |part| ApiError::bad_request("missing_part", format!("the multipart body has no part {part:?}"));
    let model = model.ok_or_else(|| missing("model"))?;
    let manifest = manifest.ok_or_else(|| missing("manifest"))?;
    blocking(move || {
        let some: Vec<_> = app.state.catalogue.current().live_rows().take(1).collect();
        FeaturePlan::of(&manifest)
            .map_err(|error| ApiError::unprocessable("model_refused", error.to_string()))?
            .check(&*app.reach.columns, &some)
            .map_err(|detail| ApiError::unprocessable("unknown_feature", detail))?;
        let report = app.models.put(&name, &version, &model, manifest)?;
        let other = |release: &Arc<Release>| release.pins.models.get(&name).is_some_and(|pinned| *pinned != version);
        let not_in = app.scenarios.list().into_iter().filter(other).map(|release| release.scenario.clone());
        Ok(Json(ModelReport { not_in: not_in.collect(), ..report }))
    })
    .await
}

/// Every live model.
#[utoipa::path(get, path = "/v1/models", tag = "data science", responses((status = 200, body = Vec<ModelReport>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<ModelReport>> {
    Json(app.models.list())
}

/// One live model.
#[utoipa::path(get, path = "/v1/models/{name}", tag = "data science", params(("name" = String, Path)),
    responses((status = 200, body = ModelReport), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<ModelReport>, ApiError> {
    app.models
        .list()
        .into_iter()
        .find(|model| model.name == name)
        .map(Json)
        .ok_or_else(|| ApiError::not_found("unknown_model", format!("no model named {name:?}")))
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
