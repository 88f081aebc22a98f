//! The wire types of a recommendation.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a storefront asks. Only `scenario` is required.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendRequest {
    /// The named placement.
    pub scenario: String,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<VisitorIds>,
    /// app, web, mini-program, store, push ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What else is known of the moment: region, device, anything.
    #[serde(default)]
    pub context: BTreeMap<String, String>,
    /// Anchors: the viewed product, the cart.
    #[serde(default)]
    pub items: Vec<String>,
    /// Slots wanted; 20 without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Never to be served in this answer.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// False: no profile is used (PIPL Art. 24).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personalised: Option<bool>,
    /// Say why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<bool>,
}

/// A visitor's ids; `id` wins over `anonymous_id`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VisitorIds {
    /// The id after login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id before login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<String>,
}

/// The composed page.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// Joins later events to what was served.
    pub request_id: String,
    /// The placement.
    pub scenario: String,
    /// The scenario's release that answered.
    pub release: u64,
    /// What composed the page.
    pub strategy: StrategyId,
    /// Experiment variants.
    pub variants: BTreeMap<String, String>,
    /// What this answer had to do without.
    pub degraded: Vec<String>,
    /// Set when the strategy failed and something simpler answered.
    pub fallback: Option<Fallback>,
    /// In reading order.
    pub shelves: Vec<AnswerShelf>,
    /// Item ids in the request that the catalogue does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_items: Vec<String>,
    /// With `explain`: what was removed and why, and what each step did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub explanation: Option<Explanation>,
    /// Microseconds from the decoded request to the answer.
    pub took_us: u64,
}

/// Which strategy ran.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StrategyId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: String,
}

/// What answered instead of the strategy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Fallback {
    /// `popular`: what is trending, through the same guards; `previous`: the page of the release before.
    #[serde(skip_deserializing, default = "popular")]
    pub kind: &'static str,
    /// Why: `strategy_trap`, `strategy_timeout` ...
    pub code: String,
    /// With `explain`, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

fn popular() -> &'static str {
    "popular"
}

/// A shelf.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AnswerShelf {
    /// Stable id.
    pub id: String,
    /// What the visitor reads above it.
    pub title: String,
    /// The slots.
    pub slots: Vec<Slot>,
}

/// One slot.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Slot {
    /// From 1, over all shelves.
    pub position: u32,
    /// The item's id.
    pub item: String,
    /// The item's kind.
    pub kind: String,
    /// The strategy's score; null when it gave none.
    pub score: Option<f32>,
    /// Sources that found it, best first.
    pub reasons: Vec<String>,
    /// Words beside it.
    pub copy: Option<String>,
    /// With `explain`: every column of this candidate and the model's features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<BTreeMap<String, Option<f32>>>,
}

/// Why the page is as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// What the host's guards took out.
    pub removed: Vec<Removed>,
    /// What each host operation did, in order.
    pub steps: Vec<serde_json::Value>,
    /// How embedding spaces were searched.
    #[serde(default)]
    pub searches: Vec<String>,
    /// What the strategy wrote to its log.
    pub log: Vec<String>,
    /// What the call used of its budgets.
    pub usage: serde_json::Value,
}

/// An item a guard took out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Removed {
    /// The item's id.
    pub item: String,
    /// `no_stock`, `expired`, `blocked`, `duplicate` ...
    pub reason: String,
}

/// What stands after the guards.
pub(super) struct Served {
    pub shelves: Vec<AnswerShelf>,
    pub removed: Vec<Removed>,
}
