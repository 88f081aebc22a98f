//! Models on this server: checked, stored by digest, swapped atomically.

use crate::error::ApiError;
use crate::model_check;
use crate::scenario::check_name;
use parking_lot::Mutex;
use qianmian_models::{Manifest, Model, Models, Served};
use qianmian_state::State;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use utoipa::ToSchema;

const KIND: &str = "model";

/// What the registry keeps of a model.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: String,
    digest: String,
    manifest: Manifest,
}

/// What the server says about a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
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

impl From<&Served> for ModelReport {
    fn from(served: &Served) -> Self {
        Self {
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
        let live = Models::new();
        for document in state.registry.list(KIND)? {
            let stored: Stored = serde_json::from_value(document.value.unwrap_or_default())?;
            let loaded = state
                .blobs
                .get(&stored.digest)
                .map_err(anyhow::Error::from)
                .and_then(|bytes| Ok(Model::load(&bytes, stored.manifest)?));
            match loaded {
                Ok(model) => drop(live.put(stored.version, stored.digest, model)),
                Err(error) => tracing::error!(model = document.name, %error, "cannot load"),
            }
        }
        Ok(Self { state, live: Arc::new(live), program, turn: Mutex::default(), pinned: Mutex::default() })
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
        let live = self.get(name).filter(|live| live.version == version);
        if let Some(held) = live.or_else(|| pinned.get(&key).and_then(Weak::upgrade)) {
            pinned.insert(key, Arc::downgrade(&held));
            return Ok(held);
        }
        let history = self.state.registry.history(KIND, name).map_err(ApiError::internal)?;
        let mut stored =
            history.into_iter().filter_map(|document| serde_json::from_value::<Stored>(document.value?).ok());
        let stored = stored.rfind(|stored| stored.version == version).ok_or_else(|| {
            ApiError::unprocessable("unknown_model_version", format!("model {name:?} has no version {version:?}"))
        })?;
        let bytes = self.state.blobs.get(&stored.digest).map_err(ApiError::internal)?;
        let model = Model::load(&bytes, stored.manifest).map_err(ApiError::internal)?;
        let served = Arc::new(Served::new(stored.version, stored.digest, model));
        pinned.insert(key, Arc::downgrade(&served));
        Ok(served)
    }

    /// Checks a model (structure, and golden rows where it brings some), first in a process of its own, and swaps it in. An earlier version that is put
    /// again as it was goes live again.
    ///
    /// # Errors
    /// 422 with what is wrong, 409 `version_exists` when the version is another file or manifest; the live one stays then.
    pub fn put(&self, name: &str, version: &str, bytes: &[u8], manifest: Manifest) -> Result<ModelReport, ApiError> {
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
        let history = self.state.registry.history(KIND, name).map_err(ApiError::internal)?;
        let known = history.iter().filter_map(|document| document.value.as_ref()).find(|v| v["version"] == *version);
        if known.is_some_and(|known| *known != json) {
            return Err(ApiError::conflict(
                "version_exists",
                format!(
                    "{name} {version} is already here with another file or manifest; versions are immutable: raise it"
                ),
            ));
        }
        self.state.registry.put(KIND, name, &json).map_err(ApiError::internal)?;
        self.live.put(version, digest, model);
        self.get(name)
            .map(|served| ModelReport::from(served.as_ref()))
            .ok_or_else(|| ApiError::internal("a model vanished while it was put"))
    }

    /// Every live model, by name.
    #[must_use]
    pub fn list(&self) -> Vec<ModelReport> {
        self.live.all().iter().map(|served| ModelReport::from(served.as_ref())).collect()
    }
}
