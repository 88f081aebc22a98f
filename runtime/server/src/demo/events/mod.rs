//! What the visitors did: sessions planned once, events made day by day, in order of time, as they are read.

mod choice;
mod session;

use super::Scale;
use super::catalogue::Made;
use super::visitors::DemoVisitor;
use choice::World;
use qianmian_core::{DAY_MS, Event, TimeMs};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use session::Session;

/// A planned visit.
#[derive(Clone, Copy)]
struct Plan {
    visitor: u32,
    /// Milliseconds into the day; a session ends before its day does.
    start: u32,
}

/// What a visitor remembers from earlier visits.
#[derive(Clone, Copy, Default)]
struct Memory {
    /// The last items opened, newest first, one above the row; 0 means none.
    opened: [u32; 3],
    /// The last repeatable item bought, likewise.
    bought: u32,
}

/// Iterates over all events in order of time. Holds one day at a time.
pub struct Events {
    world: World,
    visitors: Vec<DemoVisitor>,
    /// By day, the oldest first.
    plans: Vec<Vec<Plan>>,
    memories: Vec<Memory>,
    rng: ChaCha8Rng,
    now: TimeMs,
    /// The next day to make.
    day: usize,
    buffer: std::vec::IntoIter<Event>,
    sessions: u64,
}

/// No session lasts longer.
const LONGEST_MS: i64 = 40 * 60_000;

impl Events {
    pub(super) fn new(seed: u64, scale: Scale, now: TimeMs, made: &Made, visitors: &[DemoVisitor]) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x6576_656e_7473);
        let days = scale.days.max(1);
        let mut plans = vec![Vec::new(); days as usize];
        for (at, visitor) in visitors.iter().enumerate() {
            for _ in 0..visitor.sessions {
                // The newest days are a little busier; personas came lately.
                let day = rng.random_range(0..days).max(if rng.random_range(0..4u32) == 0 {
                    rng.random_range(0..days)
                } else {
                    0
                });
                let day = if visitor.persona.is_some() { days - 1 - (days - 1 - day) / 3 } else { day };
                let start = rng.random_range(0..(DAY_MS - LONGEST_MS) as u32);
                plans[day as usize].push(Plan { visitor: at as u32, start });
            }
        }
        for day in &mut plans {
            day.sort_by_key(|p| (p.start, p.visitor));
        }
        Self {
            world: World::new(made),
            visitors: visitors.to_vec(),
            plans,
            memories: vec![Memory::default(); visitors.len()],
            rng,
            now,
            day: 0,
            buffer: Vec::new().into_iter(),
            sessions: 0,
        }
    }

    /// Number of sessions that will be made.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.plans.iter().map(Vec::len).sum()
    }

    fn make_day(&mut self) {
        let days_ago = (self.plans.len() - self.day) as u32;
        let midnight = self.now - i64::from(days_ago) * DAY_MS;
        let plans = std::mem::take(&mut self.plans[self.day]);
        let mut made = Vec::with_capacity(plans.len() * 5);
        for plan in plans {
            self.sessions += 1;
            let at = plan.visitor as usize;
            Session {
                world: &self.world,
                visitor: &self.visitors[at],
                memory: &mut self.memories[at],
                rng: &mut self.rng,
                events: &mut made,
                number: self.sessions,
                count: 0,
                days_ago,
                time: midnight + i64::from(plan.start),
                end: midnight + i64::from(plan.start) + LONGEST_MS - 1,
                channel: "",
            }
            .run();
        }
        made.sort_by_key(|e| e.time);
        self.day += 1;
        self.buffer = made.into_iter();
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.buffer.next() {
                return Some(event);
            }
            if self.day == self.plans.len() {
                return None;
            }
            self.make_day();
        }
    }
}
