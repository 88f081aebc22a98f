//! Embedding spaces: `PUT /v1/embeddings/{space}` replaces one and swaps it in.

use super::body;
use super::catalog::blocking;
use crate::app::App;
use crate::embeddings::{SpaceReport, SpaceSettings, UpdateReport, matrix};
use crate::error::{ApiError, Problem};
use crate::reach::VisitorVector;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use qianmian_state::VectorChange;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::IntoParams;

/// How the space compares and how it sees a visitor.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// `dot` (default), `cosine` or `l2`.
    metric: Option<String>,
    /// `mean` (default), `interests`, `ials` or `encoder`.
    visitor: Option<String>,
    /// For `ials`: confidence a unit of interaction adds.
    alpha: Option<f32>,
    /// For `ials`: L2 regularisation.
    regularization: Option<f32>,
    /// For `interests`: how many at most, 2 to 8 (3).
    most: Option<usize>,
    /// For `encoder`: the model's name.
    model: Option<String>,
    /// Scan every vector instead of walking a graph.
    exact: Option<bool>,
    /// Width of searches over the graph, 1 to 65536 (128): more finds more and takes longer.
    ef_search: Option<usize>,
    /// Half the links a vector has in the graph, 4 to 64 (16).
    m: Option<usize>,
}

impl Settings {
    fn check(self) -> Result<SpaceSettings, ApiError> {
        let visitor = match self.visitor.as_deref().unwrap_or("mean") {
            "mean" => VisitorVector::Mean,
            "ials" => {
                let (alpha, regularization) = (self.alpha.unwrap_or(1.0), self.regularization.unwrap_or(0.01));
                // Both make the fold-in's matrix positive definite.
                for (name, value) in [("alpha", alpha), ("regularization", regularization)] {
                    if !(value > 0.0 && value.is_finite()) {
                        let detail = format!("{name}={value}: expected a number above 0");
                        return Err(ApiError::bad_request("bad_visitor", detail));
                    }
                }
                VisitorVector::Ials { alpha, regularization }
            }
            "interests" => {
                let most = self.most.unwrap_or(3);
                if !(2..=8).contains(&most) {
                    return Err(ApiError::bad_request(
                        "bad_visitor",
                        format!("most={most}: expected 2 to 8 interests"),
                    ));
                }
                VisitorVector::Interests { most }
            }
            "encoder" => VisitorVector::Encoder {
                model: self.model.ok_or_else(|| {
                    ApiError::bad_request("missing_model", "visitor=encoder needs model=NAME, an encoder you pushed")
                })?,
            },
            other => {
                return Err(ApiError::bad_request(
                    "bad_visitor",
                    format!("visitor={other}: expected mean, interests, ials or encoder"),
                ));
            }
        };
        Ok(SpaceSettings {
            metric: self.metric.unwrap_or_else(|| "dot".to_owned()),
            exact: self.exact.unwrap_or(false),
            ef_search: self.ef_search,
            m: self.m,
            visitor,
        })
    }
}

#[derive(Deserialize)]
struct Line {
    id: String,
    vector: Vec<f32>,
}

/// Replaces a space: one `{"id","vector"}` a line, or a form of two parts: `vectors`, a matrix in a `.npy` file of floats, and
/// `ids`, a JSON list with one for each of its rows. The old generation answers until the new one is built.
#[utoipa::path(put, path = "/v1/embeddings/{space}", tag = "data science",
    params(("space" = String, Path), Settings),
    request_body(content(
        (String = "application/x-ndjson"), (Vec<u8> = "multipart/form-data")),
        description = "One {\"id\",\"vector\"} a line, or the parts vectors (.npy) and ids (JSON)"),
    responses((status = 200, body = SpaceReport), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(space): Path<String>,
    Query(settings): Query<Settings>,
    request: Request,
) -> Result<Json<SpaceReport>, ApiError> {
    let settings = settings.check()?;
    let form = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    if form {
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|error| ApiError::new(error.status(), "bad_multipart", error.body_text()))?;
        let [npy, ids] = body::parts(form, ["vectors", "ids"]).await?;
        let (npy, ids) = (body::part(npy, "vectors")?, body::part(ids, "ids")?);
        return blocking(move || {
            let refused = |detail| ApiError::unprocessable("wrong_shape", detail);
            let ids = serde_json::from_slice(&ids).map_err(|error| refused(format!("ids: {error}")))?;
            let vectors = matrix::vectors(&npy, ids).map_err(refused)?;
            app.embeddings.put(&space, settings, &vectors).map(Json)
        })
        .await;
    }
    let bytes = Bytes::from_request(request, &()).await.map_err(|error| {
        let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE { "too_large" } else { "bad_request" };
        ApiError::new(error.status(), code, error.body_text())
    })?;
    blocking(move || {
        let mut vectors = BTreeMap::new();
        for (index, line) in body::lines::<Line>(&bytes) {
            let line = line.map_err(|e| ApiError::unprocessable("wrong_shape", format!("line {}: {e}", index + 1)))?;
            if vectors.insert(line.id.clone(), line.vector).is_some() {
                return Err(twice(index, &line.id));
            }
        }
        if vectors.is_empty() {
            return Err(ApiError::unprocessable("no_vectors", "the body has no lines"));
        }
        app.embeddings.put(&space, settings, &vectors).map(Json)
    })
    .await
}

fn twice(index: usize, id: &str) -> ApiError {
    ApiError::unprocessable("duplicate_id", format!("line {}: the id {id:?} stands twice", index + 1))
}

/// A vector, or null to take it out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeLine {
    id: String,
    vector: Option<Vec<f32>>,
}

/// Changes single vectors: one `{"id","vector"}` a line, a vector of null takes the item out of the space. On disk and
/// seen by the next request when it is answered.
#[utoipa::path(patch, path = "/v1/embeddings/{space}", tag = "data science",
    params(("space" = String, Path)),
    request_body(content = String, content_type = "application/x-ndjson", description = "One {\"id\",\"vector\"} a line"),
    responses((status = 200, body = UpdateReport), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 409, description = "The space is damaged and nothing of it serves", body = Problem)))]
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    Path(space): Path<String>,
    bytes: Bytes,
) -> Result<Json<UpdateReport>, ApiError> {
    blocking(move || {
        if !app.embeddings.has(&space) {
            let detail = format!("no embedding space named {space:?}: make it with PUT first");
            return Err(ApiError::not_found("unknown_space", detail));
        }
        let (mut changes, mut ids) = (Vec::new(), BTreeSet::new());
        for (index, line) in body::lines::<ChangeLine>(&bytes) {
            let line = line.map_err(|e| ApiError::unprocessable("wrong_shape", format!("line {}: {e}", index + 1)))?;
            if !ids.insert(line.id.clone()) {
                return Err(twice(index, &line.id));
            }
            changes.push(VectorChange { id: line.id, vector: line.vector });
        }
        app.embeddings.update(&space, changes).map(Json)
    })
    .await
}

/// Takes a space out; sources that start from it find nothing from then on, and answers say so.
#[utoipa::path(delete, path = "/v1/embeddings/{space}", tag = "data science", params(("space" = String, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "A scenario or a model names it", body = Problem)))]
pub(super) async fn delete(State(app): State<Arc<App>>, Path(space): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || app.delete_space(&space).map(|()| StatusCode::NO_CONTENT)).await
}

/// Every space.
#[utoipa::path(get, path = "/v1/embeddings", tag = "data science", responses((status = 200, body = Vec<SpaceReport>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<SpaceReport>> {
    Json(app.embeddings.list())
}
