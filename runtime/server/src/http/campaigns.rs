//! Campaigns: windows, quotas, and reservations that stop exactly at the quota.

use super::body;
use super::catalog::blocking;
use super::events::Moment;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::recommend::answer::VisitorIds;
use crate::recommend::now_ms;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qianmian_state::{Campaign, Outcome, Reservation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Most items of one campaign.
const MOST_ITEMS: usize = 10_000;
/// Most units of one quota, and of one reservation.
const MOST_UNITS: u64 = 1_000_000_000;

/// A campaign: when, what, and how many.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CampaignSpec {
    /// Open from this moment on; always when left out.
    from: Option<Moment>,
    /// Until just before this one; for ever when left out.
    to: Option<Moment>,
    /// Units that may be reserved, by item id.
    quotas: BTreeMap<String, u64>,
    /// Units of all items that one visitor may reserve; no limit when left out.
    per_visitor: Option<u64>,
}

/// A quota and what is taken of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuotaView {
    item: String,
    quota: u64,
    reserved: u64,
}

/// A campaign as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CampaignView {
    name: String,
    /// Milliseconds since 1970 UTC; null for always.
    from: Option<i64>,
    to: Option<i64>,
    /// Whether it is open now.
    open: bool,
    quotas: Vec<QuotaView>,
    per_visitor: Option<u64>,
}

fn unknown(name: &str) -> ApiError {
    ApiError::not_found("unknown_campaign", format!("no campaign named {name:?}; GET /v1/campaigns lists them"))
}

fn now(app: &App) -> i64 {
    app.config.frozen_clock.unwrap_or_else(now_ms)
}

fn view(app: &App, name: &str) -> Result<CampaignView, ApiError> {
    let (campaign, reserved) = app.state.campaigns.get(name).ok_or_else(|| unknown(name))?;
    let quota = |((item, quota), reserved)| QuotaView { item, quota, reserved };
    Ok(CampaignView {
        name: name.to_owned(),
        from: (campaign.from != i64::MIN).then_some(campaign.from),
        to: (campaign.to != i64::MAX).then_some(campaign.to),
        open: (campaign.from..campaign.to).contains(&now(app)),
        quotas: campaign.quotas.into_iter().zip(reserved).map(quota).collect(),
        per_visitor: campaign.per_visitor,
    })
}

/// Every campaign.
#[utoipa::path(get, path = "/v1/campaigns", tag = "catalogue", responses((status = 200, body = Vec<CampaignView>)))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Vec<CampaignView>> {
    // one that was deleted meanwhile is left out
    Json(app.state.campaigns.names().iter().filter_map(|name| view(&app, name).ok()).collect())
}

/// One campaign, with what is taken of its quotas.
#[utoipa::path(get, path = "/v1/campaigns/{name}", tag = "catalogue", params(("name" = String, Path)),
    responses((status = 200, body = CampaignView), (status = 404, body = Problem)))]
pub(super) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<CampaignView>, ApiError> {
    view(&app, &name).map(Json)
}

/// Creates or changes a campaign. What is reserved stays reserved.
#[utoipa::path(put, path = "/v1/campaigns/{name}", tag = "catalogue", params(("name" = String, Path)),
    request_body = CampaignSpec,
    responses((status = 200, body = CampaignView), (status = 400, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<Json<CampaignView>, ApiError> {
    let spec: CampaignSpec = body::json(&bytes)?;
    let bad = |detail: String| ApiError::unprocessable("bad_campaign", detail);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(bad(format!("{name:?}: a name of 1 to 64 letters, digits, - and _ expected")));
    }
    let moment = |moment: Option<Moment>, open| moment.map_or(Ok(open), |moment| moment.millis());
    let from = moment(spec.from, i64::MIN).map_err(|detail| bad(format!("from: {detail}")))?;
    let to = moment(spec.to, i64::MAX).map_err(|detail| bad(format!("to: {detail}")))?;
    if from >= to {
        return Err(bad(format!("from {from} is not before to {to}")));
    }
    let good = |(item, quota): (&String, &u64)| !item.is_empty() && item.len() <= 256 && *quota <= MOST_UNITS;
    if spec.quotas.is_empty() || spec.quotas.len() > MOST_ITEMS || !spec.quotas.iter().all(good) {
        return Err(bad(format!("quotas: 1 to {MOST_ITEMS} item ids with at most {MOST_UNITS} units each expected")));
    }
    let quotas = spec.quotas.into_iter().collect();
    let campaign = Campaign { from, to, quotas, per_visitor: spec.per_visitor };
    blocking(move || {
        app.state.campaigns.put(&name, campaign).map_err(ApiError::internal)?;
        view(&app, &name).map(Json)
    })
    .await
}

/// Takes a campaign away, with its reservations.
#[utoipa::path(delete, path = "/v1/campaigns/{name}", tag = "catalogue", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn delete(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    blocking(move || {
        let deleted = app.state.campaigns.delete(&name).map_err(ApiError::internal)?;
        if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(unknown(&name)) }
    })
    .await
}

/// Units somebody wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Makes it idempotent: an order number.
    id: String,
    item: String,
    /// 1 when left out.
    quantity: Option<u64>,
    /// For whom; needed where the campaign has a limit for each visitor.
    visitor: Option<VisitorIds>,
}

/// A reservation that stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reserved {
    id: String,
    item: String,
    quantity: u64,
    /// Units left of the item.
    left: u64,
    /// True when the same id had reserved it before.
    again: bool,
}

/// Reserves units of a campaign's quota: durable when it answers, and never one more than there are.
#[utoipa::path(post, path = "/v1/campaigns/{name}/reservations", tag = "catalogue", params(("name" = String, Path)),
    request_body = Wish, responses(
    (status = 201, body = Reserved), (status = 200, description = "Reserved before, by the same id", body = Reserved),
    (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 409, description = "sold_out, visitor_limit, campaign_closed or id_used", body = Problem),
    (status = 422, body = Problem)))]
pub(super) async fn reserve(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Reserved>), ApiError> {
    let Wish { id, item, quantity, visitor } = body::json(&bytes)?;
    let quantity = quantity.unwrap_or(1);
    if id.is_empty() || id.len() > 256 || quantity == 0 || quantity > MOST_UNITS {
        let detail = format!("an id of 1 to 256 bytes and a quantity of 1 to {MOST_UNITS} expected");
        return Err(ApiError::unprocessable("bad_reservation", detail));
    }
    let visitor = visitor.and_then(|ids| ids.id.or(ids.anonymous_id)).filter(|id| !id.is_empty());
    blocking(move || {
        let people = &app.state.people;
        let person = visitor.as_ref().map(|id| people.keys(&people.of(id))).unwrap_or_default();
        let visitor = visitor.map(|id| people.key(&id));
        let limited = app.state.campaigns.get(&name).is_some_and(|(campaign, _)| campaign.per_visitor.is_some());
        if limited && visitor.is_none() {
            let detail = "this campaign has a limit for each visitor: say for whom";
            return Err(ApiError::unprocessable("visitor_needed", detail));
        }
        let wanted = Reservation { item: item.clone(), quantity, visitor, time: now(&app) };
        let outcome = app.state.campaigns.reserve(&name, &id, wanted, &person).map_err(ApiError::internal)?;
        let outcome = outcome.ok_or_else(|| unknown(&name))?;
        let conflict = |code, detail| Err(ApiError::new(StatusCode::CONFLICT, code, detail));
        let (status, left, again) = match outcome {
            Outcome::Reserved { left } => (StatusCode::CREATED, left, false),
            Outcome::Known { left } => (StatusCode::OK, left, true),
            Outcome::SoldOut { left } => {
                return conflict("sold_out", format!("{quantity} of {item:?} wanted, {left} left"));
            }
            Outcome::OneMayNot { left } => {
                return conflict("visitor_limit", format!("{quantity} wanted, this visitor may have {left} more"));
            }
            Outcome::Closed => return conflict("campaign_closed", format!("{name:?} is not open now")),
            Outcome::OtherUse => {
                return conflict("id_used", format!("{id:?} reserved another item or quantity: use a new id"));
            }
            Outcome::NotInIt => {
                return Err(ApiError::unprocessable("not_in_campaign", format!("{item:?} has no quota in {name:?}")));
            }
        };
        Ok((status, Json(Reserved { id, item, quantity, left, again })))
    })
    .await
}

/// Gives reserved units back.
#[utoipa::path(delete, path = "/v1/campaigns/{name}/reservations/{id}", tag = "catalogue",
    params(("name" = String, Path), ("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn release(
    State(app): State<Arc<App>>,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    blocking(move || {
        let freed = app.state.campaigns.release(&name, &id).map_err(ApiError::internal)?;
        let detail = || format!("nothing is reserved by {id:?} in {name:?}");
        freed.map(|_| StatusCode::NO_CONTENT).ok_or_else(|| ApiError::not_found("unknown_reservation", detail()))
    })
    .await
}
