//! `qianmian model`: what a data scientist types before a model is uploaded.

use anyhow::Context;
use qianmian_models::{Manifest, Model};
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
}

impl ModelCommand {
    #[allow(clippy::print_stdout, reason = "this is the command's output")]
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let Self::Check { file, manifest, json } = self;
        let manifest = read_manifest(manifest)?;
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let program = std::env::current_exe().context("where is this binary?")?;
        crate::model_check::check(&program, &bytes, &manifest, crate::model_check::limits(bytes.len()))
            .map_err(|error| anyhow::anyhow!("{}: {}", error.code, error.detail))?;
        // It loaded there, so it loads here.
        let model = Model::load(&bytes, manifest)?;
        let (name, kind, how) = (&model.manifest().name, model.manifest().kind, model.describe());
        let golden = model.manifest().golden.as_ref().map_or(0, |golden| golden.outputs.len());
        let answer = if *json {
            serde_json::json!({"name": name, "kind": kind.to_string(), "golden": golden, "runs": how}).to_string()
        } else {
            format!("{name}: a {kind} that loads and gives {golden} golden answers; {how}")
        };
        println!("{answer}");
        Ok(())
    }
}

pub(super) fn read_manifest(path: &Path) -> anyhow::Result<Manifest> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let toml = path.extension().is_some_and(|extension| extension == "toml");
    Ok(if toml { Manifest::from_toml(&text) } else { Manifest::from_json(&text) }?)
}
