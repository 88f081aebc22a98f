//! `qianmian plugin test`: the component in the host's own sandbox, over a shop, for several visitors, twice.

use crate::app::App;
use crate::plugins::Plugin;
use crate::recommend::ground::LiveGround;
use crate::recommend::{compose, now_ms};
use crate::replay::comparable;
use crate::scenario::{Release, ScenarioSpec};
use anyhow::Context;
use qianmian_core::{ItemRow, Request, RequestContext, Visitor};
use qianmian_host::Limits;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// What to try.
pub struct Trial {
    /// The strategy.
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

/// One visitor's page.
#[derive(Clone, Debug, Serialize)]
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
    /// Percent of the fuel.
    pub fuel: f64,
    /// Percent of the memory.
    pub memory: f64,
    /// Percent of the host calls.
    pub host_calls: f64,
    /// Microseconds of wall clock.
    pub wall_us: u64,
}

impl Line {
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
    let catalogue = app.state.catalogue.current();
    let items: Vec<ItemRow> = trial
        .items
        .iter()
        .map(|id| catalogue.live_row(id).with_context(|| format!("the shop has no item {id:?}")))
        .collect::<anyhow::Result<_>>()?;
    let spec: ScenarioSpec = serde_json::from_value(serde_json::json!({
        "strategy": trial.plugin.name, "parameters": trial.parameters,
    }))?;
    let release = Release::new("trial", spec, Arc::clone(&trial.plugin.strategy))?;
    let limits = Limits::default();
    let percent = |used: f64, most: f64| (used / most * 100_000.0).round() / 1_000.0;
    let visitors = std::iter::once(String::new()).chain(trial.visitors.iter().cloned());
    visitors
        .map(|visitor| {
            let now = now_ms();
            let known = if visitor.is_empty() { Arc::new(Visitor::default()) } else { app.state.visitor(&visitor) };
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
                fuel: percent(first.usage.fuel as f64, limits.fuel as f64),
                memory: percent(first.usage.memory as f64, limits.memory as f64),
                host_calls: percent(f64::from(first.usage.host_calls), f64::from(limits.host_calls)),
                // The second finds code and data warm, as on a server.
                wall_us: second.usage.wall.as_micros() as u64,
            })
        })
        .collect()
}
