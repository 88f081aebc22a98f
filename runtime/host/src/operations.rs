//! What each host operation means, over core types and independent of the contract's version.
//!
//! An operation that returns an error leaves the set as it was.

use crate::call::{Call, cut};
use qianmian_core::candidates::MAX_SOURCES;
use qianmian_core::{Candidates, ColumnValues, EventKind, ItemRow, ReachError, SourceSpec, diversity};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::OnceCell;
use std::sync::Arc;

type Result<T> = std::result::Result<T, ReachError>;

/// The column models and blending write, and spreading reads.
pub(crate) const SCORE: &str = "score";
/// Constant of reciprocal-rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009).
const RANK_SHIFT: f32 = 60.0;
/// Longest name of a source or column, bytes.
const NAME_BYTES: usize = 128;

/// Sources of a set, or weights of them: more are refused before any of them costs something.
pub(crate) fn few_enough(what: &str, count: usize) -> Result<()> {
    if count > MAX_SOURCES {
        return Err(invalid(format!("{count} {what} for one set: at most {MAX_SOURCES}")));
    }
    Ok(())
}

/// Finds candidates from all sources. A source that cannot answer finds nothing and degrades the answer.
pub(crate) fn retrieve(call: &mut Call, specs: &[SourceSpec]) -> Result<Candidates> {
    let total: usize = specs.iter().map(|spec| spec.limit as usize).sum();
    if total > call.limits.candidates {
        return Err(invalid(format!("the sources ask for {total} candidates: at most {}", call.limits.candidates)));
    }
    let mut found = Vec::with_capacity(specs.len());
    for spec in specs {
        check_name("source", &spec.name)?;
        in_time(call, "retrieve")?;
        let rows = match granted(call, spec).and_then(|()| call.reach.retrieval.retrieve(&call.ctx, spec)) {
            Ok(mut rows) => {
                rows.truncate(spec.limit as usize);
                rows
            }
            Err(error @ ReachError::Invalid(_)) => return Err(error),
            Err(error) => {
                call.degrade(format!("source:{}", spec.name), &error);
                Vec::new()
            }
        };
        found.push((Arc::from(spec.name.as_str()), rows));
    }
    Candidates::union(&found).map_err(invalid)
}

/// Whether the strategy may ask this source.
fn granted(call: &Call, spec: &SourceSpec) -> Result<()> {
    call.grants.source(spec.source.kind())?;
    spec.source.space().map_or(Ok(()), |space| call.grants.space(space))?;
    spec.filter.iter().flat_map(|filter| filter.columns()).try_for_each(|column| call.grants.column(column))
}

/// A column: the set's own first, then the host's. A source this set has not is one that found nothing.
pub(crate) fn column(call: &Call, set: &Candidates, name: &str) -> Result<ColumnValues> {
    if let Some(values) = set.column(name) {
        return Ok(ColumnValues::Numbers(values.to_vec()));
    }
    if name.starts_with("source.") {
        return Ok(ColumnValues::Numbers(vec![f32::NAN; set.len()]));
    }
    call.grants.column(name)?;
    // An expression may name hundreds of columns.
    in_time(call, "column")?;
    let values = call.reach.columns.column(&call.ctx, set.rows(), name)?;
    if values.len() != set.len() {
        let detail = format!("{} values for {} candidates", values.len(), set.len());
        return Err(ReachError::Failed { what: format!("column {name}"), detail });
    }
    Ok(values)
}

/// A column of the catalogue for items that may come more than once.
pub(crate) fn item_column(call: &Call, items: &[ItemRow], name: &str) -> Result<ColumnValues> {
    if !name.starts_with("item.") {
        let name = cut(name, NAME_BYTES).to_owned();
        return Err(ReachError::Unknown { what: "column of the catalogue", name, known: "item.*".to_owned() });
    }
    call.grants.column(name)?;
    call.reach.columns.column(&call.ctx, items, name)
}

pub(crate) fn numbers(call: &Call, set: &Candidates, name: &str) -> Result<Vec<f32>> {
    match column(call, set, name)? {
        ColumnValues::Numbers(values) => Ok(values),
        other => Err(wrong_type(name, &other, "numbers")),
    }
}

pub(crate) fn texts(call: &Call, set: &Candidates, name: &str) -> Result<Vec<Arc<str>>> {
    match column(call, set, name)? {
        ColumnValues::Texts(values) => Ok(values),
        other => Err(wrong_type(name, &other, "texts")),
    }
}

pub(crate) fn put(set: &mut Candidates, name: &str, values: Vec<f32>) -> Result<()> {
    check_name("column", name)?;
    set.put(name, values).map_err(invalid)
}

pub(crate) fn keep(call: &Call, set: &mut Candidates, expression: &str) -> Result<u32> {
    let expression = call.expressions.get(expression)?;
    let mask = expression.mask(set.len(), &|name| column(call, set, name))?;
    Ok(set.keep(&mask).map_err(invalid)?.len() as u32)
}

pub(crate) fn compute(call: &Call, set: &mut Candidates, name: &str, formula: &str) -> Result<()> {
    let formula = call.expressions.get(formula)?;
    let values = formula.numbers(set.len(), &|name| column(call, set, name))?;
    put(set, name, values)
}

pub(crate) fn score(call: &Call, set: &mut Candidates, model: &str) -> Result<()> {
    call.grants.model(model)?;
    let scores = call.reach.scoring.score(&call.ctx, set, model)?;
    if scores.len() != set.len() {
        let detail = format!("{} scores for {} candidates", scores.len(), set.len());
        return Err(ReachError::Failed { what: format!("model {model}"), detail });
    }
    set.put(SCORE, scores).map_err(invalid)?;
    order_by(call, set, SCORE)
}

/// Orders by a column of numbers; a column of the host's becomes one of the set's.
pub(crate) fn order_by(call: &Call, set: &mut Candidates, name: &str) -> Result<()> {
    if set.column(name).is_none() {
        let values = numbers(call, set, name)?;
        put(set, name, values)?;
    }
    // Ids are only read when two candidates really tie.
    let rows = set.rows().to_vec();
    let ids: OnceCell<FxHashMap<ItemRow, Arc<str>>> = OnceCell::new();
    let id_of = |row: ItemRow| {
        let ids = ids.get_or_init(|| rows.iter().copied().zip(call.reach.columns.ids(&rows)).collect());
        ids.get(&row).cloned()
    };
    set.order_by(name, id_of).map_err(invalid)
}

pub(crate) fn blend(call: &Call, set: &mut Candidates, weights: &[(String, f32)]) -> Result<()> {
    let mut scores = vec![0f32; set.len()];
    let mut add = |ranks: &[f32], weight: f32| {
        for (score, rank) in scores.iter_mut().zip(ranks).filter(|(_, rank)| !rank.is_nan()) {
            *score += weight / (RANK_SHIFT + rank);
        }
    };
    if weights.is_empty() {
        let rank = |name: &str| name.strip_prefix("source.").is_some_and(|rest| rest.ends_with(".rank"));
        set.columns().iter().filter(|column| rank(&column.name)).for_each(|column| add(&column.values, 1.0));
    }
    few_enough("weights", weights.len())?;
    for (name, weight) in weights {
        if !weight.is_finite() {
            return Err(invalid(format!("the weight of source {name:?} is {weight}: expected a finite number")));
        }
        let ranks = set.column(&format!("source.{name}.rank")).ok_or_else(|| unknown_source(set, name))?;
        add(ranks, *weight);
    }
    set.put(SCORE, scores).map_err(invalid)?;
    order_by(call, set, SCORE)
}

pub(crate) fn spread(call: &Call, set: &mut Candidates, space: &str, strength: f32, window: u32) -> Result<()> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(invalid(format!("the strength of spread is {strength}: expected a number from 0 to 1")));
    }
    call.grants.space(space)?;
    let count = set.len().min(window as usize);
    let rows = &set.rows()[..count];
    let (vectors, dim) = call.reach.columns.vectors(rows, space)?;
    if vectors.len() != rows.len() * dim {
        let detail = format!("{} numbers for {count} vectors of {dim}", vectors.len());
        return Err(ReachError::Failed { what: format!("space {space}"), detail });
    }
    let relevance: Vec<f32> = match set.column(SCORE) {
        // `f32::MIN` marks a score that a model could not give: it must not set the scale for the others.
        Some(scores) => scores[..count].iter().map(|&s| if s > f32::MIN / 2.0 { s } else { f32::NAN }).collect(),
        None => (0..count).map(|at| (count - at) as f32).collect(),
    };
    let go_on = || call.check_clock().is_ok();
    match diversity::spread_while(&relevance, &vectors, dim, strength, count, go_on) {
        Some(order) => set.select(&order),
        None => in_time(call, "spread")?,
    }
    Ok(())
}

/// Caps each value of a text or list column; what is beyond goes last, or out.
pub(crate) fn cap(call: &Call, set: &mut Candidates, name: &str, most: u32, keep_last: bool) -> Result<()> {
    let values = column(call, set, name)?;
    let groups_of = |at: usize| -> Result<&[Arc<str>]> {
        match &values {
            ColumnValues::Texts(texts) if texts[at].is_empty() => Ok(&[]),
            ColumnValues::Texts(texts) => Ok(std::slice::from_ref(&texts[at])),
            ColumnValues::Lists(lists) => Ok(&lists[at]),
            ColumnValues::Numbers(_) => Err(wrong_type(name, &values, "texts or lists")),
        }
    };
    let most = most as usize;
    let mut seen: FxHashMap<&str, usize> = FxHashMap::default();
    let (mut order, mut beyond) = (Vec::with_capacity(set.len()), Vec::new());
    for at in 0..set.len() {
        let groups = groups_of(at)?;
        if groups.iter().all(|group| seen.get(&**group).copied().unwrap_or(0) < most) {
            for group in groups {
                *seen.entry(group).or_default() += 1;
            }
            order.push(at as u32);
        } else {
            beyond.push(at as u32);
        }
    }
    if keep_last {
        order.append(&mut beyond);
    }
    set.select(&order);
    Ok(())
}

pub(crate) fn pin(call: &Call, set: &mut Candidates, ids: &[String]) {
    let rows: Vec<ItemRow> = call.reach.columns.rows(ids).into_iter().flatten().collect();
    set.pin(&rows);
}

/// Removes what the visitor interacted with in one of these ways.
pub(crate) fn without_seen(call: &Call, set: &mut Candidates, kinds: &[EventKind]) -> u32 {
    let visitor = &call.ctx.visitor;
    // Ratings, searches and custom events are only in the recent list.
    let recent: FxHashSet<ItemRow> =
        visitor.recent.iter().filter(|event| kinds.contains(&event.kind)).map(|event| event.item).collect();
    let seen = |row: &ItemRow| {
        recent.contains(row)
            || visitor.items.get(row).is_some_and(|item| {
                kinds.iter().any(|kind| match kind {
                    EventKind::Impression => item.impressions > 0,
                    EventKind::View | EventKind::Click => item.views > 0,
                    EventKind::Cart => item.carts > 0,
                    EventKind::Purchase => item.orders > 0,
                    EventKind::Rating | EventKind::Search | EventKind::Custom => false,
                })
            })
    };
    retain(set, |row| !seen(row))
}

pub(crate) fn without(set: &mut Candidates, rows: &[ItemRow]) -> u32 {
    let rows: FxHashSet<ItemRow> = rows.iter().copied().collect();
    retain(set, |row| !rows.contains(row))
}

fn retain(set: &mut Candidates, keep: impl Fn(&ItemRow) -> bool) -> u32 {
    let before = set.len();
    let kept: Vec<u32> = (0..before as u32).filter(|&at| keep(&set.rows()[at as usize])).collect();
    set.select(&kept);
    (before - set.len()) as u32
}

/// Ends an operation early that is made of many parts; the call then ends by its clock.
fn in_time(call: &Call, what: &str) -> Result<()> {
    call.check_clock().map_err(|fault| ReachError::Failed { what: what.to_owned(), detail: fault.to_string() })
}

fn check_name(what: &str, name: &str) -> Result<()> {
    let good = !name.is_empty()
        && name.len() <= NAME_BYTES
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'));
    if good {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_BYTES).collect();
    Err(invalid(format!("{shown:?} is no name of a {what}: use 1 to {NAME_BYTES} letters, digits, '_', '-', '.', ':'")))
}

fn unknown_source(set: &Candidates, name: &str) -> ReachError {
    let known: Vec<&str> =
        set.columns().iter().filter_map(|column| column.name.strip_prefix("source.")?.strip_suffix(".rank")).collect();
    ReachError::Unknown { what: "source", name: name.to_owned(), known: known.join(", ") }
}

pub(crate) fn wrong_type(name: &str, values: &ColumnValues, expected: &str) -> ReachError {
    let got = match values {
        ColumnValues::Numbers(_) => "numbers",
        ColumnValues::Texts(_) => "texts",
        ColumnValues::Lists(_) => "lists",
    };
    invalid(format!("column {name:?} has {got}: expected {expected}"))
}

fn invalid(detail: impl Into<String>) -> ReachError {
    ReachError::Invalid(detail.into())
}

#[cfg(test)]
#[path = "operations_tests.rs"]
mod tests;
