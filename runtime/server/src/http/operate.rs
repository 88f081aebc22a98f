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

/// Prometheus metrics.
#[utoipa::path(get, path = "/metrics", tag = "operate",
    responses((status = 200, description = "Text exposition format", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    app.metrics.waiting.set(app.pool.waiting() as i64);
    app.metrics.items.set(app.state.catalogue.current().live_count() as i64);
    app.metrics.visitors.set(app.state.folds.visitors() as i64);
    let text = app.metrics.render().map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
