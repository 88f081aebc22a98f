//! Vector index: named embedding spaces, searched exactly or over an HNSW graph.
//!
//! [`Spaces::put`] validates vectors, builds an immutable [`Generation`] and swaps it in; readers keep the generation
//! they hold. [`Spaces::update`] changes single rows, seen by the next search, and [`Spaces::rebuild`] takes them into
//! the graph. [`Spaces::save`] and [`Spaces::open`] keep generations as checksummed files. What it promises:
//! - no vector that is non-finite, of the wrong length, doubled or (cosine) zero ever gets in; each is reported;
//! - results are best first, ties by row, without duplicates, with the same scores whichever way they were found;
//! - walks go by 8-bit codes where those are good enough; what is returned was scored exactly;
//! - the same rows and vectors give the same graph, with any number of threads;
//! - a file with a wrong bit is never served.
//!
//! `hnsw_rs` begins the graphs and is used for nothing else: a generation serves from a flat snapshot of its own.

mod aligned;
mod background;
mod base;
mod best;
mod check;
mod codes;
mod error;
mod file;
mod filter;
mod fold;
mod generation;
mod graph;
mod interests;
mod isa;
mod kernel;
mod overlay;
mod plan;
mod recent;
mod search;
mod signs;
mod spaces;
mod spec;
mod table;
mod update;

pub use background::background;
pub use error::{IndexError, Reason, Rejected};
pub use file::{FileError, Opened};
pub use filter::Filter;
pub use fold::MAX_FOLD_DIM;
pub use generation::{Generation, Query};
pub use interests::{Interest, Shared};
pub use overlay::{Change, Updated};
pub use plan::{Found, Plan, Way};
pub use spaces::Spaces;
pub use spec::{MAX_DIM, Metric, Mode, Report, SpaceSpec};
pub use update::Rebuilt;
