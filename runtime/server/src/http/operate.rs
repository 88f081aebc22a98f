//! For operators: health, readiness, metrics.

use crate::app::App;
use crate::error::ApiError;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operate", responses((status = 200, description = "Alive")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Folds are rebuilt, strategies compiled: send requests.
#[utoipa::path(get, path = "/readyz", tag = "operate", responses((status = 200, description = "Ready", body = Object)))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Json<Value> {
    let scenarios: Vec<String> = app.scenarios.list().iter().map(|release| release.scenario.clone()).collect();
    Json(json!({
        "ready": true,
        "items": app.state.catalogue.current().live_count(),
        "visitors": app.state.folds.visitors(),
        "scenarios": scenarios,
        "models": app.models.list().into_iter().map(|model| model.name).collect::<Vec<_>>(),
        "embeddings": app.embeddings.list().into_iter().map(|space| space.space).collect::<Vec<_>>(),
    }))
}

/// The digest of everything folded from the log, and the offset of the last event in it: `qianmian state rebuild --verify`
/// compares it with folds made from nothing. It takes seconds where there is much.
#[utoipa::path(get, path = "/v1/state", tag = "operate",
    responses((status = 200, description = "offset, events, visitors, digest by part", body = Object)))]
pub(super) async fn state(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    super::catalog::blocking(move || {
        let (offset, digest) = app.state.digest().map_err(ApiError::internal)?;
        let visitors = app.state.folds.visitors();
        Ok(Json(json!({
            "offset": offset, "events": app.state.log.len(), "visitors": visitors,
            "digest": crate::cli::state::wire(&digest),
        })))
    })
    .await
}

/// Prometheus metrics.
#[utoipa::path(get, path = "/metrics", tag = "operate",
    responses((status = 200, description = "Text exposition format", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    app.metrics.waiting.set(app.pool.waiting() as i64);
    app.metrics.items.set(app.state.catalogue.current().live_count() as i64);
    app.metrics.visitors.set(app.state.folds.visitors() as i64);
    app.metrics.uncounted.set(app.state.folds.uncounted().cast_signed());
    let (bytes, lost) = app.state.folds.room();
    app.metrics.visitor_bytes.set(bytes as i64);
    app.metrics.visitors_lost.set(lost.cast_signed());
    app.metrics.drift(&app.models.live());
    let text = app.metrics.render().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
