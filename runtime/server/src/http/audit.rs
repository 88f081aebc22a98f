//! `GET /v1/audit`: what was done to people's data, as a chain of entries that cannot be changed unnoticed.

use super::catalog::blocking;
use super::events::Moment;
use crate::app::App;
use crate::error::{ApiError, Problem};
use axum::Json;
use axum::extract::{Query, State};
use qianmian_state::{AuditFilter, Entry};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Most entries of one answer.
const MOST: usize = 10_000;

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    /// At or after: milliseconds since 1970 UTC, or RFC 3339.
    since: Option<String>,
    /// Only actions that begin so: `visitor.`, `visitor.erased`, `segment.`, `retention.` ...
    action: Option<String>,
    /// Only about this visitor, by any id.
    visitor: Option<String>,
    /// Only about this subject as it stands in the entries: a visitor's key, a name.
    subject: Option<String>,
    /// At most so many, newest first; 100 without one.
    limit: Option<usize>,
}

/// One thing that was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// From 1 without gaps.
    seq: u64,
    /// Milliseconds since 1970 UTC.
    time: i64,
    /// visitor.link, visitor.unlink, visitor.erase (begun), visitor.erased (done), tag.put, segment.put, backup.restored ...
    action: String,
    /// A visitor's key, or a name.
    subject: Option<String>,
    #[schema(value_type = Object)]
    detail: Value,
    /// SHA-256 of the entry before.
    previous: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        let Entry { seq, time, action, subject, detail, previous } = entry;
        Self { seq, time, action, subject, detail, previous }
    }
}

/// The audit trail, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(Wanted),
    responses((status = 200, body = Vec<EntryView>), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<EntryView>>, ApiError> {
    let Query(wanted) = wanted.map_err(|error| ApiError::bad_request("bad_query", error.body_text()))?;
    let since = wanted.since.map(|text| text.parse().map_or(Moment::Text(text), Moment::Millis));
    let since = since.map_or(Ok(0), |moment| moment.millis());
    let since = since.map_err(|detail| ApiError::bad_request("bad_time", format!("since: {detail}")))?;
    let limit = wanted.limit.unwrap_or(100);
    if limit == 0 || limit > MOST {
        let detail = format!("limit is {limit}: expected a whole number from 1 to {MOST}");
        return Err(ApiError::bad_request("limit_out_of_range", detail));
    }
    let mut subjects: Vec<String> = wanted.subject.into_iter().collect();
    if let Some(id) = wanted.visitor {
        let people = &app.state.people;
        subjects.push(people.key(&id));
        subjects.extend(people.keys(&people.of(&id)).iter().map(ToString::to_string));
    }
    let subjects = (!subjects.is_empty()).then_some(subjects);
    let filter = AuditFilter { since, action: wanted.action, subjects, limit };
    blocking(move || {
        let entries = app.state.audit.list(&filter).map_err(ApiError::internal)?;
        Ok(Json(entries.into_iter().map(EntryView::from).collect()))
    })
    .await
}
