//! Runs strategies and taggers: sandboxed WebAssembly components that compose a page from columnar candidate sets, or tag
//! visitors.
//!
//! [`Host::load`] parses all of a component, checks its imports, compiles it and asks what it is;
//! [`Strategy::compose`] runs it once in a store of its own, under [`Limits`]. Nothing a strategy does is an error of
//! the host: an [`Outcome`] carries the page or the [`Fault`], and what it cost either way. The same context gives the
//! same page: no clock, no randomness and no state of an earlier call can be reached.
//!
//! `v1` is the contract's first major version; another gets a module beside it. What an operation means
//! is written once, in `operations`, over the types of `qianmian-core`.

mod call;
mod code;
mod costs;
mod engine;
mod expressions;
mod fault;
mod inspect;
mod limits;
mod needs;
mod operations;
mod program;
mod session;
mod strategy;
mod tagger;
mod v1;

pub use code::CodeKey;
pub use engine::{Host, HostConfig};
pub use fault::{Fault, LoadError};
pub use inspect::{section, with_section};
pub use limits::{Limits, NEAR_LIMIT, Usage};
pub use needs::Needs;
pub use program::Program;
pub use strategy::{Description, Outcome, Step, Strategy};
pub use tagger::{Tagged, Tagger};
