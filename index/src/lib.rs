//! Vector index: named embedding spaces, searched exactly or over an HNSW graph.
//!
//! [`Spaces::put`] validates vectors, builds an immutable [`Generation`] and swaps it in; readers keep the generation
//! they hold. What it promises:
//! - no vector that is non-finite, of the wrong length, doubled or (cosine) zero ever gets in; each is reported;
//! - results are best first, ties by row, without duplicates, with the same scores whichever way they were found;
//! - the same rows and vectors give the same graph, up to [`SERIAL_ROWS`] of them.
//!
//! `hnsw_rs` is used to build graphs and for nothing else: a generation serves from a flat snapshot of its own.

mod error;
mod fold;
mod generation;
mod graph;
mod kernel;
mod search;
mod spaces;
mod spec;
mod table;

pub use error::{IndexError, Reason, Rejected};
pub use fold::MAX_FOLD_DIM;
pub use generation::Generation;
pub use graph::SERIAL_ROWS;
pub use spaces::Spaces;
pub use spec::{MAX_DIM, Metric, Mode, Report, SpaceSpec};
