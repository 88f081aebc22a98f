//! The `qianmian` server: command line, HTTP, scenarios, pages.
//!
//! `app.rs` is the one place that builds everything. A recommendation travels `http/recommend.rs` -> `recommend/mod.rs`
//! -> the visitor's snapshot -> `pool.rs` -> the strategy in the sandbox, which reaches `reach/` -> `recommend/guards.rs`
//! -> the answer.

pub mod app;
pub mod audience;
pub mod authoring;
pub mod breaker;
mod child;
pub mod cli;
pub mod code_tags;
pub mod compare;
pub mod config;
pub mod demo;
pub mod embeddings;
pub mod error;
pub mod evaluate;
pub mod http;
pub mod import;
pub mod manifests;
pub mod metrics;
pub mod ml;
pub mod model_check;
pub mod needs;
pub mod plugins;
pub mod pool;
pub mod reach;
pub mod recommend;
pub mod replay;
pub mod rollout;
pub mod scenario;
mod shape;
pub mod storefront;
pub mod training;

pub use app::App;
pub use config::Config;
pub use error::ApiError;
