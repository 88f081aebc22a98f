//! Scenarios: named placements, each running one release of {strategy digest, parameters, guards}.

use crate::error::ApiError;
use crate::needs::NeedsSpec;
use crate::plugins::Plugins;
use crate::rollout::{Candidate, Plan, StoredCandidate};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use qianmian_core::ItemKind;
use qianmian_host::{Limits, Strategy};
use qianmian_state::{Registry, State};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// The registry's kinds of document.
const KIND: &str = "scenario";
const CANDIDATE: &str = "candidate";

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

/// A pinned release: what a request runs from start to end, whatever is swapped meanwhile.
#[derive(Clone)]
pub struct Release {
    /// The scenario.
    pub scenario: String,
    /// From 1, rising.
    pub number: u64,
    /// What was asked for.
    pub spec: ScenarioSpec,
    /// The parameters as the strategy gets them.
    pub parameters: String,
    /// The compiled strategy, within what the scenario allows.
    pub strategy: Arc<Strategy>,
    /// Kinds of the fallback.
    pub fallback_kinds: Vec<ItemKind>,
    /// What ran before with another component: it answers while this one's breaker is open.
    pub previous: Option<Arc<Release>>,
}

/// All scenarios, swapped atomically.
pub struct Scenarios {
    live: ArcSwap<FxHashMap<String, Arc<Release>>>,
    candidates: ArcSwap<FxHashMap<String, Arc<Candidate>>>,
    ended: Mutex<FxHashMap<String, Arc<Candidate>>>,
    state: Arc<State>,
}

impl Scenarios {
    /// Reads every scenario from the registry. One whose strategy is gone is left out and logged.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn load(state: Arc<State>, plugins: &Plugins) -> anyhow::Result<Self> {
        let mut live = FxHashMap::default();
        for document in state.registry.list(KIND)? {
            let spec: ScenarioSpec = serde_json::from_value(document.value.unwrap_or_default())?;
            match release(&document.name, u64::from(document.version), spec, plugins) {
                Ok(made) => {
                    let previous = earlier(&*state.registry, &document.name, &made, plugins)?;
                    live.insert(document.name, Arc::new(Release { previous, ..made }));
                }
                Err(error) => tracing::error!(scenario = document.name, %error, "a scenario cannot run"),
            }
        }
        let mut candidates = FxHashMap::default();
        for document in state.registry.list(CANDIDATE)? {
            let stored: StoredCandidate = serde_json::from_value(document.value.unwrap_or_default())?;
            match release(&document.name, next_number(&live, &document.name), stored.spec, plugins) {
                Ok(release) => {
                    let candidate = Candidate::new(Arc::new(release), stored.plan);
                    candidates.insert(document.name, Arc::new(candidate));
                }
                Err(error) => tracing::error!(scenario = document.name, %error, "a candidate cannot run"),
            }
        }
        Ok(Self {
            live: ArcSwap::from_pointee(live),
            candidates: ArcSwap::from_pointee(candidates),
            ended: Mutex::default(),
            state,
        })
    }

    /// The candidate of `name`, where one is on trial.
    #[must_use]
    pub fn candidate(&self, name: &str) -> Option<Arc<Candidate>> {
        self.candidates.load().get(name).cloned()
    }

    /// The last candidate of `name` whose trial ended since the server started.
    #[must_use]
    pub fn last_trial(&self, name: &str) -> Option<Arc<Candidate>> {
        self.ended.lock().get(name).cloned()
    }

    /// Puts a candidate on trial, in place of an earlier one.
    ///
    /// # Errors
    /// 404 for a scenario that is not live; as [`Self::put`]; 422 `bad_plan`.
    pub fn try_out(
        &self,
        name: &str,
        spec: ScenarioSpec,
        plan: Plan,
        plugins: &Plugins,
    ) -> Result<Arc<Candidate>, ApiError> {
        self.get(name)?;
        plan.check()?;
        let release = release(name, next_number(&self.live.load(), name), spec, plugins)?;
        let stored = StoredCandidate { spec: release.spec.clone(), plan: plan.clone() };
        let json = serde_json::to_value(stored).map_err(ApiError::internal)?;
        let _turn = self.ended.lock();
        self.state.registry.put(CANDIDATE, name, &json).map_err(ApiError::internal)?;
        let candidate = Arc::new(Candidate::new(Arc::new(release), plan));
        self.candidates.rcu(|all| {
            let mut next = all.as_ref().clone();
            next.insert(name.to_owned(), Arc::clone(&candidate));
            next
        });
        Ok(candidate)
    }

    /// Makes the candidate the live release.
    ///
    /// # Errors
    /// 422 `no_candidate`; as [`Self::put`].
    pub fn promote(&self, name: &str, plugins: &Plugins) -> Result<Arc<Release>, ApiError> {
        let candidate = self.candidate(name).ok_or_else(|| {
            ApiError::unprocessable("no_candidate", format!("scenario {name:?} has no candidate to promote"))
        })?;
        let live = self.put(name, candidate.release.spec.clone(), plugins)?;
        self.end_trial(name)?;
        Ok(live)
    }

    /// Ends the trial of whichever candidate `name` has; false when it has none.
    ///
    /// # Errors
    /// When the registry cannot be written; the candidate is out all the same.
    pub fn end_trial(&self, name: &str) -> Result<bool, ApiError> {
        self.candidate(name).map_or(Ok(false), |candidate| self.end_trial_of(&candidate))
    }

    /// Ends the trial of this candidate, and of no other that came after it; false when it is over.
    ///
    /// # Errors
    /// As [`Self::end_trial`].
    pub fn end_trial_of(&self, candidate: &Arc<Candidate>) -> Result<bool, ApiError> {
        let name = candidate.release.scenario.as_str();
        // Trials begin and end one at a time.
        let mut ended = self.ended.lock();
        if !self.candidate(name).is_some_and(|running| Arc::ptr_eq(&running, candidate)) {
            return Ok(false);
        }
        ended.insert(name.to_owned(), Arc::clone(candidate));
        self.candidates.rcu(|all| {
            let mut next = all.as_ref().clone();
            next.remove(name);
            next
        });
        self.state.registry.delete(CANDIDATE, name).map_err(ApiError::internal)?;
        Ok(true)
    }

    /// The live release of `name`.
    ///
    /// # Errors
    /// 404 `unknown_scenario`, naming those there are.
    pub fn get(&self, name: &str) -> Result<Arc<Release>, ApiError> {
        let live = self.live.load();
        live.get(name).cloned().ok_or_else(|| {
            let mut known: Vec<&str> = live.keys().map(String::as_str).collect();
            known.sort_unstable();
            ApiError::not_found(
                "unknown_scenario",
                format!(
                    "no scenario named {name:?}; known: {}. Create it with PUT /v1/scenarios/{{name}}",
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
                ),
            )
        })
    }

    /// Every live release, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Release>> {
        let mut all: Vec<_> = self.live.load().values().cloned().collect();
        all.sort_by(|a, b| a.scenario.cmp(&b.scenario));
        all
    }

    /// A release as [`Self::put`] would publish it, numbered 0.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn check(name: &str, spec: ScenarioSpec, plugins: &Plugins) -> Result<Release, ApiError> {
        check_name(name)?;
        release(name, 0, spec, plugins)
    }

    /// Makes and publishes a new release. Requests under way finish on the old one.
    ///
    /// # Errors
    /// 422 with what is wrong with the strategy, version, kinds or parameters; nothing is changed then.
    pub fn put(&self, name: &str, spec: ScenarioSpec, plugins: &Plugins) -> Result<Arc<Release>, ApiError> {
        let checked = Self::check(name, spec, plugins)?;
        let json = serde_json::to_value(&checked.spec).map_err(ApiError::internal)?;
        let number = self.state.registry.put(KIND, name, &json).map(u64::from).map_err(ApiError::internal)?;
        let previous = self.live.load().get(name).and_then(|live| live.good_before(&checked.strategy));
        let made = Arc::new(Release { number, previous, ..checked });
        self.live.rcu(|live| {
            let mut next = live.as_ref().clone();
            next.insert(name.to_owned(), Arc::clone(&made));
            next
        });
        Ok(made)
    }

    /// Takes a scenario out, with what is on trial. Its releases stay in the registry, and a later one of the name is
    /// numbered on.
    ///
    /// # Errors
    /// 404 for an unknown scenario; 500 when the registry cannot be written.
    pub fn delete(&self, name: &str) -> Result<(), ApiError> {
        self.get(name)?;
        self.end_trial(name)?;
        self.state.registry.delete(KIND, name).map_err(ApiError::internal)?;
        self.live.rcu(|live| {
            let mut next = live.as_ref().clone();
            next.remove(name);
            next
        });
        Ok(())
    }

    /// Whether there ever was a scenario of this name.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn ever(&self, name: &str) -> anyhow::Result<bool> {
        Ok(!self.state.registry.history(KIND, name)?.is_empty())
    }

    /// Publishes what ran before the live release, as a new release.
    ///
    /// # Errors
    /// 404 for an unknown scenario, 422 `nothing_to_roll_back` when there is no earlier release.
    pub fn rollback(&self, name: &str, plugins: &Plugins) -> Result<Arc<Release>, ApiError> {
        let live = self.get(name)?;
        let earlier = self
            .state
            .registry
            .history(KIND, name)
            .map_err(ApiError::internal)?
            .into_iter()
            .filter(|document| u64::from(document.version) < live.number)
            .filter_map(|document| serde_json::from_value::<ScenarioSpec>(document.value?).ok())
            .rfind(|spec| *spec != live.spec)
            .ok_or_else(|| {
                ApiError::unprocessable("nothing_to_roll_back", format!("scenario {name:?} has no earlier release"))
            })?;
        self.put(name, earlier, plugins)
    }
}

/// The number a candidate will have when it is promoted.
fn next_number(live: &FxHashMap<String, Arc<Release>>, name: &str) -> u64 {
    live.get(name).map_or(0, |release| release.number) + 1
}

/// Names of scenarios, spaces, models and plugins: what is safe in a path, a metric and a file.
///
/// # Errors
/// 422 `bad_name`.
pub fn check_name(name: &str) -> Result<(), ApiError> {
    let good = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if good {
        return Ok(());
    }
    Err(ApiError::unprocessable(
        "bad_name",
        format!("{name:?} is not a name: use 1 to 64 letters, digits, '-', '_' or '.'"),
    ))
}

fn release(name: &str, number: u64, spec: ScenarioSpec, plugins: &Plugins) -> Result<Release, ApiError> {
    let plugin = plugins.get(&spec.strategy, spec.version.as_deref())?;
    let strategy = Arc::clone(plugin.strategy()?);
    plugin.check_parameters(&spec.parameters)?;
    // The release pins the version it was made with, whatever is uploaded later.
    let spec = ScenarioSpec { version: Some(plugin.version.clone()), ..spec };
    Ok(Release { number, ..Release::new(name, spec, strategy)? })
}

/// The last release of a scenario's history that ran another component and still can.
fn earlier(
    registry: &dyn Registry,
    name: &str,
    live: &Release,
    plugins: &Plugins,
) -> anyhow::Result<Option<Arc<Release>>> {
    let history = registry.history(KIND, name)?;
    let before = history.into_iter().rev().filter(|document| u64::from(document.version) < live.number);
    Ok(before
        .filter_map(|document| {
            let spec: ScenarioSpec = serde_json::from_value(document.value?).ok()?;
            release(name, u64::from(document.version), spec, plugins).ok()
        })
        .find(|before| before.strategy.digest() != live.strategy.digest())
        .map(Arc::new))
}

impl Release {
    /// This release, or what ran before it, as what may stand in for `strategy`.
    fn good_before(&self, strategy: &Strategy) -> Option<Arc<Self>> {
        if self.strategy.digest() == strategy.digest() {
            return self.previous.clone();
        }
        // Without its own: else every release would keep all those before it.
        Some(Arc::new(Self { previous: None, ..Self::clone(self) }))
    }

    /// A release that no registry knows, numbered 0.
    ///
    /// # Errors
    /// 422 with what is wrong with the spec.
    pub fn new(scenario: &str, spec: ScenarioSpec, strategy: Arc<Strategy>) -> Result<Self, ApiError> {
        let fallback_kinds = spec.check()?;
        let parameters = spec.parameters.to_string();
        let strategy = match &spec.allow {
            Some(allow) => Arc::new(strategy.within(allow.allowed())),
            None => strategy,
        };
        let scenario = scenario.to_owned();
        Ok(Self { scenario, number: 0, spec, parameters, strategy, fallback_kinds, previous: None })
    }
}

impl ScenarioSpec {
    /// Checks what does not depend on the strategy; the kinds of the fallback.
    fn check(&self) -> Result<Vec<ItemKind>, ApiError> {
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

impl Release {
    /// The budgets of one call, with the server's wall clock where the scenario names none.
    #[must_use]
    pub fn limits(&self, wall_ms: u64) -> Limits {
        let wall = Duration::from_millis(self.spec.wall_ms.unwrap_or(wall_ms));
        let (limits, own) = (Limits { wall, ..Limits::default() }, self.spec.limits.unwrap_or_default());
        let candidates = own.candidates.map_or(limits.candidates, |count| count as usize);
        Limits {
            fuel: own.fuel.unwrap_or_else(|| Limits::fuel_for(candidates)),
            memory: own.memory_mb.map_or(limits.memory, |mb| (mb as usize) << 20),
            host_calls: own.host_calls.unwrap_or(limits.host_calls),
            candidates,
            ..limits
        }
    }
}
