//! Visitors: the profile as portable JSON, and erasure.

use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qianmian_state::Erased;
use serde_json::{Value, json};
use std::sync::Arc;

/// What is known about a visitor.
#[utoipa::path(get, path = "/v1/visitors/{id}", tag = "storefront", params(("id" = String, Path)),
    responses((status = 200, description = "The profile", body = Object), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let visitor = app.state.folds.visitor(&id);
    if visitor.is_unknown() {
        return Err(unknown(&id));
    }
    let catalogue = app.state.catalogue.current();
    let name = |row: qianmian_core::ItemRow| catalogue.ids[row.index()].to_string();
    let recent: Vec<Value> = visitor
        .recent
        .iter()
        .take(200)
        .map(|i| json!({ "item": name(i.item), "type": i.kind.as_str(), "time": i.time }))
        .collect();
    let mut items: Vec<_> = visitor.items.iter().collect();
    items.sort_by_key(|(row, history)| (std::cmp::Reverse(history.last), **row));
    let items: Vec<Value> = items
        .into_iter()
        .map(|(row, h)| {
            json!({
                "item": name(*row), "impressions": h.impressions, "views": h.views, "carts": h.carts,
                "orders": h.orders, "quantity": h.quantity, "last": h.last, "last_order": h.last_order,
            })
        })
        .collect();
    let interests = |of: &rustc_hash::FxHashMap<u32, f32>| {
        let mut all: Vec<(String, f32)> =
            of.iter().map(|(symbol, weight)| (catalogue.symbols.text(*symbol).to_string(), *weight)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.into_iter().map(|(name, weight)| json!({ "name": name, "weight": weight })).collect::<Vec<_>>()
    };
    Ok(Json(json!({
        "id": id, "events": visitor.events, "orders": visitor.orders, "spend": visitor.spend,
        "first_seen": visitor.first_seen, "last_seen": visitor.last_seen, "channel": &*visitor.channel,
        "region": &*visitor.region, "tags": visitor.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
        "categories": interests(&visitor.categories), "brands": interests(&visitor.brands),
        "recent": recent, "items": items,
    })))
}

/// Forgets a visitor: gone from answers, folds and the log when this returns.
#[utoipa::path(delete, path = "/v1/visitors/{id}", tag = "storefront", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn erase(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || {
        // Answers on their way to the captures must not come after the erasure.
        app.captures().flush();
        let erased = app.state.erase_visitor(&id).map_err(ApiError::internal)?;
        if erased == (Erased { events: 0, captures: 0 }) {
            return Err(unknown(&id));
        }
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found("unknown_visitor", format!("no event of visitor {id:?} was ever seen"))
}
