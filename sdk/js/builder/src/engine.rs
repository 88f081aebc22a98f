//! Loading staged modules in the engine: what is left in its memory becomes the component.

use crate::project::Project;
use crate::snapshot::snapshot;
use crate::stage::{Modules, name, stage};
use anyhow::{Context, anyhow, bail, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

/// The largest component a server takes (`HostConfig::max_component`).
const MOST_BYTES: usize = 4 << 20;
/// Time to load every module, and to run the tests.
const PATIENCE: Duration = Duration::from_secs(60);
/// The module in front of the author's.
const ENTRY: &str = "qianmian-entry.js";
/// What the outcome of tests begins with: `sdk/js/testing.js` throws it.
const OUTCOME: &str = "@tests ";

/// A world of the contract, in JavaScript's words.
struct World {
    name: &'static str,
    /// The function beside `describe`.
    function: &'static str,
}

const STRATEGY: World = World { name: "strategy", function: "compose" };
const TAGGER: World = World { name: "tagger", function: "tag" };

/// What modules are of: which part of the SDK they reach says it.
fn world(modules: &Modules) -> anyhow::Result<&'static World> {
    let reached = |file: &str| modules.contains_key(&format!("sdk/js/{file}"));
    ensure!(
        !(reached("qianmian.js") && reached("tagger.js")),
        "modules import from \"qianmian\" and from \"qianmian/tagger\": a component is a strategy or a tagger"
    );
    Ok(if reached("tagger.js") { &TAGGER } else { &STRATEGY })
}

/// One test.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Why it failed; empty when it did not.
    pub failure: String,
    /// What it logged.
    pub lines: Vec<String>,
}

impl Outcome {
    /// Whether it failed.
    pub fn failed(&self) -> bool {
        !self.failure.is_empty()
    }
}

/// Builds the project; returns the component's path, `target/NAME.wasm`.
///
/// # Errors
/// A module that is missing or wrong, or a strategy or tagger that is none: with the place.
pub fn build(project: &Project) -> anyhow::Result<PathBuf> {
    let modules = stage(project, std::slice::from_ref(&project.entry))?;
    let (name, World { name: world, function }) = (name(project, &project.entry)?, world(&modules)?);
    let code = format!(
        "import * as module from \"/{name}\";\n\
         const found = module.default;\n\
         if (typeof found?.describe !== \"function\" || typeof found?.{function} !== \"function\") {{\n\
           throw new Error(\"{name} exports no {world}: end it with `export default {world}({{ ... }})`\");\n\
         }}\n\
         export const {{ describe, {function} }} = found;\n"
    );
    let component = load(project, modules, code)?.map_err(|said| anyhow!(readable(&said)))?;
    ensure!(
        component.len() <= MOST_BYTES,
        "the component has {} bytes: a server takes {MOST_BYTES}; keep data in the catalogue, not in modules",
        component.len()
    );
    let target = project.given.join("target");
    std::fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    let path = target.join(format!("{}.wasm", project.name));
    std::fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Runs the project's tests.
///
/// # Errors
/// No tests, or modules that do not load.
pub fn test(project: &Project) -> anyhow::Result<Vec<Outcome>> {
    let mut entries = vec![project.folder.join("sdk/js/testing.js")];
    entries.extend(project.tests()?);
    let modules = stage(project, &entries)?;
    let mut code = "import { report } from \"/sdk/js/testing.js\";\n".to_owned();
    for entry in &entries {
        code += &format!("import \"/{}\";\n", name(project, entry)?);
    }
    code += "await report();\n";
    let Err(said) = load(project, modules, code)? else { bail!("the tests did not report") };
    outcomes(&said).with_context(|| readable(&said))
}

/// Evaluates `code` in front of the modules. The inner error is what the engine said.
fn load(project: &Project, mut modules: Modules, code: String) -> anyhow::Result<Result<Vec<u8>, String>> {
    let world = world(&modules)?.name;
    modules.insert(ENTRY.to_owned(), code);
    let contract = project.contract();
    let (send, receive) = mpsc::channel();
    // A thread of its own: code that never ends cannot be stopped, only left behind.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let built = runtime
            .map_err(anyhow::Error::from)
            .and_then(|runtime| runtime.block_on(snapshot(&contract, world, ENTRY, modules)));
        // Nobody listens any more when it took too long.
        let _ = send.send(built);
    });
    receive.recv_timeout(PATIENCE).with_context(|| {
        format!("the modules did not load within {} s: does code at the top of one never end?", PATIENCE.as_secs())
    })?
}

/// What the engine said, without its own frames and words around the author's error.
fn readable(said: &str) -> String {
    let said = said.rsplit_once("JavaScript module: ").map_or(said, |(_, rest)| rest);
    let own = |line: &&str| !line.contains("/sdk/js/") && !line.contains(ENTRY) && !line.contains("(native)");
    let lines = said.lines().filter(own).map(|line| line.replace("(/", "(").replace("at /", "at "));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn outcomes(said: &str) -> Option<Vec<Outcome>> {
    let (_, rest) = said.split_once(OUTCOME)?;
    let found: Value = serde_json::from_str(rest.lines().next()?).ok()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let outcome = |one: &Value| Outcome {
        name: text(&one["name"]),
        failure: readable(&text(&one["failure"])),
        lines: one["lines"].as_array().into_iter().flatten().map(text).collect(),
    };
    Some(found.as_array()?.iter().map(outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::{Outcome, outcomes, readable};

    #[test]
    fn the_authors_error_is_what_is_left() {
        let said = "out: Failed to evaluate user JavaScript module: Failed to evaluate JavaScript module: Error: no\n    \
            at wrong (/sdk/js/src/words.js:3:9)\n    at <anonymous> (/src/strategy.js:3:7)\n";
        assert_eq!(readable(said), "Error: no\n    at <anonymous> (src/strategy.js:3:7)");
    }

    #[test]
    fn outcomes_are_read_from_what_was_thrown() {
        let said =
            r#"Error: @tests [{"name":"a","failure":"","lines":["x"]},{"name":"b","failure":"Error: c","lines":[]}]"#;
        let outcome = |name: &str, failure: &str, lines: &[&str]| Outcome {
            name: name.to_owned(),
            failure: failure.to_owned(),
            lines: lines.iter().map(ToString::to_string).collect(),
        };
        let said = format!("{said}\n    at report (/sdk/js/testing.js:1:1)");
        assert_eq!(outcomes(&said), Some(vec![outcome("a", "", &["x"]), outcome("b", "Error: c", &[])]));
        assert_eq!(outcomes("Error: else"), None);
    }
}
