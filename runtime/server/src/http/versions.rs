//! Versions of tags and segments: what a definition was, and bringing it back.

use super::body;
use super::catalog::blocking;
use super::{segments, tags};
use crate::app::App;
use crate::audience::{self, SEGMENT, TAG};
use crate::error::{ApiError, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use qianmian_state::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// One version of a definition.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionView {
    version: u32,
    /// When it was written, milliseconds since 1970 UTC.
    time: i64,
    /// The definition; null where it was taken away.
    #[schema(value_type = Option<Object>)]
    spec: Option<Value>,
}

impl From<Document> for VersionView {
    fn from(document: Document) -> Self {
        let Document { version, time, value, .. } = document;
        Self { version, time, spec: value }
    }
}

/// Which version to bring back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restore {
    version: u32,
}

async fn versions(app: Arc<App>, kind: &'static str, name: String) -> Result<Json<Vec<VersionView>>, ApiError> {
    blocking(move || {
        let all = audience::versions(&app, kind, &name)?;
        Ok(Json(all.into_iter().map(VersionView::from).collect()))
    })
    .await
}

/// Every version of a tag, the newest first.
#[utoipa::path(get, path = "/v1/tags/{name}/versions", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = Vec<VersionView>), (status = 404, body = Problem)))]
pub(super) async fn of_tag(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<VersionView>>, ApiError> {
    versions(app, TAG, name).await
}

/// Every version of a segment, the newest first.
#[utoipa::path(get, path = "/v1/segments/{name}/versions", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = Vec<VersionView>), (status = 404, body = Problem)))]
pub(super) async fn of_segment(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<VersionView>>, ApiError> {
    versions(app, SEGMENT, name).await
}

/// Brings back a tag as it was in a version, as a new one.
#[utoipa::path(post, path = "/v1/tags/{name}/restore", tag = "strategy", params(("name" = String, Path)),
    request_body = Restore, responses((status = 200, body = tags::TagView), (status = 404, body = Problem),
        (status = 409, description = "It was taken away with that version", body = Problem), (status = 422, body = Problem)))]
pub(super) async fn restore_tag(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<tags::TagView>, ApiError> {
    let Restore { version } = body::json(&bytes)?;
    blocking(move || {
        app.audiences.restore(TAG, &name, version)?;
        tags::view(&app, &name).map(Json)
    })
    .await
}

/// Brings back a segment as it was in a version, as a new one.
#[utoipa::path(post, path = "/v1/segments/{name}/restore", tag = "strategy", params(("name" = String, Path)),
    request_body = Restore, responses((status = 200, body = segments::SegmentView), (status = 404, body = Problem),
        (status = 409, description = "It was taken away with that version, or its list is not kept any more", body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn restore_segment(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<segments::SegmentView>, ApiError> {
    let Restore { version } = body::json(&bytes)?;
    blocking(move || {
        app.audiences.restore(SEGMENT, &name, version)?;
        segments::view(&app, &name).map(Json)
    })
    .await
}
