//! Everything the host remembers: the catalogue, the event log, what is folded from it, documents and blobs.
//!
//! [`State`] opens a data directory and holds the parts. What it promises:
//! - what a call has acknowledged is on disk, and visible to the next reader;
//! - the event log is the truth: profiles, statistics and lists are folds over it, kept with how far they have come, and
//!   made from it again whenever what is kept cannot be trusted;
//! - every stored value carries a checksum: damage is reported, never served.
//!
//! | module | what |
//! |---|---|
//! | [`catalogue`] | items as immutable columns, swapped whole |
//! | [`log`] | events: append once, in order, durable before acknowledged |
//! | [`fold`] | visitors and item statistics, folded from the log |
//! | [`campaigns`] | quotas that stop exactly at their number |
//! | [`audience`] | tags and segments of visitors |
//! | [`sources`] | candidates from the catalogue and the folds |
//! | [`columns`] | values of items, visitors and both together, for filters, formulas and models |
//! | [`store`] | what is folded, kept between starts |
//! | [`registry`] | named, versioned JSON documents |
//! | [`people`] | ids as pseudonymous keys, and keys linked into one person |
//! | [`audit`] | what was done to people's data |
//! | [`blobs`] | files by digest |
//! | [`backup`] | backups, and secrets that are destroyed with whom they are of |
//! | [`conformance`] | what every implementation of the four traits must do |
//! | [`captures`] | answers with everything they depended on |
//! | [`vectors`] | embeddings that changed after their space was stored whole |

pub mod audience;
pub mod audit;
pub mod backup;
pub mod blobs;
mod bytes;
pub mod campaigns;
pub mod captures;
pub mod catalogue;
pub mod columns;
pub mod conformance;
mod db;
pub mod error;
pub mod fold;
mod identity;
mod keeper;
pub mod log;
pub mod people;
pub mod registry;
pub mod sources;
mod state;
pub mod store;
pub mod vectors;

pub use audience::{Audience, Estimate, ItemOrder, Progress, SegmentItem, SegmentItems};
pub use audit::{Audit, AuditFilter, Entry};
pub use blobs::{BlobStore, FolderBlobs};
pub use campaigns::{Campaign, Campaigns, Outcome, Reservation};
pub use captures::{CaptureFilter, CaptureHead, Captures};
pub use catalogue::{Catalogue, CatalogueStore, Item, Rejected, Stock, Symbols, UpsertReport};
pub use error::{Result, StateError};
pub use fold::Folds;
pub use identity::{Erased, Linked};
pub use keeper::Retention;
pub use log::{Appended, Chunk, EventLog, Writer};
pub use people::{Member, People};
pub use registry::{Document, Registry};
pub use sources::{Gate, Ineligible, eligible};
pub use state::{Limits, QUEUE, State};
pub use store::{SqliteStore, StateStore};
pub use vectors::{VectorChange, VectorLog};
