//! Models on this server: checked, stored by digest, swapped atomically.

use crate::compare::{Comparison, compare};
use crate::error::ApiError;
use crate::model_check;
use crate::scenario::check_name;
use parking_lot::Mutex;
use qianmian_core::TimeMs;
use qianmian_models::{Kind, Manifest, Model, Models, Served};
use qianmian_state::{CaptureFilter, State};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use utoipa::ToSchema;

/// What the registry calls live models.
pub(crate) const KIND: &str = "model";
/// The versions on trial.
const TRIAL: &str = "model-trial";
/// Captures a new version is compared on with the live one, the newest ones.
const COMPARED: usize = 200;
/// Events in which the clicks on them are looked for, the last ones.
const EVENTS: u64 = 1_000_000;

/// What the registry keeps of a model.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    version: String,
    digest: String,
    manifest: Manifest,
}

/// What the server says about a version of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// False on trial: only who names `name@version` gets it.
    pub live: bool,
    /// SHA-256 of the ONNX file.
    pub digest: String,
    /// `ranker`, `encoder` or `scorer`.
    pub kind: String,
    /// Its feature columns; empty for encoders.
    pub features: Vec<String>,
    /// Scenarios whose live release pins another version: a new release of theirs takes this one up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in: Vec<String>,
}

/// A model that was just taken.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Taken {
    /// What it is.
    #[serde(flatten)]
    pub report: ModelReport,
    /// What it says of what was served, held against the version that was live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<Comparison>,
    /// Why there is no comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<String>,
}

impl ModelReport {
    fn of(served: &Served, live: bool) -> Self {
        Self {
            live,
            name: served.name.clone(),
            version: served.version.clone(),
            digest: served.digest.clone(),
            kind: served.model.manifest().kind.to_string(),
            features: served.model.features().to_vec(),
            not_in: Vec::new(),
        }
    }
}

/// The live models and where their files are kept. Requests under way keep the version they started with.
pub struct ModelStore {
    state: Arc<State>,
    live: Arc<Models>,
    /// The binary that tries a model in a process of its own; without one this process does.
    program: Option<PathBuf>,
    /// One at a time: the limits are for all of them together.
    turn: Mutex<()>,
    /// One change of what is stored and served at a time.
    changing: Mutex<()>,
    /// Versions that releases pin, as long as they do.
    pinned: Mutex<FxHashMap<(String, String), Weak<Served>>>,
}

impl ModelStore {
    /// Loads the live version of every model. One that no longer loads is left out and logged. `program` is the binary that
    /// has [`crate::model_check::COMMAND`].
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn load(state: Arc<State>, program: Option<PathBuf>) -> anyhow::Result<Self> {
        let store = Self {
            state,
            live: Arc::new(Models::new()),
            program,
            turn: Mutex::default(),
            changing: Mutex::default(),
            pinned: Mutex::default(),
        };
        for (kind, live) in [(KIND, true), (TRIAL, false)] {
            for document in store.state.registry.list(kind)? {
                let stored: Stored = serde_json::from_value(document.value.unwrap_or_default())?;
                match store.loaded(&stored) {
                    Ok(served) if live => drop(store.live.put(&served)),
                    Ok(served) => store.live.try_out(&served),
                    Err(error) => tracing::error!(model = document.name, error = error.detail, "cannot load"),
                }
            }
        }
        Ok(store)
    }

    fn loaded(&self, stored: &Stored) -> Result<Arc<Served>, ApiError> {
        let bytes = self.state.blobs.get(&stored.digest).map_err(ApiError::internal)?;
        let model = Model::load(&bytes, stored.manifest.clone());
        let model = model.map_err(|error| ApiError::unprocessable("model_refused", error.to_string()))?;
        Ok(Served::new(&*stored.version, &*stored.digest, model))
    }

    /// The live models, shared with the sandbox's reach.
    #[must_use]
    pub fn live(&self) -> Arc<Models> {
        Arc::clone(&self.live)
    }

    /// The live version of one model.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Served>> {
        self.live.get(name)
    }

    /// One version of a model, live or not. What is not in memory is loaded.
    ///
    /// # Errors
    /// 422 `unknown_model_version`; 500 when what is stored of it cannot be read.
    pub fn version(&self, name: &str, version: &str) -> Result<Arc<Served>, ApiError> {
        let key = (name.to_owned(), version.to_owned());
        let mut pinned = self.pinned.lock();
        pinned.retain(|_, held| held.strong_count() > 0);
        let near = self.live.get(&format!("{name}@{version}"));
        if let Some(held) = near.or_else(|| pinned.get(&key).and_then(Weak::upgrade)) {
            pinned.insert(key, Arc::downgrade(&held));
            return Ok(held);
        }
        let history = |kind| self.state.registry.history(kind, name).map_err(ApiError::internal);
        let known = history(TRIAL)?.into_iter().chain(history(KIND)?);
        let mut stored = known.filter_map(|document| serde_json::from_value::<Stored>(document.value?).ok());
        let stored = stored.find(|stored| stored.version == version).ok_or_else(|| {
            ApiError::unprocessable("unknown_model_version", format!("model {name:?} has no version {version:?}"))
        })?;
        let served = self.loaded(&stored)?;
        pinned.insert(key, Arc::downgrade(&served));
        Ok(served)
    }

    /// Checks a model (structure, and golden rows where it brings some), first in a process of its own, holds it against the
    /// live version over what that was given, and swaps it in, or puts it on trial. An earlier version that is put again as it
    /// was goes live again.
    ///
    /// # Errors
    /// 422 with what is wrong, 409 `version_exists` when the version is another file or manifest; the live one stays then.
    pub fn put(
        &self,
        name: &str,
        version: &str,
        bytes: &[u8],
        manifest: Manifest,
        trial: bool,
    ) -> Result<Taken, ApiError> {
        check_name(name)?;
        check_name(version)?;
        if manifest.name != name {
            return Err(ApiError::unprocessable(
                "wrong_identity",
                format!("the manifest says the model is {:?}, the path says {name:?}", manifest.name),
            ));
        }
        if let Some(program) = &self.program {
            let _turn = self.turn.lock();
            model_check::check(program, bytes, &manifest, model_check::limits(bytes.len()))?;
        }
        let model = Model::load(bytes, manifest.clone())
            .map_err(|error| ApiError::unprocessable("model_refused", error.to_string()))?;
        let digest = self.state.blobs.put(bytes).map_err(ApiError::internal)?;
        let stored = Stored { version: version.to_owned(), digest: digest.clone(), manifest };
        let json = serde_json::to_value(stored).map_err(ApiError::internal)?;
        let (compared, not_compared) = match self.compared(&model) {
            Ok(compared) => (compared, None),
            Err(why) => (None, Some(format!("{why:#}"))),
        };
        let _changing = self.changing.lock();
        let history = |kind| self.state.registry.history(kind, name).map_err(ApiError::internal);
        let mut known = history(KIND)?.into_iter().chain(history(TRIAL)?).filter_map(|document| document.value);
        if known.any(|known| known["version"] == *version && known != json) {
            return Err(ApiError::conflict(
                "version_exists",
                format!(
                    "{name} {version} is already here with another file or manifest; versions are immutable: raise it"
                ),
            ));
        }
        let served = Served::new(version, digest, model);
        if trial {
            self.state.registry.put(TRIAL, name, &json).map_err(ApiError::internal)?;
            self.live.try_out(&served);
        } else {
            self.go_live(&json, &served)?;
        }
        Ok(Taken { report: ModelReport::of(&served, !trial), compared, not_compared })
    }

    fn go_live(&self, stored: &Value, served: &Arc<Served>) -> Result<(), ApiError> {
        self.state.registry.put(KIND, &served.name, stored).map_err(ApiError::internal)?;
        if self.live.trial(&served.name).is_some_and(|trial| trial.version == served.version) {
            self.state.registry.delete(TRIAL, &served.name).map_err(ApiError::internal)?;
        }
        self.live.put(served);
        Ok(())
    }

    /// A new version against the live one of its name; nothing when there is none.
    fn compared(&self, model: &Model) -> anyhow::Result<Option<Comparison>> {
        let is_ranker = model.manifest().kind == Kind::Ranker;
        let Some(live) = self.get(&model.manifest().name).filter(|_| is_ranker) else { return Ok(None) };
        let filter = CaptureFilter { since: TimeMs::MIN, limit: COMPARED, ..CaptureFilter::default() };
        let mut events = Vec::new();
        self.state.scan(self.state.log.last_offset().saturating_sub(EVENTS), &mut |chunk| {
            events.extend(chunk.events.into_iter().filter(|event| !event.request_id.is_empty()));
            ControlFlow::Continue(())
        })?;
        compare(model, Some(&live.digest), (&self.state.captures, &filter), &events).map(Some)
    }

    /// Makes the version on trial the live one.
    ///
    /// # Errors
    /// 404 `unknown_model`, 422 `nothing_on_trial`.
    pub fn promote(&self, name: &str) -> Result<ModelReport, ApiError> {
        let missing = || match self.get(name) {
            Some(_) => ApiError::unprocessable(
                "nothing_on_trial",
                format!("model {name:?} has no version on trial: upload one with trial=true"),
            ),
            None => ApiError::not_found("unknown_model", format!("no model named {name:?}")),
        };
        let _changing = self.changing.lock();
        let served = self.live.trial(name).ok_or_else(missing)?;
        let document = self.state.registry.get(TRIAL, name).map_err(ApiError::internal)?;
        let stored = document.and_then(|document| document.value).ok_or_else(missing)?;
        self.go_live(&stored, &served)?;
        Ok(ModelReport::of(&served, true))
    }

    /// Ends a model's trial; without one, the version that was live before goes live again.
    ///
    /// # Errors
    /// 404 `unknown_model`, 422 `nothing_to_roll_back`, and when that version no longer loads.
    pub fn rollback(&self, name: &str) -> Result<ModelReport, ApiError> {
        let _changing = self.changing.lock();
        if let Some(trial) = self.live.trial(name) {
            self.state.registry.delete(TRIAL, name).map_err(ApiError::internal)?;
            self.live.end_trial(name);
            // One that was never live leaves nothing behind.
            return self.report(name).or_else(|_| Ok(ModelReport::of(&trial, false)));
        }
        let live = self.report(name)?;
        let history = self.state.registry.history(KIND, name).map_err(ApiError::internal)?;
        let earlier =
            history.into_iter().filter_map(|document| document.value).rfind(|v| v["version"] != *live.version);
        let earlier = earlier.ok_or_else(|| {
            ApiError::unprocessable(
                "nothing_to_roll_back",
                format!("model {name:?} has no version but {}", live.version),
            )
        })?;
        let stored: Stored = serde_json::from_value(earlier.clone()).map_err(ApiError::internal)?;
        let loaded = self.get(&format!("{name}@{}", stored.version));
        let served = loaded.map_or_else(|| self.loaded(&stored), Ok)?;
        self.go_live(&earlier, &served)?;
        Ok(ModelReport::of(&served, true))
    }

    /// The live version of a model; without one, that on trial.
    ///
    /// # Errors
    /// 404 `unknown_model`.
    pub fn report(&self, name: &str) -> Result<ModelReport, ApiError> {
        let live = self.get(name).map(|served| ModelReport::of(&served, true));
        let trial = || self.live.trial(name).map(|served| ModelReport::of(&served, false));
        live.or_else(trial).ok_or_else(|| ApiError::not_found("unknown_model", format!("no model named {name:?}")))
    }

    /// The version of a model that is on trial.
    #[must_use]
    pub fn trial(&self, name: &str) -> Option<ModelReport> {
        self.live.trial(name).map(|served| ModelReport::of(&served, false))
    }

    /// Every live model, by name.
    #[must_use]
    pub fn list(&self) -> Vec<ModelReport> {
        self.live.all().iter().map(|served| ModelReport::of(served, true)).collect()
    }
}
