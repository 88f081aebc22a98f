//! `qianmian state`: folds made anew from the log, held against the live ones.

use super::Data;
use anyhow::{Context, ensure};
use qianmian_state::State;
use qianmian_state::fold::{Digest, Folds};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Events folded at a time where no server is asked: as the smallest commits would.
const SMALL: usize = 7;

/// What to do with the state.
#[derive(Debug, clap::Subcommand)]
pub(super) enum StateCommand {
    /// Fold the log from nothing, beside the server that may be running, and say how long it takes.
    Rebuild {
        #[command(flatten)]
        data: Data,
        /// Compare with the live folds of --server; without one, with folds made in many small steps.
        #[arg(long)]
        verify: bool,
        /// The server that has the data folder open.
        #[arg(long, requires = "verify")]
        server: Option<String>,
    },
}

impl StateCommand {
    #[allow(clippy::print_stdout, reason = "this is the command's output")]
    pub fn run(self) -> anyhow::Result<()> {
        let Self::Rebuild { data, verify, server } = self;
        let live = server.map(|server| ask(&server)).transpose()?;
        let begun = Instant::now();
        let offset = live.as_ref().map_or(u64::MAX, |(offset, _)| *offset);
        let state = State::open_at(&data.data, offset)
            .with_context(|| format!("cannot read the data folder {}", data.data.display()))?;
        let seconds = begun.elapsed().as_secs_f64();
        let digest = state.folds.digest();
        let events = state.log.len();
        let mut report = json!({
            "events": events, "seconds": seconds, "visitors": state.folds.visitors(), "digest": wire(&digest),
        });
        if verify {
            let (of, other) = match live {
                Some((_, live)) => ("live", live),
                None => ("small_steps", wire(&in_small_steps(&state)?)),
            };
            report["compared_with"] = of.into();
            report["equal"] = (report["digest"] == other).into();
            report[of] = other;
        }
        println!("{}", serde_json::to_string_pretty(&report)?);
        let parts = "a catalogue that changed since, links and erasures since the start change the live sums";
        ensure!(report["equal"] != Value::Bool(false), "the folds differ: {parts}");
        Ok(())
    }
}

/// The live offset and digest of a server.
fn ask(server: &str) -> anyhow::Result<(u64, Value)> {
    let url = format!("{}/v1/state", server.trim_end_matches('/'));
    let mut answer = ureq::get(&url).call().with_context(|| format!("cannot ask {url}"))?;
    let answer: Value = answer.body_mut().read_json()?;
    let offset = answer["offset"].as_u64().context("the server tells no offset")?;
    Ok((offset, answer["digest"].clone()))
}

/// A digest as JSON.
pub(crate) fn wire(digest: &Digest) -> Value {
    let Digest { visitors, items, pairs, trends } = digest;
    json!({ "visitors": visitors, "items": items, "pairs": pairs, "trends": trends })
}

/// The same events folded a few at a time, with the lists made in between, as a server does.
fn in_small_steps(state: &State) -> anyhow::Result<Digest> {
    let folds = Folds::new(Arc::clone(&state.catalogue), Arc::clone(&state.people));
    state.scan(1, &mut |chunk| {
        for (at, events) in chunk.events.chunks(SMALL).enumerate() {
            folds.apply(events);
            if at % 400 == 0 {
                folds.refresh();
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(folds.digest())
}
