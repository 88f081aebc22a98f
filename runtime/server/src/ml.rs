//! Models on this server: checked, stored by digest, swapped atomically.

use crate::error::ApiError;
use crate::scenario::check_name;
use arc_swap::ArcSwap;
use qianmian_models::{Manifest, Model};
use qianmian_state::{BlobStore, Registry, State};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

const KIND: &str = "model";

/// One version of a model, ready to score.
pub struct ModelHandle {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the ONNX file.
    pub digest: String,
    /// The model.
    pub model: Model,
}

impl ModelHandle {
    /// The feature columns of a ranker, in the order of its input.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.model.manifest().features
    }

    /// The longest sequence an encoder reads; `None` for rankers.
    #[must_use]
    pub fn sequence_length(&self) -> Option<usize> {
        self.model.sequence_length()
    }

    /// The number an encoder knows an item by.
    #[must_use]
    pub fn item_number(&self, id: &str) -> Option<i64> {
        self.model.item_number(id)
    }
}

/// What the registry keeps of a model.
#[derive(Clone, Serialize, Deserialize)]
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
    /// Its feature columns; empty for encoders.
    pub features: Vec<String>,
}

/// All live models. Requests under way keep the version they started with.
pub struct ModelStore {
    state: Arc<State>,
    live: Arc<ArcSwap<FxHashMap<String, Arc<ModelHandle>>>>,
}

impl ModelStore {
    /// Loads the live version of every model. One that no longer loads is left out and logged.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn load(state: Arc<State>) -> anyhow::Result<Self> {
        let mut live = FxHashMap::default();
        for document in state.registry.list(KIND)? {
            let stored: Stored = serde_json::from_value(document.json)?;
            let loaded = state.blobs.get(&stored.digest).map_err(anyhow::Error::from).and_then(|bytes| {
                Ok(Model::load(&bytes, stored.manifest)?)
            });
            match loaded {
                Ok(model) => {
                    let handle = ModelHandle {
                        name: document.name.clone(),
                        version: stored.version,
                        digest: stored.digest,
                        model,
                    };
                    live.insert(document.name, Arc::new(handle));
                }
                Err(error) => tracing::error!(model = document.name, %error, "cannot load"),
            }
        }
        Ok(Self { state, live: Arc::new(ArcSwap::from_pointee(live)) })
    }

    /// The live models, shared with the sandbox's reach.
    #[must_use]
    pub fn live(&self) -> Arc<ArcSwap<FxHashMap<String, Arc<ModelHandle>>>> {
        Arc::clone(&self.live)
    }

    /// Checks a model (structure, golden rows) and swaps it in.
    ///
    /// # Errors
    /// 422 with what is wrong; the live version stays then.
    pub fn put(&self, name: &str, version: &str, bytes: &[u8], manifest: Manifest) -> Result<ModelReport, ApiError> {
        check_name(name)?;
        check_name(version)?;
        let model = Model::load(bytes, manifest.clone())
            .map_err(|error| ApiError::unprocessable("model_refused", error.to_string()))?;
        let digest = self.state.blobs.put(bytes).map_err(ApiError::internal)?;
        let stored = Stored { version: version.to_owned(), digest: digest.clone(), manifest };
        let json = serde_json::to_value(stored).map_err(ApiError::internal)?;
        self.state.registry.put(KIND, name, &json).map_err(ApiError::internal)?;
        let handle = Arc::new(ModelHandle { name: name.to_owned(), version: version.to_owned(), digest, model });
        self.live.rcu(|live| {
            let mut next = live.as_ref().clone();
            next.insert(name.to_owned(), Arc::clone(&handle));
            next
        });
        Ok(report(&handle))
    }

    /// Every live model, by name.
    #[must_use]
    pub fn list(&self) -> Vec<ModelReport> {
        let mut all: Vec<_> = self.live.load().values().map(|handle| report(handle)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

fn report(handle: &ModelHandle) -> ModelReport {
    ModelReport {
        name: handle.name.clone(),
        version: handle.version.clone(),
        digest: handle.digest.clone(),
        features: handle.features().to_vec(),
    }
}
