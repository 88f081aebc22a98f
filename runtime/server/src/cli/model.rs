//! `qianmian model`: what a data scientist types before a model is uploaded.

use super::plugin::{URL, agent, answer};
use crate::compare::{Comparison, compare};
use crate::manifests;
use crate::ml::KIND;
use anyhow::Context;
use qianmian_core::TimeMs;
use qianmian_models::{Model, manifest_schema};
use qianmian_state::{CaptureFilter, Captures, State};
use sha2::{Digest, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The subcommands of `model`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ModelCommand {
    /// Load a model as the server would, within limits, run its golden cases, and say how it will be run.
    Check {
        /// The ONNX file.
        file: PathBuf,
        /// Its manifest, JSON or TOML.
        #[arg(long)]
        manifest: PathBuf,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
        /// Compare it with the live version of its name over what that was served: a data folder whose captures hold
        /// features (`feature_share`).
        #[arg(long, value_name = "DATA")]
        against: Option<PathBuf>,
        /// Of that, what was answered at or after this moment, or so long ago: 30m, 1h, 7d.
        #[arg(long, value_parser = super::replay::since, requires = "against")]
        since: Option<TimeMs>,
    },
    /// Upload a model to a server, which checks it and makes it the live version, or puts it on trial.
    Push {
        /// The ONNX file.
        file: PathBuf,
        /// Its manifest, JSON or TOML.
        #[arg(long)]
        manifest: PathBuf,
        /// Its version; without one the beginning of the file's SHA-256.
        #[arg(long)]
        version: Option<String>,
        /// Only who names it as NAME@VERSION gets it (a scenario's release on trial), until it is promoted.
        #[arg(long)]
        trial: bool,
        /// The server.
        #[arg(long, default_value = URL, env = "QIANMIAN_URL")]
        url: String,
    },
    /// Make a model's version on trial the live one.
    Promote {
        /// The model.
        name: String,
        /// The server.
        #[arg(long, default_value = URL, env = "QIANMIAN_URL")]
        url: String,
    },
    /// End a model's trial; without one, go back to the version that was live before.
    Rollback {
        /// The model.
        name: String,
        /// The server.
        #[arg(long, default_value = URL, env = "QIANMIAN_URL")]
        url: String,
    },
    /// Print the JSON Schema of manifests.
    Schema,
}

impl ModelCommand {
    #[allow(clippy::print_stdout, reason = "this is the command's output")]
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Check { file, manifest, json, against, since } => {
                let past = against.as_deref().map(|data| (data, since.unwrap_or(TimeMs::MIN)));
                println!("{}", check(file, manifest, *json, past)?);
            }
            Self::Push { file, manifest, version, trial, url } => {
                println!("{}", push(file, manifest, version.as_deref(), *trial, url)?);
            }
            Self::Promote { name, url } => println!("{}", call(url, name, "promote")?),
            Self::Rollback { name, url } => println!("{}", call(url, name, "rollback")?),
            Self::Schema => println!("{}", serde_json::to_string_pretty(&manifest_schema())?),
        }
        Ok(())
    }
}

fn check(file: &Path, manifest: &Path, json: bool, past: Option<(&Path, TimeMs)>) -> anyhow::Result<String> {
    let manifest = manifests::read_file(manifest)?;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let program = std::env::current_exe().context("where is this binary?")?;
    crate::model_check::check(&program, &bytes, &manifest, crate::model_check::limits(bytes.len()))
        .map_err(|error| anyhow::anyhow!("{}: {}", error.code, error.detail))?;
    // It loaded there, so it loads here.
    let model = Model::load(&bytes, manifest)?;
    let (name, kind, how) = (&model.manifest().name, model.manifest().kind, model.describe());
    let golden = model.manifest().golden.as_ref().map_or(0, |golden| golden.outputs.len());
    let compared = past.map(|(data, since)| against(&model, data, since)).transpose()?;
    Ok(if json {
        let answer = serde_json::json!({
            "name": name, "kind": kind.to_string(), "golden": golden, "runs": how, "compared": compared,
        });
        answer.to_string()
    } else {
        let said = format!("{name}: a {kind} that loads and gives {golden} golden answers; {how}");
        compared.map_or(said.clone(), |compared| format!("{said}\n{}", in_words(&compared)))
    })
}

fn push(file: &Path, manifest: &Path, version: Option<&str>, trial: bool, url: &str) -> anyhow::Result<String> {
    let manifest = manifests::read_file(manifest)?;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let version = version.map_or_else(|| hex::encode(&Sha256::digest(&bytes)[..6]), str::to_owned);
    let text = serde_json::to_vec(&manifest)?;
    let (boundary, mut body) = ("qianmian-model-and-manifest", Vec::new());
    for (part, content) in [("manifest", &text), ("model", &bytes)] {
        write!(body, "--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"\r\n\r\n")?;
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    write!(body, "--{boundary}--\r\n")?;
    let path = format!("{url}/v1/models/{}/versions/{version}?trial={trial}", manifest.name);
    let kind = format!("multipart/form-data; boundary={boundary}");
    answer(agent().put(path).content_type(kind).send(&body[..]))
}

fn call(url: &str, name: &str, what: &str) -> anyhow::Result<String> {
    answer(agent().post(format!("{url}/v1/models/{name}/{what}")).send_empty())
}

fn against(model: &Model, data: &Path, since: TimeMs) -> anyhow::Result<Comparison> {
    let captures = Captures::open_read_only(data)?;
    let state = State::open_until(data, TimeMs::MAX)?;
    let events = super::export::all_events(&state, since, TimeMs::MAX)?;
    let live = state.registry.get(KIND, &model.manifest().name)?.and_then(|document| document.value);
    let live = live.as_ref().and_then(|live| live["digest"].as_str());
    let filter = CaptureFilter { since, limit: usize::MAX, ..CaptureFilter::default() };
    compare(model, live, (&captures, &filter), &events)
}

fn in_words(c: &Comparison) -> String {
    let correlation = c.correlation.map_or_else(|| "unknown".to_owned(), |r| format!("{r:.3}"));
    let ndcg = c.ndcg.map_or_else(
        || "no clicks name a request".to_owned(),
        |[live, new]| format!("NDCG@10 of clicks {live:.4} -> {new:.4} over {} sets", c.judged),
    );
    format!(
        "against the live version, {} sets of {} candidates: rank correlation {correlation}, {:.1}% of the first ten stay, {ndcg}; \
         {:.0} us a set",
        c.sets,
        c.candidates,
        c.overlap * 100.0,
        c.micros
    )
}
