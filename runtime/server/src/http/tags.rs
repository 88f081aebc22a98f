//! Tags: definitions, who carries them, and how far the back-fill is.

use super::body;
use super::catalog::blocking;
use crate::app::App;
use crate::audience::{self, TAG, TagSpec};
use crate::error::{ApiError, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qianmian_state::Progress;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Values shown of a tag.
const MOST_SHOWN: usize = 100;

/// How far the look at everybody is that follows a change of definitions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Backfill {
    /// True when everybody carries what the definitions say now.
    finished: bool,
    /// Visitors looked at.
    done: usize,
    /// Of so many.
    of: usize,
    /// When the last one ended, milliseconds since 1970 UTC.
    last: i64,
}

impl From<Progress> for Backfill {
    fn from(progress: Progress) -> Self {
        let Progress { done, of, finished, swept } = progress;
        Self { finished, done, of, last: swept }
    }
}

/// A value of a tag.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagValue {
    /// As visitors carry it.
    tag: String,
    /// How many do.
    visitors: u64,
}

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagView {
    name: String,
    /// Raised with every change.
    version: u32,
    spec: TagSpec,
    /// Its most frequent values.
    values: Vec<TagValue>,
    backfill: Backfill,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

pub(super) fn view(app: &App, name: &str) -> Result<TagView, ApiError> {
    let (document, spec) = audience::tag(app, name)?;
    let audience = &app.state.folds.audience;
    let values = audience.values(name).into_iter().take(MOST_SHOWN);
    Ok(TagView {
        name: name.to_owned(),
        version: document.version,
        spec,
        values: values.map(|(tag, visitors)| TagValue { tag: tag.to_string(), visitors }).collect(),
        backfill: audience.progress().into(),
        trouble: audience.trouble(name),
    })
}

/// Every tag.
#[utoipa::path(get, path = "/v1/tags", tag = "strategy", responses((status = 200, body = Vec<TagView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<TagView>>, ApiError> {
    blocking(move || {
        let documents = app.state.registry.list(TAG).map_err(ApiError::internal)?;
        documents.iter().map(|document| view(&app, &document.name)).collect::<Result<_, _>>().map(Json)
    })
    .await
}

/// One tag, with how many visitors carry each value and how far the back-fill is.
#[utoipa::path(get, path = "/v1/tags/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = TagView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<TagView>, ApiError> {
    blocking(move || view(&app, &name).map(Json)).await
}

/// Creates or changes a tag. It is current with every event from now on; who did nothing since is looked at in the
/// background.
#[utoipa::path(put, path = "/v1/tags/{name}", tag = "strategy", params(("name" = String, Path)), request_body = TagSpec,
    responses((status = 200, body = TagView), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<TagView>, ApiError> {
    let spec: TagSpec = body::json(&bytes)?;
    blocking(move || {
        app.audiences.put_tag(&name, &spec)?;
        view(&app, &name).map(Json)
    })
    .await
}

/// Takes a tag away from everybody.
#[utoipa::path(delete, path = "/v1/tags/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "Conditions of others name it", body = Problem)))]
pub(super) async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || {
        audience::tag(&app, &name)?;
        app.audiences.delete(TAG, &name)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
