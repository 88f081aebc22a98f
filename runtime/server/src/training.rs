//! `qianmian export training`: what a ranker would have seen, computed by the code that serves.
//!
//! The shop is folded up to `as_of`. For each order in the horizon after it, the scenario's strategy runs in its sandbox
//! with a model that records the feature matrix instead of scoring; the order says which candidates were right.

use crate::app::App;
use crate::scenario::Release;
use parking_lot::Mutex;
use qianmian_core::{
    Candidates, Columns, Event, EventKind, ItemRow, Reach, ReachError, Request, RequestContext, Scoring, TimeMs,
    Visitor,
};
use qianmian_models::FeaturePlan;
use rustc_hash::FxHashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Which orders become training queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// Each known visitor's first order in the horizon: the visitor asks, the whole order is right.
    FirstOrder,
    /// Every order of two items or more: all lines but the last are the cart, the last one is right.
    EveryOrder,
    /// Each known visitor's first order in the horizon: the visitor asks with what they last touched as the request's
    /// items, oldest first; the order's first line is right.
    NextItem,
}

/// Items of a visitor's past that a question of [`Group::NextItem`] brings.
const PAST: usize = 100;

/// What to export.
#[derive(Clone, Debug)]
pub struct Task {
    /// The scenario whose strategy finds the candidates.
    pub scenario: String,
    /// State is folded from events before this moment.
    pub as_of: TimeMs,
    /// Orders until this moment are the labels.
    pub until: TimeMs,
    /// Which orders.
    pub group: Group,
    /// Candidates a query at most.
    pub limit: u32,
    /// The features of each candidate.
    pub plan: Arc<FeaturePlan>,
    /// Merged over the scenario's parameters.
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// One training query.
#[derive(Default)]
struct Recorded {
    features: Vec<f32>,
    rows: Vec<ItemRow>,
}

/// Counts of an export.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// Queries with at least one right candidate.
    pub queries: usize,
    /// Queries asked.
    pub asked: usize,
    /// Candidates over all queries kept.
    pub candidates: usize,
    /// Share of the right items that were among the candidates.
    pub recall: f64,
    /// Feature columns.
    pub features: usize,
}

/// A model that writes down what it is given.
struct Recorder {
    columns: Arc<dyn Columns>,
    plan: Arc<FeaturePlan>,
    seen: Mutex<Recorded>,
}

impl Scoring for Recorder {
    fn score(&self, ctx: &RequestContext, candidates: &Candidates, _: &str) -> Result<Vec<f32>, ReachError> {
        let features = self.plan.matrix(&*self.columns, ctx, candidates)?;
        *self.seen.lock() = Recorded { features, rows: candidates.rows().to_vec() };
        Ok(vec![0.0; candidates.len()])
    }
}

/// Runs the export into `folder`: `features.npy` f32 `[n, F]`, `labels.npy` f32 `[n]`, `groups.npy` i32 (candidates a
/// query), `names.json` with a name for each of the F numbers.
///
/// # Errors
/// An unknown scenario or feature, or a folder that cannot be written.
pub fn export(app: &App, events: &[Event], task: &Task, folder: &Path) -> anyhow::Result<Report> {
    let names = task.plan.names();
    anyhow::ensure!(!names.is_empty(), "no features are named");
    let release = app.scenarios.get(&task.scenario)?;
    let some: Vec<ItemRow> = app.state.catalogue.current().live_rows().take(1).collect();
    task.plan.check(&*app.reach.columns, &some).map_err(anyhow::Error::msg)?;
    let mut parameters = release.spec.parameters.clone();
    if let Some(object) = parameters.as_object_mut() {
        object.extend(task.parameters.clone());
    }
    let parameters = parameters.to_string();
    let queries = queries(app, events, task);
    let bar = crate::import::progress(queries.len() as u64, "queries");
    let threads = app.config.threads();
    let share = queries.len().div_ceil(threads).max(1);
    let parts: Vec<Vec<(Recorded, usize, Vec<f32>)>> = std::thread::scope(|scope| {
        let workers: Vec<_> = queries
            .chunks(share)
            .map(|mine| {
                let (release, parameters, bar) = (&release, &parameters, &bar);
                scope.spawn(move || {
                    mine.iter()
                        .map(|query| {
                            bar.inc(1);
                            record(app, release, parameters, task, query)
                        })
                        .collect::<anyhow::Result<Vec<_>>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow::anyhow!("an export thread panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    bar.finish_and_clear();
    let (mut features, mut labels, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    let (mut asked, mut right, mut found) = (0, 0, 0);
    for (recorded, relevant, marks) in parts.into_iter().flatten() {
        asked += 1;
        right += relevant;
        let hits = marks.iter().filter(|mark| **mark > 0.0).count();
        found += hits;
        if hits > 0 {
            groups.push(recorded.rows.len() as i32);
            features.extend(recorded.features);
            labels.extend(marks);
        }
    }
    anyhow::ensure!(
        found > 0,
        "of {asked} queries none has candidates with a right one among them: does the strategy of scenario {} score? Give \
         it a model with --parameters '{{\"model\":\"NAME\"}}'; the model need not exist yet",
        task.scenario
    );
    std::fs::create_dir_all(folder)?;
    let rows = labels.len() as u64;
    write_npy(&folder.join("features.npy"), &[rows, names.len() as u64], &features)?;
    write_npy(&folder.join("labels.npy"), &[rows], &labels)?;
    write_npy(&folder.join("groups.npy"), &[groups.len() as u64], &groups)?;
    std::fs::write(folder.join("names.json"), serde_json::to_vec_pretty(names)?)?;
    Ok(Report {
        queries: groups.len(),
        asked,
        candidates: labels.len(),
        recall: if right == 0 { 0.0 } else { found as f64 / right as f64 },
        features: names.len(),
    })
}

struct Query {
    visitor: Option<String>,
    channel: String,
    region: String,
    cart: Vec<ItemRow>,
    right: FxHashSet<ItemRow>,
}

fn queries(app: &App, events: &[Event], task: &Task) -> Vec<Query> {
    let catalogue = app.state.catalogue.current();
    let mut asked: FxHashSet<&str> = FxHashSet::default();
    let mut queries = Vec::new();
    let orders = events.iter().filter(|e| e.kind == EventKind::Purchase && e.time >= task.as_of && e.time < task.until);
    for order in orders {
        // Only what was known before the cut can be recommended.
        let mut rows: Vec<ItemRow> = Vec::new();
        for row in order.items.iter().filter_map(|id| catalogue.live_row(id)) {
            if app.state.folds.item_stats(row).orders > 0 && !rows.contains(&row) {
                rows.push(row);
            }
        }
        let mut query = Query {
            visitor: None,
            channel: order.channel.clone(),
            region: order.region.clone(),
            cart: Vec::new(),
            right: FxHashSet::default(),
        };
        match task.group {
            Group::FirstOrder | Group::NextItem => {
                let Some(id) = order.visitor.as_deref().filter(|id| !app.state.folds.visitor(id).is_unknown()) else {
                    continue;
                };
                if !asked.insert(id) {
                    continue;
                }
                query.visitor = Some(id.to_owned());
                query.right = rows.into_iter().collect();
                if task.group == Group::NextItem {
                    query.right = order.items.first().and_then(|id| catalogue.live_row(id)).into_iter().collect();
                    query.cart = past(&app.state.folds.visitor(id));
                }
            }
            Group::EveryOrder => {
                let Some(hidden) = rows.pop() else { continue };
                query.cart = rows;
                query.right.insert(hidden);
                if query.cart.is_empty() {
                    continue;
                }
            }
        }
        queries.push(query);
    }
    queries
}

/// What a visitor last touched, each item once, oldest first.
fn past(visitor: &Visitor) -> Vec<ItemRow> {
    let mut rows: Vec<ItemRow> = Vec::new();
    for interaction in visitor.recent.iter() {
        if rows.len() < PAST && !rows.contains(&interaction.item) {
            rows.push(interaction.item);
        }
    }
    rows.reverse();
    rows
}

fn record(
    app: &App,
    release: &Release,
    parameters: &str,
    task: &Task,
    query: &Query,
) -> anyhow::Result<(Recorded, usize, Vec<f32>)> {
    let visitor = match &query.visitor {
        Some(id) => app.state.folds.visitor(id),
        None => Arc::new(Visitor::default()),
    };
    let request = Request {
        id: "training".to_owned(),
        scenario: task.scenario.clone(),
        visitor: query.visitor.clone(),
        channel: query.channel.clone(),
        region: query.region.clone(),
        items: query.cart.clone(),
        limit: task.limit,
        personalised: true,
        ..Request::default()
    };
    let ctx = Arc::new(RequestContext::new(request, visitor, task.as_of, 1));
    let recorder = Arc::new(Recorder {
        columns: Arc::clone(&app.reach.columns),
        plan: Arc::clone(&task.plan),
        seen: Mutex::default(),
    });
    let reach = Reach { scoring: Arc::clone(&recorder) as _, ..app.reach.clone() };
    let limits = qianmian_host::Limits { wall: Duration::from_secs(10), ..qianmian_host::Limits::default() };
    let outcome = release.strategy.compose(ctx, &reach, parameters, &limits);
    outcome.page.map_err(|fault| anyhow::anyhow!("the strategy failed: {} {fault}", fault.code()))?;
    let recorded = std::mem::take(&mut *recorder.seen.lock());
    anyhow::ensure!(
        !recorded.rows.is_empty() || query.right.is_empty() || outcome.degraded.is_empty(),
        "the strategy of scenario {} did not score: give it a `model` parameter ({:?})",
        task.scenario,
        outcome.degraded,
    );
    let marks = recorded.rows.iter().map(|row| f32::from(u8::from(query.right.contains(row)))).collect();
    Ok((recorded, query.right.len(), marks))
}

fn write_npy<T: npyz::Serialize + npyz::AutoSerialize + Copy>(
    path: &Path,
    shape: &[u64],
    values: &[T],
) -> anyhow::Result<()> {
    use npyz::WriterBuilder;
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use qianmian_core::Interaction;

    #[test]
    fn the_past_is_each_item_once_oldest_first() {
        let touched = |item: u32, time: TimeMs| Interaction { item: ItemRow(item), kind: EventKind::View, time };
        // newest first, as a visitor keeps them
        let recent = vec![touched(3, 40), touched(1, 30), touched(2, 20), touched(1, 10)];
        let visitor = Visitor { recent, ..Visitor::default() };
        assert_eq!(past(&visitor), [ItemRow(2), ItemRow(1), ItemRow(3)]);
        let many = (0..150).map(|item| touched(item, 1000 - TimeMs::from(item))).collect::<Vec<_>>();
        let visitor = Visitor { recent: many, ..Visitor::default() };
        let rows = past(&visitor);
        assert_eq!((rows.len(), rows[0], rows[PAST - 1]), (PAST, ItemRow(99), ItemRow(0)));
    }
}
