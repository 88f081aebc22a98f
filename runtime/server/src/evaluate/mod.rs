//! `qianmian evaluate`: published protocols, asked through the HTTP path, answered as JSON lines.

pub mod amazon_beauty;
mod client;
mod metrics;
pub mod online_retail;
mod report;

pub use client::Client;
pub use metrics::{Ranked, mean};
pub use report::{Line, Outcome, print_summary};
