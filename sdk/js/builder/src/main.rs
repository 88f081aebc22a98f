//! `qianmian-js`: turns a project in JavaScript or TypeScript into a component, and runs its tests. `qianmian plugin build`
//! starts it; it is a program of its own because its engine pins another wasmtime than the server's.

mod engine;
mod project;
mod snapshot;
mod source;
mod stage;

use clap::Parser;
use engine::Outcome;
use project::Project;
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds and tests strategies in JavaScript and TypeScript. Neither Node nor npm is needed.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Build a project to a component, target/NAME.wasm, and print its path.
    Build {
        /// The project's folder: the one with package.json.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Run a project's *.test.js and *.test.ts in the engine that will run the strategy, without a host.
    Test {
        /// The project's folder: the one with package.json.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("qianmian-js: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is the command's output")]
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Build { folder } => {
            println!("{}", engine::build(&Project::open(&folder)?)?.display());
            Ok(true)
        }
        Command::Test { folder } => {
            let outcomes = engine::test(&Project::open(&folder)?)?;
            outcomes.iter().for_each(|outcome| println!("{}", outcome.words()));
            let failed = outcomes.iter().filter(|outcome| outcome.failed()).count();
            println!("{} passed, {failed} failed", outcomes.len() - failed);
            Ok(failed == 0)
        }
    }
}

impl Outcome {
    /// What a person reads: the name, what the test logged and why it failed.
    fn words(&self) -> String {
        let mut text = format!("{} {}", if self.failed() { "FAILED" } else { "ok" }, self.name);
        for line in self.lines.iter().flat_map(|logged| logged.lines()) {
            text += &format!("\n    log: {line}");
        }
        for line in self.failure.lines() {
            text += &format!("\n    {line}");
        }
        text
    }
}
