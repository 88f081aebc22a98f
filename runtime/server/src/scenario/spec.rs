//! What a business team says about a scenario.

use super::pins::ModelPolicy;
use crate::error::ApiError;
use crate::needs::NeedsSpec;
use qianmian_core::ItemKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What a business team says about a scenario; every change makes a new release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// The strategy's name.
    pub strategy: String,
    /// Its version; without one the newest at the time of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Parameters, checked against the strategy's JSON Schema.
    #[serde(default = "empty_object")]
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// Item ids that must never be served here.
    #[serde(default)]
    pub blocked: Vec<String>,
    /// Kinds the fallback and the backfill may use; empty means products.
    #[serde(default)]
    pub fallback_kinds: Vec<String>,
    /// Show an item to one visitor at most so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_cap: Option<FrequencyCap>,
    /// Wall clock of one strategy call in milliseconds, 1 to 10,000; without one the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Budgets of one strategy call besides the wall clock; without one the sandbox's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsSpec>,
    /// What the strategy may reach here of what it needs; without it, all of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<NeedsSpec>,
    /// Which versions of models it scores with: those that were live when the release was made, or those that are live now.
    #[serde(default, skip_serializing_if = "is_pinned")]
    pub models: ModelPolicy,
}

fn is_pinned(policy: &ModelPolicy) -> bool {
    *policy == ModelPolicy::Pinned
}

/// Budgets of one strategy call; what is left out is the sandbox's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSpec {
    /// WebAssembly instructions, roughly: 10,000 to 10,000,000,000; without it 5,000,000 and 9,000 for each of `candidates`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// MiB of memory: 1 to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Calls into the host: 1 to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u32>,
    /// Candidates of one set: 1 to 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u32>,
}

/// A limit on how often one visitor is shown one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FrequencyCap {
    /// Impressions after which the item rests.
    pub impressions: u32,
    /// Days without an impression after which it may come back.
    pub days: u32,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

impl ScenarioSpec {
    /// Checks what does not depend on the strategy; the kinds of the fallback.
    pub(super) fn check(&self) -> Result<Vec<ItemKind>, ApiError> {
        if let Some(wall) = self.wall_ms
            && !(1..=10_000).contains(&wall)
        {
            return Err(ApiError::unprocessable("bad_wall_ms", format!("wall_ms is {wall}: expected 1 to 10000")));
        }
        if let Some(limits) = &self.limits {
            limits.check()?;
        }
        if self.fallback_kinds.is_empty() {
            return Ok(vec![ItemKind::Product]);
        }
        self.fallback_kinds
            .iter()
            .map(|kind| kind.parse())
            .collect::<Result<_, String>>()
            .map_err(|detail| ApiError::unprocessable("unknown_kind", detail))
    }
}

impl LimitsSpec {
    fn check(&self) -> Result<(), ApiError> {
        let ranges = [
            ("fuel", self.fuel, 10_000, 10_000_000_000),
            ("memory_mb", self.memory_mb, 1, 16),
            ("host_calls", self.host_calls.map(u64::from), 1, 10_000),
            ("candidates", self.candidates.map(u64::from), 1, 100_000),
        ];
        for (name, value, least, most) in ranges {
            if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
                let detail = format!("limits.{name} is {value}: expected {least} to {most}");
                return Err(ApiError::unprocessable("bad_limits", detail));
            }
        }
        Ok(())
    }
}
