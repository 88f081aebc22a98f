//! The flat graph a generation is walked over, and how it comes about.
//!
//! `hnsw_rs` inserts the rows; its bottom layer is copied out, refined ([`refine`]) and laid out so that neighbours
//! lie close in memory. Its upper layers are not kept: a few hundred entry rows, spread evenly over the layout, take
//! their place. Scanning them costs about as much as the descent and starts the walk in several clusters at once.

mod build;
mod refine;
mod walk;

pub use build::SERIAL_ROWS;
pub(crate) use build::build;
pub(crate) use walk::{Walk, with_scratch};

use crate::kernel::MISSING;

/// Links of every vector, and where walks begin.
#[derive(Debug, PartialEq)]
pub(crate) struct Graph {
    /// `width` links a vector, those that are not there [`MISSING`] and last.
    links: Vec<u32>,
    width: usize,
    entries: Vec<u32>,
}

impl Graph {
    /// The links of the vector at `at`.
    #[inline(always)]
    fn links(&self, at: u32) -> impl Iterator<Item = u32> {
        let from = at as usize * self.width;
        self.links[from..from + self.width].iter().copied().take_while(|&link| link != MISSING)
    }
}
