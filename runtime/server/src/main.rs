//! The `qianmian` binary.

use clap::Parser;

/// Requests allocate in bursts from several threads; mimalloc keeps that cheap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<std::process::ExitCode> {
    qianmian::cli::run(qianmian::cli::Cli::parse())
}
