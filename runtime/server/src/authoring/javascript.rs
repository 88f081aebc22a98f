//! Projects in JavaScript and TypeScript: `qianmian-js` builds them. It is another program, because its engine needs
//! another wasmtime than the sandbox.

use anyhow::{Context, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds the project in `folder` with the `qianmian-js` beside this program, or on the PATH.
pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = own.parent().unwrap_or(Path::new("."));
    let builder = find(beside, &std::env::var_os("PATH").unwrap_or_default()).with_context(|| {
        format!(
            "qianmian-js is not there, neither in {} nor on the PATH: it builds strategies in JavaScript; in a checkout of \
             Qianmian, `cargo xtask javascript` makes it",
            beside.display()
        )
    })?;
    build_with(&builder, folder)
}

/// Builds the project in `folder` with this `qianmian-js`; returns the component's path.
///
/// # Errors
/// When it cannot be started, or the project does not build; why stands on standard error.
pub fn build_with(builder: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let output = Command::new(builder)
        .arg("build")
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", builder.display()))?;
    ensure!(output.status.success(), "the strategy does not build");
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn find(beside: &Path, path: &OsStr) -> Option<PathBuf> {
    let name = format!("qianmian-js{}", std::env::consts::EXE_SUFFIX);
    let folders = std::iter::once(beside.to_path_buf()).chain(std::env::split_paths(path));
    folders.map(|folder| folder.join(&name)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn beside_comes_before_the_path() {
        let (beside, path) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let name = format!("qianmian-js{}", std::env::consts::EXE_SUFFIX);
        let found = || find(beside.path(), path.path().as_os_str());
        assert_eq!(found(), None);
        std::fs::write(path.path().join(&name), "").expect("written");
        assert_eq!(found(), Some(path.path().join(&name)));
        std::fs::write(beside.path().join(&name), "").expect("written");
        assert_eq!(found(), Some(beside.path().join(&name)));
    }
}
