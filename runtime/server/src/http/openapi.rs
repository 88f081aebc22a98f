//! `/openapi.json`, generated from the handlers.

use super::{catalog, embeddings, events, models, operate, plugins, recommend, replays, scenarios, visitors};
use axum::Json;
use utoipa::OpenApi;

/// The whole contract.
#[derive(OpenApi)]
#[openapi(
    info(title = "Qianmian", description = "Personalised pages, composed per request by sandboxed strategies."),
    paths(
        recommend::recommend,
        events::ingest,
        visitors::get,
        visitors::erase,
        catalog::upsert,
        catalog::get,
        catalog::patch,
        catalog::delete,
        embeddings::put,
        embeddings::list,
        models::put,
        models::list,
        models::get,
        plugins::put,
        plugins::list,
        plugins::get,
        scenarios::list,
        scenarios::get,
        scenarios::put,
        scenarios::release,
        scenarios::promote,
        scenarios::rollback,
        replays::list,
        replays::get,
        replays::post,
        operate::healthz,
        operate::readyz,
        operate::metrics,
    ),
    components(schemas(events::WireEvent, crate::error::Problem))
)]
pub struct ApiDoc;

pub(super) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(ApiDoc::openapi())
}
