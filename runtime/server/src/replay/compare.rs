//! What a replay changed: slot by slot for one answer, in sum for many.

use super::CapturedUsage;
use crate::error::ApiError;
use crate::recommend::Answer;
use crate::recommend::answer::Slot;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// What both runs cost.
pub(super) struct Costs {
    pub before: CapturedUsage,
    pub after: CapturedUsage,
    pub calls: usize,
    pub live: usize,
}

/// One captured answer, and the one computed now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Diff {
    /// The request.
    pub request_id: String,
    /// True when the answer is the same, byte for byte (but for how long it took).
    pub same: bool,
    /// Share of the captured items that are on the page now, in any slot; 1 when both pages are empty.
    pub overlap: f64,
    /// The fault that was answered by the fallback, then and now.
    pub faults: [Option<String>; 2],
    /// What the answer had to do without, then and now.
    pub degraded: [Vec<String>; 2],
    /// Fuel of the strategy, then and now.
    pub fuel: [u64; 2],
    /// Microseconds in the sandbox, then and now.
    pub wall_us: [u64; 2],
    /// Slots that guards took out of the strategy's page, then and now.
    pub guarded: [u32; 2],
    /// Host operations that reached for data, and how many of them the capture could not answer.
    pub reached: [usize; 2],
    /// The slots that differ.
    pub slots: Vec<SlotChange>,
}

/// A slot that differs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SlotChange {
    /// From 1.
    pub position: u32,
    /// What stood there.
    pub before: Option<Slot>,
    /// What stands there now.
    pub after: Option<Slot>,
}

fn slots(answer: &Answer) -> Vec<&Slot> {
    answer.shelves.iter().flat_map(|shelf| &shelf.slots).collect()
}

impl Diff {
    pub(super) fn new(before: Answer, after: Answer, same: bool, costs: Costs) -> Self {
        let (old, new) = (slots(&before), slots(&after));
        let ids = |slots: &[&Slot]| slots.iter().map(|slot| slot.item.clone()).collect::<BTreeSet<String>>();
        let (had, has) = (ids(&old), ids(&new));
        let overlap = if had.is_empty() {
            f64::from(u8::from(has.is_empty()))
        } else {
            had.intersection(&has).count() as f64 / had.len() as f64
        };
        let changed = (0..old.len().max(new.len()))
            .filter_map(|at| {
                let (before, after) = (old.get(at).copied().cloned(), new.get(at).copied().cloned());
                let key = |slot: &Option<Slot>| {
                    slot.as_ref()
                        .map(|s| (s.item.clone(), s.copy.clone(), s.score.map(f32::to_bits), s.reasons.clone()))
                };
                (key(&before) != key(&after)).then(|| SlotChange { position: at as u32 + 1, before, after })
            })
            .collect();
        let fault = |answer: &Answer| answer.fallback.as_ref().map(|fallback| fallback.code.clone());
        Self {
            request_id: before.request_id.clone(),
            same,
            overlap,
            faults: [fault(&before), fault(&after)],
            fuel: [costs.before.fuel, costs.after.fuel],
            wall_us: [costs.before.wall_us, costs.after.wall_us],
            guarded: [costs.before.guarded, costs.after.guarded],
            reached: [costs.calls, costs.live],
            slots: changed,
            degraded: [before.degraded, after.degraded],
        }
    }
}

/// Many captures replayed.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Rehearsal {
    /// Captures that were replayed.
    pub replayed: usize,
    /// Those whose answer is the same, byte for byte.
    pub same: usize,
    /// Share of pages that changed.
    pub changed: f64,
    /// Mean share of the captured items that are on the page now.
    pub overlap: f64,
    /// Answers by the fallback, then and now, by code.
    pub faults: [BTreeMap<String, usize>; 2],
    /// Captures that could not be replayed, by code.
    pub refused: BTreeMap<String, usize>,
    /// Captures of another format, or damaged.
    pub unreadable: usize,
    /// Mean fuel, then and now.
    pub fuel: [f64; 2],
    /// Median microseconds in the sandbox, then and now.
    pub wall_us: [u64; 2],
    /// Slots that guards took out, then and now.
    pub guarded: [u64; 2],
    /// Share of the data reached for that had to come from the live server.
    pub live: f64,
    /// The answers that changed the most, at most 20 of them.
    pub examples: Vec<Diff>,
    #[serde(skip)]
    walls: [Vec<u64>; 2],
    #[serde(skip)]
    reached: [usize; 2],
}

/// Examples kept.
const EXAMPLES: usize = 20;

impl Rehearsal {
    pub(super) fn add(&mut self, diff: Diff) {
        self.replayed += 1;
        self.same += usize::from(diff.same);
        self.overlap += diff.overlap;
        for at in 0..2 {
            if let Some(code) = &diff.faults[at] {
                *self.faults[at].entry(code.clone()).or_default() += 1;
            }
            self.fuel[at] += diff.fuel[at] as f64;
            self.walls[at].push(diff.wall_us[at]);
            self.reached[at] += diff.reached[at];
            self.guarded[at] += u64::from(diff.guarded[at]);
        }
        if !diff.same {
            self.examples.push(diff);
            self.examples.sort_by(|a, b| a.overlap.total_cmp(&b.overlap));
            self.examples.truncate(EXAMPLES);
        }
    }

    pub(super) fn refuse(&mut self, error: &ApiError) {
        *self.refused.entry(error.code.to_owned()).or_default() += 1;
    }

    pub(super) fn finish(mut self) -> Self {
        let count = self.replayed.max(1) as f64;
        self.changed = (self.replayed - self.same) as f64 / count;
        self.overlap /= count;
        for at in 0..2 {
            self.fuel[at] /= count;
            self.walls[at].sort_unstable();
            self.wall_us[at] = self.walls[at].get(self.walls[at].len() / 2).copied().unwrap_or(0);
        }
        self.live = self.reached[1] as f64 / self.reached[0].max(1) as f64;
        self
    }
}
