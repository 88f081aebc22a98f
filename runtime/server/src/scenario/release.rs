//! A release: what a request runs from start to end, and how it is made and kept.

use super::each_text;
use super::pins::{ModelPolicy, PinnedModels, Pins, reach_of};
use super::spec::ScenarioSpec;
use crate::embeddings::EmbeddingStore;
use crate::error::ApiError;
use crate::ml::ModelStore;
use crate::plugins::Plugins;
use qianmian_core::{ItemKind, Reach};
use qianmian_host::{Limits, Strategy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

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
    /// What it holds still besides.
    pub pins: Pins,
    /// The models it pins.
    pub(crate) models: Arc<PinnedModels>,
    /// Kinds of the fallback.
    pub fallback_kinds: Vec<ItemKind>,
    /// What ran before with another component: it answers while this one's breaker is open.
    pub previous: Option<Arc<Release>>,
}

/// What the registry keeps of a release.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Stored {
    Pinned {
        spec: ScenarioSpec,
        pins: Pins,
    },
    /// Of before releases were pinned: it scores with what is live.
    Spec(ScenarioSpec),
}

impl Stored {
    pub fn read(value: Option<Value>) -> serde_json::Result<(ScenarioSpec, Option<Pins>)> {
        Ok(match serde_json::from_value(value.unwrap_or_default())? {
            Self::Pinned { spec, pins } => (spec, Some(pins)),
            Self::Spec(spec) => (ScenarioSpec { models: ModelPolicy::Live, ..spec }, None),
        })
    }
}

/// What releases are made of.
pub struct Stock {
    /// Strategies.
    pub plugins: Arc<Plugins>,
    /// Models.
    pub models: Arc<ModelStore>,
    /// Embedding spaces.
    pub embeddings: Arc<EmbeddingStore>,
}

impl Stock {
    /// A release with these pins, or those of now: whatever is uploaded later, it runs the same.
    pub(super) fn release(
        &self,
        name: &str,
        number: u64,
        (spec, pins): (ScenarioSpec, Option<Pins>),
    ) -> Result<Release, ApiError> {
        let plugin = match (&pins, &spec.version) {
            (Some(pins), Some(version)) => self.plugins.pinned(&spec.strategy, version, &pins.digest)?,
            _ => self.plugins.get(&spec.strategy, spec.version.as_deref())?,
        };
        let strategy = Arc::clone(plugin.strategy()?);
        plugin.check_parameters(&spec.parameters)?;
        let spec = ScenarioSpec { version: Some(plugin.version.clone()), ..spec };
        let made = Release::new(name, spec, strategy)?;
        let now = || Pins::now(made.spec.models, &made.strategy, &self.models, &self.embeddings);
        let pins = pins.unwrap_or_else(now);
        let hold = |(model, version): (&String, &String)| {
            let held = self.models.version(model, version);
            let held = held.inspect_err(|error| tracing::error!(scenario = name, model, version, %error, "not held"));
            (model.clone(), held.ok())
        };
        let mut models: PinnedModels = pins.models.iter().map(hold).collect();
        // A version that the parameters name stays what it is, live, on trial or long gone.
        each_text(&made.spec.parameters, &mut |text| {
            if let Some((model, version)) = text.split_once('@')
                && made.strategy.may_score(model)
                && let Ok(held) = self.models.version(model, version)
            {
                models.insert(text.to_owned(), Some(held));
            }
        });
        Ok(Release { number, pins, models: Arc::new(models), ..made })
    }
}

impl Release {
    /// This release, or what ran before it, as what may stand in for `strategy`.
    pub(super) fn good_before(&self, strategy: &Strategy) -> Option<Arc<Self>> {
        if self.strategy.digest() == strategy.digest() {
            return self.previous.clone();
        }
        // Without its own: else every release would keep all those before it.
        Some(Arc::new(Self { previous: None, ..Self::clone(self) }))
    }

    /// What it reaches: its own versions of models, and what is live.
    #[must_use]
    pub fn reach(&self, live: &Reach) -> Reach {
        reach_of(&self.models, live)
    }

    /// A release that no registry knows, numbered 0, over live models.
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
        let (scenario, models) = (scenario.to_owned(), Arc::default());
        let pins = Pins { digest: strategy.digest().to_owned(), ..Pins::default() };
        Ok(Self { scenario, number: 0, spec, parameters, strategy, pins, models, fallback_kinds, previous: None })
    }

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
