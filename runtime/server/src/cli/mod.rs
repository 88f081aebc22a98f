//! The command line.

mod backup;
mod demo;
mod evaluate;
mod export;
mod import;
mod model;
mod plugin;
mod replay;
mod serve;
pub(crate) mod state;

use clap::{Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// A serving runtime for personalised recommendations.
#[derive(Debug, Parser)]
#[command(name = "qianmian", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API.
    Serve(serve::Serve),
    /// Serve a generated storefront to look at.
    Demo(demo::Demo),
    /// Load a shop's files into a data folder.
    Import(import::Import),
    /// Write events or training data out.
    #[command(subcommand)]
    Export(export::Export),
    /// Fold the log anew, and compare.
    #[command(subcommand)]
    State(state::StateCommand),
    /// Make a backup, write the secrets that open it, restore one.
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Write, build, try, look into and upload strategies.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Try a model, upload it, promote it or go back.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Compose captured answers again, as they were or with another strategy.
    Replay(replay::Replay),
    /// What the server starts to compile and try a component within limits: component in, verdict and machine code out.
    #[command(name = crate::plugins::compile::COMMAND, hide = true)]
    TryComponent {
        /// Seconds of processor time.
        cpu_seconds: u64,
        /// Bytes of memory.
        memory: u64,
    },
    /// What the server starts to try a model within limits: manifest and file in.
    #[command(name = crate::model_check::COMMAND, hide = true)]
    CheckModel {
        /// Seconds of processor time.
        cpu_seconds: u64,
        /// Bytes of memory.
        memory: u64,
    },
    /// Run a published protocol through HTTP and print the figures as JSON.
    Evaluate(evaluate::Evaluate),
}

/// The data folder, for commands that open it.
#[derive(Debug, clap::Args)]
struct Data {
    /// The data folder.
    #[arg(long, default_value = "data", env = "QIANMIAN_DATA")]
    data: PathBuf,
}

/// Prints a command's answer. A reader that has enough, such as `head`, is no error.
fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A moment on the command line: RFC 3339, a date, or milliseconds.
fn moment(text: &str) -> Result<qianmian_core::TimeMs, String> {
    if let Ok(ms) = text.parse::<i64>()
        && ms > 100_000
    {
        return Ok(ms);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let date: jiff::civil::Date = text
        .parse()
        .map_err(|_| format!("{text:?}: expected a date (2011-11-01), RFC 3339 or milliseconds since 1970"))?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(midnight.timestamp().as_millisecond())
}

/// Runs the command.
///
/// # Errors
/// What the command could not do, for the person who typed it.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::TryComponent { cpu_seconds, memory } => {
            return Ok(crate::plugins::compile::child(cpu_seconds, memory));
        }
        Command::CheckModel { cpu_seconds, memory } => return Ok(crate::model_check::child(cpu_seconds, memory)),
        _ => {}
    }
    // Who serves wants to know what happens; whoever typed another command wants its answer.
    let usual = if matches!(cli.command, Command::Serve(_) | Command::Demo(_)) { "warn,qianmian=info" } else { "warn" };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("QIANMIAN_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual)),
        )
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::Import(import) => import.run(),
        Command::Export(export) => export.run(),
        Command::Plugin(plugin) => plugin.run(),
        Command::Model(model) => model.run(),
        Command::Replay(replay) => replay.run(),
        Command::State(state) => state.run(),
        Command::Backup(backup) => backup.run(),
        Command::Evaluate(evaluate) => evaluate.run(),
        Command::TryComponent { .. } | Command::CheckModel { .. } => Ok(()),
    }
    .map(|()| ExitCode::SUCCESS)
}
