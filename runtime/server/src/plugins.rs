//! Strategies on this server: checked, stored by digest, compiled, found by name and version.

use crate::error::ApiError;
use crate::needs::NeedsSpec;
use crate::scenario::check_name;
use arc_swap::ArcSwap;
use qianmian_host::{Host, Strategy};
use qianmian_state::{BlobStore, State, StateError};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use utoipa::ToSchema;

const KIND: &str = "plugin";

/// One version of a strategy, ready to run.
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The compiled strategy.
    pub strategy: Arc<Strategy>,
    /// JSON Schema of its parameters.
    pub schema: Value,
    validator: jsonschema::Validator,
}

impl Plugin {
    /// Checks parameters against the strategy's schema.
    ///
    /// # Errors
    /// 422 `bad_parameters` naming every place that is wrong.
    pub fn check_parameters(&self, parameters: &Value) -> Result<(), ApiError> {
        let wrong: Vec<String> = self
            .validator
            .iter_errors(parameters)
            .take(8)
            .map(|error| format!("at {}: {error}", place(&error.instance_path().to_string())))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        Err(ApiError::unprocessable(
            "bad_parameters",
            format!("the parameters do not fit strategy {} {}: {}", self.name, self.version, wrong.join("; ")),
        ))
    }
}

fn place(path: &str) -> &str {
    if path.is_empty() { "the top" } else { path }
}

/// What the registry keeps.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: String,
    digest: String,
}

/// The report of an upload: every check, in order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UploadReport {
    /// The strategy's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: String,
    /// Bytes of the component.
    pub size: usize,
    /// What it says of itself.
    pub summary: String,
    /// What it may reach, where the scenario allows it too.
    pub needs: NeedsSpec,
    /// The checks it passed.
    pub checks: Vec<&'static str>,
}

/// All strategies, by name, oldest version first.
pub struct Plugins {
    host: Arc<Host>,
    state: Arc<State>,
    live: ArcSwap<FxHashMap<String, Vec<Arc<Plugin>>>>,
}

impl Plugins {
    /// Compiles every strategy the registry knows.
    ///
    /// # Errors
    /// When the registry cannot be read. A component that no longer loads is left out and logged.
    pub fn load(host: Arc<Host>, state: Arc<State>) -> anyhow::Result<Self> {
        let mut live: FxHashMap<String, Vec<Arc<Plugin>>> = FxHashMap::default();
        for document in state.registry.list(KIND)? {
            let versions: Vec<Stored> = serde_json::from_value(document.value.unwrap_or_default())?;
            for stored in versions {
                let loaded = state
                    .blobs
                    .get(&stored.digest)
                    .map_err(anyhow::Error::from)
                    .and_then(|bytes| Ok(compile(&host, &bytes)?));
                match loaded {
                    Ok(plugin) => live.entry(document.name.clone()).or_default().push(Arc::new(plugin)),
                    Err(error) => {
                        tracing::error!(plugin = document.name, version = stored.version, %error, "cannot load");
                    }
                }
            }
        }
        Ok(Self { host, state, live: ArcSwap::from_pointee(live) })
    }

    /// Installs the `*.wasm` of a folder where their version is not there yet; returns how many were new.
    ///
    /// # Errors
    /// When the folder cannot be read or one of its components is refused.
    pub fn install_folder(&self, folder: &Path) -> anyhow::Result<usize> {
        use anyhow::Context;
        let mut new = 0;
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read the plugins folder {}", folder.display()))?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "wasm"))
            .collect();
        files.sort();
        for file in files {
            let bytes = std::fs::read(&file)?;
            if self.has_digest(&BlobStore::digest(&bytes)) {
                continue;
            }
            let plugin = compile(&self.host, &bytes).with_context(|| format!("{} is refused", file.display()))?;
            let name = plugin.name.clone();
            // A development build changes without a new version: the newest bytes win.
            self.publish(&bytes, plugin, true).with_context(|| format!("cannot install {name}"))?;
            new += 1;
        }
        Ok(new)
    }

    /// Checks and stores an uploaded component.
    ///
    /// # Errors
    /// 422 with the check that failed, 409 `version_exists` when this version has other bytes.
    pub fn upload(&self, name: &str, version: &str, bytes: &[u8]) -> Result<UploadReport, ApiError> {
        check_name(name)?;
        let plugin = compile(&self.host, bytes)?;
        if plugin.name != name || plugin.version != version {
            return Err(ApiError::unprocessable(
                "wrong_identity",
                format!("the component says it is {} {}, the path says {name} {version}", plugin.name, plugin.version),
            ));
        }
        let report = UploadReport {
            name: name.to_owned(),
            version: version.to_owned(),
            digest: plugin.strategy.digest().to_owned(),
            size: bytes.len(),
            summary: plugin.strategy.description().summary.clone(),
            needs: NeedsSpec::from(&plugin.strategy.description().needs),
            checks: vec!["component", "world", "imports", "compiled", "describe", "schema", "identity"],
        };
        self.publish(bytes, plugin, false)?;
        Ok(report)
    }

    /// One version, or the newest uploaded.
    ///
    /// # Errors
    /// 422 `unknown_strategy` naming what there is.
    pub fn get(&self, name: &str, version: Option<&str>) -> Result<Arc<Plugin>, ApiError> {
        let live = self.live.load();
        let versions = live.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = match version {
            Some(version) => versions.iter().rfind(|plugin| plugin.version == version),
            None => versions.last(),
        };
        found.cloned().ok_or_else(|| {
            let mut known: Vec<String> =
                live.values().flatten().map(|plugin| format!("{} {}", plugin.name, plugin.version)).collect();
            known.sort_unstable();
            ApiError::unprocessable(
                "unknown_strategy",
                format!("no strategy {name} {}; known: {}", version.unwrap_or("(any version)"), known.join(", ")),
            )
        })
    }

    /// Checks and compiles a component that is not to be kept.
    ///
    /// # Errors
    /// 422 with the first check that it does not pass.
    pub fn try_out(&self, bytes: &[u8]) -> Result<Arc<Plugin>, ApiError> {
        compile(&self.host, bytes).map(Arc::new)
    }

    /// The strategy whose component has this SHA-256, whether a scenario runs it or not.
    ///
    /// # Errors
    /// 422 `unknown_digest` when it is no longer stored.
    pub fn by_digest(&self, digest: &str) -> Result<Arc<Strategy>, ApiError> {
        let live = self.live.load();
        if let Some(plugin) = live.values().flatten().find(|plugin| plugin.strategy.digest() == digest) {
            return Ok(Arc::clone(&plugin.strategy));
        }
        let stored = self.state.blobs.get(digest).map_err(|error| {
            ApiError::unprocessable("unknown_digest", format!("the component {digest} is not stored any more: {error}"))
        })?;
        compile(&self.host, &stored).map(|plugin| plugin.strategy)
    }

    /// Every version of every strategy, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Plugin>> {
        let mut all: Vec<_> = self.live.load().values().flatten().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn has_digest(&self, digest: &str) -> bool {
        self.live.load().values().flatten().any(|plugin| plugin.strategy.digest() == digest)
    }

    fn publish(&self, bytes: &[u8], plugin: Plugin, replace: bool) -> Result<(), ApiError> {
        let digest = plugin.strategy.digest().to_owned();
        let mut versions: Vec<Arc<Plugin>> = self.live.load().get(&plugin.name).cloned().unwrap_or_default();
        if let Some(at) = versions.iter().position(|known| known.version == plugin.version) {
            if versions[at].strategy.digest() == digest {
                return Ok(());
            }
            if !replace {
                return Err(ApiError::new(
                    axum::http::StatusCode::CONFLICT,
                    "version_exists",
                    format!(
                        "{} {} is already here with digest {}; versions are immutable: raise the version",
                        plugin.name,
                        plugin.version,
                        versions[at].strategy.digest()
                    ),
                ));
            }
            versions.remove(at);
        }
        // A read-only view (an export of the past) runs it without keeping it.
        match self.state.blobs.put(bytes) {
            Ok(_) | Err(StateError::ReadOnly) => {}
            Err(error) => return Err(ApiError::internal(error)),
        }
        let name = plugin.name.clone();
        versions.push(Arc::new(plugin));
        let stored: Vec<Stored> = versions
            .iter()
            .map(|p| Stored { version: p.version.clone(), digest: p.strategy.digest().to_owned() })
            .collect();
        let json = serde_json::to_value(stored).map_err(ApiError::internal)?;
        match self.state.registry.put(KIND, &name, &json) {
            Ok(_) | Err(StateError::ReadOnly) => {}
            Err(error) => return Err(ApiError::internal(error)),
        }
        self.live.rcu(|live| {
            let mut next = live.as_ref().clone();
            next.insert(name.clone(), versions.clone());
            next
        });
        Ok(())
    }
}

fn compile(host: &Host, bytes: &[u8]) -> Result<Plugin, ApiError> {
    let strategy = host.load(bytes).map_err(|error| ApiError::unprocessable("component_refused", error.to_string()))?;
    let description = strategy.description();
    let schema: Value = serde_json::from_str(&description.parameters_schema).map_err(|error| {
        ApiError::unprocessable("bad_schema", format!("the parameters schema is not JSON: {error}"))
    })?;
    let validator = jsonschema::validator_for(&schema).map_err(|error| {
        ApiError::unprocessable("bad_schema", format!("the parameters schema is not a JSON Schema: {error}"))
    })?;
    Ok(Plugin { name: description.name.clone(), version: description.version.clone(), schema, validator, strategy })
}
