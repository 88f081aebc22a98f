//! `qianmian plugin new`: a project that builds; the SDK and the contract come with it.

use anyhow::{Context, ensure};
use std::fs;
use std::path::Path;

macro_rules! sdk {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../sdk/", $path)))),*]
    };
}

/// What a component does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Composes pages.
    Strategy,
    /// Tags visitors.
    Tagger,
}

/// What a strategy is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Rust, compiled by cargo.
    Rust,
    /// JavaScript, built by qianmian-js.
    Js,
    /// TypeScript, built by qianmian-js.
    Ts,
}

type Files = &'static [(&'static str, &'static str)];

/// The SDK's sources, with their places under `sdk/`.
const RUST_SDK: Files = sdk![
    "wit/strategy.wit",
    "wit/tagger.wit",
    "rust/src/error.rs",
    "rust/src/heap.rs",
    "rust/src/lib.rs",
    "rust/src/needs.rs",
    "rust/src/page.rs",
    "rust/src/recipe.rs",
    "rust/src/set.rs",
    "rust/src/source.rs",
    "rust/src/strategy.rs",
    "rust/src/tagger.rs",
    "rust/src/words.rs",
];
const JAVASCRIPT_SDK: Files = sdk![
    "wit/strategy.wit",
    "wit/tagger.wit",
    "js/qianmian.d.ts",
    "js/qianmian.js",
    "js/src/about.js",
    "js/src/around.js",
    "js/src/candidates.js",
    "js/src/errors.js",
    "js/src/page.js",
    "js/src/recipe.js",
    "js/src/source.js",
    "js/src/strategy.js",
    "js/src/tagger.js",
    "js/src/visitor.js",
    "js/src/words.js",
    "js/tagger.d.ts",
    "js/tagger.js",
    "js/testing.d.ts",
    "js/testing.js",
];

/// The project's own files; `@NAME@` stands for the strategy's name.
const RUST: Files = &[
    ("Cargo.toml", include_str!("template/Cargo.toml.txt")),
    ("sdk/rust/Cargo.toml", include_str!("template/sdk.toml.txt")),
    (".cargo/config.toml", include_str!("template/config.toml.txt")),
    (".gitignore", "target/\n"),
];
const RUST_STRATEGY: Files = &[
    ("README.md", include_str!("template/README.md.txt")),
    ("golden/known.json", include_str!("template/golden-known.json.txt")),
    ("golden/stranger.json", include_str!("template/golden-stranger.json.txt")),
    ("src/lib.rs", include_str!("template/lib.rs.txt")),
    ("src/schema.json", include_str!("template/schema.json.txt")),
];
const RUST_TAGGER: Files = &[
    ("README.md", include_str!("template/tagger/README.md.txt")),
    ("golden/known.json", include_str!("template/tagger/golden-known.json.txt")),
    ("src/lib.rs", include_str!("template/tagger/lib.rs.txt")),
    ("src/schema.json", include_str!("template/tagger/schema.json.txt")),
];
/// Of every project in JavaScript or TypeScript; `@END@` stands for `js` or `ts`, `@CONFIG@` for the editor's file.
const SCRIPT: Files = &[
    ("package.json", include_str!("template/js/package.json.txt")),
    ("@CONFIG@", include_str!("template/js/config.json.txt")),
    (".gitignore", "target/\n"),
];
const SCRIPT_STRATEGY: Files = &[
    ("README.md", include_str!("template/js/README.md.txt")),
    ("golden/known.json", include_str!("template/golden-known.json.txt")),
    ("golden/stranger.json", include_str!("template/golden-stranger.json.txt")),
    ("src/schema.json", include_str!("template/schema.json.txt")),
    ("test/parameters.test.@END@", include_str!("template/js/parameters.test.txt")),
];
const SCRIPT_TAGGER: Files = &[
    ("README.md", include_str!("template/js/tagger.README.md.txt")),
    ("golden/known.json", include_str!("template/tagger/golden-known.json.txt")),
    ("src/schema.json", include_str!("template/tagger/schema.json.txt")),
    ("test/taste.test.@END@", include_str!("template/js/taste.test.txt")),
];
const JAVASCRIPT: Files = &[
    ("src/strategy.js", include_str!("template/js/strategy.js.txt")),
    ("src/parameters.js", include_str!("template/js/parameters.js.txt")),
];
const TYPESCRIPT: Files = &[
    ("src/strategy.ts", include_str!("template/js/strategy.ts.txt")),
    ("src/parameters.ts", include_str!("template/js/parameters.ts.txt")),
];
const JAVASCRIPT_TAGGER: Files = &[
    ("src/tagger.js", include_str!("template/js/tagger.js.txt")),
    ("src/taste.js", include_str!("template/js/taste.js.txt")),
];
const TYPESCRIPT_TAGGER: Files = &[
    ("src/tagger.ts", include_str!("template/js/tagger.ts.txt")),
    ("src/taste.ts", include_str!("template/js/taste.ts.txt")),
];

/// Writes a new project into `folder`, which must not be there yet.
///
/// # Errors
/// A name that is none, a folder that is there, or one that cannot be written.
pub fn create(name: &str, folder: &Path, language: Language, kind: Kind) -> anyhow::Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    ensure!(
        (1..=64).contains(&name.len()) && name.bytes().all(plain) && name.as_bytes()[0].is_ascii_lowercase(),
        "{name:?} is not a name for a strategy: use 1 to 64 small letters, digits or '-', a letter first"
    );
    ensure!(!folder.exists(), "{} is already there: choose another folder with --folder", folder.display());
    let (sdk, own): (Files, &[Files]) = match (language, kind) {
        (Language::Rust, Kind::Strategy) => (RUST_SDK, &[RUST, RUST_STRATEGY]),
        (Language::Rust, Kind::Tagger) => (RUST_SDK, &[RUST, RUST_TAGGER]),
        (Language::Js, Kind::Strategy) => (JAVASCRIPT_SDK, &[SCRIPT, SCRIPT_STRATEGY, JAVASCRIPT]),
        (Language::Ts, Kind::Strategy) => (JAVASCRIPT_SDK, &[SCRIPT, SCRIPT_STRATEGY, TYPESCRIPT]),
        (Language::Js, Kind::Tagger) => (JAVASCRIPT_SDK, &[SCRIPT, SCRIPT_TAGGER, JAVASCRIPT_TAGGER]),
        (Language::Ts, Kind::Tagger) => (JAVASCRIPT_SDK, &[SCRIPT, SCRIPT_TAGGER, TYPESCRIPT_TAGGER]),
    };
    let world = if kind == Kind::Tagger { "tagger" } else { "strategy" };
    let (end, config) = if language == Language::Ts { ("ts", "tsconfig.json") } else { ("js", "jsconfig.json") };
    let filled = |text: &str| {
        text.replace("@NAME@", name).replace("@END@", end).replace("@CONFIG@", config).replace("@WORLD@", world)
    };
    let sdk = sdk.iter().map(|(path, text)| (format!("sdk/{path}"), (*text).to_owned()));
    let own = own.iter().copied().flatten().map(|(path, text)| (filled(path), filled(text)));
    for (path, text) in sdk.chain(own) {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_sdk_comes_along() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk");
        for (folder, ours) in [
            ("wit", RUST_SDK),
            ("rust/src", RUST_SDK),
            ("wit", JAVASCRIPT_SDK),
            ("js", JAVASCRIPT_SDK),
            ("js/src", JAVASCRIPT_SDK),
        ] {
            for entry in fs::read_dir(sdk.join(folder)).expect("the SDK").map(|entry| entry.expect("an entry").path()) {
                let name = format!("{folder}/{}", entry.file_name().expect("a name").to_string_lossy());
                assert!(entry.is_dir() || ours.iter().any(|(path, _)| *path == name), "{name} is missing");
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
            assert!(create(name, &folder.path().join("new"), Language::Rust, Kind::Strategy).is_err(), "{name:?}");
        }
        assert!(create("good", folder.path(), Language::Rust, Kind::Strategy).is_err(), "there already");
        for (language, file) in
            [(Language::Rust, "Cargo.toml"), (Language::Js, "jsconfig.json"), (Language::Ts, "tsconfig.json")]
        {
            let project = folder.path().join(format!("{language:?}"));
            create("good", &project, language, Kind::Strategy).expect("made");
            assert!(project.join("sdk/wit/strategy.wit").is_file() && project.join(file).is_file(), "{language:?}");
        }
    }
}
