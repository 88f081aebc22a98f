//! `qianmian plugin new`: a project that builds without anything of ours installed; the SDK and the contract come with it.

use anyhow::{Context, ensure};
use std::fs;
use std::path::Path;

macro_rules! sdk {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../sdk/", $path)))),*]
    };
}

/// The SDK's sources, with their places under `sdk/`.
const SDK: &[(&str, &str)] = sdk![
    "wit/strategy.wit",
    "rust/src/error.rs",
    "rust/src/heap.rs",
    "rust/src/lib.rs",
    "rust/src/page.rs",
    "rust/src/recipe.rs",
    "rust/src/set.rs",
    "rust/src/source.rs",
    "rust/src/strategy.rs",
    "rust/src/words.rs",
];

/// The project's own files; `@NAME@` stands for the strategy's name.
const PROJECT: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("sdk/rust/Cargo.toml", include_str!("template/sdk.toml.txt")),
    (".cargo/config.toml", include_str!("template/config.toml.txt")),
    (".gitignore", "target/\n"),
    ("README.md", include_str!("template/README.md.txt")),
    ("golden/known.json", include_str!("template/golden-known.json.txt")),
    ("golden/stranger.json", include_str!("template/golden-stranger.json.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    ("src/schema.json", include_str!("template/schema.json.txt")),
];

/// Writes a new project into `folder`, which must not be there yet.
///
/// # Errors
/// A name that is none, a folder that is there, or one that cannot be written.
pub fn create(name: &str, folder: &Path) -> anyhow::Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    ensure!(
        (1..=64).contains(&name.len()) && name.bytes().all(plain) && name.as_bytes()[0].is_ascii_lowercase(),
        "{name:?} is not a name for a strategy: use 1 to 64 small letters, digits or '-', a letter first"
    );
    ensure!(!folder.exists(), "{} is already there: choose another folder with --folder", folder.display());
    let sdk = SDK.iter().map(|(path, text)| (format!("sdk/{path}"), *text));
    for (path, text) in sdk.chain(PROJECT.iter().map(|(path, text)| ((*path).to_owned(), *text))) {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, text.replace("@NAME@", name)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_sdk_comes_along() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk");
        for folder in ["wit", "rust/src"] {
            for entry in fs::read_dir(sdk.join(folder)).expect("the SDK") {
                let name = format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy());
                assert!(SDK.iter().any(|(path, _)| *path == name), "{name} is missing in SDK");
            }
        }
    }

    #[test]
    fn versions_are_the_workspaces() {
        let ours = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml")).expect("it");
        let theirs = include_str!("template/sdk.toml.txt");
        for line in theirs.lines().filter(|line| line.starts_with("wit-bindgen") || line.starts_with("talc")) {
            assert!(ours.contains(line), "{line} is not in the workspace's Cargo.toml");
        }
    }

    #[test]
    fn bad_names_and_places_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["", "Summer", "a b", "../x", "9lives"] {
            assert!(create(name, &folder.path().join("new")).is_err(), "{name:?}");
        }
        assert!(create("good", folder.path()).is_err(), "there already");
        create("good", &folder.path().join("good")).expect("made");
        assert!(folder.path().join("good/sdk/wit/strategy.wit").is_file());
    }
}
