//! The flat graph a generation is walked over, and how it comes about.
//!
//! `hnsw_rs` inserts a few thousand rows; its bottom layer is copied out, the other rows are placed around them by
//! walks, and all is refined ([`refine`]) and laid out so that neighbours lie close in memory. Its upper layers are not
//! kept: a few hundred entry rows, spread evenly over the layout, take their place, with a small graph of their own
//! ([`entries`]).

mod build;
pub(crate) mod entries;
mod refine;
mod twins;
mod walk;

pub(crate) use build::build;
pub(crate) use entries::Entries;
pub(crate) use walk::{Ask, CodePlane, FloatPlane, Kept, Walk, with_scratch};

use crate::aligned::{Aligned, Rows};
use crate::table::Vectors;
use twins::Twins;

/// Links of every vector, and where walks begin.
#[derive(Debug, PartialEq)]
pub(crate) struct Graph {
    /// `width` links a vector, those that are not there [`MISSING`](crate::kernel::MISSING) and last.
    pub links: Aligned<u32>,
    pub width: usize,
    pub entries: Entries,
    /// Walks begin in several places.
    pub several: bool,
    /// Found with the vector they are the same as.
    twins: Twins,
}

impl Graph {
    /// A graph over `vectors`; one without links that is the same as the one before it is found with that one.
    pub fn new(links: Aligned<u32>, width: usize, entries: Entries, several: bool, vectors: &Vectors) -> Self {
        let twins = Twins::of(links.all(), width, vectors);
        Self { links, width, entries, several, twins }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.links.bytes() + self.entries.rows.len() * 4 + self.twins.bytes()
    }

    /// A position that a walk found, and those of the same vector.
    #[inline(always)]
    pub fn alike(&self, at: u32) -> impl Iterator<Item = u32> {
        std::iter::once(at).chain((at + 1..).take_while(|&at| self.twins.contains(at)))
    }

    /// Sets the bit of each vector whose links are those of one whose bit is set.
    pub fn speak_for_twins(&self, words: &mut [u64]) {
        self.twins.speak(words);
    }

    /// The links of every vector.
    #[inline(always)]
    fn rows(&self) -> Rows<'_, u32> {
        Rows::new(self.links.all(), self.width)
    }
}
