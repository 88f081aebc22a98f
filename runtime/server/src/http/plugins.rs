//! Strategies: `PUT /v1/plugins/{name}/versions/{version}` uploads a component.

use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::needs::NeedsSpec;
use crate::plugins::{Plugin, UploadReport};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// One version of a strategy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginView {
    name: String,
    version: String,
    digest: String,
    summary: String,
    /// JSON Schema of the parameters.
    #[schema(value_type = Object)]
    parameters_schema: Value,
    /// What it may reach, where the scenario allows it too.
    needs: NeedsSpec,
}

fn view(plugin: &Plugin) -> PluginView {
    PluginView {
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        digest: plugin.strategy.digest().to_owned(),
        summary: plugin.strategy.description().summary.clone(),
        parameters_schema: plugin.schema.clone(),
        needs: NeedsSpec::from(&plugin.strategy.description().needs),
    }
}

/// Uploads a strategy component; nothing is stored unless every check passes.
#[utoipa::path(put, path = "/v1/plugins/{name}/versions/{version}", tag = "strategy",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 200, body = UploadReport), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<UploadReport>, ApiError> {
    blocking(move || app.plugins.upload(&name, &version, &bytes).map(Json)).await
}

/// Every version of every strategy.
#[utoipa::path(get, path = "/v1/plugins", tag = "strategy", responses((status = 200, body = Vec<PluginView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<PluginView>> {
    Json(app.plugins.list().iter().map(|plugin| view(plugin)).collect())
}

/// Every version of one strategy.
#[utoipa::path(get, path = "/v1/plugins/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = Vec<PluginView>), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<PluginView>>, ApiError> {
    let found: Vec<PluginView> =
        app.plugins.list().iter().filter(|plugin| plugin.name == name).map(|plugin| view(plugin)).collect();
    if found.is_empty() {
        return Err(ApiError::not_found("unknown_strategy", format!("no strategy named {name:?}")));
    }
    Ok(Json(found))
}
