//! `POST /v1/recommend`.

use super::body;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::recommend::{Answer, RecommendRequest, recommend as run};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;

/// The header that names a request.
pub(super) const REQUEST_ID: &str = "x-request-id";

/// Composes a page for one visitor in one scenario. With the header `X-Deadline-Ms` the strategy has at most what is left
/// of so many milliseconds; when they are over, the fallback answers.
#[utoipa::path(post, path = "/v1/recommend", tag = "storefront", request_body = RecommendRequest, responses(
    (status = 200, description = "The page; a failing strategy is answered by the fallback", body = Answer),
    (status = 400, description = "Malformed JSON or a limit out of range", body = Problem),
    (status = 404, description = "Unknown scenario", body = Problem),
    (status = 422, description = "JSON of another shape", body = Problem),
    (status = 503, description = "Overloaded, with Retry-After", body = Problem),
))]
pub(super) async fn recommend(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let mut asked: RecommendRequest = body::json(&bytes)?;
    asked.deadline = deadline(&headers)?;
    let id = request_id(&headers);
    let answer = run(&app, asked, id.clone()).await?;
    let mut response = Json(answer).into_response();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}

/// How long the caller waits.
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get("x-deadline-ms") else { return Ok(None) };
    let ms =
        value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).filter(|ms| (1..=60_000).contains(ms));
    let ms = ms.ok_or_else(|| {
        let detail = format!("X-Deadline-Ms is {value:?}: expected a whole number of milliseconds from 1 to 60000");
        ApiError::bad_request("bad_deadline", detail)
    })?;
    Ok(Some(Duration::from_millis(ms)))
}

/// The caller's `X-Request-Id` where it is safe to echo and log, else a random one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b))
        })
        .map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned)
}
