//! The demo's shop: an airline-and-telecom mall in Chinese and English, made from a seed.
//!
//! The same seed and scale give the same items, visitors and events on every machine; `now` only shifts times. No
//! function is used whose result depends on the platform's mathematics library.

mod catalogue;
mod events;
mod goods;
mod models;
mod personas;
mod places;
mod themes;
mod visitors;
mod words;

pub use events::Events;
pub use models::install_models;
pub use personas::{PERSONAS, Persona, persona};
pub use themes::{Bi, THEMES, Theme};
pub use visitors::DemoVisitor;

use crate::app::App;
use crate::import::progress;
use crate::recommend::now_ms;
use qianmian_core::TimeMs;
use qianmian_state::Item;

/// The seed the kept models were trained with.
pub const SEED: u64 = 1_000;

/// How large the demo is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// About how many items of all kinds.
    pub items: u32,
    /// Visitors, the personas among them (at least as many as there are personas).
    pub visitors: u32,
    /// Days of events before `now`.
    pub days: u32,
}

impl Scale {
    /// What `qianmian demo` serves: about 20,000 items, 50,000 visitors, half a million events in 60 days.
    pub const FULL: Self = Self { items: 20_000, visitors: 50_000, days: 60 };
    /// For tests: about 600 items, 800 visitors.
    pub const SMALL: Self = Self { items: 600, visitors: 800, days: 30 };
}

/// A generated shop.
pub struct Shop {
    /// Every kind: products `P00001`, articles `A00001`, offers `O00001`, words `W00001`, channels `channel-app`.
    pub items: Vec<Item>,
    /// The personas first, then everybody else.
    pub visitors: Vec<DemoVisitor>,
    /// What they did, in order of time, made day by day as it is read.
    pub events: Events,
}

/// Region codes with their names, for pages.
pub fn regions() -> impl Iterator<Item = (&'static str, Bi)> {
    places::REGIONS.iter().map(|&(code, zh, en, _)| (code, (zh, en)))
}

/// Channel ids with their names, for pages.
pub fn channels() -> impl Iterator<Item = (&'static str, Bi)> {
    places::CHANNELS.iter().map(|&(id, zh, en, _)| (id, (zh, en)))
}

/// Makes the shop. Events lie in the `scale.days` days before `now` (milliseconds since 1970, UTC).
#[must_use]
pub fn generate(seed: u64, scale: Scale, now: TimeMs) -> Shop {
    let made = catalogue::make(seed, scale, now);
    let visitors = visitors::make(seed, scale);
    let events = Events::new(seed, scale, now, &made, &visitors);
    Shop { items: made.items, visitors, events }
}

/// Makes the shop as of now and puts its items and events in, folded when this returns.
///
/// # Errors
/// When the state cannot be written, or refuses an item.
pub fn fill(app: &App, seed: u64, scale: Scale) -> anyhow::Result<()> {
    let shop = generate(seed, scale, now_ms());
    let taken = app.state.catalogue.upsert(shop.items)?;
    anyhow::ensure!(taken.rejected.is_empty(), "the generated catalogue is refused: {:?}", taken.rejected.first());
    let bar = progress(0, "events");
    let mut chunk = Vec::with_capacity(5_000);
    for event in shop.events {
        chunk.push(event);
        if chunk.len() == 5_000 {
            bar.inc(chunk.len() as u64);
            app.state.append(std::mem::replace(&mut chunk, Vec::with_capacity(5_000)))?;
        }
    }
    app.state.append(chunk)?;
    app.state.refresh()?;
    bar.finish_and_clear();
    Ok(())
}

#[cfg(test)]
mod tests;
