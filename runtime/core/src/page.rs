//! The page a strategy composed: shelves over candidate sets.

use crate::Candidates;

/// One shelf. Its slots are the candidates in order; score and reasons come from their columns and sources.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Stable id, for metrics and styling.
    pub id: String,
    /// What the visitor reads above it; empty means none.
    pub title: String,
    /// The slots.
    pub slots: Candidates,
    /// Words beside each slot, aligned with the slots where given; shorter or empty means none.
    pub copies: Vec<String>,
}

/// A composed page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In reading order.
    pub shelves: Vec<Shelf>,
}

impl Page {
    /// Number of slots over all shelves.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.shelves.iter().map(|s| s.slots.len()).sum()
    }
}
