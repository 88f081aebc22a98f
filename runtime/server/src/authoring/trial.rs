//! `qianmian plugin test`: the component in the host's own sandbox, over a shop, for several visitors, twice.

use crate::app::App;
use crate::code_tags;
use crate::plugins::Plugin;
use crate::recommend::ground::LiveGround;
use crate::recommend::{compose, now_ms};
use crate::replay::comparable;
use crate::scenario::{Release, ScenarioSpec};
use anyhow::Context;
use qianmian_core::{ItemRow, Request, RequestContext, Visitor};
use qianmian_host::{Limits, NEAR_LIMIT, Program, Strategy, Tagger, Usage};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What to try.
pub struct Trial {
    /// The strategy or tagger.
    pub plugin: Arc<Plugin>,
    /// Its parameters.
    pub parameters: Value,
    /// Ids of visitors to compose for, besides one that nobody knows.
    pub visitors: Vec<String>,
    /// Ids of items that are looked at, or in the cart.
    pub items: Vec<String>,
    /// Slots wanted.
    pub limit: u32,
}

/// One visitor's page, or tags.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line {
    /// The visitor; empty for one that nobody knows.
    pub visitor: String,
    /// Items, by shelf.
    pub page: Vec<(String, Vec<String>)>,
    /// Why the strategy failed; empty when it did not.
    pub fault: String,
    /// What it had to do without.
    pub degraded: Vec<String>,
    /// False when the second run gave another page.
    pub deterministic: bool,
    /// Percent of each budget of a scenario that names none of its own: `fuel`, `memory`, `host_calls`, `sets`, `log`, and
    /// `wall`, on this machine.
    pub percent: BTreeMap<&'static str, f64>,
    /// Microseconds of wall clock.
    pub wall_us: u64,
}

impl Line {
    /// Percent of each budget that the first run used, and the second's time: it finds code and data warm, as on a server.
    fn costs(first: &Usage, second: &Usage) -> Self {
        let used = Usage { wall: second.wall, ..*first }.shares(&Limits::default());
        let percent = used.into_iter().map(|(budget, share)| (budget, (share * 100_000.0).round() / 1_000.0));
        Self { percent: percent.collect(), wall_us: second.wall.as_micros() as u64, ..Self::default() }
    }

    /// The budgets that are nearly used up.
    pub fn near(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.percent.iter().map(|(budget, percent)| (*budget, *percent)).filter(|(_, used)| *used > 100.0 * NEAR_LIMIT)
    }

    /// Whether there is nothing to mend.
    #[must_use]
    pub fn good(&self) -> bool {
        self.fault.is_empty() && self.deterministic
    }
}

/// Runs the trial over the shop that `app` holds.
///
/// # Errors
/// Parameters that do not fit the schema, or an item that the shop does not have.
pub fn run(app: &App, trial: &Trial) -> anyhow::Result<Vec<Line>> {
    trial.plugin.check_parameters(&trial.parameters)?;
    let visitors = std::iter::once(String::new()).chain(trial.visitors.iter().cloned()).map(|visitor| {
        let known = if visitor.is_empty() { Arc::new(Visitor::default()) } else { app.state.visitor(&visitor) };
        (visitor, known)
    });
    match &trial.plugin.program {
        Program::Strategy(strategy) => pages(app, trial, strategy, visitors),
        Program::Tagger(tagger) => {
            Ok(visitors.map(|(visitor, known)| tags(app, trial, tagger, visitor, &known)).collect())
        }
    }
}

/// The tags of one visitor, asked twice.
fn tags(app: &App, trial: &Trial, tagger: &Tagger, visitor: String, known: &Visitor) -> Line {
    let (now, known, parameters) = (now_ms(), [known], trial.parameters.to_string());
    let limits = Limits { wall: Duration::from_secs(1), ..Limits::default() };
    let columns = code_tags::catalogue(&app.state);
    let once = || tagger.tag(&known, now, &columns, &parameters, &limits);
    let (first, second) = (once(), once());
    let names = tagger.description().tags.iter();
    let given = first.tags.as_ref().map(Vec::as_slice).unwrap_or_default();
    let given = names.zip(given).filter(|(_, visitors)| !visitors.is_empty()).map(|(name, _)| name.clone());
    Line {
        visitor,
        page: vec![("tags".to_owned(), given.collect())],
        fault: first.tags.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        degraded: Vec::new(),
        deterministic: first.tags == second.tags,
        ..Line::costs(&first.usage, &second.usage)
    }
}

/// The pages of each visitor, composed twice.
fn pages(
    app: &App,
    trial: &Trial,
    strategy: &Arc<Strategy>,
    visitors: impl Iterator<Item = (String, Arc<Visitor>)>,
) -> anyhow::Result<Vec<Line>> {
    let catalogue = app.state.catalogue.current();
    let items: Vec<ItemRow> = trial
        .items
        .iter()
        .map(|id| catalogue.live_row(id).with_context(|| format!("the shop has no item {id:?}")))
        .collect::<anyhow::Result<_>>()?;
    let spec: ScenarioSpec = serde_json::from_value(serde_json::json!({
        "strategy": trial.plugin.name, "parameters": trial.parameters,
    }))?;
    let release = Release::new("trial", spec, Arc::clone(strategy))?;
    visitors
        .map(|(visitor, known)| {
            let now = now_ms();
            let once = || {
                let request = Request {
                    id: "trial".to_owned(),
                    scenario: "trial".to_owned(),
                    visitor: Some(visitor.clone()).filter(|id| !id.is_empty()),
                    items: items.clone(),
                    limit: trial.limit,
                    personalised: true,
                    ..Request::default()
                };
                let ctx = Arc::new(RequestContext::new(request, Arc::clone(&known), now, 1));
                compose(app, &app.reach, &LiveGround::new(app), &release, &ctx)
            };
            let (first, second) = (once(), once());
            let deterministic = comparable(&first.answer)? == comparable(&second.answer)?;
            let shelves = first.answer.shelves.iter();
            Ok(Line {
                page: shelves.map(|s| (s.id.clone(), s.slots.iter().map(|slot| slot.item.clone()).collect())).collect(),
                visitor,
                fault: first.fault,
                degraded: first.answer.degraded,
                deterministic,
                ..Line::costs(&first.usage, &second.usage)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_used_up_is_named() {
        let limits = Limits::default();
        let fuel = limits.fuel / 100 * 92;
        let usage = Usage { fuel, memory: limits.memory / 2, host_calls: limits.host_calls, ..Usage::default() };
        let line = Line::costs(&usage, &Usage { wall: limits.wall / 4, ..Usage::default() });
        assert_eq!(line.near().collect::<Vec<_>>(), [("fuel", 92.0), ("host_calls", 100.0)]);
        assert_eq!((line.percent["memory"], line.percent["wall"], line.percent["log"]), (50.0, 25.0, 0.0));
    }
}
