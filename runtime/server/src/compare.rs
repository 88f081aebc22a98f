//! A version of a model held against the live one over what was served: the very numbers the live one was given.

use crate::evaluate::{Ranked, mean};
use crate::replay::served;
use anyhow::Context;
use qianmian_core::{Event, EventKind};
use qianmian_models::Model;
use qianmian_state::{CaptureFilter, Captures};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::collections::HashSet;
use std::time::Instant;
use utoipa::ToSchema;

/// Places that pages are judged by.
const K: usize = 10;

/// What a comparison says. Of two figures the first is the live version's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Comparison {
    /// Sets of candidates that the live version scored and both were compared on.
    pub sets: usize,
    /// Candidates over all of them.
    pub candidates: usize,
    /// Spearman's rank correlation of the two scores, the mean over sets of three candidates or more; absent without any.
    pub correlation: Option<f64>,
    /// Share of the first ten that both have, the mean over sets.
    pub overlap: f64,
    /// Sets with a click, a cart or a purchase that names the request.
    pub judged: usize,
    /// NDCG@10 of what was clicked, put into the cart or bought, of the live version and of this one; absent without any. Visitors
    /// saw the live version's page, which speaks for it.
    pub ndcg: Option<[f64; 2]>,
    /// Median microseconds this version takes to score a set.
    pub micros: f64,
}

/// Compares a model with what captures hold of the live version of its name, told by its digest, or without one of any
/// version. `events` are those since then.
///
/// # Errors
/// No capture holds anything of the model, or it wants numbers that were not served.
pub fn compare(
    model: &Model,
    live: Option<&str>,
    (captures, filter): (&Captures, &CaptureFilter),
    events: &[Event],
) -> anyhow::Result<Comparison> {
    let name = model.manifest().name.as_str();
    let wanted = judged(events);
    let mut all = Comparison::default();
    let (mut correlations, mut overlap, mut micros) = (Vec::new(), 0.0, Vec::new());
    let (mut before, mut after) = (Vec::new(), Vec::new());
    served::each(captures, filter, Some(name), &mut |set| {
        if live.is_some_and(|live| live != set.digest) {
            return Ok(());
        }
        let features = arranged(model.features(), set.names, set.features)
            .with_context(|| format!("request {}", set.request_id))?;
        let begun = Instant::now();
        let scores = model.rank(&features, set.items.len())?;
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
        all.sets += 1;
        all.candidates += set.items.len();
        let (live, new) = (order(set.scores, &set.items), order(&scores, &set.items));
        correlations.extend(spearman(&live, &new));
        let first: FxHashSet<usize> = live.iter().take(K).copied().collect();
        let shared = new.iter().take(K).filter(|at| first.contains(at)).count();
        overlap += shared as f64 / first.len().max(1) as f64;
        if let Some(clicked) = wanted.get(set.request_id) {
            let clicked: HashSet<&str> = set.items.iter().copied().filter(|id| clicked.contains(id)).collect();
            if !clicked.is_empty() {
                let list = |order: &[usize]| order.iter().map(|at| set.items[*at].to_owned()).collect::<Vec<_>>();
                before.push(Ranked::new(&list(&live), &clicked));
                after.push(Ranked::new(&list(&new), &clicked));
            }
        }
        Ok(())
    })?;
    anyhow::ensure!(
        all.sets > 0,
        "no capture holds what the live version of {name:?} was given: set feature_share and let it serve a while"
    );
    micros.sort_unstable_by(f64::total_cmp);
    all.judged = before.len();
    all.overlap = overlap / all.sets as f64;
    all.micros = micros[micros.len() / 2];
    all.correlation = (!correlations.is_empty()).then(|| correlations.iter().sum::<f64>() / correlations.len() as f64);
    all.ndcg = (all.judged > 0).then(|| [&before, &after].map(|ranked| mean(ranked, |one| one.ndcg(K))));
    Ok(all)
}

/// The items each request was answered to with a click or more.
fn judged(events: &[Event]) -> FxHashMap<&str, FxHashSet<&str>> {
    let mut by_request: FxHashMap<&str, FxHashSet<&str>> = FxHashMap::default();
    let tells = |kind| matches!(kind, EventKind::Click | EventKind::Cart | EventKind::Purchase);
    for event in events.iter().filter(|event| tells(event.kind) && !event.request_id.is_empty()) {
        by_request.entry(&event.request_id).or_default().extend(event.items.iter().map(String::as_str));
    }
    by_request
}

/// Rows of served numbers in the order in which a model wants them.
fn arranged(wanted: &[String], names: &[String], features: &[f32]) -> anyhow::Result<Vec<f32>> {
    let place = |name: &String| names.iter().position(|known| known == name);
    let lacking: Vec<&str> = wanted.iter().filter(|name| place(name).is_none()).map(String::as_str).take(5).collect();
    anyhow::ensure!(
        lacking.is_empty(),
        "it was not served the numbers {}: versions are compared on what both are given, so list these in the live one's \
         captures first, or put this one on trial",
        lacking.join(", ")
    );
    let places: Vec<usize> = wanted.iter().filter_map(place).collect();
    let rows = features.chunks(names.len().max(1));
    Ok(rows.flat_map(|row| places.iter().map(|at| row.get(*at).copied().unwrap_or(f32::NAN))).collect())
}

/// The places of items, best score first, as a page would have them: what is no number last, ties by id.
fn order(scores: &[f32], items: &[&str]) -> Vec<usize> {
    let key = |at: usize| if scores[at].is_finite() { scores[at] } else { f32::MIN };
    let mut order: Vec<usize> = (0..items.len().min(scores.len())).collect();
    order.sort_unstable_by(|&a, &b| key(b).total_cmp(&key(a)).then_with(|| items[a].cmp(items[b])));
    order
}

/// Spearman's correlation of two orders of the same places (Spearman 1904); `None` below three.
fn spearman(a: &[usize], b: &[usize]) -> Option<f64> {
    let n = a.len() as f64;
    let mut rank = vec![0.0; a.len()];
    a.iter().enumerate().for_each(|(at, place)| rank[*place] = at as f64);
    let squares: f64 = b.iter().enumerate().map(|(at, place)| (rank[*place] - at as f64).powi(2)).sum();
    (a.len() >= 3).then(|| 1.0 - 6.0 * squares / (n * (n * n - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_compared() {
        assert_eq!(order(&[1.0, f32::NAN, 3.0, 1.0], &["b", "x", "c", "a"]), [2, 3, 0, 1]);
        assert_eq!(spearman(&[0, 1, 2, 3], &[0, 1, 2, 3]), Some(1.0));
        assert_eq!(spearman(&[0, 1, 2, 3], &[3, 2, 1, 0]), Some(-1.0));
        assert_eq!(spearman(&[0, 1], &[1, 0]), None);
    }

    #[test]
    fn numbers_are_arranged_by_name() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let got = arranged(&names(&["c", "a"]), &names(&["a", "b", "c"]), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(got, [3.0, 1.0, 6.0, 4.0]);
        let error = arranged(&names(&["d"]), &names(&["a"]), &[1.0]).unwrap_err().to_string();
        assert!(error.contains("was not served the numbers d"), "{error}");
    }
}
