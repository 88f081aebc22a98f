//! The catalogue: bulk upsert, and single items.

use super::body;
use crate::app::App;
use crate::error::{ApiError, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qianmian_state::catalogue::Broken;
use qianmian_state::{Item, StateError, VectorChange};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// An item that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RejectedItem {
    index: usize,
    id: String,
    code: String,
    detail: String,
}

/// What became of the items.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Upserted {
    upserted: usize,
    rejected: Vec<RejectedItem>,
}

/// Adds or replaces items, one JSON object a line. Visible to the next request, with the vectors they bring; an item whose
/// vector does not fit its space is refused whole.
#[utoipa::path(put, path = "/v1/catalog/items", tag = "catalogue",
    request_body(content = String, content_type = "application/x-ndjson", description = "One item a line"),
    responses((status = 200, body = Upserted), (status = 413, body = Problem)))]
pub(super) async fn upsert(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Json<Upserted>, ApiError> {
    blocking(move || {
        let (mut items, mut places, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        let mut ids: BTreeMap<String, usize> = BTreeMap::new();
        let mut vectors: BTreeMap<String, Vec<VectorChange>> = BTreeMap::new();
        for (index, line) in body::lines::<Value>(&bytes) {
            match line.and_then(parse_item) {
                Ok(item) => {
                    if !item.embeddings.is_empty() {
                        ids.insert(item.id.clone(), index);
                    }
                    items.push(item);
                    places.push(index);
                }
                Err(detail) => {
                    rejected.push(RejectedItem { index, id: String::new(), code: "wrong_shape".to_owned(), detail });
                }
            }
        }
        let mut begun = BTreeMap::new();
        let taken = app.state.catalogue.upsert_where(items, |item| {
            fit(&app, item.embeddings.iter(), &mut begun)?;
            for (space, vector) in &item.embeddings {
                let change = VectorChange { id: item.id.clone(), vector: Some(vector.clone()) };
                vectors.entry(space.clone()).or_default().push(change);
            }
            Ok(())
        });
        let report = taken.map_err(ApiError::internal)?;
        for bad in report.rejected {
            let index = places.get(bad.index).copied().unwrap_or(bad.index);
            rejected.push(RejectedItem { index, id: bad.id, code: bad.code.to_string(), detail: bad.detail });
        }
        for (space, changes) in vectors {
            // a space that was replaced since it was looked at may refuse some yet
            let report = app.embeddings.update(&space, changes)?;
            rejected.extend(report.rejected.into_iter().map(|bad| {
                let index = ids.get(&bad.id).copied().unwrap_or_default();
                let detail = format!("the item is taken, its vector in {space} is not: {}", bad.detail);
                RejectedItem { index, id: bad.id, code: "bad_embedding".to_owned(), detail }
            }));
        }
        Ok(Json(Upserted { upserted: report.upserted, rejected }))
    })
    .await
}

/// Whether an item's vectors may come into their spaces. `begun` are the dimensions of spaces that begin with this body.
fn fit<'a>(
    app: &App,
    vectors: impl Iterator<Item = (&'a String, &'a Vec<f32>)>,
    begun: &mut BTreeMap<String, usize>,
) -> Result<(), Broken> {
    for (space, vector) in vectors {
        let bad = |detail| ("bad_embedding", format!("embedding {space:?}: {detail}"));
        if app.embeddings.fits(space, vector).map_err(bad)? {
            continue;
        }
        let (dimension, own) = (*begun.entry(space.clone()).or_insert(vector.len()), vector.len());
        if own != dimension {
            return Err(bad(format!("it has {own} numbers, the first one has {dimension}")));
        }
    }
    Ok(())
}

/// Times of an item may be RFC 3339 or milliseconds; the domain keeps milliseconds.
fn parse_item(mut value: Value) -> Result<Item, String> {
    normalise_times(&mut value)?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn normalise_times(value: &mut Value) -> Result<(), String> {
    for name in ["valid_from", "valid_to", "created"] {
        if let Some(Value::String(text)) = value.get(name) {
            let ms = super::events::Moment::Text(text.clone()).millis().map_err(|e| format!("{name}: {e}"))?;
            value[name] = ms.into();
        }
    }
    Ok(())
}

/// One item as it was given.
#[utoipa::path(get, path = "/v1/catalog/items/{id}", tag = "catalogue", params(("id" = String, Path)),
    responses((status = 200, description = "The item", body = Object), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let catalogue = app.state.catalogue.current();
    let item = catalogue.item(&id).ok_or_else(|| unknown(&id))?;
    Ok(Json(serde_json::to_value(item.as_ref()).map_err(ApiError::internal)?))
}

/// Changes fields of one item by JSON merge patch (RFC 7396). Vectors among them are those of their spaces from then on; null
/// takes the item out of a space.
#[utoipa::path(patch, path = "/v1/catalog/items/{id}", tag = "catalogue", params(("id" = String, Path)),
    request_body = Object,
    responses((status = 200, description = "The item after the change", body = Object), (status = 404, body = Problem),
        (status = 422, body = Problem)))]
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    let mut change: Value = body::json(&bytes)?;
    normalise_times(&mut change).map_err(|detail| ApiError::unprocessable("bad_time", detail))?;
    blocking(move || {
        let named: Vec<String> = match change.get("embeddings") {
            None => Vec::new(),
            Some(Value::Object(members)) => members.keys().cloned().collect(),
            Some(_) => {
                let before = app.state.catalogue.current();
                before.item(&id).map(|item| item.embeddings.keys().cloned().collect()).unwrap_or_default()
            }
        };
        let new = |item: &Item| {
            let vectors = item.embeddings.iter().filter(|(space, _)| named.contains(space));
            fit(&app, vectors, &mut BTreeMap::new())
        };
        let item = app.state.catalogue.patch_where(&id, &change, new).map_err(store_error)?;
        for space in &named {
            let vector = item.embeddings.get(space).cloned();
            if vector.is_none() && !app.embeddings.has(space) {
                continue;
            }
            let report = app.embeddings.update(space, vec![VectorChange { id: id.clone(), vector }])?;
            if let Some(bad) = report.rejected.first() {
                let detail =
                    format!("the item is changed, its vector in {space} is not: {}; send it again", bad.detail);
                return Err(ApiError::conflict("space_replaced", detail));
            }
        }
        Ok(Json(serde_json::to_value(item.as_ref()).map_err(ApiError::internal)?))
    })
    .await
}

/// Takes one item out of every answer from now on.
#[utoipa::path(delete, path = "/v1/catalog/items/{id}", tag = "catalogue", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || {
        if app.state.catalogue.current().item(&id).is_none() {
            return Err(unknown(&id));
        }
        app.state.catalogue.delete(&id).map_err(store_error)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found("unknown_item", format!("no item with id {id:?}"))
}

fn store_error(error: StateError) -> ApiError {
    match error {
        StateError::Unknown { ref name, .. } => unknown(name),
        StateError::Rejected { code, .. } => ApiError::unprocessable(code, error.to_string()),
        other => ApiError::internal(other),
    }
}

/// Work that waits for the disk or builds something does not run on tokio's workers.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?
}
