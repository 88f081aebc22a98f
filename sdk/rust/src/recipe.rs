//! What most strategies do: mix sources, rank by a model or by blending, keep alike items apart.

use crate::{ItemKind, Optional, Overflow, Result, Set, Source};
use std::collections::BTreeMap;

/// Sources with their weights. A candidate's blended score is the sum of weight / (60 + rank) over its sources.
#[derive(Clone, Debug, Default)]
pub struct Mix {
    parts: Vec<(Source, f32)>,
}

impl Mix {
    /// An empty mix.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source.
    #[must_use]
    pub fn with(mut self, source: Source, weight: f32) -> Self {
        self.parts.push((source, weight));
        self
    }

    /// Adds a source that starts from an embedding space, where there is one.
    #[must_use]
    pub fn near(self, space: Option<&str>, make: impl FnOnce(&str) -> Source, weight: f32) -> Self {
        match space {
            Some(space) => self.with(make(space), weight),
            None => self,
        }
    }

    /// Leaves a source out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.parts.retain(|(source, _)| source.name() != name);
        self
    }

    /// Other sizes and weights by source name, as parameters give them; size 0 leaves a source out.
    #[must_use]
    pub fn tuned(mut self, sizes: &BTreeMap<String, u32>, weights: &BTreeMap<String, f32>) -> Self {
        for (source, weight) in &mut self.parts {
            if let Some(size) = sizes.get(source.name()) {
                *source = source.clone().sized(*size);
            }
            if let Some(tuned) = weights.get(source.name()) {
                *weight = *tuned;
            }
        }
        self.parts.retain(|(source, _)| source.limit() > 0);
        self
    }

    /// Finds candidates of these kinds; none named means every kind.
    ///
    /// # Errors
    /// As [`Set::retrieve`].
    pub fn retrieve(&self, kinds: &[ItemKind]) -> Result<Set> {
        Set::retrieve(self.parts.iter().map(|(source, _)| source.clone().kinds(kinds)))
    }

    /// Orders a set retrieved from this mix by the model, or, without one or where it cannot score, by blending.
    ///
    /// # Errors
    /// A weight that is not finite.
    pub fn rank(&self, set: &Set, model: Option<&str>) -> Result<()> {
        if let Some(model) = model
            && set.score(model).optional()?.is_some()
        {
            return Ok(());
        }
        let weights: Vec<(&str, f32)> = self.parts.iter().map(|(source, weight)| (source.name(), *weight)).collect();
        set.blend(&weights)
    }
}

/// How alike items are kept apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Diversity<'a> {
    /// Embedding space that says what is alike.
    pub space: Option<&'a str>,
    /// 0 orders by score only, 1 by being different only.
    pub strength: f32,
    /// At most so many of a category, the others last; 0 for no cap.
    pub per_category: u32,
}

impl Diversity<'_> {
    /// Reorders a ranked set and keeps `slots`. Where the space is not there the order stays.
    ///
    /// # Errors
    /// A strength outside 0 to 1.
    pub fn apply(&self, set: &Set, slots: u32) -> Result<()> {
        if let Some(space) = self.space
            && self.strength > 0.0
        {
            // Wide enough to find something else, narrow enough to stay relevant and cheap.
            set.spread(space, self.strength, slots.saturating_mul(3).max(30)).optional()?;
        }
        if self.per_category > 0 {
            set.cap("item.category", self.per_category, Overflow::Last)?;
        }
        set.take(slots);
        Ok(())
    }
}
