//! `qianmian plugin build`: a component that imports nothing but the contract, of a project in any language.

use super::{TARGET, javascript};
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wit_component::ComponentEncoder;

/// Builds the project in `folder`; returns the component's path, `target/NAME.wasm`.
///
/// # Errors
/// When the language's tools are missing (with what to type), the project does not compile, or the module does not fit
/// the contract.
pub fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.join("Cargo.toml").is_file() {
        return rust(folder);
    }
    if folder.join("package.json").is_file() {
        return javascript::build(folder);
    }
    bail!("no Cargo.toml and no package.json in {}: run this in a strategy's folder, or name it", folder.display());
}

/// Cargo for wasm32, then a component of its module.
fn rust(folder: &Path) -> anyhow::Result<PathBuf> {
    let sysroot = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .output()
        .context("cannot start rustc: install Rust from https://rustup.rs")?;
    let libraries = String::from_utf8_lossy(&sysroot.stdout);
    ensure!(
        sysroot.status.success() && Path::new(libraries.trim()).is_dir(),
        "the target {TARGET} is not installed: rustup target add {TARGET}"
    );
    let output = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "the strategy does not build");
    let module = module(&output.stdout).context("cargo built no .wasm: Cargo.toml needs crate-type = [\"cdylib\"]")?;
    let bytes = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| format!("{} does not fit the contract", module.display()))?;
    let name = module.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
    let target = folder.join("target");
    std::fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    let path = target.join(format!("{name}.wasm"));
    std::fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The last artifact that is a Wasm module: dependencies come first.
fn module(messages: &[u8]) -> Option<PathBuf> {
    let lines = String::from_utf8_lossy(messages);
    let artifacts = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files = artifacts.filter_map(|message| message["filenames"].as_array().cloned()).flatten();
    files.filter_map(|file| file.as_str().map(PathBuf::from)).rfind(|f| f.extension().is_some_and(|e| e == "wasm"))
}
