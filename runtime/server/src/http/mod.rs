//! HTTP: the router and what every route shares. Only this folder and `error.rs` name axum.

mod audit;
pub(crate) mod body;
mod campaigns;
mod catalog;
mod console;
mod edge;
mod embeddings;
mod events;
mod models;
mod openapi;
mod operate;
mod pages;
mod plugins;
mod recommend;
mod replays;
mod scenarios;
mod segments;
mod tags;
mod versions;
mod visitors;
mod wire;

pub use openapi::ApiDoc;
pub(crate) use wire::WireEvent;

use crate::app::App;
use crate::error::ApiError;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Every route of the server.
pub fn router(app: Arc<App>) -> Router {
    let large = DefaultBodyLimit::max(app.config.max_body);
    Router::new()
        .route("/v1/catalog/items", put(catalog::upsert))
        .route("/v1/events", post(events::ingest))
        .route("/v1/embeddings", get(embeddings::list))
        .route("/v1/embeddings/{space}", put(embeddings::put).patch(embeddings::patch).delete(embeddings::delete))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{name}", get(models::get))
        .route("/v1/models/{name}/versions/{version}", put(models::put))
        .route("/v1/plugins", get(plugins::list))
        .route("/v1/plugins/{name}", get(plugins::get))
        .route("/v1/plugins/{name}/versions/{version}", put(plugins::put).delete(plugins::delete))
        .route("/v1/segments/{name}/members", get(segments::export).put(segments::import).post(segments::match_ids))
        .layer(large)
        .route("/v1/recommend", post(recommend::recommend))
        .route("/v1/catalog/items/{id}", get(catalog::get).patch(catalog::patch).delete(catalog::delete))
        .route("/v1/audit", get(audit::list))
        .route("/v1/visitors/link", post(visitors::link))
        .route("/v1/visitors/unlink", post(visitors::unlink))
        .route("/v1/visitors/{id}", get(visitors::get).delete(visitors::erase))
        .route("/v1/scenarios", get(scenarios::list))
        .route("/v1/scenarios/{name}", get(scenarios::get).put(scenarios::put).delete(scenarios::delete))
        .route("/v1/scenarios/{name}/releases", post(scenarios::release))
        .route("/v1/scenarios/{name}/promote", post(scenarios::promote))
        .route("/v1/scenarios/{name}/rollback", post(scenarios::rollback))
        .route("/v1/models/{name}/drift", get(models::drift))
        .route("/v1/models/{name}/promote", post(models::promote))
        .route("/v1/models/{name}/rollback", post(models::rollback))
        .route("/v1/campaigns", get(campaigns::list))
        .route("/v1/campaigns/{name}", get(campaigns::get).put(campaigns::put).delete(campaigns::delete))
        .route("/v1/campaigns/{name}/reservations", post(campaigns::reserve))
        .route("/v1/campaigns/{name}/reservations/{id}", axum::routing::delete(campaigns::release))
        .route("/v1/tags", get(tags::list))
        .route("/v1/tags/{name}", get(tags::get).put(tags::put).delete(tags::delete))
        .route("/v1/tags/{name}/versions", get(versions::of_tag))
        .route("/v1/tags/{name}/restore", post(versions::restore_tag))
        .route("/v1/segments", get(segments::list))
        .route("/v1/segments/size", post(segments::estimate))
        .route("/v1/segments/{name}", get(segments::get).put(segments::put).delete(segments::delete))
        .route("/v1/segments/{name}/size", get(segments::size))
        .route("/v1/segments/{name}/items", get(segments::items))
        .route("/v1/segments/{name}/versions", get(versions::of_segment))
        .route("/v1/segments/{name}/restore", post(versions::restore_segment))
        .route("/v1/captures", get(replays::list))
        .route("/v1/captures/{request_id}", get(replays::get))
        .route("/v1/replays", post(replays::post))
        .route("/v1/state", get(operate::state))
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .route("/metrics", get(operate::metrics))
        .route("/openapi.json", get(openapi::serve))
        .merge(pages::routes())
        .merge(console::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(|_| ApiError::internal("a handler panicked").into_response()))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), edge::same_site))
        .layer(axum::middleware::map_response(edge::finish))
        .with_state(app)
}

/// Serves `router` until the process ends.
pub async fn serve(listener: tokio::net::TcpListener, router: Router) -> std::io::Result<()> {
    axum::serve(listener, router).await
}

async fn no_route(method: Method, uri: Uri) -> ApiError {
    ApiError::not_found("no_route", format!("{method} {} is not a route; /openapi.json lists them", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let detail = format!("{} does not take {method}; /openapi.json lists the methods", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail)
}
