//! Strategies and taggers on this server: checked, stored by digest, compiled, found by name and version.
//!
//! An upload passes `checks`, which has `compile` compile it in a process of its own; `golden` cases and the smoke run
//! compose over an `invented` shop.

mod checks;
pub mod compile;
pub mod golden;
mod invented;
pub mod signature;

pub use crate::child::Limits;
pub use checks::{Check, Upload};
pub use compile::Compiler;
pub use invented::Invented;
pub use signature::{Signature, TrustedKeys};

use crate::error::ApiError;
use crate::needs::NeedsSpec;
use crate::scenario::check_name;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use qianmian_host::{Host, HostConfig, Program, Strategy, Tagger};
use qianmian_state::{FolderBlobs, State, StateError};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use utoipa::ToSchema;

const KIND: &str = "plugin";

/// One version of a strategy or a tagger, ready to run.
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The compiled component.
    pub program: Program,
    /// JSON Schema of its parameters.
    pub schema: Value,
    validator: jsonschema::Validator,
}

impl Plugin {
    fn new(program: Program) -> Result<Self, ApiError> {
        let description = program.description();
        let schema: Value = serde_json::from_str(&description.parameters_schema).map_err(|error| {
            ApiError::unprocessable("bad_schema", format!("the parameters schema is not JSON: {error}"))
        })?;
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            ApiError::unprocessable("bad_schema", format!("the parameters schema is not a JSON Schema: {error}"))
        })?;
        let (name, version) = (description.name.clone(), description.version.clone());
        Ok(Self { name, version, schema, validator, program })
    }

    /// The strategy it is.
    ///
    /// # Errors
    /// 422 `wrong_world` when it is a tagger.
    pub fn strategy(&self) -> Result<&Arc<Strategy>, ApiError> {
        self.program.strategy().map_err(|_| self.of_another_world("strategy", "tagger"))
    }

    /// The tagger it is.
    ///
    /// # Errors
    /// 422 `wrong_world` when it is a strategy.
    pub fn tagger(&self) -> Result<&Arc<Tagger>, ApiError> {
        self.program.tagger().map_err(|_| self.of_another_world("tagger", "strategy"))
    }

    fn of_another_world(&self, wanted: &str, is: &str) -> ApiError {
        let detail = format!("{} {} is a {is}: name a {wanted} here", self.name, self.version);
        ApiError::unprocessable("wrong_world", detail)
    }

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

/// A component that no server holds, checked and compiled in this process.
///
/// # Errors
/// 422 with the first check that it does not pass.
pub fn alone(component: &[u8]) -> anyhow::Result<Plugin> {
    let host = Host::new(HostConfig::default())?;
    Ok(Plugin::new(Compiler::new(Arc::new(host), None, None)?.program(component)?)?)
}

/// What the registry keeps.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: String,
    digest: String,
    /// From the plugins folder, which is the operator's own.
    #[serde(default)]
    shipped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
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
    /// Of a tagger, the tags it may give.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The checks it passed, in order.
    pub checks: Vec<Check>,
}

/// All strategies, by name, oldest version first.
pub struct Plugins {
    compiler: Compiler,
    keys: TrustedKeys,
    state: Arc<State>,
    live: ArcSwap<FxHashMap<String, Vec<Arc<Installed>>>>,
    /// One upload at a time looks at the versions there are and adds to them.
    publishing: Mutex<()>,
}

/// A plugin, and how it came here.
struct Installed {
    plugin: Arc<Plugin>,
    shipped: bool,
    signature: Option<Signature>,
}

impl Plugins {
    /// Compiles every strategy the registry knows.
    ///
    /// # Errors
    /// When the registry cannot be read. A component that no longer loads, or that no trusted key signed, is left out and
    /// logged.
    pub fn load(compiler: Compiler, keys: TrustedKeys, state: Arc<State>) -> anyhow::Result<Self> {
        let plugins = Self { compiler, keys, state, live: ArcSwap::default(), publishing: Mutex::default() };
        let mut live: FxHashMap<String, Vec<Arc<Installed>>> = FxHashMap::default();
        for document in plugins.state.registry.list(KIND)? {
            let versions: Vec<Stored> = serde_json::from_value(document.value.unwrap_or_default())?;
            for stored in versions {
                let version = stored.version.clone();
                match plugins.installed(stored) {
                    Ok(installed) => live.entry(document.name.clone()).or_default().push(Arc::new(installed)),
                    Err(error) => tracing::error!(plugin = document.name, version, %error, "cannot load"),
                }
            }
        }
        plugins.live.store(Arc::new(live));
        Ok(plugins)
    }

    fn installed(&self, stored: Stored) -> anyhow::Result<Installed> {
        let bytes = self.state.blobs.get(&stored.digest)?;
        let signature = stored.signature.map(Signature::new);
        if !stored.shipped {
            self.keys.verify(&bytes, signature.as_ref())?;
        }
        Ok(Installed { plugin: self.try_out(&bytes)?, shipped: stored.shipped, signature })
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
            if self.has_digest(&FolderBlobs::digest(&bytes)) {
                continue;
            }
            let plugin = self.try_out(&bytes).with_context(|| format!("{} is refused", file.display()))?;
            let name = plugin.name.clone();
            // A development build changes without a new version: the newest bytes win.
            self.publish(&bytes, Installed { plugin, shipped: true, signature: None })
                .with_context(|| format!("cannot install {name}"))?;
            new += 1;
        }
        Ok(new)
    }

    /// Checks and stores an uploaded component.
    ///
    /// # Errors
    /// 422 and 403 with the check that failed, 409 `version_exists` when this version has other bytes.
    pub fn upload(&self, upload: &Upload<'_>) -> Result<UploadReport, ApiError> {
        check_name(upload.name)?;
        let (plugin, checks) = checks::run(&self.compiler, &self.keys, upload)?;
        let description = plugin.program.description();
        let report = UploadReport {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            digest: plugin.program.digest().to_owned(),
            size: upload.component.len(),
            summary: description.summary.clone(),
            needs: NeedsSpec::from(&description.needs),
            tags: description.tags.clone(),
            checks: checks.0,
        };
        let installed = Installed { plugin: Arc::new(plugin), shipped: false, signature: upload.signature.cloned() };
        self.publish(upload.component, installed)?;
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
            Some(version) => versions.iter().rfind(|installed| installed.plugin.version == version),
            None => versions.last(),
        };
        found.map(|installed| Arc::clone(&installed.plugin)).ok_or_else(|| {
            let mut known: Vec<String> = live
                .values()
                .flatten()
                .map(|installed| format!("{} {}", installed.plugin.name, installed.plugin.version))
                .collect();
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
        self.compiler.program(bytes).and_then(Plugin::new).map(Arc::new)
    }

    /// The strategy whose component has this SHA-256, whether a scenario runs it or not.
    ///
    /// # Errors
    /// 422 `unknown_digest` when it is no longer stored.
    pub fn by_digest(&self, digest: &str) -> Result<Arc<Strategy>, ApiError> {
        let live = self.live.load();
        let mut all = live.values().flatten().map(|installed| &installed.plugin);
        if let Some(plugin) = all.find(|plugin| plugin.program.digest() == digest) {
            return plugin.strategy().map(Arc::clone);
        }
        let stored = self.state.blobs.get(digest).map_err(|error| {
            ApiError::unprocessable("unknown_digest", format!("the component {digest} is not stored any more: {error}"))
        })?;
        Plugin::new(self.compiler.program(&stored)?)?.strategy().map(Arc::clone)
    }

    /// Every version of every strategy, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Plugin>> {
        let live = self.live.load();
        let mut all: Vec<_> = live.values().flatten().map(|installed| Arc::clone(&installed.plugin)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn has_digest(&self, digest: &str) -> bool {
        self.live.load().values().flatten().any(|installed| installed.plugin.program.digest() == digest)
    }

    /// Stores a component and swaps it in. Of what ships, the newest bytes of a version replace the others; what is
    /// uploaded never changes.
    fn publish(&self, bytes: &[u8], installed: Installed) -> Result<(), ApiError> {
        let _turn = self.publishing.lock();
        let plugin = Arc::clone(&installed.plugin);
        let digest = plugin.program.digest().to_owned();
        let mut versions = self.live.load().get(&plugin.name).cloned().unwrap_or_default();
        if let Some(at) = versions.iter().position(|known| known.plugin.version == plugin.version) {
            let there = versions[at].plugin.program.digest();
            if there == digest {
                return Ok(());
            }
            if !installed.shipped {
                return Err(ApiError::new(
                    axum::http::StatusCode::CONFLICT,
                    "version_exists",
                    format!(
                        "{} {} is already here with digest {there}; versions are immutable: raise the version",
                        plugin.name, plugin.version,
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
        versions.push(Arc::new(installed));
        let stored: Vec<Stored> = versions
            .iter()
            .map(|known| Stored {
                version: known.plugin.version.clone(),
                digest: known.plugin.program.digest().to_owned(),
                shipped: known.shipped,
                signature: known.signature.as_ref().map(|signature| signature.text().to_owned()),
            })
            .collect();
        let json = serde_json::to_value(stored).map_err(ApiError::internal)?;
        match self.state.registry.put(KIND, &plugin.name, &json) {
            Ok(_) | Err(StateError::ReadOnly) => {}
            Err(error) => return Err(ApiError::internal(error)),
        }
        self.live.rcu(|live| {
            let mut next = live.as_ref().clone();
            next.insert(plugin.name.clone(), versions.clone());
            next
        });
        Ok(())
    }
}
