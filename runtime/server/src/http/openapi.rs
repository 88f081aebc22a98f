//! `/openapi.json`, generated from the handlers.

use super::{
    audit, campaigns, catalog, embeddings, events, models, operate, plugins, recommend, replays, scenarios, segments,
    tags, versions, visitors,
};
use axum::Json;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

/// The whole contract.
#[derive(OpenApi)]
#[openapi(
    info(title = "Qianmian", description = "Personalised pages, composed per request by sandboxed strategies."),
    paths(
        recommend::recommend,
        events::ingest,
        visitors::get,
        visitors::erase,
        visitors::link,
        visitors::unlink,
        audit::list,
        campaigns::list,
        campaigns::get,
        campaigns::put,
        campaigns::delete,
        campaigns::reserve,
        campaigns::release,
        tags::list,
        tags::get,
        tags::put,
        tags::delete,
        versions::of_tag,
        versions::restore_tag,
        segments::list,
        segments::get,
        segments::put,
        segments::delete,
        segments::size,
        segments::items,
        segments::estimate,
        segments::export,
        segments::import,
        segments::match_ids,
        versions::of_segment,
        versions::restore_segment,
        catalog::upsert,
        catalog::get,
        catalog::patch,
        catalog::delete,
        embeddings::put,
        embeddings::patch,
        embeddings::delete,
        embeddings::list,
        models::put,
        models::list,
        models::get,
        models::drift,
        models::promote,
        models::rollback,
        plugins::put,
        plugins::delete,
        plugins::list,
        plugins::get,
        scenarios::list,
        scenarios::get,
        scenarios::put,
        scenarios::release,
        scenarios::promote,
        scenarios::rollback,
        scenarios::delete,
        replays::list,
        replays::get,
        replays::post,
        operate::state,
        operate::healthz,
        operate::readyz,
        operate::metrics,
    ),
    components(schemas(events::WireEvent, crate::error::Problem)),
    modifiers(&EveryRoute)
)]
pub struct ApiDoc;

/// Adds what any route may answer.
struct EveryRoute;

impl Modify for EveryRoute {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        for path in api.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.put, &mut path.post, &mut path.patch, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                add(operation, "403", "A host or an origin that may not use this server");
                if operation.request_body.is_some() {
                    add(operation, "413", "The body is larger than max_body");
                }
            }
        }
    }
}

fn add(operation: &mut Operation, status: &str, description: &str) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", problem).build();
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
}

pub(super) async fn serve() -> Json<utoipa::openapi::OpenApi> {
    Json(ApiDoc::openapi())
}
