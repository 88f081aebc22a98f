//! What one composition may use, and what it used.

use std::time::Duration;

/// Budgets of one composition. Each ends it with its own [`crate::Fault`], but for the log, which is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall clock from instantiation to the page, host operations included.
    pub wall: Duration,
    /// Wasm instructions, roughly; the same call always uses the same.
    pub fuel: u64,
    /// Linear memory in bytes; the engine's slots (`HostConfig::max_memory`) bound it from above.
    pub memory: usize,
    /// Calls into the host.
    pub host_calls: u32,
    /// Bytes that one call may copy into the host.
    pub transfer_bytes: usize,
    /// Bytes of log lines kept.
    pub log_bytes: usize,
    /// Candidates of one set.
    pub candidates: usize,
    /// Candidate sets made.
    pub sets: u32,
    /// Shelves of the page.
    pub shelves: usize,
    /// Slots of the page, over all shelves.
    pub slots: usize,
    /// Bytes of one text of the page.
    pub text_bytes: usize,
}

/// Candidates of one set, where nobody says another number.
const CANDIDATES: usize = 5_000;

impl Limits {
    /// The fuel of a strategy whose sets may have so many candidates: what it may do for a page, and for each of them.
    #[must_use]
    pub fn fuel_for(candidates: usize) -> u64 {
        5_000_000 + 9_000 * candidates as u64
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_millis(10),
            fuel: Self::fuel_for(CANDIDATES),
            memory: 16 << 20,
            host_calls: 128,
            transfer_bytes: 1 << 20,
            log_bytes: 16 << 10,
            candidates: CANDIDATES,
            sets: 64,
            shelves: 50,
            slots: 2_000,
            text_bytes: 2_000,
        }
    }
}

/// What one composition used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel.
    pub fuel: u64,
    /// From the store's creation to the page.
    pub wall: Duration,
    /// The largest size of its linear memory, bytes.
    pub memory: usize,
    /// Calls into the host.
    pub host_calls: u32,
    /// Candidate sets made.
    pub sets: u32,
    /// Bytes of log lines kept.
    pub log_bytes: usize,
    /// The part of `wall` that made the store and the instance.
    pub instantiate: Duration,
}

/// The share of a budget from which on its author and whoever watches are told.
pub const NEAR_LIMIT: f64 = 0.8;

impl Usage {
    /// The share of each budget that was used, by its name; 1 is all of it.
    #[must_use]
    pub fn shares(&self, limits: &Limits) -> [(&'static str, f64); 6] {
        let share = |used: f64, most: f64| if most > 0.0 { used / most } else { 0.0 };
        [
            ("wall", share(self.wall.as_secs_f64(), limits.wall.as_secs_f64())),
            ("fuel", share(self.fuel as f64, limits.fuel as f64)),
            ("memory", share(self.memory as f64, limits.memory as f64)),
            ("host_calls", share(f64::from(self.host_calls), f64::from(limits.host_calls))),
            ("sets", share(f64::from(self.sets), f64::from(limits.sets))),
            ("log", share(self.log_bytes as f64, limits.log_bytes as f64)),
        ]
    }
}
