//! A candidate beside a scenario's live release: in shadow, as a canary that grows by steps, promoted by a call, and taken
//! out by itself when it fails.

use crate::error::ApiError;
use crate::recommend::Composed;
use crate::recommend::now_ms;
use crate::scenario::{Pins, Release, ScenarioSpec};
use parking_lot::Mutex;
use qianmian_core::TimeMs;
use qianmian_host::Usage;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;

/// How a candidate is tried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Share of visitors it answers, 0 to 1; the same visitors all the time.
    pub share: f64,
    /// Shares it grows to, rising, each after `step_answers` more answers.
    pub steps: Vec<f64>,
    /// Answers between steps.
    pub step_answers: u64,
    /// Share of requests it composes beside the live release, to be compared and thrown away.
    pub shadow: f64,
    /// Share of its answers that may fail.
    pub max_fault_rate: f64,
    /// Share of its slots that guards may take out.
    pub max_guarded: f64,
    /// Answers before it is judged.
    pub min_answers: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            share: 0.0,
            steps: Vec::new(),
            step_answers: 1_000,
            shadow: 0.0,
            max_fault_rate: 0.02,
            max_guarded: 0.5,
            min_answers: 50,
        }
    }
}

impl Plan {
    /// Checks the shares.
    ///
    /// # Errors
    /// 422 `bad_plan`, saying which number is wrong.
    pub fn check(&self) -> Result<(), ApiError> {
        let wrong = |detail: String| Err(ApiError::unprocessable("bad_plan", detail));
        let named = [
            ("share", self.share),
            ("shadow", self.shadow),
            ("max_fault_rate", self.max_fault_rate),
            ("max_guarded", self.max_guarded),
        ];
        for (name, value) in named.into_iter().chain(self.steps.iter().map(|step| ("steps", *step))) {
            if !(0.0..=1.0).contains(&value) {
                return wrong(format!("{name} is {value}: expected 0 to 1"));
            }
        }
        if !self.steps.iter().zip(self.steps.iter().skip(1)).all(|(a, b)| a < b)
            || self.steps.first().is_some_and(|first| *first <= self.share)
        {
            return wrong(format!(
                "steps are {:?} after a share of {}: expected rising shares",
                self.steps, self.share
            ));
        }
        if self.share == 0.0 && self.shadow == 0.0 && self.steps.is_empty() {
            return wrong("share, steps and shadow are all nothing: PUT the scenario to release at once".to_owned());
        }
        Ok(())
    }
}

/// What the registry keeps of a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredCandidate {
    pub spec: ScenarioSpec,
    #[serde(default)]
    pub pins: Option<Pins>,
    pub plan: Plan,
}

/// Something that happened to a candidate.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Moment {
    /// When.
    pub time: TimeMs,
    /// What.
    pub what: String,
}

/// What a candidate did so far.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Stats {
    /// The share of visitors it answers now.
    pub share: f64,
    /// Its answers.
    pub answers: u64,
    /// Those whose strategy failed.
    pub faults: u64,
    /// The same by the fault's code: a trap, a budget that was overrun, a wrong page.
    pub codes: BTreeMap<String, u64>,
    /// Slots it filled, and slots guards took out.
    pub slots: [u64; 2],
    /// Requests composed in shadow.
    pub shadowed: u64,
    /// Of these, failures.
    pub shadow_faults: u64,
    /// Mean share of the live page's items on the shadow's page.
    pub shadow_overlap: f64,
    /// Mean fuel of the live release and of the shadow.
    pub shadow_fuel: [f64; 2],
    /// Mean microseconds in the sandbox of the live release and of the shadow.
    pub shadow_wall_us: [f64; 2],
    /// What happened, oldest first.
    pub timeline: Vec<Moment>,
    #[serde(skip)]
    step: usize,
    #[serde(skip)]
    since_step: u64,
    #[serde(skip)]
    out: bool,
}

/// A release on trial.
pub struct Candidate {
    /// What it runs.
    pub release: Arc<Release>,
    /// How it is tried.
    pub plan: Plan,
    stats: Mutex<Stats>,
}

/// What a judgement came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// Take it out, for this reason.
    Out(String),
}

/// What a shadow is compared with.
pub(crate) struct LivePage {
    items: BTreeSet<String>,
    usage: Usage,
}

impl LivePage {
    pub(crate) fn of(composed: &Composed) -> Self {
        let slots = composed.answer.shelves.iter().flat_map(|shelf| &shelf.slots);
        Self { items: slots.map(|slot| slot.item.clone()).collect(), usage: composed.usage }
    }
}

impl Candidate {
    pub(crate) fn new(release: Arc<Release>, plan: Plan) -> Self {
        let mut stats = Stats { share: plan.share, ..Stats::default() };
        stats.say(format!("tried with a share of {} and a shadow of {}", plan.share, plan.shadow));
        Self { release, plan, stats: Mutex::new(stats) }
    }

    /// What it did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.lock().clone()
    }

    /// Whether it answers a visitor; the same answer for the same visitor, and once yes, yes while the share grows.
    pub(crate) fn answers(&self, who: &str) -> bool {
        fraction(&self.release.scenario, who) < self.stats.lock().share
    }

    /// Whether it shadows a request.
    pub(crate) fn shadows(&self, request_id: &str) -> bool {
        self.plan.shadow > 0.0 && fraction("shadow", request_id) < self.plan.shadow
    }

    /// Counts one of its answers, takes the next step when it is due, and judges.
    pub(crate) fn count(&self, composed: &Composed) -> Verdict {
        let mut stats = self.stats.lock();
        stats.answers += 1;
        stats.since_step += 1;
        if let Some(fallback) = &composed.answer.fallback {
            stats.faults += 1;
            *stats.codes.entry(fallback.code.clone()).or_default() += 1;
        }
        stats.slots[0] += composed.answer.shelves.iter().map(|shelf| shelf.slots.len() as u64).sum::<u64>();
        stats.slots[1] += composed.removed.len() as u64;
        // Answers under way when it was taken out come after the judgement.
        if stats.out || stats.answers < self.plan.min_answers {
            return Verdict::Fine;
        }
        let rate = stats.faults as f64 / stats.answers as f64;
        let guarded = stats.slots[1] as f64 / (stats.slots[0] + stats.slots[1]).max(1) as f64;
        for (what, value, most) in
            [("fault rate", rate, self.plan.max_fault_rate), ("guarded share", guarded, self.plan.max_guarded)]
        {
            if value > most {
                let codes = stats.codes.iter().map(|(code, count)| format!(", {count} {code}")).collect::<String>();
                let reason = format!("{what} {value:.3} over {most} after {} answers{codes}", stats.answers);
                stats.say(format!("taken out: {reason}"));
                stats.share = 0.0;
                stats.out = true;
                return Verdict::Out(reason);
            }
        }
        if stats.since_step >= self.plan.step_answers
            && let Some(share) = self.plan.steps.get(stats.step).copied()
        {
            stats.step += 1;
            stats.since_step = 0;
            stats.share = share;
            let answers = stats.answers;
            stats.say(format!("share grows to {share} after {answers} answers"));
        }
        Verdict::Fine
    }

    /// Compares a page it composed in shadow with the live one.
    pub(crate) fn compare(&self, live: &LivePage, shadow: &Composed) {
        let has = LivePage::of(shadow).items;
        let overlap = live.items.intersection(&has).count() as f64 / live.items.len().max(1) as f64;
        let mut stats = self.stats.lock();
        stats.shadowed += 1;
        stats.shadow_faults += u64::from(shadow.answer.fallback.is_some());
        let n = stats.shadowed as f64;
        let mean = |old: f64, new: f64| old + (new - old) / n;
        stats.shadow_overlap = mean(stats.shadow_overlap, overlap);
        for (at, usage) in [&live.usage, &shadow.usage].into_iter().enumerate() {
            stats.shadow_fuel[at] = mean(stats.shadow_fuel[at], usage.fuel as f64);
            stats.shadow_wall_us[at] = mean(stats.shadow_wall_us[at], usage.wall.as_micros() as f64);
        }
    }
}

impl Stats {
    fn say(&mut self, what: String) {
        self.timeline.push(Moment { time: now_ms(), what });
    }
}

/// A number in 0..1 that is the same for the same words, and spread evenly over different ones.
fn fraction(of: &str, who: &str) -> f64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update(of).chain_update([0]).chain_update(who).finalize();
    let bits = u64::from_le_bytes(std::array::from_fn(|at| digest[at]));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_sticky_even_and_grow_without_losing_anybody() {
        let share =
            |most: f64| (0..10_000).filter(|n| fraction("home", &format!("v{n}")) < most).collect::<BTreeSet<_>>();
        let (few, many) = (share(0.1), share(0.3));
        assert!((900..1_100).contains(&few.len()) && (2_800..3_200).contains(&many.len()));
        assert!(few.is_subset(&many));
        let other = (0..10_000).filter(|n| fraction("cart", &format!("v{n}")) < 0.1).collect::<BTreeSet<_>>();
        assert!(few.intersection(&other).count() < 200, "scenarios are independent");
    }

    #[test]
    fn plans_are_checked() {
        let plan = |share, shadow, steps: &[f64]| Plan { share, shadow, steps: steps.to_vec(), ..Plan::default() };
        for good in [plan(0.1, 0.0, &[]), plan(0.0, 1.0, &[]), plan(0.01, 0.0, &[0.1, 0.5, 1.0])] {
            assert!(good.check().is_ok(), "{good:?}");
        }
        for bad in [
            plan(0.0, 0.0, &[]),
            plan(1.5, 0.0, &[]),
            plan(0.1, f64::NAN, &[]),
            plan(0.1, 0.0, &[0.1]),
            plan(0.1, 0.0, &[0.5, 0.3]),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
