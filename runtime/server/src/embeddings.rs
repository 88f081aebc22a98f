//! Embedding spaces on this server: stored as one blob per generation, rebuilt at start, swapped atomically.

use crate::error::ApiError;
use crate::reach::{VisitorVector, VisitorVectors};
use crate::scenario::check_name;
use parking_lot::Mutex;
use qianmian_index::{Metric, SpaceSpec, Spaces};
use qianmian_state::State;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

const KIND: &str = "embeddings";
/// First bytes of a stored set; the last digit is the format's version.
const MAGIC: &[u8; 8] = b"QMEMBED1";

/// How a space compares and how it sees a visitor.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SpaceSettings {
    /// `dot` or `cosine`.
    #[serde(default = "dot")]
    pub metric: String,
    /// Never approximate: scan every vector.
    #[serde(default)]
    pub exact: bool,
    /// How a visitor becomes a vector.
    #[serde(default)]
    pub visitor: VisitorVector,
}

fn dot() -> String {
    "dot".to_owned()
}

/// What the registry keeps.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    settings: SpaceSettings,
    digest: String,
}

/// What the server says about a space.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SpaceReport {
    /// The space.
    pub space: String,
    /// Vectors that are searched.
    pub vectors: usize,
    /// Numbers a vector.
    pub dimension: usize,
    /// `dot` or `cosine`.
    pub metric: String,
    /// Whether every vector is scanned.
    pub exact: bool,
    /// How a visitor becomes a vector.
    pub visitor: VisitorVector,
    /// Rises with every swap.
    pub generation: u32,
    /// Vectors that were refused, with the reason; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
}

/// Vectors by item id, in order of id.
pub(crate) type Vectors = BTreeMap<String, Vec<f32>>;

/// All spaces of one server.
pub struct EmbeddingStore {
    state: Arc<State>,
    spaces: Arc<Spaces>,
    visitor_vectors: Arc<VisitorVectors>,
    /// One build at a time; holds what the registry says.
    known: Mutex<BTreeMap<String, (Stored, u32)>>,
}

impl EmbeddingStore {
    /// Builds every space the registry knows.
    ///
    /// # Errors
    /// When the registry or a stored set cannot be read.
    pub fn load(state: Arc<State>, spaces: Arc<Spaces>, visitor_vectors: Arc<VisitorVectors>) -> anyhow::Result<Self> {
        let store = Self { state, spaces, visitor_vectors, known: Mutex::default() };
        for document in store.state.registry.list(KIND)? {
            let stored: Stored = serde_json::from_value(document.value.unwrap_or_default())?;
            let vectors = decode(&store.state.blobs.get(&stored.digest)?)?;
            store.publish(&document.name, &stored.settings, &vectors)?;
            store.known.lock().insert(document.name, (stored, document.version));
        }
        Ok(store)
    }

    /// Replaces a space by these vectors.
    ///
    /// # Errors
    /// 422 when dimensions differ, nothing is left, or the settings are wrong; the old generation serves on then.
    pub fn put(&self, space: &str, settings: SpaceSettings, vectors: &Vectors) -> Result<SpaceReport, ApiError> {
        check_name(space)?;
        let mut known = self.known.lock();
        let rejected = self.publish(space, &settings, vectors)?;
        let digest = self.state.blobs.put(&encode(vectors)).map_err(ApiError::internal)?;
        let stored = Stored { settings, digest };
        let json = serde_json::to_value(&stored).map_err(ApiError::internal)?;
        let number = self.state.registry.put(KIND, space, &json).map_err(ApiError::internal)?;
        known.insert(space.to_owned(), (stored, number));
        drop(known);
        let mut report = self.report(space)?;
        report.rejected = rejected;
        Ok(report)
    }

    /// Adds vectors that came with catalogue items to the spaces that are there.
    ///
    /// # Errors
    /// 422 for an unknown space or a wrong dimension.
    pub fn merge(&self, added: BTreeMap<String, Vectors>) -> Result<(), ApiError> {
        for (space, more) in added {
            let stored = self.known.lock().get(&space).map(|(stored, _)| stored.clone());
            let (settings, mut vectors) = match stored {
                Some(stored) => {
                    let bytes = self.state.blobs.get(&stored.digest).map_err(ApiError::internal)?;
                    (stored.settings, decode(&bytes).map_err(ApiError::internal)?)
                }
                None => {
                    let settings = SpaceSettings { metric: dot(), exact: false, visitor: VisitorVector::Mean };
                    (settings, Vectors::new())
                }
            };
            vectors.extend(more);
            self.put(&space, settings, &vectors)?;
        }
        Ok(())
    }

    /// Every space.
    #[must_use]
    pub fn list(&self) -> Vec<SpaceReport> {
        let names: Vec<String> = self.known.lock().keys().cloned().collect();
        names.iter().filter_map(|name| self.report(name).ok()).collect()
    }

    fn report(&self, space: &str) -> Result<SpaceReport, ApiError> {
        let known = self.known.lock();
        let (stored, number) = known
            .get(space)
            .ok_or_else(|| ApiError::not_found("unknown_space", format!("no embedding space named {space:?}")))?;
        let live = self.spaces.space(space);
        Ok(SpaceReport {
            space: space.to_owned(),
            vectors: live.as_ref().map_or(0, |g| g.len()),
            dimension: live.as_ref().map_or(0, |g| g.dim()),
            metric: stored.settings.metric.clone(),
            exact: stored.settings.exact,
            visitor: stored.settings.visitor.clone(),
            generation: *number,
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
        let metric = match settings.metric.as_str() {
            "dot" => Metric::Dot,
            "cosine" => Metric::Cosine,
            other => {
                return Err(ApiError::unprocessable(
                    "bad_metric",
                    format!("metric {other:?}: expected \"dot\" or \"cosine\""),
                ));
            }
        };
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
        let spec = SpaceSpec { exact: settings.exact, ..SpaceSpec::new(space, metric) };
        let report = self
            .spaces
            .put(spec, rows, flat, dim)
            .map_err(|error| ApiError::unprocessable("bad_vectors", error.to_string()))?;
        self.visitor_vectors.put(space, settings.visitor.clone());
        let told = report.rejected.iter().take(100);
        Ok(told.map(|bad| format!("{}: {}", ids.get(bad.position).copied().unwrap_or("?"), bad.reason)).collect())
    }
}

/// Magic, count, dimension, then each id (length, bytes) and its numbers, little endian.
fn encode(vectors: &Vectors) -> Vec<u8> {
    let dim = vectors.values().next().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(16 + vectors.len() * (12 + dim * 4));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(vectors.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(dim as u32).to_le_bytes());
    for (id, vector) in vectors {
        bytes.extend_from_slice(&(id.len() as u32).to_le_bytes());
        bytes.extend_from_slice(id.as_bytes());
        for value in vector {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
    bytes
}

fn decode(bytes: &[u8]) -> anyhow::Result<Vectors> {
    use anyhow::Context;
    let mut rest = bytes.strip_prefix(MAGIC).context("not a stored embedding set of format 1")?;
    let mut take = |count: usize| -> anyhow::Result<&[u8]> {
        let (head, tail) = rest.split_at_checked(count).context("a stored embedding set is cut short")?;
        rest = tail;
        Ok(head)
    };
    let mut number = || -> anyhow::Result<usize> { Ok(u32::from_le_bytes(take(4)?.try_into()?) as usize) };
    let (count, dim) = (number()?, number()?);
    let mut vectors = Vectors::new();
    for _ in 0..count {
        let length = u32::from_le_bytes(take(4)?.try_into()?) as usize;
        let id = std::str::from_utf8(take(length)?)?.to_owned();
        let values = take(dim * 4)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        vectors.insert(id, values);
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_set_comes_back_and_a_cut_one_does_not() {
        let vectors = Vectors::from([("a".to_owned(), vec![1.0, -2.5]), ("乙".to_owned(), vec![0.0, 3.0])]);
        let bytes = encode(&vectors);
        assert_eq!(decode(&bytes).expect("whole"), vectors);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
