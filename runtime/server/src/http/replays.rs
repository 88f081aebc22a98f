//! Captures and replays: why an answer was as it was, and what another strategy would have answered.

use super::body;
use super::catalog::blocking;
use super::events::Moment;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::replay::{self, Diff, Rehearsal, With};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use qianmian_state::CaptureFilter;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Most captures one call lists or replays.
const MOST: usize = 10_000;

/// Which captures.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    /// Answered at or after: milliseconds since 1970 UTC, or RFC 3339.
    since: Option<String>,
    /// Of this scenario.
    scenario: Option<String>,
    /// Only those whose strategy failed.
    faults: bool,
    /// At most so many, newest first; 100 without one.
    limit: Option<usize>,
}

/// The head of a capture.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Head {
    request_id: String,
    time: i64,
    scenario: String,
    fault: Option<String>,
}

fn filter(
    since: Option<Moment>,
    scenario: Option<String>,
    faults: bool,
    limit: Option<usize>,
) -> Result<CaptureFilter, ApiError> {
    let since = since
        .map_or(Ok(0), |moment| moment.millis())
        .map_err(|detail| ApiError::bad_request("bad_time", format!("since: {detail}")))?;
    let limit = limit.unwrap_or(100);
    if limit == 0 || limit > MOST {
        let detail = format!("limit is {limit}: expected a whole number from 1 to {MOST}");
        return Err(ApiError::bad_request("limit_out_of_range", detail));
    }
    Ok(CaptureFilter { since, scenario, faults, limit })
}

/// Captures, newest first.
#[utoipa::path(get, path = "/v1/captures", tag = "audit", params(Wanted),
    responses((status = 200, body = Vec<Head>), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<Head>>, ApiError> {
    let Query(wanted) = wanted.map_err(|error| ApiError::bad_request("bad_query", error.body_text()))?;
    let since = wanted.since.map(|text| text.parse().map_or(Moment::Text(text), Moment::Millis));
    let filter = filter(since, wanted.scenario, wanted.faults, wanted.limit)?;
    blocking(move || {
        let heads = replay::list(&app, &filter)?.into_iter();
        let head = |head: qianmian_state::CaptureHead| Head {
            request_id: head.id,
            time: head.time,
            scenario: head.scenario,
            fault: head.fault,
        };
        Ok(Json(heads.map(head).collect()))
    })
    .await
}

/// One capture, whole: request, visitor, what the strategy reached, what the guards were told, the answer.
#[utoipa::path(get, path = "/v1/captures/{request_id}", tag = "audit", params(("request_id" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let capture = replay::find(&app, &id)?;
        let answer: Value = serde_json::from_str(&capture.answer).map_err(ApiError::internal)?;
        let spec: Value = serde_json::from_str(&capture.spec).map_err(ApiError::internal)?;
        let mut document = serde_json::to_value(&capture).map_err(ApiError::internal)?;
        document["answer"] = answer;
        document["spec"] = spec;
        Ok(Json(document))
    })
    .await
}

/// What to replay, and with what.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReplayRequest {
    /// One request; or all that the rest describes.
    request_id: Option<String>,
    /// Answered at or after.
    since: Option<Moment>,
    /// Of this scenario.
    scenario: Option<String>,
    /// Only those whose strategy failed.
    faults: bool,
    /// At most so many, newest first; 100 without one.
    limit: Option<usize>,
    /// With this strategy instead of the one that answered ...
    strategy: Option<String>,
    /// ... in this version; the newest without one.
    version: Option<String>,
}

/// One replay, or the sum of many.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ReplayReport {
    /// Of one request.
    One(Box<Diff>),
    /// Of many.
    Many(Box<Rehearsal>),
}

/// Composes captured requests again, as they were or with another strategy, and says what changes.
#[utoipa::path(post, path = "/v1/replays", tag = "audit", request_body = ReplayRequest, responses(
    (status = 200, body = ReplayReport), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn post(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Json<ReplayReport>, ApiError> {
    let asked: ReplayRequest = body::json(&bytes)?;
    let filter = filter(asked.since, asked.scenario, asked.faults, asked.limit)?;
    blocking(move || {
        let with = match &asked.strategy {
            None => With::Same,
            Some(name) => With::Other(app.plugins.get(name, asked.version.as_deref())?),
        };
        Ok(Json(match &asked.request_id {
            Some(id) => ReplayReport::One(Box::new(replay::replay(&app, replay::find(&app, id)?, &with)?)),
            None => ReplayReport::Many(Box::new(replay::rehearse(&app, &filter, &with)?)),
        }))
    })
    .await
}
