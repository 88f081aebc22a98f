//! Bench lines: one JSON object a line, the last one a summary.

use serde::Serialize;

/// One measured figure, in the shape every bench prints.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The bench.
    pub bench: &'static str,
    /// Data set and protocol.
    pub case: String,
    /// What was measured.
    pub metric: String,
    /// Our figure.
    pub ours: f64,
    /// Whom it is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Their figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theirs: Option<f64>,
    /// Ours over theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// `higher` or `lower`.
    pub better: &'static str,
    /// Runs behind the figure.
    pub runs: usize,
    /// What it should reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

impl Line {
    /// A quality figure against a reference.
    #[must_use]
    pub fn quality(case: &str, metric: &str, ours: f64, peer: &str, theirs: f64, target: Option<f64>) -> Self {
        let ours = (ours * 1e4).round() / 1e4;
        Self {
            bench: "quality",
            case: case.to_owned(),
            metric: metric.to_owned(),
            ours,
            peer: Some(peer.to_owned()),
            theirs: Some(theirs),
            ratio: Some((ours / theirs * 1e4).round() / 1e4),
            better: "higher",
            runs: 1,
            target,
            met: target.map(|target| ours >= target),
        }
    }

    /// Leaves our figure alone: nobody published one for what was asked.
    pub(super) fn forget_reference(&mut self) {
        (self.peer, self.theirs, self.ratio, self.target, self.met) = (None, None, None, None, None);
    }
}

/// Counts of met and missed targets.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Outcome {
    /// Targets reached.
    pub met: usize,
    /// Targets missed.
    pub missed: usize,
}

/// Prints the lines and a summary as the last one.
#[allow(clippy::print_stdout, reason = "this is the command's output")]
pub fn print_summary(bench: &str, lines: &[Line]) -> Outcome {
    let mut outcome = Outcome::default();
    for line in lines {
        match line.met {
            Some(true) => outcome.met += 1,
            Some(false) => outcome.missed += 1,
            None => {}
        }
        if let Ok(text) = serde_json::to_string(line) {
            println!("{text}");
        }
    }
    println!(
        "{}",
        serde_json::json!({ "bench": bench, "summary": true, "met": outcome.met, "missed": outcome.missed })
    );
    outcome
}
