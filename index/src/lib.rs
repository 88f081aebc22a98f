//! Vector index: named embedding spaces, searched exactly or over an HNSW graph.
//!
//! [`Spaces::put`] validates vectors, builds an immutable [`Generation`] and swaps it in; readers keep the generation
//! they hold. What it promises:
//! - no vector that is non-finite, of the wrong length, doubled or (cosine) zero ever gets in; each is reported;
//! - results are best first, ties by row, without duplicates, with the same scores whichever way they were found;
//! - the same rows and vectors give the same graph, up to [`SERIAL_ROWS`] of them.
//!
//! `hnsw_rs` is used to build graphs and for nothing else: a generation serves from a flat snapshot of its own.

mod base;
mod best;
mod check;
mod codes;
mod error;
mod filter;
mod fold;
mod generation;
mod graph;
mod isa;
mod kernel;
mod overlay;
mod plan;
mod search;
mod spaces;
mod spec;
mod table;
mod update;

pub use error::{IndexError, Reason, Rejected};
pub use filter::Filter;
pub use fold::MAX_FOLD_DIM;
pub use generation::{Generation, Query};
pub use graph::SERIAL_ROWS;
pub use overlay::{Change, Updated};
pub use plan::{Found, Plan, Way};
pub use spaces::Spaces;
pub use spec::{MAX_DIM, Metric, Mode, Report, SpaceSpec};
pub use update::Rebuilt;
