//! Segments: definitions, sizes with a sample, lists brought in and taken out.

use super::body;
use super::catalog::blocking;
use super::tags::Backfill;
use crate::app::App;
use crate::audience::{self, SEGMENT, SegmentSpec};
use crate::error::{ApiError, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use qianmian_core::expr::Expression;
use qianmian_state::{Estimate, ItemOrder, SegmentItem, SegmentItems};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Visitors that are looked at for the size of a condition that is no segment yet.
const LOOK: usize = 100_000;
/// Keys of a sample, and most of them.
const SAMPLE: usize = 20;
const MOST_SAMPLE: usize = 1_000;
/// Items shown, and most of them.
const ITEMS: usize = 20;
const MOST_ITEMS: usize = 1_000;
/// Most ids of a list.
const MOST_IDS: usize = 5_000_000;

/// A segment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SegmentView {
    name: String,
    /// Raised with every change.
    version: u32,
    spec: SegmentSpec,
    /// Visitors in it now.
    size: u64,
    backfill: Backfill,
}

/// How many are in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Size {
    /// Counted, or estimated where `exact` is false.
    size: u64,
    /// Visitors there are.
    visitors: u64,
    /// Visitors looked at.
    looked_at: u64,
    /// False for an estimate, and while a back-fill is under way.
    exact: bool,
    /// Keys of some members.
    sample: Vec<String>,
}

impl Size {
    fn of(estimate: Estimate, exact: bool) -> Self {
        let Estimate { size, visitors, looked_at, sample } = estimate;
        let exact = exact && looked_at >= visitors;
        Self { size, visitors, looked_at, exact, sample: sample.iter().map(ToString::to_string).collect() }
    }
}

pub(super) fn view(app: &App, name: &str) -> Result<SegmentView, ApiError> {
    let (document, spec) = audience::segment(app, name)?;
    let audience = &app.state.folds.audience;
    Ok(SegmentView {
        name: name.to_owned(),
        version: document.version,
        spec,
        size: audience.size(name).unwrap_or(0),
        backfill: audience.progress().into(),
    })
}

/// Every segment.
#[utoipa::path(get, path = "/v1/segments", tag = "strategy", responses((status = 200, body = Vec<SegmentView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<SegmentView>>, ApiError> {
    blocking(move || {
        let documents = app.state.registry.list(SEGMENT).map_err(ApiError::internal)?;
        documents.iter().map(|document| view(&app, &document.name)).collect::<Result<_, _>>().map(Json)
    })
    .await
}

/// One segment.
#[utoipa::path(get, path = "/v1/segments/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 200, body = SegmentView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<SegmentView>, ApiError> {
    blocking(move || view(&app, &name).map(Json)).await
}

/// Creates or changes a segment by a condition.
#[utoipa::path(put, path = "/v1/segments/{name}", tag = "strategy", params(("name" = String, Path)),
    request_body = Condition,
    responses((status = 200, body = SegmentView), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<SegmentView>, ApiError> {
    let Condition { when, about } = body::json(&bytes)?;
    blocking(move || {
        app.audiences.put_segment(&name, &SegmentSpec::When { when, about })?;
        view(&app, &name).map(Json)
    })
    .await
}

/// Takes a segment away.
#[utoipa::path(delete, path = "/v1/segments/{name}", tag = "strategy", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, description = "Conditions of others name it", body = Problem)))]
pub(super) async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || {
        audience::segment(&app, &name)?;
        app.audiences.delete(SEGMENT, &name)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// A condition over a visitor's columns.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    /// CEL: `'value:high' in visitor.tags && visitor.days_since_order < 30.0`.
    when: String,
    /// For people.
    #[serde(default)]
    about: String,
}

/// How many members to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Sampled {
    /// Keys of the sample, at most 1,000; 20 without it.
    sample: Option<usize>,
}

type Asked = Result<Query<Sampled>, axum::extract::rejection::QueryRejection>;

fn sampled(asked: Asked) -> Result<usize, ApiError> {
    let Query(asked) = asked.map_err(|error| ApiError::bad_request("bad_query", error.body_text()))?;
    let sample = asked.sample.unwrap_or(SAMPLE);
    if sample > MOST_SAMPLE {
        let detail = format!("sample is {sample}: at most {MOST_SAMPLE}; GET .../members gives all");
        return Err(ApiError::bad_request("limit_out_of_range", detail));
    }
    Ok(sample)
}

/// How many visitors are in a segment, and some of them.
#[utoipa::path(get, path = "/v1/segments/{name}/size", tag = "strategy", params(("name" = String, Path), Sampled),
    responses((status = 200, body = Size), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn size(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Json<Size>, ApiError> {
    let sample = sampled(asked)?;
    blocking(move || {
        audience::segment(&app, &name)?;
        let estimate = app.state.folds.segment(&name, sample).unwrap_or_default();
        Ok(Json(Size::of(estimate, app.state.folds.audience.progress().finished)))
    })
    .await
}

/// Which items to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    /// `interest`, what members did most with, without it; `lift`, what they did more with than everybody.
    order: Option<OrderSpec>,
    /// Items, at most 1,000; 20 without it.
    limit: Option<usize>,
}

/// How items are put in order.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OrderSpec {
    /// By the interest of members.
    Interest,
    /// By how much more of it they have than everybody.
    Lift,
}

/// An item among the members of a segment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ItemView {
    item: String,
    title: String,
    /// Times shown to members.
    impressions: u32,
    /// Views and clicks of members.
    views: u32,
    /// Times members put it into a cart.
    carts: u32,
    /// Orders of members with it.
    orders: u32,
    /// Of these a view counts 1, a cart 3 and an order 5.
    interest: f64,
    /// The interest over what it were if members were like everybody, with one order added to both.
    lift: f64,
}

/// Items among the members of a segment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ItemsView {
    /// When they were counted, milliseconds since 1970 UTC; null before the first time.
    as_of: Option<i64>,
    /// Members there were.
    members: u64,
    /// Members looked at, evenly spread among them.
    looked_at: u64,
    items: Vec<ItemView>,
}

/// What the members of a segment do with which items, as it was last counted.
#[utoipa::path(get, path = "/v1/segments/{name}/items", tag = "strategy", params(("name" = String, Path), Shown),
    responses((status = 200, body = ItemsView), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn items(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    asked: Result<Query<Shown>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<ItemsView>, ApiError> {
    let Query(asked) = asked.map_err(|error| ApiError::bad_request("bad_query", error.body_text()))?;
    let limit = asked.limit.unwrap_or(ITEMS);
    if !(1..=MOST_ITEMS).contains(&limit) {
        let detail = format!("limit is {limit}: expected a whole number from 1 to {MOST_ITEMS}");
        return Err(ApiError::bad_request("limit_out_of_range", detail));
    }
    let order = match asked.order {
        Some(OrderSpec::Lift) => ItemOrder::Lift,
        Some(OrderSpec::Interest) | None => ItemOrder::Interest,
    };
    blocking(move || {
        audience::segment(&app, &name)?;
        let found = app.state.folds.segment_items(&name, order, limit);
        let as_of = found.as_ref().map(|found| found.as_of);
        let SegmentItems { members, looked_at, items, .. } = found.unwrap_or_default();
        let catalogue = app.state.catalogue.current();
        let text = |column: &[Arc<str>], at: usize| column.get(at).map(ToString::to_string).unwrap_or_default();
        let view = |item: &SegmentItem| ItemView {
            item: text(&catalogue.ids, item.row.index()),
            title: text(&catalogue.title, item.row.index()),
            impressions: item.counts.impressions,
            views: item.counts.views,
            carts: item.counts.carts,
            orders: item.counts.orders,
            interest: item.interest,
            lift: item.lift,
        };
        Ok(Json(ItemsView { as_of, members, looked_at, items: items.iter().map(view).collect() }))
    })
    .await
}

/// How many visitors a condition would be true for: before it is a segment.
#[utoipa::path(post, path = "/v1/segments/size", tag = "strategy", request_body = Condition,
    responses((status = 200, body = Size), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn estimate(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Json<Size>, ApiError> {
    let asked: Condition = body::json(&bytes)?;
    let when = Expression::parse(&asked.when)
        .map_err(|error| ApiError::unprocessable("bad_expression", format!("when: {error}, in: {}", asked.when)))?;
    blocking(move || {
        let bad = |error| ApiError::unprocessable("bad_expression", format!("when: {error}"));
        app.state.folds.estimate(&when, LOOK, SAMPLE).map(|found| Json(Size::of(found, true))).map_err(bad)
    })
    .await
}

/// Takes the keys of all members out, one a line; `PUT .../members?keys=true` brings them in again.
#[utoipa::path(get, path = "/v1/segments/{name}/members", tag = "strategy", params(("name" = String, Path)), responses(
    (status = 200, description = "Keys, one a line", body = String, content_type = "text/plain"),
    (status = 404, body = Problem)))]
pub(super) async fn export(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    blocking(move || {
        audience::segment(&app, &name)?;
        let found = app.state.folds.segment(&name, usize::MAX).unwrap_or_default();
        let lines: String = found.sample.iter().flat_map(|key| [&**key, "\n"]).collect();
        Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], lines).into_response())
    })
    .await
}

fn ids(bytes: &Bytes) -> Result<Vec<String>, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ApiError::bad_request("bad_list", format!("the list is not UTF-8: {error}")))?;
    let ids: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if let Some(at) = ids.iter().position(|id| id.len() > 256) {
        return Err(ApiError::unprocessable("bad_list", format!("id {at} has {} bytes, at most 256", ids[at].len())));
    }
    if ids.is_empty() || ids.len() > MOST_IDS {
        let detail = format!("{} ids: 1 to {MOST_IDS} expected, one a line", ids.len());
        return Err(ApiError::unprocessable("bad_list", detail));
    }
    Ok(ids)
}

/// How a list names visitors.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    /// True: by keys, as `GET .../members` of this installation gives them out; by ids without it.
    keys: Option<bool>,
}

/// Makes a segment of a list of visitor ids, or with `keys=true` of keys, one a line. Only keys are kept.
#[utoipa::path(put, path = "/v1/segments/{name}/members", tag = "strategy", params(("name" = String, Path), Listing),
    request_body(content = String, content_type = "text/plain", description = "One id, or key, a line"),
    responses((status = 200, body = SegmentView), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn import(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    asked: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
    bytes: Bytes,
) -> Result<Json<SegmentView>, ApiError> {
    let Query(asked) = asked.map_err(|error| ApiError::bad_request("bad_query", error.body_text()))?;
    blocking(move || {
        app.audiences.import(&name, &ids(&bytes)?, asked.keys.unwrap_or(false), String::new())?;
        view(&app, &name).map(Json)
    })
    .await
}

/// Tells which of these ids, one a line, are members: the way to a list of ids, which are not kept here.
#[utoipa::path(post, path = "/v1/segments/{name}/members", tag = "strategy", params(("name" = String, Path)),
    request_body(content = String, content_type = "text/plain", description = "One id a line"), responses(
    (status = 200, description = "Those that are members, one a line", body = String, content_type = "text/plain"),
    (status = 400, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn match_ids(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    blocking(move || {
        audience::segment(&app, &name)?;
        let inside = |id: &String| app.state.visitor(id).segments.iter().any(|segment| **segment == *name);
        let found: Vec<String> = ids(&bytes)?.into_iter().filter(inside).collect();
        let lines: String = found.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
        Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], lines).into_response())
    })
    .await
}
