//! `qianmian export`.

use super::{Data, moment};
use crate::app::App;
use crate::config::Config;
use crate::embeddings::{SpaceSettings, matrix};
use crate::import::events::line;
use crate::reach::VisitorVector;
use crate::replay;
use crate::training::{Group, Task, export};
use anyhow::Context;
use qianmian_core::{DAY_MS, Event, TimeMs};
use qianmian_models::{FeaturePlan, Kind, Manifest};
use qianmian_state::{CaptureFilter, Captures, State};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What to write out.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Export {
    /// The event log as NDJSON, oldest first: the lines that `import events` and `POST /v1/events` take, visitors by key.
    Events {
        #[command(flatten)]
        data: Data,
        /// Only what happened before this moment.
        #[arg(long, value_parser = moment)]
        until: Option<TimeMs>,
        /// The file to write.
        #[arg(long)]
        out: PathBuf,
    },
    /// What models were given and said, as NDJSON, newest first: of the answers that `feature_share` kept it of.
    Features(Features),
    /// Feature matrices as a ranker would have seen them, with what the visitor then chose.
    Training(Training),
}

/// Flags of `export features`.
#[derive(Debug, clap::Args)]
pub(super) struct Features {
    #[command(flatten)]
    data: Data,
    /// Answered at or after this moment, or so long ago: 30m, 1h, 7d.
    #[arg(long, value_parser = super::replay::since)]
    since: Option<TimeMs>,
    /// Of this scenario only.
    #[arg(long)]
    scenario: Option<String>,
    /// Of this model only.
    #[arg(long)]
    model: Option<String>,
    /// Captures at most, newest first.
    #[arg(long, default_value_t = 1_000_000)]
    limit: usize,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

/// Flags of `export training`.
#[derive(Debug, clap::Args)]
pub(super) struct Training {
    #[command(flatten)]
    data: Data,
    /// The scenario whose strategy finds the candidates.
    #[arg(long)]
    scenario: String,
    /// Fold events up to this moment.
    #[arg(long, value_parser = moment)]
    as_of: TimeMs,
    /// Orders of so many days after it are the labels.
    #[arg(long, default_value_t = 31)]
    horizon_days: i64,
    /// Which orders.
    #[arg(long, value_enum, default_value = "first-order")]
    group: Group,
    /// Vectors as of that moment: SPACE=VECTORS.npy,IDS.json[,ALPHA,REGULARIZATION]; with the two numbers visitors are
    /// folded in as implicit ALS does, else they are means.
    #[arg(long)]
    embeddings: Vec<String>,
    /// The features: a JSON list of columns and definitions, or a manifest with them, JSON or TOML.
    #[arg(long)]
    features: PathBuf,
    /// Parameters for the strategy, merged over the scenario's: a JSON object.
    #[arg(long)]
    parameters: Option<String>,
    /// Candidates a query.
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
    /// The folder to write.
    #[arg(long)]
    out: PathBuf,
}

impl Export {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Events { data, until, out } => events(&State::open(&data.data)?, until, &out),
            Self::Features(features) => features.run(),
            Self::Training(training) => training.run(),
        }
    }
}

pub(super) fn all_events(state: &State, from: TimeMs, until: TimeMs) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    state.scan(0, &mut |chunk| {
        events.extend(chunk.events.into_iter().filter(|e| e.time >= from && e.time < until));
        ControlFlow::Continue(())
    })?;
    events.sort_by_key(|event| event.time);
    Ok(events)
}

fn events(state: &State, until: Option<TimeMs>, out: &Path) -> anyhow::Result<()> {
    let mut file =
        std::io::BufWriter::new(std::fs::File::create(out).with_context(|| format!("cannot write {}", out.display()))?);
    for event in all_events(state, TimeMs::MIN, until.unwrap_or(TimeMs::MAX))? {
        writeln!(file, "{}", line(&event, event.time))?;
    }
    file.flush()?;
    Ok(())
}

impl Features {
    #[allow(clippy::print_stdout, reason = "this is the command's output")]
    fn run(self) -> anyhow::Result<()> {
        let captures = Captures::open_read_only(&self.data.data)?;
        let filter = CaptureFilter {
            since: self.since.unwrap_or(TimeMs::MIN),
            scenario: self.scenario,
            faults: false,
            limit: self.limit,
        };
        let file = File::create(&self.out).with_context(|| format!("cannot write {}", self.out.display()))?;
        let report = replay::served::export(&captures, &filter, self.model.as_deref(), BufWriter::new(file))?;
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    }
}

impl Training {
    #[allow(clippy::print_stdout, reason = "this is the command's output")]
    fn run(self) -> anyhow::Result<()> {
        let plan = Arc::new(plan(&self.features)?);
        let until = self.as_of + self.horizon_days * DAY_MS;
        let state = State::open_until(&self.data.data, self.as_of)?;
        let labels = all_events(&state, self.as_of, until)?;
        // tags and segments as of that moment, too
        let config = Config { data: self.data.data, frozen_clock: Some(self.as_of), ..Config::load(None)? };
        let app = App::over(config, state)?;
        for spec in &self.embeddings {
            put_vectors(&app, spec)?;
        }
        let task = Task {
            scenario: self.scenario,
            as_of: self.as_of,
            until,
            group: self.group,
            limit: self.limit,
            plan,
            parameters: self
                .parameters
                .map(|text| serde_json::from_str(&text).context("--parameters is not a JSON object"))
                .transpose()?
                .unwrap_or_default(),
        };
        let report = export(&app, &labels, &task, &self.out)?;
        println!("{}", serde_json::to_string(&report)?);
        Ok(())
    }
}

/// The features of a file: a list, or a manifest.
fn plan(path: &Path) -> anyhow::Result<FeaturePlan> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest = if text.trim_start().starts_with('[') && path.extension().is_none_or(|is| is != "toml") {
        let features = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a JSON list of columns and definitions", path.display()))?;
        Manifest { features, ..Manifest::new("training", Kind::Ranker) }
    } else {
        crate::manifests::read_file(path)?
    };
    Ok(FeaturePlan::of(&manifest)?)
}

/// `SPACE=VECTORS.npy,IDS.json[,ALPHA,REGULARIZATION]`
fn put_vectors(app: &App, spec: &str) -> anyhow::Result<()> {
    let wanted = || format!("--embeddings {spec:?}: expected SPACE=VECTORS.npy,IDS.json[,ALPHA,REGULARIZATION]");
    let (space, rest) = spec.split_once('=').with_context(wanted)?;
    let parts: Vec<&str> = rest.split(',').collect();
    let visitor = match parts[..] {
        [_, _] => VisitorVector::Mean,
        [_, _, alpha, regularization] => VisitorVector::Ials {
            alpha: alpha.parse().with_context(wanted)?,
            regularization: regularization.parse().with_context(wanted)?,
        },
        _ => anyhow::bail!(wanted()),
    };
    let file = std::fs::read(parts[0]).with_context(|| format!("cannot read {}", parts[0]))?;
    let ids: Vec<String> = serde_json::from_slice(&std::fs::read(parts[1])?)?;
    let vectors = matrix::vectors(&file, ids).map_err(anyhow::Error::msg)?;
    let settings = SpaceSettings::seen_by(visitor);
    app.embeddings.publish(space, &settings, &vectors)?;
    Ok(())
}
