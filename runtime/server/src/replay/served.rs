//! What models were given and said, out of the captures: a line of JSON for each time a model scored.
//!
//! A capture is erased with its visitor and removed after `capture_days`; with it goes what is here. Lines name no visitor:
//! the request's id joins them to the events that followed.

use super::{Capture, CapturedScored};
use qianmian_state::{CaptureFilter, CaptureHead, Captures};
use rustc_hash::FxHashSet;
use serde::Serialize;
use std::io::Write;

/// Counts of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Captures that held something.
    pub requests: usize,
    /// Lines written.
    pub lines: usize,
    /// Candidates over all lines.
    pub candidates: usize,
    /// Captures of a format or state in which they cannot be read.
    pub unreadable: usize,
}

/// What one model was given for one set of candidates.
pub(crate) struct Set<'a> {
    pub request_id: &'a str,
    pub time: i64,
    pub scenario: &'a str,
    pub model: &'a str,
    pub digest: &'a str,
    /// The names of a row's numbers.
    pub names: &'a [String],
    pub items: Vec<&'a str>,
    /// Row-major; NaN is missing.
    pub features: &'a [f32],
    pub scores: &'a [f32],
}

#[derive(Serialize)]
struct Line<'a> {
    request_id: &'a str,
    time: i64,
    scenario: &'a str,
    model: &'a str,
    digest: &'a str,
    names: &'a [String],
    items: &'a [&'a str],
    /// A row for each item; null is missing.
    features: Vec<Vec<Option<f32>>>,
    scores: &'a [f32],
}

/// Calls `each` with every set that the captures of a filter hold, of one model or of all.
///
/// # Errors
/// A store that cannot be read, and what `each` returns.
pub(crate) fn each(
    captures: &Captures,
    filter: &CaptureFilter,
    model: Option<&str>,
    each: &mut dyn FnMut(&Set) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let (mut report, mut seen) = (Report::default(), FxHashSet::default());
    for head in captures.list(filter)? {
        // Of requests that share an id the newest is the one to be had.
        if !seen.insert(head.id.clone()) {
            continue;
        }
        let Some((_, stored)) = captures.get(&head.id)? else { continue };
        let Ok(capture) = Capture::decode(&stored) else {
            report.unreadable += 1;
            continue;
        };
        let before = report.lines;
        for scored in capture.scored.iter().filter(|scored| model.is_none_or(|model| model == scored.model)) {
            each(&set(&head, &capture, scored))?;
            report.lines += 1;
            report.candidates += scored.items.len();
        }
        report.requests += usize::from(report.lines > before);
    }
    Ok(report)
}

/// Writes them as lines of JSON.
///
/// # Errors
/// As [`each`], and a file that cannot be written.
pub(crate) fn export(
    captures: &Captures,
    filter: &CaptureFilter,
    model: Option<&str>,
    mut out: impl Write,
) -> anyhow::Result<Report> {
    let report = each(captures, filter, model, &mut |set| {
        let row = |row: &[f32]| row.iter().map(|number| number.is_finite().then_some(*number)).collect();
        let Set { request_id, time, scenario, model, digest, names, scores, .. } = *set;
        let features = set.features.chunks(names.len().max(1)).map(row).collect();
        let items = &set.items;
        let line = Line { request_id, time, scenario, model, digest, names, items, features, scores };
        serde_json::to_writer(&mut out, &line)?;
        Ok(out.write_all(b"\n")?)
    })?;
    out.flush()?;
    Ok(report)
}

fn set<'a>(head: &'a CaptureHead, capture: &'a Capture, scored: &'a CapturedScored) -> Set<'a> {
    let id = |place: &u32| capture.items.get(*place as usize).map_or("", |(id, _)| id.as_str());
    Set {
        request_id: &head.id,
        time: head.time,
        scenario: &head.scenario,
        model: &scored.model,
        digest: &scored.digest,
        names: &scored.names,
        items: scored.items.iter().map(id).collect(),
        features: &scored.features,
        scores: &scored.scores,
    }
}
