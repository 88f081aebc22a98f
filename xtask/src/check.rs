//! `cargo xtask test`: one place for everything that must hold.

use crate::setup::{
    HOST_CRATES, cargo, cargo_path, has, javascript, need, root, run as execute, run_with, server, strict, venv,
};

/// Version of cargo-deny that `deny.toml` is written for.
const DENY: &str = "0.20.2";

/// Runs every check; the first one that fails ends it.
pub fn run() -> anyhow::Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    crate::contract::check()?;
    // Some tests run the binary itself.
    server("dev")?;
    javascript()?;
    lints()?;
    run_with(cargo_path(), &host(&["doc"], &["--no-deps", "--quiet"]), &[("RUSTDOCFLAGS", "--deny warnings")])?;
    licences()?;
    cargo(&["test", "--package", "qianmian-js", "--profile", "javascript"])?;
    cargo(&host(&["test"], &[]))?;
    training_kit()
}

/// A cargo command on everything that is not for wasm32.
fn host<'a>(command: &[&'a str], options: &[&'a str]) -> Vec<&'a str> {
    [command, &HOST_CRATES, options].concat()
}

fn lints() -> anyhow::Result<()> {
    cargo(&host(&["clippy"], &["--all-targets", "--", "--deny", "warnings"]))?;
    cargo(&[
        "clippy",
        "--package",
        "qianmian-js",
        "--profile",
        "javascript",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])?;
    let strategies = ["--package", "plugin-*", "--package", "hostile-*", "--package", "qianmian-sdk"];
    let target = ["--target", crate::plugins::TARGET, "--", "--deny", "warnings"];
    cargo(&[&["clippy"], strategies.as_slice(), &target].concat())
}

fn licences() -> anyhow::Result<()> {
    if !has("cargo-deny") && strict() {
        eprintln!("xtask: installing cargo-deny {DENY}");
        cargo(&["install", "--locked", "--debug", "--version", DENY, "cargo-deny"])?;
    }
    if need(has("cargo-deny"), "cargo-deny (cargo install --locked cargo-deny)")? {
        cargo(&["deny", "check", "licenses", "bans", "sources"])?;
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
