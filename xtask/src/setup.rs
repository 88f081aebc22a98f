//! What the commands share: where things are, running programs, and installing what is missing.

use anyhow::{Context, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that is not for wasm32, but for the builder of strategies in JavaScript: its engine is another wasmtime, and
/// cargo would unify the features of what both stand on.
pub const HOST_CRATES: [&str; 7] =
    ["--workspace", "--exclude", "plugin-*", "--exclude", "hostile-*", "--exclude", "qianmian-js"];

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The build folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Whether a missing tool is a failure (CI) and not a skip.
pub fn strict() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// The published data sets beside the checkout, where there are any.
pub fn shared_data() -> Option<PathBuf> {
    let folder = root().parent()?.join("shared").join("data");
    folder.is_dir().then_some(folder)
}

/// Runs a program in the workspace and fails when it does.
pub fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> anyhow::Result<()> {
    run_with(program, arguments, &[])
}

/// As [`run`], with environment variables.
pub fn run_with(
    program: impl AsRef<std::ffi::OsStr>,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    let program = program.as_ref();
    let shown = format!("{} {}", program.to_string_lossy(), arguments.join(" "));
    eprintln!("xtask: {shown}");
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot start {shown}"))?;
    ensure!(status.success(), "{shown} failed ({status})");
    Ok(())
}

/// Runs the cargo that runs us.
pub fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(cargo_path(), arguments)
}

/// The cargo that runs us.
pub fn cargo_path() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Builds the shipped strategies, and those that tests run against the sandbox.
pub fn plugins() -> anyhow::Result<()> {
    let mut built = crate::plugins::build("plugins", "plugin", &target().join("plugins"))?;
    built.extend(crate::plugins::build("tests/hostile", "hostile", &target().join("hostile"))?);
    for component in built {
        eprintln!("xtask: {}", component.display());
    }
    Ok(())
}

/// Builds the server in a profile (`dev` or `release`) and returns its binary.
pub fn server(profile: &str) -> anyhow::Result<PathBuf> {
    plugins()?;
    // The same selection as the tests', so that dependencies are built once: cargo unifies their features by selection.
    let selection: Vec<&str> = ["build", "--bins", "--profile", profile].into_iter().chain(HOST_CRATES).collect();
    cargo(&selection)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target().join(folder).join("qianmian"))
}

/// Builds `qianmian-js`, which turns projects in JavaScript into components, and puts it beside the server's binaries.
pub fn javascript() -> anyhow::Result<PathBuf> {
    eprintln!("xtask: building qianmian-js; its JavaScript engine takes some minutes the first time");
    cargo(&["build", "--quiet", "--package", "qianmian-js", "--profile", "javascript"])?;
    let name = format!("qianmian-js{}", std::env::consts::EXE_SUFFIX);
    let built = target().join("javascript").join(&name);
    for folder in ["debug", "release"].map(|folder| target().join(folder)).iter().filter(|folder| folder.is_dir()) {
        std::fs::copy(&built, folder.join(&name)).with_context(|| format!("cannot copy to {}", folder.display()))?;
        eprintln!("xtask: {}", folder.join(&name).display());
    }
    Ok(built)
}

/// A Python virtual environment with exactly what `requirements` pins; made or renewed when they change.
pub fn venv(name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    let folder = target().join(name);
    let python = folder.join("bin").join("python");
    let wanted =
        std::fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let stamp = folder.join("requirements.txt");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    eprintln!("xtask: installing {} into {}", requirements.display(), folder.display());
    let folder_text = folder.to_string_lossy();
    run("python3", &["-m", "venv", "--clear", &folder_text])
        .context("python3 with the venv module is needed (Debian: python3-venv)")?;
    let file = requirements.to_string_lossy();
    run(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", &file])?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}

/// Whether a program is on the PATH and answers `--version`.
pub fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `Ok(true)` when `present`; else a failure in CI and a printed skip elsewhere.
pub fn need(present: bool, what: &str) -> anyhow::Result<bool> {
    if !present {
        if strict() {
            bail!("{what} is missing, and CI=true makes that a failure");
        }
        eprintln!("xtask: SKIPPED: {what} is missing");
    }
    Ok(present)
}
