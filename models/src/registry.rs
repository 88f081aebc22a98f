//! The models that are live: by name, versioned, swapped atomically.

use crate::{Drift, Model};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A model as it is served. Whoever holds it keeps this version, whatever is swapped in meanwhile.
#[derive(Debug)]
pub struct Served {
    /// The name strategies use.
    pub name: String,
    /// The version the data scientist gave it.
    pub version: String,
    /// Digest of its files, as the caller computed it; empty when there is none.
    pub digest: String,
    /// The model.
    pub model: Model,
    /// What is watched of it.
    pub drift: Drift,
}

impl Served {
    /// A version of the model that its manifest names, with nothing watched yet.
    #[must_use]
    pub fn new(version: impl Into<String>, digest: impl Into<String>, model: Model) -> Self {
        let name = model.manifest().name.clone();
        let drift = Drift::new(model.features(), model.plan().watched(), &model.manifest().reference);
        Self { name, version: version.into(), digest: digest.into(), model, drift }
    }
}

/// Name to live version. Reading takes no lock; a write swaps the whole table, so a reader sees all of it or nothing.
#[derive(Debug, Default)]
pub struct Models {
    table: ArcSwap<BTreeMap<String, Arc<Served>>>,
}

impl Models {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes this the live version under the manifest's name and returns the one it replaces.
    pub fn put(&self, version: impl Into<String>, digest: impl Into<String>, model: Model) -> Option<Arc<Served>> {
        self.restore(Arc::new(Served::new(version, digest, model)))
    }

    /// Makes an earlier version live again, for rollback, and returns the one it replaces.
    pub fn restore(&self, served: Arc<Served>) -> Option<Arc<Served>> {
        let before = self.table.rcu(|table| {
            let mut next = BTreeMap::clone(table);
            next.insert(served.name.clone(), Arc::clone(&served));
            next
        });
        before.get(&served.name).cloned()
    }

    /// Takes a model out and returns it.
    pub fn remove(&self, name: &str) -> Option<Arc<Served>> {
        let before = self.table.rcu(|table| {
            let mut next = BTreeMap::clone(table);
            next.remove(name);
            next
        });
        before.get(name).cloned()
    }

    /// The live version.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Served>> {
        self.table.load().get(name).cloned()
    }

    /// Every live version, in the order of the names.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Served>> {
        self.table.load().values().cloned().collect()
    }

    /// The names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.table.load().keys().cloned().collect()
    }
}
