//! The models that are here: by name one that is live, and beside it the version on trial and the one before.

use crate::{Drift, Model};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A model as it is served. Whoever holds it keeps this version, whatever is swapped in meanwhile.
#[derive(Debug)]
pub struct Served {
    /// The name strategies use.
    pub name: String,
    /// The version the data scientist gave it.
    pub version: String,
    /// Digest of its files, as the caller computed it; empty when there is none.
    pub digest: String,
    /// Another one for each load in this process: what is kept of a model's answers is kept under it.
    pub load: u64,
    /// The model.
    pub model: Model,
    /// What is watched of it.
    pub drift: Drift,
}

impl Served {
    /// A loaded model under the manifest's name.
    #[must_use]
    pub fn new(version: impl Into<String>, digest: impl Into<String>, model: Model) -> Arc<Self> {
        static LOADS: AtomicU64 = AtomicU64::new(1);
        let name = model.manifest().name.clone();
        let drift = Drift::new(model.features(), model.plan().watched(), &model.manifest().reference);
        let load = LOADS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { name, version: version.into(), digest: digest.into(), load, model, drift })
    }
}

/// The versions of a model that are loaded.
#[derive(Clone, Debug, Default)]
struct Versions {
    live: Option<Arc<Served>>,
    trial: Option<Arc<Served>>,
    before: Option<Arc<Served>>,
}

impl Versions {
    fn all(&self) -> impl Iterator<Item = &Arc<Served>> {
        [&self.live, &self.trial, &self.before].into_iter().flatten()
    }
}

/// Name to versions. Reading takes no lock; a write swaps the whole table, so a reader sees all of it or nothing.
#[derive(Debug, Default)]
pub struct Models {
    table: ArcSwap<BTreeMap<String, Versions>>,
}

impl Models {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes this the live version and returns the one it replaces, which stays within reach by its version. It is no longer
    /// on trial.
    pub fn put(&self, served: &Arc<Served>) -> Option<Arc<Served>> {
        let before = self.change(&served.name, |versions| {
            let same = |other: &Arc<Served>| other.version == served.version;
            let live = versions.live.replace(Arc::clone(served));
            versions.before = live.filter(|live| !same(live)).or_else(|| versions.before.take()).filter(|b| !same(b));
            versions.trial = versions.trial.take().filter(|trial| !same(trial));
        });
        before.live
    }

    /// Puts this version on trial in the place of another: only who names it, as `name@version`, gets it.
    pub fn try_out(&self, served: &Arc<Served>) {
        self.change(&served.name, |versions| versions.trial = Some(Arc::clone(served)));
    }

    /// Ends the trial of a model and returns what was on trial.
    pub fn end_trial(&self, name: &str) -> Option<Arc<Served>> {
        self.change(name, |versions| versions.trial = None).trial
    }

    /// Returns what was there before the change.
    fn change(&self, name: &str, change: impl Fn(&mut Versions)) -> Versions {
        let before = self.table.rcu(|table| {
            let mut next = BTreeMap::clone(table);
            change(next.entry(name.to_owned()).or_default());
            next.retain(|_, versions| versions.all().next().is_some());
            next
        });
        before.get(name).cloned().unwrap_or_default()
    }

    /// The live version; of `name@version` that version, if it is live, on trial or was live before this one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Served>> {
        let table = self.table.load();
        match name.split_once('@') {
            None => table.get(name)?.live.clone(),
            Some((name, version)) => table.get(name)?.all().find(|served| served.version == version).cloned(),
        }
    }

    /// The version on trial.
    #[must_use]
    pub fn trial(&self, name: &str) -> Option<Arc<Served>> {
        self.table.load().get(name)?.trial.clone()
    }

    /// Every live version, in the order of the names.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Served>> {
        self.table.load().values().filter_map(|versions| versions.live.clone()).collect()
    }

    /// The names, sorted, and `name@version` of each that is on trial.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let table = self.table.load();
        let trial = |versions: &Versions| versions.trial.as_ref().map(|t| format!("{}@{}", t.name, t.version));
        let live = |versions: &Versions| versions.live.as_ref().map(|live| live.name.clone());
        table.values().flat_map(|versions| [live(versions), trial(versions)]).flatten().collect()
    }
}
