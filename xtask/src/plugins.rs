//! Building the shipped strategies: cargo for `wasm32-unknown-unknown`, then a component of each module.

use crate::setup;
use anyhow::{Context, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use wit_component::ComponentEncoder;

/// What strategies are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// Larger than this is a mistake: formatting, regular expressions or a date library crept in.
const MOST_BYTES: usize = 150_000;

/// Builds the package `<prefix>-<name>` of every folder `<folder>/<name>` and writes `<out>/<name>.wasm`, a component that
/// imports nothing but the contract. Returns their paths, sorted. A component newer than its module is left alone.
///
/// # Errors
/// When the target cannot be installed, a plugin does not compile, or a component is too large.
pub fn build(folder: &str, prefix: &str, out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let names = names(folder)?;
    add_target()?;
    for name in &names {
        // One by one: cargo would give the SDK of a strategy what a tagger's wants, and the other way round.
        let status = Command::new(setup::cargo_path())
            .args(["build", "--quiet", "--target", TARGET, "--profile", "plugin", "--package"])
            .arg(format!("{prefix}-{name}"))
            .current_dir(setup::root())
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "{prefix}-{name} does not build ({status})");
    }
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    names.iter().map(|name| component(name, prefix, out)).collect()
}

/// The folders in `folder` with a Cargo.toml.
fn names(folder: &str) -> anyhow::Result<Vec<String>> {
    let folder = setup::root().join(folder);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    if names.is_empty() {
        bail!("{} holds no strategy", folder.display());
    }
    Ok(names)
}

/// Adds the target to the toolchain that builds this workspace.
fn add_target() -> anyhow::Result<()> {
    let installed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(setup::root())
        .output()
        .is_ok_and(|out| out.status.success() && Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_dir());
    if installed {
        return Ok(());
    }
    eprintln!("xtask: installing the Rust target {TARGET} (rustup target add), about 20 MB");
    setup::run("rustup", &["target", "add", TARGET])
        .with_context(|| format!("strategies are built for {TARGET}: install it with your tool chain"))
}

fn component(name: &str, prefix: &str, out: &Path) -> anyhow::Result<PathBuf> {
    let module = setup::target().join(TARGET).join("plugin").join(format!("{prefix}_{name}.wasm"));
    let path = out.join(format!("{name}.wasm"));
    if modified(&path).is_some_and(|made| modified(&module).is_some_and(|built| built < made)) {
        return Ok(path);
    }
    let bytes = std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| format!("{} cannot become a component", module.display()))?;
    ensure!(encoded.len() <= MOST_BYTES, "{name} has {} bytes: at most {MOST_BYTES}", encoded.len());
    // Written beside and renamed, so that a server starting now reads all of it or none.
    let part = out.join(format!("{name}.part"));
    std::fs::write(&part, &encoded).with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}
