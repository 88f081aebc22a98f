//! Strategies and taggers on this server: checked, stored by digest, compiled, found by name and version.
//!
//! An upload passes `checks`, in a process of its own that `compile` starts; `golden` cases and the smoke run compose over
//! an `invented` shop.

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
use crate::shape;
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
/// Mistakes in parameters that are told at most.
const MISTAKES: usize = 8;

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
        let wrong = shape::mistakes(&self.schema, &self.validator, parameters, MISTAKES);
        if wrong.is_empty() {
            return Ok(());
        }
        let wrong = wrong.iter().map(|mistake| format!("{}: {}", shape::in_words(&mistake.place), mistake.words));
        let wrong = wrong.collect::<Vec<_>>().join("; ");
        let detail = format!("the parameters do not fit {} {}: {wrong}", self.name, self.version);
        Err(ApiError::unprocessable("bad_parameters", detail))
    }
}

fn version_exists(plugin: &Plugin, digest: &str, how: &str) -> ApiError {
    let (name, version) = (&plugin.name, &plugin.version);
    let detail = format!("{name} {version} {how} with digest {digest}; versions are immutable: raise the version");
    ApiError::conflict("version_exists", detail)
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
            checks,
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

    /// The very bytes that a release was made with.
    ///
    /// # Errors
    /// 422 `unknown_strategy` when they are not here any more.
    pub fn pinned(&self, name: &str, version: &str, digest: &str) -> Result<Arc<Plugin>, ApiError> {
        let live = self.live.load();
        let mut installed = live.get(name).into_iter().flatten().map(|installed| &installed.plugin);
        if let Some(found) = installed.find(|plugin| plugin.program.digest() == digest) {
            return Ok(Arc::clone(found));
        }
        // Of what ships, newer bytes took the version's place. What was uploaded would be there, were it still trusted.
        let shipped = self.ever(name)?.into_iter().any(|stored| stored.shipped && stored.digest == digest);
        let bytes = shipped.then(|| self.state.blobs.get(digest)).transpose().map_err(ApiError::internal)?;
        let bytes = bytes.ok_or_else(|| {
            let detail = format!("{name} {version} with the digest {digest} is not here any more");
            ApiError::unprocessable("unknown_strategy", detail)
        })?;
        self.try_out(&bytes)
    }

    /// Every version there ever was of a name, oldest first.
    fn ever(&self, name: &str) -> Result<Vec<Stored>, ApiError> {
        let history = self.state.registry.history(KIND, name).map_err(ApiError::internal)?;
        let stored = history.into_iter().filter_map(|document| serde_json::from_value(document.value?).ok());
        Ok(stored.flat_map(|versions: Vec<Stored>| versions).collect())
    }

    /// Takes a version out. Its bytes stay stored, so that what it answered can be replayed, and no other bytes will ever be
    /// this version.
    ///
    /// # Errors
    /// 404 `unknown_strategy`; 409 `shipped` for what would be back at the next start; 409 `in_use` with what `holds` says
    /// of its digest.
    pub fn delete(
        &self,
        name: &str,
        version: &str,
        holds: impl FnOnce(&Plugin) -> Result<Option<String>, ApiError>,
    ) -> Result<(), ApiError> {
        let _turn = self.publishing.lock();
        let mut versions = self.live.load().get(name).cloned().unwrap_or_default();
        let at = versions.iter().position(|known| known.plugin.version == version);
        let at = at.ok_or_else(|| {
            ApiError::not_found("unknown_strategy", format!("no strategy or tagger {name:?} of version {version:?}"))
        })?;
        let gone = versions.remove(at);
        if gone.shipped {
            let detail = format!("{name} {version} ships with the product: it would be back at the next start");
            return Err(ApiError::conflict("shipped", detail));
        }
        if let Some(by) = holds(&gone.plugin)? {
            return Err(ApiError::conflict("in_use", format!("{name} {version} is in use: {by}")));
        }
        self.store(name, versions)
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
        self.those(|_| true)
    }

    /// Every version of what ships with the product, by name.
    #[must_use]
    pub fn shipped(&self) -> Vec<Arc<Plugin>> {
        self.those(|installed| installed.shipped)
    }

    fn those(&self, which: impl Fn(&Installed) -> bool) -> Vec<Arc<Plugin>> {
        let live = self.live.load();
        let found = live.values().flatten().filter(|installed| which(installed));
        let mut all: Vec<_> = found.map(|installed| Arc::clone(&installed.plugin)).collect();
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
                return Err(version_exists(&plugin, there, "is already here"));
            }
            versions.remove(at);
        } else if !installed.shipped {
            // Of a version that was taken out, other bytes would be another thing under the same name.
            let was = self.ever(&plugin.name)?.into_iter().rfind(|was| was.version == plugin.version && !was.shipped);
            if let Some(was) = was.filter(|was| was.digest != digest) {
                return Err(version_exists(&plugin, &was.digest, "was here"));
            }
        }
        // A read-only view (an export of the past) runs it without keeping it.
        match self.state.blobs.put(bytes) {
            Ok(_) | Err(StateError::ReadOnly) => {}
            Err(error) => return Err(ApiError::internal(error)),
        }
        versions.push(Arc::new(installed));
        self.store(&plugin.name, versions)
    }

    /// Swaps in what versions there are of a name.
    fn store(&self, name: &str, versions: Vec<Arc<Installed>>) -> Result<(), ApiError> {
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
        match self.state.registry.put(KIND, name, &json) {
            Ok(_) | Err(StateError::ReadOnly) => {}
            Err(error) => return Err(ApiError::internal(error)),
        }
        self.live.rcu(|live| {
            let mut next = live.as_ref().clone();
            next.insert(name.to_owned(), versions.clone());
            next
        });
        Ok(())
    }
}
