//! The `qianmian` binary.

use clap::Parser;
use std::process::ExitCode;

/// Requests allocate in bursts from several threads; mimalloc keeps that cheap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::print_stderr, reason = "the person who typed the command reads it")]
fn main() -> ExitCode {
    qianmian::cli::run(qianmian::cli::Cli::parse()).unwrap_or_else(|error| {
        eprintln!("Error: {error:#}");
        ExitCode::FAILURE
    })
}
