//! What a bench prints: one JSON object a figure, and a summary as the last line.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;
use std::io::Write;

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Throughput.
    Higher,
    /// Time.
    Lower,
}

/// One figure. With a peer the target is for the ratio, without one for the figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    bench: &'static str,
    case: String,
    metric: &'static str,
    ours: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theirs: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    better: Better,
    runs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

impl Line {
    /// Medians of alternated runs against a peer: `ratio` is the median of the runs' own ratios, ours over theirs, so
    /// that what slowed both of one round cancels out.
    #[must_use]
    pub fn against(
        (bench, case, metric): (&'static str, &str, &'static str),
        better: Better,
        ours: &[f64],
        (peer, theirs): (&str, &[f64]),
        target: f64,
    ) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let ratio = median(&ratios);
        Self {
            bench,
            case: case.to_owned(),
            metric,
            ours: round(median(ours)),
            peer: Some(peer.to_owned()),
            theirs: Some(round(median(theirs))),
            ratio: Some(round(ratio)),
            better,
            runs: ratios.len(),
            target: Some(target),
            met: Some(good(better, ratio, target)),
        }
    }

    /// Medians without a peer.
    #[must_use]
    pub fn alone(
        (bench, case, metric): (&'static str, &str, &'static str),
        better: Better,
        ours: &[f64],
        target: Option<f64>,
    ) -> Self {
        let figure = median(ours);
        Self {
            bench,
            case: case.to_owned(),
            metric,
            ours: round(figure),
            peer: None,
            theirs: None,
            ratio: None,
            better,
            runs: ours.len(),
            target,
            met: target.map(|target| good(better, figure, target)),
        }
    }

    /// Whether a target was missed.
    #[must_use]
    pub fn missed(&self) -> bool {
        self.met == Some(false)
    }
}

/// Prints the lines and their summary.
///
/// # Errors
/// Standard output is closed.
pub fn print(lines: &[Line]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{}", serde_json::to_string(line)?).context("cannot write")?;
    }
    writeln!(out, "{}", summary(lines)).context("cannot write")
}

/// The last line: how many targets were met and missed.
fn summary(lines: &[Line]) -> serde_json::Value {
    let met = lines.iter().filter(|line| line.met == Some(true)).count();
    let missed = lines.iter().filter(|line| line.missed()).count();
    json!({"summary": true, "lines": lines.len(), "met": met, "missed": missed})
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

fn good(better: Better, value: f64, target: f64) -> bool {
    match better {
        Better::Higher => value >= target,
        Better::Lower => value <= target,
    }
}

/// Four significant digits are more than a bench knows.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_outer_contract_says() {
        let what = ("serve", "home", "throughput");
        let line = Line::against(what, Better::Higher, &[400.0, 410.0, 90.0], ("python", &[100.0, 100.0, 20.0]), 4.0);
        assert_eq!(
            serde_json::to_value(&line).expect("json"),
            json!({"bench": "serve", "case": "home", "metric": "throughput", "ours": 400.0, "peer": "python",
                   "theirs": 100.0, "ratio": 4.1, "better": "higher", "runs": 3, "target": 4.0, "met": true})
        );
        let slow = Line::alone(("serve", "home", "p99"), Better::Lower, &[2.0, 4.0], Some(2.5));
        assert_eq!(
            serde_json::to_value(&slow).expect("json"),
            json!({"bench": "serve", "case": "home", "metric": "p99", "ours": 3.0, "better": "lower", "runs": 2,
                   "target": 2.5, "met": false})
        );
        assert_eq!(summary(&[line, slow]), json!({"summary": true, "lines": 2, "met": 1, "missed": 1}));
    }

    #[test]
    fn rounding_keeps_four_digits_and_medians_the_middle() {
        assert_eq!([1234.5, 0.123_456, 0.0].map(round), [1235.0, 0.1235, 0.0]);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
