//! From a visitor's history to a vector in an embedding space.

use moka::sync::Cache;
use parking_lot::RwLock;
use qianmian_core::{EventKind, ItemRow, RequestContext, Visitor};
use qianmian_index::{Generation, Interest};
use qianmian_models::{Model, Models};
use qianmian_state::Catalogue;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How a space turns a visitor into a vector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum VisitorVector {
    /// The mean of the vectors of the last 20 interactions, newer and stronger ones weighing more.
    #[default]
    Mean,
    /// The factor that implicit-feedback ALS gives a user with this history (Hu, Koren, Volinsky 2008).
    Ials {
        /// Confidence a unit of interaction adds.
        alpha: f32,
        /// L2 regularisation.
        regularization: f32,
    },
    /// Several: recent interactions that point in one direction are one interest, each interest finds its share of the
    /// candidates. Where one vector is wanted (the column `near.SPACE`), the mean.
    Interests {
        /// Interests at most, 2 to 8.
        most: usize,
    },
    /// An encoder model over the sequence of items.
    Encoder {
        /// The model's name.
        model: String,
    },
}

/// A moka key: space, visitor, version of the profile, and of the vectors or the encoder.
type Key = (String, String, u64, u64);

/// The recipe of every space, and the vectors that are dear to compute, cached by profile version.
pub struct VisitorVectors {
    recipes: RwLock<FxHashMap<String, VisitorVector>>,
    cache: Cache<Key, Arc<Vec<f32>>>,
}

impl Default for VisitorVectors {
    fn default() -> Self {
        Self { recipes: RwLock::default(), cache: Cache::new(100_000) }
    }
}

impl VisitorVectors {
    /// Sets the recipe of `space` and forgets vectors computed from an earlier generation.
    pub fn put(&self, space: &str, recipe: VisitorVector) {
        self.recipes.write().insert(space.to_owned(), recipe);
        self.cache.invalidate_all();
    }

    /// The recipe of `space`.
    #[must_use]
    pub fn recipe(&self, space: &str) -> VisitorVector {
        self.recipes.read().get(space).cloned().unwrap_or_default()
    }

    /// The visitor's vector, or `None` when nothing in their history has a vector (or the encoder fails).
    pub fn compute(
        &self,
        ctx: &RequestContext,
        space: &str,
        generation: &Generation,
        catalogue: &Catalogue,
        models: &Models,
    ) -> Option<Vec<f32>> {
        let visitor = &ctx.visitor;
        let recipe = self.recipe(space);
        if matches!(recipe, VisitorVector::Mean | VisitorVector::Interests { .. }) {
            return mean(visitor, generation);
        }
        // An answer of an encoder that was replaced is not the new one's.
        let encoder = match &recipe {
            VisitorVector::Encoder { model } => Some(models.get(model)?),
            _ => None,
        };
        let vectors = encoder.as_ref().map_or_else(|| generation.version(), |encoder| encoder.load);
        let key = ctx.request.visitor.as_ref().map(|id| (space.to_owned(), id.clone(), visitor.version, vectors));
        if let Some(found) = key.as_ref().and_then(|key| self.cache.get(key)) {
            return Some(found.as_ref().clone());
        }
        let vector = match recipe {
            VisitorVector::Mean | VisitorVector::Interests { .. } => None,
            VisitorVector::Ials { alpha, regularization } => ials(visitor, generation, alpha, regularization),
            VisitorVector::Encoder { .. } => encode(visitor, catalogue, &encoder?.model),
        }?;
        if let Some(key) = key {
            self.cache.insert(key, Arc::new(vector.clone()));
        }
        Some(vector)
    }
}

/// Recent interactions that interests are made of.
const RECENT: usize = 50;

/// What a visitor is after in a space, the most telling first; at most `most` directions.
pub(super) fn interests(visitor: &Visitor, generation: &Generation, most: usize) -> Vec<Interest> {
    let rows: Vec<ItemRow> = visitor.recent.iter().take(RECENT).map(|interaction| interaction.item).collect();
    generation.interests(&rows, most)
}

fn mean(visitor: &Visitor, generation: &Generation) -> Option<Vec<f32>> {
    let mut sum = vec![0f32; generation.dim()];
    let mut weight = 1f32;
    let mut found = false;
    for interaction in visitor.recent.iter().take(20) {
        let Some(vector) = generation.vector(interaction.item) else { continue };
        let strength = match interaction.kind {
            EventKind::Purchase => 3.0,
            EventKind::Cart => 2.0,
            _ => 1.0,
        };
        for (total, value) in sum.iter_mut().zip(vector) {
            *total += weight * strength * value;
        }
        weight *= 0.9;
        found = true;
    }
    found.then_some(sum)
}

fn ials(visitor: &Visitor, generation: &Generation, alpha: f32, regularization: f32) -> Option<Vec<f32>> {
    // Sorted, so that the floating-point sums do not depend on a hash map's order.
    let mut history: Vec<(ItemRow, f32)> = visitor
        .items
        .iter()
        .map(|(row, h)| (*row, h.orders as f32 + 0.5 * h.carts as f32 + 0.2 * h.views as f32))
        .filter(|(row, strength)| *strength > 0.0 && generation.vector(*row).is_some())
        .map(|(row, strength)| (row, strength.ln_1p()))
        .collect();
    history.sort_unstable_by_key(|(row, _)| *row);
    let (rows, weights): (Vec<ItemRow>, Vec<f32>) = history.into_iter().unzip();
    if rows.is_empty() {
        return None;
    }
    generation.fold_in(&rows, &weights, alpha, regularization)
}

fn encode(visitor: &Visitor, catalogue: &Catalogue, model: &Model) -> Option<Vec<f32>> {
    let length = model.manifest().length?;
    let mut ids: Vec<i64> = visitor
        .recent
        .iter()
        .filter_map(|interaction| model.code(&catalogue.ids[interaction.item.index()]))
        .take(length)
        .collect();
    if ids.is_empty() {
        return None;
    }
    ids.reverse();
    model.encode(&ids).inspect_err(|error| tracing::warn!(%error, "an encoder failed")).ok()
}
