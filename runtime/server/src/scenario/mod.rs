//! Scenarios: named placements, each running one release of {strategy digest, parameters, models, guards}.

mod pins;
mod release;
mod spec;

pub use pins::{ModelPolicy, Pins};
pub use release::{Release, Stock};
pub use spec::{FrequencyCap, LimitsSpec, ScenarioSpec};

use crate::error::ApiError;
use crate::rollout::{Candidate, Plan, StoredCandidate};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use qianmian_state::{Registry, State};
use release::Stored;
use rustc_hash::FxHashMap;
use serde_json::Value;
use std::sync::Arc;

/// The registry's kinds of document.
const KIND: &str = "scenario";
const CANDIDATE: &str = "candidate";

/// All scenarios, swapped atomically.
pub struct Scenarios {
    live: ArcSwap<FxHashMap<String, Arc<Release>>>,
    candidates: ArcSwap<FxHashMap<String, Arc<Candidate>>>,
    ended: Mutex<FxHashMap<String, Arc<Candidate>>>,
    state: Arc<State>,
    stock: Stock,
    /// Held while a release is made, and while what releases are made of is taken away.
    still: Mutex<()>,
}

impl Scenarios {
    /// Reads every scenario from the registry. One whose strategy is gone is left out and logged.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn load(state: Arc<State>, stock: Stock) -> anyhow::Result<Self> {
        let mut live = FxHashMap::default();
        for document in state.registry.list(KIND)? {
            let stored = Stored::read(document.value)?;
            match stock.release(&document.name, u64::from(document.version), stored) {
                Ok(made) => {
                    let previous = earlier(&*state.registry, &document.name, &made, &stock)?;
                    live.insert(document.name, Arc::new(Release { previous, ..made }));
                }
                Err(error) => tracing::error!(scenario = document.name, %error, "a scenario cannot run"),
            }
        }
        let mut candidates = FxHashMap::default();
        for document in state.registry.list(CANDIDATE)? {
            let stored: StoredCandidate = serde_json::from_value(document.value.unwrap_or_default())?;
            let number = next_number(&live, &document.name);
            match stock.release(&document.name, number, (stored.spec, stored.pins)) {
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
            stock,
            still: Mutex::default(),
        })
    }

    /// No release is made as long as this is held.
    pub(crate) fn hold_still(&self) -> MutexGuard<'_, ()> {
        self.still.lock()
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
    pub fn try_out(&self, name: &str, spec: ScenarioSpec, plan: Plan) -> Result<Arc<Candidate>, ApiError> {
        self.get(name)?;
        plan.check()?;
        let _still = self.hold_still();
        let release = self.stock.release(name, next_number(&self.live.load(), name), (spec, None))?;
        let pins = Some(release.pins.clone());
        let stored = StoredCandidate { spec: release.spec.clone(), pins, plan: plan.clone() };
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

    /// Makes the candidate the live release: what was tried, and nothing newer.
    ///
    /// # Errors
    /// 422 `no_candidate`; as [`Self::put`].
    pub fn promote(&self, name: &str) -> Result<Arc<Release>, ApiError> {
        let candidate = self.candidate(name).ok_or_else(|| {
            ApiError::unprocessable("no_candidate", format!("scenario {name:?} has no candidate to promote"))
        })?;
        let Release { spec, pins, .. } = &*candidate.release;
        let live = self.publish(name, (spec.clone(), Some(pins.clone())))?;
        self.end_trial_of(&candidate)?;
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
    pub fn check(&self, name: &str, spec: ScenarioSpec) -> Result<Release, ApiError> {
        check_name(name)?;
        self.stock.release(name, 0, (spec, None))
    }

    /// Makes and publishes a new release. Requests under way finish on the old one.
    ///
    /// # Errors
    /// 422 with what is wrong with the strategy, version, kinds or parameters; nothing is changed then.
    pub fn put(&self, name: &str, spec: ScenarioSpec) -> Result<Arc<Release>, ApiError> {
        check_name(name)?;
        self.publish(name, (spec, None))
    }

    /// Publishes a release with these pins, or those of now.
    fn publish(&self, name: &str, what: (ScenarioSpec, Option<Pins>)) -> Result<Arc<Release>, ApiError> {
        let _still = self.hold_still();
        let checked = self.stock.release(name, 0, what)?;
        if let Some((model, _)) = checked.models.iter().find(|(_, held)| held.is_none()) {
            let detail =
                format!("version {:?} of model {model:?} cannot be loaded any more", checked.pins.models[model]);
            return Err(ApiError::unprocessable("unknown_model_version", detail));
        }
        let stored = Stored::Pinned { spec: checked.spec.clone(), pins: checked.pins.clone() };
        let json = serde_json::to_value(stored).map_err(ApiError::internal)?;
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

    /// Publishes what ran before the live release, as a new release: the same component, parameters and versions of models.
    ///
    /// # Errors
    /// 404 for an unknown scenario, 422 `nothing_to_roll_back` when there is no earlier release; what it was pinned to is
    /// gone.
    pub fn rollback(&self, name: &str) -> Result<Arc<Release>, ApiError> {
        let live = self.get(name)?;
        let earlier = self.before(&live)?.ok_or_else(|| {
            ApiError::unprocessable("nothing_to_roll_back", format!("scenario {name:?} has no earlier release"))
        })?;
        self.publish(name, earlier)
    }

    /// What [`Self::rollback`] goes back to.
    fn before(&self, live: &Release) -> Result<Option<(ScenarioSpec, Option<Pins>)>, ApiError> {
        let history = self.state.registry.history(KIND, &live.scenario).map_err(ApiError::internal)?;
        let mut before = history
            .into_iter()
            .filter(|document| u64::from(document.version) < live.number)
            .filter_map(|document| Stored::read(document.value).ok());
        Ok(before.rfind(|(spec, pins)| *spec != live.spec || pins.as_ref().is_some_and(|pins| pins.differ(&live.pins))))
    }

    /// Which release holds a component, where one does: live, in its place when that fails, on trial, or what a scenario
    /// would go back to.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn holds(&self, digest: &str) -> Result<Option<String>, ApiError> {
        for live in self.list() {
            let (scenario, trial) = (&live.scenario, self.candidate(&live.scenario));
            if live.pins.digest == digest {
                return Ok(Some(format!("scenario {scenario:?} runs it")));
            }
            if trial.is_some_and(|trial| trial.release.pins.digest == digest) {
                return Ok(Some(format!("it is on trial in scenario {scenario:?}")));
            }
            let before = self.before(&live)?.and_then(|(_, pins)| pins);
            let stands_in = live.previous.as_ref().is_some_and(|before| before.pins.digest == digest);
            if stands_in || before.is_some_and(|pins| pins.digest == digest) {
                return Ok(Some(format!("scenario {scenario:?} would go back to it")));
            }
        }
        Ok(None)
    }

    /// Which release has this word somewhere in the texts of its parameters, where one has: by itself, or behind a dot.
    #[must_use]
    pub fn names(&self, word: &str) -> Option<String> {
        let live = self.list();
        let trials = live.iter().filter_map(|live| Some(Arc::clone(&self.candidate(&live.scenario)?.release)));
        let found = live.iter().cloned().chain(trials).find(|release| {
            let mut found = false;
            each_text(&release.spec.parameters, &mut |text| found |= has_word(text, word));
            found
        })?;
        Some(format!("scenario {:?} names it in its parameters", found.scenario))
    }
}

/// Whether a name stands in a text, by itself or as the end of a dotted one: `vector(space)[0]`, `near.space`.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |name: &str| name.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    text.split(|c| !of_name(c)).any(ends)
}

/// Calls `each` with every text in a value.
fn each_text(value: &Value, each: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(list) => list.iter().for_each(|one| each_text(one, each)),
        Value::Object(members) => members.values().for_each(|one| each_text(one, each)),
        _ => {}
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

/// The last release of a scenario's history that ran another component and still can.
fn earlier(registry: &dyn Registry, name: &str, live: &Release, stock: &Stock) -> anyhow::Result<Option<Arc<Release>>> {
    let history = registry.history(KIND, name)?;
    let before = history.into_iter().rev().filter(|document| u64::from(document.version) < live.number);
    Ok(before
        .filter_map(|document| {
            let stored = Stored::read(document.value).ok()?;
            // Of the same component is not looked at: its models need not be loaded for that.
            let other = stored.1.as_ref().is_none_or(|pins| pins.digest != live.pins.digest);
            other.then(|| stock.release(name, u64::from(document.version), stored).ok())?
        })
        .find(|before| before.strategy.digest() != live.strategy.digest())
        .map(Arc::new))
}
