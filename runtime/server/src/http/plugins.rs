//! Strategies: `PUT /v1/plugins/{name}/versions/{version}` uploads a component.

use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::needs::NeedsSpec;
use crate::plugins::{Plugin, Signature, Upload, UploadReport};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
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
    /// Whether it failed too often, and is not run for a while.
    breaker_open: bool,
    summary: String,
    /// JSON Schema of the parameters.
    #[schema(value_type = Object)]
    parameters_schema: Value,
    /// What it may reach, where the scenario allows it too.
    needs: NeedsSpec,
    /// Of a tagger, the tags it may give.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

fn view(app: &App, plugin: &Plugin) -> PluginView {
    PluginView {
        name: plugin.name.clone(),
        version: plugin.version.clone(),
        digest: plugin.program.digest().to_owned(),
        breaker_open: app.breakers.of(plugin.program.digest()).is_open(),
        summary: plugin.program.description().summary.clone(),
        parameters_schema: plugin.schema.clone(),
        needs: NeedsSpec::from(&plugin.program.description().needs),
        tags: plugin.program.description().tags.clone(),
    }
}

/// Uploads a strategy component; nothing is stored unless every check passes. Where the server trusts keys, the header
/// `X-Signature` holds the `.minisig` file in base64.
#[utoipa::path(put, path = "/v1/plugins/{name}/versions/{version}", tag = "strategy",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses((status = 200, body = UploadReport), (status = 409, body = Problem),
        (status = 422, description = "The check that failed, and those passed before it", body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<UploadReport>, ApiError> {
    let header = headers.get("x-signature").map(|value| value.to_str().unwrap_or_default());
    let signature = header.map(Signature::from_header).transpose()?;
    blocking(move || {
        let upload = Upload { name: &name, version: &version, component: &bytes, signature: signature.as_ref() };
        app.plugins.upload(&upload).map(Json)
    })
    .await
}

/// Takes a version of a strategy or a tagger out, where nothing runs it or would go back to it. Its bytes stay stored for
/// replays, and the version is never another's.
#[utoipa::path(delete, path = "/v1/plugins/{name}/versions/{version}", tag = "strategy",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "in_use, with the scenario or tag, or shipped", body = Problem)))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    blocking(move || app.delete_plugin(&name, &version).map(|()| StatusCode::NO_CONTENT)).await
}

/// Every version of every strategy.
#[utoipa::path(get, path = "/v1/plugins", tag = "strategy", responses((status = 200, body = Vec<PluginView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<PluginView>> {
    Json(app.plugins.list().iter().map(|plugin| view(&app, plugin)).collect())
}

/// Every version of one strategy.
#[utoipa::path(get, path = "/v1/plugins/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = Vec<PluginView>), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<PluginView>>, ApiError> {
    let found: Vec<PluginView> =
        app.plugins.list().iter().filter(|plugin| plugin.name == name).map(|plugin| view(&app, plugin)).collect();
    if found.is_empty() {
        return Err(ApiError::not_found("unknown_strategy", format!("no strategy named {name:?}")));
    }
    Ok(Json(found))
}
