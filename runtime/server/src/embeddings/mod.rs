//! Embedding spaces on this server: a set is stored whole as one blob, later changes in a log, and both serve at once.
//!
//! A change is on disk and seen by the next search when it is acknowledged. When much is recent, a thread takes it into
//! the graph and stores the set whole again.

mod kept;
pub(crate) mod matrix;
mod stored;

use crate::error::ApiError;
use crate::reach::{VisitorVector, VisitorVectors};
use crate::scenario::check_name;
use kept::{Kept, Origin};
use parking_lot::Mutex;
use qianmian_core::ItemRow;
use qianmian_index::{Change, Generation, Metric, SpaceSpec, Spaces, Updated};
use qianmian_state::{State, StateError, VectorChange};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

const KIND: &str = "embeddings";

/// How a space compares and how it sees a visitor.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SpaceSettings {
    /// `dot`, `cosine`, or `l2`: the squared distance, negated.
    #[serde(default = "dot")]
    pub metric: String,
    /// Never approximate: scan every vector.
    #[serde(default)]
    pub exact: bool,
    /// Width of searches over the graph, where it was said: more finds more and takes longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ef_search: Option<usize>,
    /// Half the links a vector has in the graph, where it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub m: Option<usize>,
    /// How a visitor becomes a vector.
    #[serde(default)]
    pub visitor: VisitorVector,
}

impl SpaceSettings {
    /// Compared by the inner product, and everything else as it is where nothing is said.
    #[must_use]
    pub fn seen_by(visitor: VisitorVector) -> Self {
        Self { metric: dot(), exact: false, ef_search: None, m: None, visitor }
    }

    fn spec(&self, space: &str) -> Result<SpaceSpec, ApiError> {
        let metric = match self.metric.as_str() {
            "dot" => Metric::Dot,
            "cosine" => Metric::Cosine,
            "l2" => Metric::L2,
            other => {
                return Err(ApiError::unprocessable(
                    "bad_metric",
                    format!("metric {other:?}: expected \"dot\", \"cosine\" or \"l2\""),
                ));
            }
        };
        let spec = SpaceSpec::new(space, metric);
        let (ef_search, m) = (self.ef_search.unwrap_or(spec.ef_search), self.m.unwrap_or(spec.m));
        Ok(SpaceSpec { exact: self.exact, ef_search, m, ..spec })
    }
}

fn unknown(space: &str) -> ApiError {
    ApiError::not_found("unknown_space", format!("no embedding space named {space:?}"))
}

fn dot() -> String {
    "dot".to_owned()
}

/// What the registry keeps.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    settings: SpaceSettings,
    digest: String,
    /// Changes up to this number are older than the set, or part of it.
    #[serde(default)]
    through: u64,
}

/// What serves of a space, or should.
#[derive(Clone)]
struct Known {
    stored: Stored,
    version: u32,
    /// What could not be read at the start.
    damage: Option<String>,
}

/// What the server says about a space.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SpaceReport {
    /// The space.
    pub space: String,
    /// Vectors that are searched.
    pub vectors: usize,
    /// Those of them that every search scans, until they are taken into the graph.
    pub recent: usize,
    /// Numbers a vector.
    pub dimension: usize,
    /// `dot`, `cosine`, or `l2`: the squared distance, negated.
    pub metric: String,
    /// Whether every vector is scanned.
    pub exact: bool,
    /// Whether searches walk a graph: not where all is scanned, of few vectors, or where a walk found too little.
    pub graph: bool,
    /// How a visitor becomes a vector.
    pub visitor: VisitorVector,
    /// Rises with every swap.
    pub generation: u32,
    /// What could not be read at the start, and what serves instead. It stands until the space is put again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// Vectors that were refused, with the reason; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
}

/// Vectors by item id, in order of id.
pub(crate) type Vectors = BTreeMap<String, Vec<f32>>;

/// What became of changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UpdateReport {
    /// Vectors that came or were replaced.
    pub upserted: usize,
    /// Vectors that went.
    pub deleted: usize,
    /// Vectors scanned in every search until they are taken into the graph.
    pub recent: usize,
    /// Changes that were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<RefusedVector>,
}

/// A vector that was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedVector {
    /// Its place among the changes.
    pub index: usize,
    /// The item.
    pub id: String,
    /// What is wrong with it.
    pub detail: String,
}

/// All spaces of one server.
pub struct EmbeddingStore {
    state: Arc<State>,
    spaces: Arc<Spaces>,
    visitor_vectors: Arc<VisitorVectors>,
    /// None where nothing is written.
    kept: Option<Kept>,
    /// One whole build at a time.
    building: Mutex<()>,
    /// One small build beside it.
    folding: Mutex<()>,
    /// Held while changes are logged and made, so that both have one order.
    writing: Mutex<()>,
    /// What the registry says; held for a look only.
    known: Mutex<BTreeMap<String, Known>>,
}

impl EmbeddingStore {
    /// Serves every space the registry knows, from kept graphs where they still fit. Of a set that cannot be read, the one
    /// before serves; where there is none, nothing does, and what asks for the space is told so.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn load(
        state: Arc<State>,
        spaces: Arc<Spaces>,
        visitor_vectors: Arc<VisitorVectors>,
    ) -> anyhow::Result<Arc<Self>> {
        let kept = state.folder().map(Kept::new).transpose()?;
        let (building, folding) = (Mutex::default(), Mutex::default());
        let (writing, known) = (Mutex::default(), Mutex::default());
        let store = Arc::new(Self { state, spaces, visitor_vectors, kept, building, folding, writing, known });
        for document in store.state.registry.list(KIND)? {
            let stored: Stored = serde_json::from_value(document.value.unwrap_or_default())?;
            let newest = Known { stored, version: document.version, damage: None };
            let known = match store.start(&document.name, &newest.stored) {
                Ok(damage) => Known { damage, ..newest },
                Err(error) => store.start_before(&document.name, newest, &error)?,
            };
            if let Some(damage) = &known.damage {
                tracing::error!(space = document.name, damage, "vectors are damaged: put the space again");
            }
            store.known.lock().insert(document.name.clone(), known);
            store.renew_when_due(&document.name);
        }
        Ok(store)
    }

    /// Serves the newest set of a space that can be read, now that `newest` cannot.
    fn start_before(&self, space: &str, newest: Known, error: &anyhow::Error) -> anyhow::Result<Known> {
        let older = self.state.registry.history(KIND, space)?.into_iter().rev();
        for document in older.filter(|document| document.version < newest.version) {
            let stored = document.value.and_then(|value| serde_json::from_value::<Stored>(value).ok());
            if let Some(stored) = stored.filter(|stored| self.start(space, stored).is_ok()) {
                let damage = format!("{error:#}; generation {} serves instead", document.version);
                return Ok(Known { stored, version: document.version, damage: Some(damage) });
            }
        }
        self.spaces.remove(space);
        let damage = format!("{error:#}; no earlier generation can be read, nothing serves");
        Ok(Known { damage: Some(damage), ..newest })
    }

    /// Serves one stored space, with the changes since; where those cannot be read, without them, and says so.
    fn start(&self, space: &str, stored: &Stored) -> anyhow::Result<Option<String>> {
        let bytes = self.state.blobs.get(&stored.digest)?;
        let origin = self.origin(&stored.digest, &stored::ids(&bytes)?);
        if self.kept.as_ref().is_some_and(|kept| kept.open(&self.spaces, space, &origin)) {
            self.visitor_vectors.put(space, stored.settings.visitor.clone());
        } else {
            self.publish(space, &stored.settings, &stored::decode(&bytes)?)?;
            self.keep(space, &origin);
        }
        let changes = match self.state.vectors.since(space, stored.through) {
            Ok(changes) => changes,
            Err(error) => return Ok(Some(format!("{error}; the set serves without the changes since it was put"))),
        };
        self.apply(space, &changes)?;
        Ok(None)
    }

    /// Replaces a space by these vectors.
    ///
    /// # Errors
    /// 422 when dimensions differ, nothing is left, or the settings are wrong; the old generation serves on then.
    pub fn put(&self, space: &str, settings: SpaceSettings, vectors: &Vectors) -> Result<SpaceReport, ApiError> {
        check_name(space)?;
        let _turn = self.building.lock();
        self.replace(space, settings, vectors)
    }

    /// As [`Self::put`], by whoever holds the lock of whole builds.
    fn replace(&self, space: &str, settings: SpaceSettings, vectors: &Vectors) -> Result<SpaceReport, ApiError> {
        // What comes while this is built is newer, and is made to it once more.
        let through = self.state.vectors.last().map_err(ApiError::internal)?;
        let rejected = self.publish(space, &settings, vectors)?;
        self.store(space, settings, vectors, (through, true))?;
        let mut report = self.report(space)?;
        report.rejected = rejected;
        Ok(report)
    }

    /// Stores a set whole; `missed` says that what serves knows nothing of the changes since yet.
    fn store(
        &self,
        space: &str,
        settings: SpaceSettings,
        vectors: &Vectors,
        (through, missed): (u64, bool),
    ) -> Result<(), ApiError> {
        let digest = self.state.blobs.put(&stored::encode(vectors)).map_err(ApiError::internal)?;
        let ids: Vec<&str> = vectors.keys().map(String::as_str).collect();
        self.keep(space, &self.origin(&digest, &ids));
        let stored = Stored { settings, digest, through };
        let json = serde_json::to_value(&stored).map_err(ApiError::internal)?;
        let _turn = self.writing.lock();
        let number = self.state.registry.put(KIND, space, &json).map_err(ApiError::internal)?;
        self.known.lock().insert(space.to_owned(), Known { stored, version: number, damage: None });
        if missed {
            let changes = self.state.vectors.since(space, through).map_err(ApiError::internal)?;
            self.apply(space, &changes)?;
        }
        self.state.vectors.forget(space, through).map_err(ApiError::internal)?;
        Ok(())
    }

    /// Makes changes to a space: on disk, and seen by the next search, when this returns. A space that is not there is
    /// made, compared by the inner product.
    ///
    /// # Errors
    /// 422 for a bad name, or when nothing is left for a new space; 409 when the space is damaged and nothing of it serves; 500
    /// when they cannot be stored. A vector that is wrong is left out and stands in the report.
    pub fn update(self: &Arc<Self>, space: &str, changes: Vec<VectorChange>) -> Result<UpdateReport, ApiError> {
        check_name(space)?;
        let turn = self.writing.lock();
        let Some(generation) = self.spaces.space(space).filter(|_| self.has(space)) else {
            if let Some(damage) = self.known.lock().get(space).and_then(|known| known.damage.clone()) {
                let detail = format!("embedding space {space:?}: {damage}; put the whole set again");
                return Err(ApiError::conflict("damaged_space", detail));
            }
            drop(turn);
            return self.begin(space, changes);
        };
        let (mut good, mut rejected) = (Vec::with_capacity(changes.len()), Vec::new());
        for (index, change) in changes.into_iter().enumerate() {
            match change.vector.as_deref().map_or(Ok(()), |vector| generation.check(vector)) {
                Ok(()) => good.push(change),
                Err(reason) => rejected.push(RefusedVector { index, id: change.id, detail: reason.to_string() }),
            }
        }
        let changes = good;
        self.state.vectors.append(space, &changes).map_err(|error| match error {
            StateError::ReadOnly => ApiError::unprocessable("read_only", error.to_string()),
            error => ApiError::internal(error),
        })?;
        let updated = self.apply(space, &changes)?;
        drop(turn);
        self.renew_when_due(space);
        let (upserted, deleted, recent) = (updated.upserted, updated.deleted, updated.recent);
        Ok(UpdateReport { upserted, deleted, recent, rejected })
    }

    /// Whether a vector may come into a space; false where there is no such space yet.
    ///
    /// # Errors
    /// What is wrong with the name or the vector.
    pub fn fits(&self, space: &str, vector: &[f32]) -> Result<bool, String> {
        check_name(space).map_err(|error| error.detail)?;
        let Some(generation) = self.spaces.space(space).filter(|_| self.has(space)) else { return Ok(false) };
        generation.check(vector).map(|()| true).map_err(|reason| reason.to_string())
    }

    /// A new space of these vectors; those of another dimension than the first are left out.
    fn begin(self: &Arc<Self>, space: &str, changes: Vec<VectorChange>) -> Result<UpdateReport, ApiError> {
        let turn = self.building.lock();
        if self.has(space) {
            // somebody else began it meanwhile
            drop(turn);
            return self.update(space, changes);
        }
        let dimension = changes.iter().find_map(|change| change.vector.as_ref()).map_or(0, Vec::len);
        let (mut vectors, mut rejected) = (Vectors::new(), Vec::new());
        for (index, VectorChange { id, vector }) in changes.into_iter().enumerate() {
            let Some(vector) = vector else { continue };
            if vector.len() == dimension {
                vectors.insert(id, vector);
            } else {
                let detail = format!("it has {} numbers, the first one has {dimension}", vector.len());
                rejected.push(RefusedVector { index, id, detail });
            }
        }
        let settings = SpaceSettings::seen_by(VisitorVector::Mean);
        let upserted = self.replace(space, settings, &vectors)?.vectors;
        Ok(UpdateReport { upserted, deleted: 0, recent: 0, rejected })
    }

    /// Takes a space out, with its kept graph and the changes since it was stored; the sets that were stored whole stay in
    /// the registry's history.
    ///
    /// # Errors
    /// 404 `unknown_space`; 500 when the registry cannot be written.
    pub fn delete(&self, space: &str) -> Result<(), ApiError> {
        let _built = self.building.lock();
        let _turn = self.writing.lock();
        if !self.has(space) {
            return Err(unknown(space));
        }
        self.state.registry.delete(KIND, space).map_err(ApiError::internal)?;
        self.known.lock().remove(space);
        self.spaces.remove(space);
        self.visitor_vectors.put(space, VisitorVector::default());
        let last = self.state.vectors.last().map_err(ApiError::internal)?;
        self.state.vectors.forget(space, last).map_err(ApiError::internal)?;
        if let Some(kept) = &self.kept {
            kept.forget(space);
        }
        Ok(())
    }

    fn apply(&self, space: &str, changes: &[VectorChange]) -> Result<Updated, ApiError> {
        let ids: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
        let rows = self.state.catalogue.reserve(&ids);
        let change = |(change, row): (&VectorChange, ItemRow)| match &change.vector {
            Some(vector) => Change::Upsert(row, vector.clone()),
            None => Change::Delete(row),
        };
        let changes: Vec<Change> = changes.iter().zip(rows).map(change).collect();
        self.spaces.update(space, &changes).map_err(ApiError::internal)
    }

    fn renew_when_due(self: &Arc<Self>, space: &str) {
        let due = |live: &Generation| live.scans_much() || (live.is_due() && !self.spaces.builds_all(space));
        if self.spaces.space(space).is_some_and(|live| due(&live)) {
            self.renew_behind(space);
        }
    }

    /// Takes what is recent into the graph, on threads that stand back for others, half of the machine at most. While
    /// somebody builds a whole graph, only into a small one, so that what is recent stays little.
    fn renew_behind(self: &Arc<Self>, space: &str) {
        let (store, name) = (Arc::clone(self), space.to_owned());
        let renew = move || {
            let turn = store.building.try_lock();
            let beside = store.folding.try_lock().filter(|_| store.spaces.builds_all(&name));
            let whole = turn.is_some();
            if !whole && beside.is_none() {
                return;
            }
            let half = std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).max(1);
            let pool = qianmian_index::background(half);
            let renewed = pool.map_err(ApiError::internal).and_then(|pool| {
                pool.install(|| {
                    let fold = || store.spaces.fold(&name).map(drop).map_err(ApiError::internal);
                    if whole { store.renew(&name) } else { fold() }
                })
            });
            drop((turn, beside));
            if let Err(error) = renewed {
                tracing::error!(space = name, %error, "the recent vectors stay outside the graph");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("embeddings".to_owned()).spawn(renew) {
            tracing::error!(space, %error, "the recent vectors stay outside the graph: no thread");
        }
    }

    fn renew(&self, space: &str) -> Result<(), ApiError> {
        let Some(Known { stored, damage, .. }) = self.known.lock().get(space).cloned() else { return Ok(()) };
        let through = self.state.vectors.last().map_err(ApiError::internal)?;
        let rebuilt = self.spaces.rebuild(space).map_err(ApiError::internal)?;
        let Some(rebuilt) = rebuilt else { return Ok(()) };
        tracing::info!(space, rows = rebuilt.rows, whole = rebuilt.whole, took = ?rebuilt.took, "recent vectors taken in");
        if !rebuilt.whole || damage.is_some() {
            // The log is short as long as the small graph is small; and what serves instead of a damaged set is not the set.
            return Ok(());
        }
        let bytes = self.state.blobs.get(&stored.digest).map_err(ApiError::internal)?;
        let mut vectors = stored::decode(&bytes).map_err(ApiError::internal)?;
        for change in self.state.vectors.since(space, stored.through).map_err(ApiError::internal)? {
            match change.vector {
                Some(vector) => drop(vectors.insert(change.id, vector)),
                None => drop(vectors.remove(&change.id)),
            }
        }
        self.store(space, stored.settings, &vectors, (through, false))
    }

    /// Of a stored set and the rows its items have.
    fn origin(&self, digest: &str, ids: &[&str]) -> Origin {
        Origin::new(digest, &self.state.catalogue.reserve(ids))
    }

    /// Keeps what serves for the next start; without it the graph is only built again.
    fn keep(&self, space: &str, origin: &Origin) {
        let Some(kept) = &self.kept else { return };
        if let Err(error) = kept.keep(&self.spaces, space, origin) {
            tracing::warn!(space, %error, "the graph is not kept: the next start builds it again");
        }
    }

    /// Whether there is such a space.
    #[must_use]
    pub fn has(&self, space: &str) -> bool {
        self.known.lock().contains_key(space)
    }

    /// Every space.
    #[must_use]
    pub fn list(&self) -> Vec<SpaceReport> {
        let names: Vec<String> = self.known.lock().keys().cloned().collect();
        names.iter().filter_map(|name| self.report(name).ok()).collect()
    }

    fn report(&self, space: &str) -> Result<SpaceReport, ApiError> {
        let known = self.known.lock();
        let Known { stored, version, damage } = known.get(space).ok_or_else(|| unknown(space))?;
        let live = self.spaces.space(space);
        Ok(SpaceReport {
            space: space.to_owned(),
            vectors: live.as_ref().map_or(0, |g| g.len()),
            recent: live.as_ref().map_or(0, |g| g.recent()),
            dimension: live.as_ref().map_or(0, |g| g.dim()),
            metric: stored.settings.metric.clone(),
            exact: stored.settings.exact,
            graph: live.as_ref().is_some_and(|g| g.has_graph()),
            visitor: stored.settings.visitor.clone(),
            generation: *version,
            damage: damage.clone(),
            rejected: Vec::new(),
        })
    }

    /// Builds and swaps in without storing: for exports that look at the past.
    pub(crate) fn publish(
        &self,
        space: &str,
        settings: &SpaceSettings,
        vectors: &Vectors,
    ) -> Result<Vec<String>, ApiError> {
        let spec = settings.spec(space)?;
        let dim = vectors.values().next().map_or(0, Vec::len);
        if let Some((id, vector)) = vectors.iter().find(|(_, vector)| vector.len() != dim) {
            return Err(ApiError::unprocessable(
                "wrong_dimension",
                format!("the vector of {id:?} has {} numbers, the first one has {dim}", vector.len()),
            ));
        }
        let ids: Vec<&str> = vectors.keys().map(String::as_str).collect();
        let rows = self.state.catalogue.reserve(&ids);
        let flat: Vec<f32> = vectors.values().flatten().copied().collect();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let pool = qianmian_index::background(cores).map_err(ApiError::internal)?;
        let report = pool
            .install(|| self.spaces.put(spec, rows, flat, dim))
            .map_err(|error| ApiError::unprocessable("bad_vectors", error.to_string()))?;
        self.visitor_vectors.put(space, settings.visitor.clone());
        let told = report.rejected.iter().take(100);
        Ok(told.map(|bad| format!("{}: {}", ids.get(bad.position).copied().unwrap_or("?"), bad.reason)).collect())
    }
}
