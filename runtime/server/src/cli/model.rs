//! `qianmian model`: what a data scientist types before a model is uploaded.

use crate::manifests;
use anyhow::Context;
use qianmian_models::{Model, manifest_schema};
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
    },
    /// Print the JSON Schema of manifests.
    Schema,
}

impl ModelCommand {
    #[allow(clippy::print_stdout, reason = "this is the command's output")]
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Check { file, manifest, json } => println!("{}", check(file, manifest, *json)?),
            Self::Schema => println!("{}", serde_json::to_string_pretty(&manifest_schema())?),
        }
        Ok(())
    }
}

fn check(file: &Path, manifest: &Path, json: bool) -> anyhow::Result<String> {
    let manifest = manifests::read_file(manifest)?;
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let program = std::env::current_exe().context("where is this binary?")?;
    crate::model_check::check(&program, &bytes, &manifest, crate::model_check::limits(bytes.len()))
        .map_err(|error| anyhow::anyhow!("{}: {}", error.code, error.detail))?;
    // It loaded there, so it loads here.
    let model = Model::load(&bytes, manifest)?;
    let (name, kind, how) = (&model.manifest().name, model.manifest().kind, model.describe());
    let golden = model.manifest().golden.as_ref().map_or(0, |golden| golden.outputs.len());
    Ok(if json {
        serde_json::json!({"name": name, "kind": kind.to_string(), "golden": golden, "runs": how}).to_string()
    } else {
        format!("{name}: a {kind} that loads and gives {golden} golden answers; {how}")
    })
}
