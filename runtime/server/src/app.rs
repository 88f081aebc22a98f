//! The one place that builds everything.

use crate::audience::Audiences;
use crate::breaker::Breakers;
use crate::code_tags::CodeTags;
use crate::config::Config;
use crate::embeddings::EmbeddingStore;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::ml::ModelStore;
use crate::plugins::{Compiler, Plugins, TrustedKeys};
use crate::pool::CpuPool;
use crate::reach::{Filters, LiveReach, VisitorVectors};
use crate::recommend::ground::LiveGround;
use crate::recommend::{compose, now_ms};
use crate::replay::CaptureWriter;
use crate::scenario::{Release, ScenarioSpec, Scenarios, Stock, has_word};
use anyhow::Context;
use qianmian_core::{ItemRow, Reach, Request, RequestContext, Visitor};
use qianmian_host::{Host, HostConfig};
use qianmian_index::Spaces;
use qianmian_models::Served;
use qianmian_state::{State, StateError};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A running server without its sockets.
pub struct App {
    /// How it was configured.
    pub config: Config,
    /// Catalogue, log, folds, registry, blobs.
    pub state: Arc<State>,
    /// Embedding spaces.
    pub embeddings: Arc<EmbeddingStore>,
    /// Models.
    pub models: Arc<ModelStore>,
    /// Strategies.
    pub plugins: Arc<Plugins>,
    /// Scenarios.
    pub scenarios: Scenarios,
    /// Tags and segments.
    pub audiences: Audiences,
    /// Which components are not run for a while.
    pub breakers: Breakers,
    /// Where strategies and models run.
    pub pool: CpuPool,
    /// Bytes that bodies of events may still take.
    pub event_room: Arc<Semaphore>,
    /// What the server counts.
    pub metrics: Metrics,
    /// What the sandbox reaches.
    pub reach: Reach,
    captures: CaptureWriter,
}

impl App {
    /// Opens the data folder, rebuilds what is derived, compiles the strategies.
    ///
    /// # Errors
    /// When the data folder or the bundled plugins cannot be read.
    pub fn open(config: Config) -> anyhow::Result<Arc<Self>> {
        let state = State::open_within(&config.data, config.limits())
            .with_context(|| format!("cannot open the data folder {}", config.data.display()))?;
        Self::over(config, state)
    }

    /// Builds everything over a state that is already open.
    ///
    /// # Errors
    /// As [`App::open`].
    pub fn over(config: Config, state: State) -> anyhow::Result<Arc<Self>> {
        match state.keep(config.retention()) {
            // a view keeps nothing
            Ok(()) | Err(StateError::ReadOnly) => {}
            Err(error) => return Err(error.into()),
        }
        let state = Arc::new(state);
        let host = Arc::new(Host::new(HostConfig::default()).context("cannot start the sandbox")?);
        let code = state.folder().map(|folder| folder.join("compiled"));
        let compiler = Compiler::new(host, config.compiler.clone(), code)?;
        let plugins = Arc::new(Plugins::load(compiler, TrustedKeys::new(&config.trusted_keys)?, Arc::clone(&state))?);
        let new = plugins.install_folder(&config.plugins)?;
        tracing::info!(new, folder = %config.plugins.display(), "bundled strategies");
        let spaces = Arc::new(Spaces::new());
        let vectors = Arc::new(VisitorVectors::default());
        let models = Arc::new(ModelStore::load(Arc::clone(&state), config.compiler.clone())?);
        let embeddings = EmbeddingStore::load(Arc::clone(&state), Arc::clone(&spaces), Arc::clone(&vectors))?;
        let stock =
            Stock { plugins: Arc::clone(&plugins), models: Arc::clone(&models), embeddings: Arc::clone(&embeddings) };
        let scenarios = Scenarios::load(Arc::clone(&state), stock)?;
        if let Some(at) = config.frozen_clock {
            state.folds.audience.freeze(at);
        }
        let audiences = Audiences::load(Arc::clone(&state), CodeTags::new(Arc::clone(&plugins), &state))?;
        let live = LiveReach {
            state: Arc::clone(&state),
            spaces,
            models: models.live(),
            vectors,
            filters: Filters::default(),
            barred: crate::reach::Barred::default(),
        };
        let app = Self {
            audiences,
            breakers: Breakers::default(),
            pool: CpuPool::new(config.threads(), config.compose_queue)?,
            event_room: Arc::new(Semaphore::new(config.event_room())),
            metrics: Metrics::new()?,
            reach: live.into_reach(),
            captures: CaptureWriter::start(Arc::clone(&state.captures), config.capture_days)?,
            config,
            state,
            embeddings,
            models,
            plugins,
            scenarios,
        };
        app.default_scenarios()?;
        Ok(Arc::new(app))
    }

    /// Where captures go.
    pub(crate) fn captures(&self) -> &CaptureWriter {
        &self.captures
    }

    /// Publishes a scenario that its strategy accepts: a strategy reads its parameters when it runs, so it runs once for
    /// nobody and once beside some items. Only refusing both times counts: a product page may well want an item.
    ///
    /// # Errors
    /// As [`Scenarios::put`], and 422 `refused_by_strategy` with the strategy's words.
    pub fn put_scenario(&self, name: &str, spec: ScenarioSpec) -> Result<Arc<Release>, ApiError> {
        self.check_scenario(name, &spec)?;
        self.scenarios.put(name, spec)
    }

    /// The checks of [`Self::put_scenario`].
    pub(crate) fn check_scenario(&self, name: &str, spec: &ScenarioSpec) -> Result<(), ApiError> {
        let release = self.scenarios.check(name, spec.clone())?;
        let some: Vec<ItemRow> = self.state.catalogue.current().live_rows().take(3).collect();
        let run = |items: Vec<ItemRow>| {
            let request = Request { scenario: name.to_owned(), items, limit: 20, ..Request::default() };
            let ctx = Arc::new(RequestContext::new(request, Arc::new(Visitor::default()), now_ms(), 1));
            let composed = compose(self, &release.reach(&self.reach), &LiveGround::new(self), &release, &ctx);
            composed.answer.fallback.filter(|f| f.code == "strategy_reject").map(|_| composed.fault)
        };
        if let (false, Some(_), Some(fault)) = (some.is_empty(), run(Vec::new()), run(some.clone())) {
            return Err(ApiError::unprocessable("refused_by_strategy", fault));
        }
        Ok(())
    }

    /// Takes a version of a strategy or a tagger out.
    ///
    /// # Errors
    /// 404 `unknown_strategy`; 409 `in_use` when a release or a tag holds it, 409 `shipped`.
    pub fn delete_plugin(&self, name: &str, version: &str) -> Result<(), ApiError> {
        let _still = self.scenarios.hold_still();
        self.plugins.delete(name, version, |plugin| {
            let held = self.scenarios.holds(plugin.program.digest())?;
            held.map_or_else(|| self.audiences.runs(name, version), |held| Ok(Some(held)))
        })
    }

    /// Takes an embedding space out.
    ///
    /// # Errors
    /// 404 `unknown_space`; 409 `in_use` when a scenario's parameters or the features of a model name it.
    pub fn delete_space(&self, space: &str) -> Result<(), ApiError> {
        let _still = self.scenarios.hold_still();
        let reads = |served: &Arc<Served>| served.model.features().iter().any(|feature| has_word(feature, space));
        let pinned = |release: Arc<Release>| release.models.values().flatten().cloned().collect::<Vec<_>>();
        let model = || {
            let releases = self.scenarios.list().into_iter().flat_map(pinned);
            self.models.live().all().into_iter().chain(releases).find(reads)
        };
        let named = self.scenarios.names(space);
        let named = named.or_else(|| model().map(|model| format!("model {:?} has features of it", model.name)));
        if let Some(by) = named.filter(|_| self.embeddings.has(space)) {
            let detail = format!("the embedding space {space:?} is in use: {by}");
            return Err(ApiError::conflict("in_use", detail));
        }
        self.embeddings.delete(space)
    }

    /// Every shipped strategy gets a scenario of its own name, so that a new shop has pages from its first item on.
    fn default_scenarios(&self) -> anyhow::Result<()> {
        for plugin in self.plugins.shipped() {
            if plugin.name == "compose" || plugin.strategy().is_err() || self.scenarios.ever(&plugin.name)? {
                continue;
            }
            let spec: ScenarioSpec = serde_json::from_value(serde_json::json!({ "strategy": plugin.name }))?;
            if let Err(error) = self.scenarios.put(&plugin.name, spec) {
                tracing::warn!(scenario = plugin.name, %error, "no default scenario");
            }
        }
        Ok(())
    }
}
