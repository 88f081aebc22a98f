//! Bringing a shop in: presets that turn files into items and events, with a report of what was left out and why.

pub mod amazon_beauty;
pub mod events;
pub mod feed;
pub mod online_retail;
mod reader;
mod rejects;

pub use reader::open;
pub use rejects::Rejects;

use indicatif::{ProgressBar, ProgressStyle};
use qianmian_core::Event;
use qianmian_state::{Item, State};

/// What an import would put into a shop.
#[derive(Debug, Default)]
pub struct Imported {
    /// The catalogue.
    pub items: Vec<Item>,
    /// The events, in order of time.
    pub events: Vec<Event>,
    /// What was left out, by reason.
    pub rejects: Rejects,
}

/// Counts of an import.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// Items taken.
    pub items: usize,
    /// Events taken.
    pub events: usize,
    /// Events that were there already.
    pub duplicates: usize,
    /// Rows left out, by reason.
    pub rejected: std::collections::BTreeMap<String, usize>,
}

/// Writes an import into a shop, durable when it returns, with a progress bar on a terminal.
///
/// # Errors
/// When the data folder cannot be written.
pub fn store(state: &State, imported: Imported) -> anyhow::Result<Report> {
    let bar = progress(imported.events.len() as u64, "events");
    let taken = state.catalogue.upsert(imported.items)?;
    let mut rejected = imported.rejects.counts();
    for bad in taken.rejected {
        *rejected.entry(format!("item:{}", bad.code)).or_default() += 1;
    }
    let (mut events, mut duplicates) = (0, 0);
    for chunk in imported.events.chunks(2_000) {
        let appended = state.append(chunk.to_vec())?;
        let accepted = appended.accepted.iter().filter(|taken| **taken).count();
        events += accepted;
        duplicates += chunk.len() - accepted;
        bar.inc(chunk.len() as u64);
    }
    state.refresh()?;
    bar.finish_and_clear();
    Ok(Report { items: taken.upserted, events, duplicates, rejected })
}

/// A progress bar on stderr; indicatif hides it where stderr is no terminal.
#[must_use]
pub fn progress(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} {per_sec} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}
