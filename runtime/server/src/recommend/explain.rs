//! With `explain`, the answer says why: columns and features of each slot, each step, what was removed.

use super::answer::{Answer, Explanation, Removed};
use crate::app::App;
use qianmian_core::{Page, RequestContext};
use qianmian_host::{Step, Usage};
use serde_json::json;
use std::collections::BTreeMap;

/// What a composition did.
pub(super) struct Ran<'a> {
    pub page: &'a Page,
    pub removed: &'a [Removed],
    pub steps: Vec<Step>,
    pub log: Vec<String>,
}

/// Adds the explanation to `answer`.
pub(super) fn explain(app: &App, ctx: &RequestContext, ran: Ran<'_>, usage: &Usage, answer: &mut Answer) {
    let Ran { page, removed, steps, log } = ran;
    // The features of the models that this composition really used.
    let mut models: Vec<_> = steps
        .iter()
        .filter(|step| step.operation == "score")
        .filter_map(|step| app.models.get(&step.argument))
        .collect();
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models.dedup_by(|a, b| a.name == b.name);
    // What they were given is kept where they scored just now; a recorded score has its features computed again.
    let kept = ctx.scored();
    let mut by_item: BTreeMap<String, BTreeMap<String, Option<f32>>> = BTreeMap::new();
    for shelf in &page.shelves {
        let ids = app.reach.columns.ids(shelf.slots.rows());
        for served in models.iter().filter(|served| !kept.iter().any(|scored| scored.model == served.name)) {
            let names = served.model.features();
            let matrix = served.model.plan().matrix(&*app.reach.columns, ctx, &shelf.slots).unwrap_or_default();
            for (id, row) in ids.iter().zip(matrix.chunks_exact(names.len().max(1))) {
                let values = names.iter().cloned().zip(row.iter().map(|value| value.is_finite().then_some(*value)));
                by_item.entry(id.to_string()).or_default().extend(values);
            }
        }
        for scored in &kept {
            for (id, row) in ids.iter().zip(shelf.slots.rows()) {
                let Some(at) = scored.rows.iter().position(|known| known == row) else { continue };
                let row = scored.features.iter().skip(at * scored.names.len());
                let values = scored.names.iter().cloned().zip(row.map(|value| value.is_finite().then_some(*value)));
                by_item.entry(id.to_string()).or_default().extend(values);
            }
        }
        for (at, id) in ids.iter().enumerate() {
            let own = shelf.slots.columns().iter().map(|column| (column.name.to_string(), column.values[at]));
            let values = own.map(|(name, value)| (name, value.is_finite().then_some(value)));
            by_item.entry(id.to_string()).or_default().extend(values);
        }
    }
    for slot in answer.shelves.iter_mut().flat_map(|shelf| &mut shelf.slots) {
        slot.explain = by_item.remove(&slot.item);
    }
    let steps = steps
        .into_iter()
        .map(|step| {
            json!({
                "operation": step.operation, "argument": step.argument, "before": step.before, "after": step.after,
                "removed": app.reach.columns.ids(&step.removed), "micros": step.micros,
            })
        })
        .collect();
    let usage = json!({
        "fuel": usage.fuel, "wall_us": usage.wall.as_micros() as u64, "memory": usage.memory,
        "host_calls": usage.host_calls,
    });
    answer.explanation = Some(Explanation { removed: removed.to_vec(), steps, searches: ctx.take_notes(), log, usage });
}
