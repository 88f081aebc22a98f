//! `cargo xtask test`: one place for everything that must hold.

use crate::setup::{HOST_CRATES, cargo, cargo_path, has, need, plugins, root, run as execute, run_with, strict, venv};

/// Version of cargo-deny that `deny.toml` is written for.
const DENY: &str = "0.20.2";

/// Runs every check; the first one that fails ends it.
pub fn run() -> anyhow::Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    plugins()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    run_with(cargo_path(), &["doc", "--workspace", "--no-deps", "--quiet"], &[("RUSTDOCFLAGS", "--deny warnings")])?;
    licences()?;
    let tests: Vec<&str> = std::iter::once("test").chain(HOST_CRATES).collect();
    cargo(&tests)?;
    training_kit()
}

fn licences() -> anyhow::Result<()> {
    if !has("cargo-deny") && strict() {
        eprintln!("xtask: installing cargo-deny {DENY}");
        cargo(&["install", "--locked", "--debug", "--version", DENY, "cargo-deny"])?;
    }
    if need(has("cargo-deny"), "cargo-deny (cargo install --locked cargo-deny)")? {
        cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"])?;
    }
    Ok(())
}

fn training_kit() -> anyhow::Result<()> {
    let kit = root().join("sdk").join("training");
    if need(has("python3"), "python3")? {
        let python = venv("venv-training", &kit.join("requirements.txt"))?;
        let tests = kit.join("tests");
        execute(python, &["-m", "pytest", "--quiet", &tests.to_string_lossy()])?;
    }
    Ok(())
}
