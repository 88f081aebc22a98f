//! The vocabulary every other crate speaks: items, requests, visitors, candidates, pages, events, expressions.
//!
//! Nothing here does I/O, spawns, awaits or serialises. What a strategy may reach through the sandbox is the three
//! traits of [`reach`]; they are implemented by `index`, `models` and `state` and wired in the server's `app.rs`.

pub mod candidates;
pub mod diversity;
pub mod event;
pub mod expr;
pub mod item;
pub mod page;
pub mod reach;
pub mod request;
pub mod source;
pub mod tag;
pub mod visitor;

pub use candidates::{Candidates, Retrieved};
pub use event::{Event, EventKind};
pub use item::{ItemKind, ItemRow};
pub use page::{Page, Shelf};
pub use reach::{ColumnValues, Columns, Reach, ReachError, Retrieval, Scoring};
pub use request::{Request, RequestContext, Scored};
pub use source::{Basis, Scope, Source, SourceSpec};
pub use tag::{Affinity, Layer, Members, Segment, SegmentRule, Tag, TagRule, Tagger};
pub use visitor::{Interaction, ItemHistory, Visitor};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type TimeMs = i64;

/// One day in milliseconds.
pub const DAY_MS: TimeMs = 86_400_000;
