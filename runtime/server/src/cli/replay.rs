//! `qianmian replay`: the audit, the debugger and the rehearsal, beside the server or without one.

use super::{Data, moment, say};
use crate::app::App;
use crate::config::Config;
use crate::recommend::now_ms;
use crate::replay::{self, Diff, Rehearsal, With};
use anyhow::Context;
use qianmian_core::TimeMs;
use qianmian_state::{CaptureFilter, State};
use std::path::PathBuf;

/// Flags of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// The request to replay; without one, all that the other flags describe.
    request_id: Option<String>,
    #[command(flatten)]
    data: Data,
    /// A component to run instead of the one that answered.
    #[arg(long)]
    plugin: Option<PathBuf>,
    /// Answered at or after this moment, or so long ago: 30m, 1h, 7d.
    #[arg(long, value_parser = since)]
    since: Option<TimeMs>,
    /// Of this scenario only.
    #[arg(long)]
    scenario: Option<String>,
    /// Only those whose strategy failed.
    #[arg(long)]
    faults: bool,
    /// At most so many, newest first.
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn since(text: &str) -> Result<TimeMs, String> {
    let units = [("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    for (unit, ms) in units {
        if let Some(count) = text.strip_suffix(unit).and_then(|count| count.parse::<i64>().ok()) {
            return Ok(now_ms() - count.saturating_mul(ms));
        }
    }
    moment(text).map_err(|error| format!("{error}, or a span such as 30m, 1h, 7d"))
}

impl Replay {
    pub fn run(self) -> anyhow::Result<()> {
        let state = State::open_until(&self.data.data, TimeMs::MAX)
            .with_context(|| format!("cannot read the data folder {}", self.data.data.display()))?;
        let app = App::over(Config { data: self.data.data, ..Config::load(None)? }, state)?;
        let with = match &self.plugin {
            None => With::Same,
            Some(path) => {
                let component = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                With::Other(app.plugins.try_out(&component)?)
            }
        };
        let Some(id) = &self.request_id else {
            let filter = CaptureFilter {
                since: self.since.unwrap_or(0),
                scenario: self.scenario,
                faults: self.faults,
                limit: self.limit,
            };
            let rehearsal = replay::rehearse(&app, &filter, &with)?;
            say(if self.json { serde_json::to_string(&rehearsal)? } else { summary(&rehearsal) });
            anyhow::ensure!(rehearsal.replayed > 0, "no capture was replayed");
            return Ok(());
        };
        let diff = replay::replay(&app, replay::find(&app, id)?, &with)?;
        say(if self.json { serde_json::to_string(&diff)? } else { page(&diff) });
        Ok(())
    }
}

fn page(diff: &Diff) -> String {
    let mut text = if diff.same {
        format!("{}: the same answer, byte for byte\n", diff.request_id)
    } else {
        format!(
            "{}: {} slots differ, {:.0}% of the items stay\n",
            diff.request_id,
            diff.slots.len(),
            diff.overlap * 100.0
        )
    };
    let slot = |slot: &Option<crate::recommend::answer::Slot>| {
        slot.as_ref().map_or_else(|| "nothing".to_owned(), |s| format!("{} ({})", s.item, s.reasons.join(", ")))
    };
    for change in &diff.slots {
        text += &format!("  {:>3}  {}  ->  {}\n", change.position, slot(&change.before), slot(&change.after));
    }
    let fault = |fault: &Option<String>| fault.clone().unwrap_or_else(|| "none".to_owned());
    text += &format!("  fault {} -> {}, ", fault(&diff.faults[0]), fault(&diff.faults[1]));
    text +=
        &format!("fuel {} -> {}, sandbox {} -> {} us, ", diff.fuel[0], diff.fuel[1], diff.wall_us[0], diff.wall_us[1]);
    text += &format!("{} of {} reads answered live", diff.reached[1], diff.reached[0]);
    text
}

fn summary(r: &Rehearsal) -> String {
    format!(
        "{} replayed: {} the same byte for byte, {:.1}% of pages changed, {:.1}% of the items stay\n  faults {:?} -> {:?}, \
         refused {:?}, unreadable {}\n  mean fuel {:.0} -> {:.0}, median sandbox {} -> {} us, slots taken by guards {} -> {}, \
         {:.1}% of reads answered live",
        r.replayed,
        r.same,
        r.changed * 100.0,
        r.overlap * 100.0,
        r.faults[0],
        r.faults[1],
        r.refused,
        r.unreadable,
        r.fuel[0],
        r.fuel[1],
        r.wall_us[0],
        r.wall_us[1],
        r.guarded[0],
        r.guarded[1],
        r.live * 100.0
    )
}
