//! What a strategy's language costs: the template of `qianmian plugin new` in Rust and in JavaScript, over one reach.

use crate::lines::{Better, Line};
use crate::sandbox::{Pair, content};
use anyhow::{Context, Result, anyhow, ensure};
use qianmian::authoring::{Kind, Language, build, build_with, create};
use qianmian_core::Page;
use qianmian_host::{Outcome, Strategy};
use std::path::Path;
use std::sync::Arc;

/// Both languages' components.
pub struct Twins {
    rust: Arc<Strategy>,
    javascript: Arc<Strategy>,
}

/// Pages that must be the same before anything is measured.
const COMPARED: usize = 100;

impl Twins {
    /// Builds both, with `builder` and the workspace's versions, and checks that they compose the same pages.
    ///
    /// # Errors
    /// When one does not build or load, or pages differ.
    pub fn build(pair: &Pair, workspace: &Path, builder: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let load = |language, name: &str| -> Result<Arc<Strategy>> {
            let project = folder.path().join(name);
            create("template", &project, language, Kind::Strategy)?;
            let component = if language == Language::Rust {
                std::fs::copy(workspace.join("Cargo.lock"), project.join("Cargo.lock"))?;
                build(&project)?
            } else {
                build_with(builder, &project)?
            };
            pair.load(&std::fs::read(&component).with_context(|| format!("cannot read {}", component.display()))?)
        };
        let twins = Self { rust: load(Language::Rust, "rust")?, javascript: load(Language::Js, "js")? };
        for visitor in 0..COMPARED {
            let page = |strategy| page(pair.call(strategy, "{}", visitor));
            let (rust, javascript) = (page(&twins.rust)?, page(&twins.javascript)?);
            ensure!(content(&rust) == content(&javascript), "v{visitor}: {javascript:?} is not {rust:?}");
        }
        Ok(twins)
    }

    /// Microseconds of a call and of its instantiation, in turns: medians over `calls` of each, one thread.
    ///
    /// # Errors
    /// When a composition fails.
    pub fn costs(&self, pair: &Pair, calls: usize) -> Result<Vec<Line>> {
        let mut times = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
        for call in 0..calls * 2 {
            let outcome = pair.call([&self.rust, &self.javascript][call % 2], "{}", call);
            let (instantiate, all) = &mut times[call % 2];
            instantiate.push(outcome.usage.instantiate.as_secs_f64() * 1e6);
            all.push(outcome.usage.wall.as_secs_f64() * 1e6);
            page(outcome)?;
        }
        let cases = ["template in Rust, us", "template in JavaScript, us"].into_iter().zip(&times);
        let lines = cases.flat_map(|(case, (instantiate, all))| {
            [("instantiate", instantiate), ("call", all)]
                .map(|(what, micros)| Line::alone(("sandbox", case, what), Better::Lower, micros, None))
        });
        Ok(lines.collect())
    }
}

fn page(outcome: Outcome) -> Result<Page> {
    outcome.page.map_err(|fault| anyhow!("the strategy failed: {fault}"))
}
