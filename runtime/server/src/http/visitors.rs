//! Visitors: the profile as portable JSON, ids linked into one person, and erasure.

use super::body;
use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qianmian_core::Visitor;
use qianmian_state::audience::price_band;
use qianmian_state::people::MOST_IDS;
use qianmian_state::{Catalogue, Linked, Member, StateError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// What is known about a visitor, by any of their ids.
#[utoipa::path(get, path = "/v1/visitors/{id}", tag = "storefront", params(("id" = String, Path)),
    responses((status = 200, description = "The profile", body = Object), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let person = app.state.people.of(&id);
    let visitor = app.state.folds.visitor(&person);
    if visitor.is_unknown() {
        return Err(unknown(&id));
    }
    let mut document = profile(&app.state.catalogue.current(), &visitor);
    document["rfm"] = app.state.folds.audience.rfm(&visitor).as_deref().into();
    document["id"] = id.into();
    document["key"] = (*person).into();
    document["ids"] = app.state.people.members(&person).iter().map(|id| json!(IdView::from(id))).collect();
    Ok(Json(document))
}

/// The profile as JSON.
fn profile(catalogue: &Catalogue, visitor: &Visitor) -> Value {
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
    let symbols = |of: &rustc_hash::FxHashMap<u32, f32>| {
        interests(of.iter().map(|(symbol, weight)| (catalogue.symbols.text(*symbol).to_string(), *weight)))
    };
    let attributes: Map<String, Value> =
        visitor.attributes.iter().map(|(name, value)| (name.to_string(), (**value).into())).collect();
    json!({
        "events": visitor.events, "orders": visitor.orders, "spend": visitor.spend,
        "first_seen": visitor.first_seen, "last_seen": visitor.last_seen, "active_days": visitor.active_days,
        "channel": &*visitor.channel, "region": &*visitor.region, "stage": visitor.stage(),
        "attributes": attributes, "tags": texts(&visitor.tags), "segments": texts(&visitor.segments),
        "categories": symbols(&visitor.categories), "brands": symbols(&visitor.brands),
        "channels": interests(visitor.channels.iter().map(|(name, weight)| (name.to_string(), *weight))),
        "prices": interests(visitor.prices.iter().map(|(band, weight)| (price_band(*band), *weight))),
        "hours": interests(visitor.hours.iter().map(|(hour, weight)| (hour.to_string(), *weight))),
        "recent": recent, "items": items,
    })
}

fn texts(list: &[Arc<str>]) -> Vec<&str> {
    list.iter().map(|text| &**text).collect()
}

/// The strongest first.
fn interests(of: impl Iterator<Item = (String, f32)>) -> Vec<Value> {
    let mut all: Vec<(String, f32)> = of.collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.into_iter().map(|(name, weight)| json!({ "name": name, "weight": weight })).collect()
}

/// Forgets a visitor with all linked ids: gone from answers, folds, captures, lists, reservations, the log and what can be
/// read of backups when this returns; the audit trail keeps the proof.
#[utoipa::path(delete, path = "/v1/visitors/{id}", tag = "storefront", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn erase(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || {
        // Answers on their way to the captures must not come after the erasure.
        app.captures().flush();
        let keys = app.state.people.keys(&app.state.people.of(&id));
        // Off the lists first: what a backup could still read afterwards would be sealed anew.
        let struck = app.audiences.strike(&keys);
        let lists = struck.as_ref().map_or(0, |lists| *lists);
        let erased = app.state.erase_listed(&id, lists).map_err(ApiError::internal)?;
        struck?;
        if erased.found() { Ok(StatusCode::NO_CONTENT) } else { Err(unknown(&id)) }
    })
    .await
}

/// One id and what it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IdOf {
    /// As events and requests name it.
    id: String,
    /// login, device, mini-program, store-card, phone-hash ... A visitor has one login only.
    kind: String,
}

/// Ids of one person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    /// Two or more; everybody whom they are linked with already belongs to them.
    ids: Vec<IdOf>,
}

/// The id to take out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Unlink {
    id: String,
}

/// A linked id; the id itself is not kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IdView {
    /// Its pseudonymous key.
    key: String,
    kind: String,
    /// Milliseconds since 1970 UTC.
    since: i64,
}

impl From<&Member> for IdView {
    fn from(member: &Member) -> Self {
        Self { key: member.key.to_string(), kind: member.kind.clone(), since: member.since }
    }
}

/// The person they are now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Person {
    /// The key that stands for all their ids.
    key: String,
    ids: Vec<IdView>,
    /// Events their profile is folded from.
    events: u64,
}

impl From<Linked> for Person {
    fn from(linked: Linked) -> Self {
        let ids = linked.ids.iter().map(IdView::from).collect();
        Self { key: linked.person.to_string(), ids, events: linked.events }
    }
}

/// Makes one visitor of several ids: the same profile, benefits and history by each of them, on every channel.
#[utoipa::path(post, path = "/v1/visitors/link", tag = "storefront", request_body = Link, responses(
    (status = 200, body = Person), (status = 409, description = "Two logins, or too many ids", body = Problem),
    (status = 422, body = Problem)))]
pub(super) async fn link(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Json<Person>, ApiError> {
    let asked: Link = body::json(&bytes)?;
    if asked.ids.len() < 2 || asked.ids.len() > MOST_IDS {
        let detail = format!("{} ids: 2 to {MOST_IDS} of one person expected", asked.ids.len());
        return Err(ApiError::unprocessable("bad_ids", detail));
    }
    for (at, one) in asked.ids.iter().enumerate() {
        if one.id.is_empty() || one.id.len() > 256 {
            let detail = format!("ids[{at}].id has {} bytes: expected 1 to 256", one.id.len());
            return Err(ApiError::unprocessable("bad_ids", detail));
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if one.kind.is_empty() || one.kind.len() > 32 || !one.kind.bytes().all(plain) {
            let detail =
                format!("ids[{at}].kind is {:?}: a word such as login, device or store-card expected", one.kind);
            return Err(ApiError::unprocessable("bad_ids", detail));
        }
    }
    let ids: Vec<(String, String)> = asked.ids.into_iter().map(|one| (one.id, one.kind)).collect();
    blocking(move || {
        app.state.link_visitors(&ids).map(|linked| Json(linked.into())).map_err(|error| match error {
            StateError::Rejected { code, detail, .. } => ApiError::new(StatusCode::CONFLICT, code, detail),
            other => ApiError::internal(other),
        })
    })
    .await
}

/// Takes an id out of its visitor: from now on it is one of its own, with the history it brought.
#[utoipa::path(post, path = "/v1/visitors/unlink", tag = "storefront", request_body = Unlink, responses(
    (status = 200, body = Person), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn unlink(State(app): State<Arc<App>>, bytes: Bytes) -> Result<Json<Person>, ApiError> {
    let asked: Unlink = body::json(&bytes)?;
    blocking(move || {
        let unlinked = app.state.unlink_visitor(&asked.id).map_err(ApiError::internal)?;
        let not_linked = || ApiError::not_found("not_linked", format!("{:?} is not linked with another id", asked.id));
        unlinked.map(|linked| Json(linked.into())).ok_or_else(not_linked)
    })
    .await
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found("unknown_visitor", format!("nothing is known of visitor {id:?}"))
}
