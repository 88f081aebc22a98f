//! Rules of the house that no compiler checks: who may depend on whom, what each file says of itself, how long it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest source file.
const LINES: usize = 600;

/// What each crate of ours may depend on (one way: server -> host, state, index, models -> core).
const MAY_USE: &[(&str, &[&str])] = &[
    ("runtime/core", &[]),
    ("runtime/host", &["qianmian-core"]),
    ("runtime/state", &["qianmian-core"]),
    ("index", &["qianmian-core"]),
    ("models", &["qianmian-core"]),
    ("runtime/server", &["qianmian-core", "qianmian-host", "qianmian-state", "qianmian-index", "qianmian-models"]),
    ("sdk/rust", &[]),
    ("plugins/home", &["qianmian-sdk"]),
    ("plugins/product", &["qianmian-sdk"]),
    ("plugins/cart", &["qianmian-sdk"]),
    ("plugins/content", &["qianmian-sdk"]),
    ("plugins/compose", &["qianmian-sdk"]),
];

/// Packages that only one crate may name.
const ONLY: &[(&str, &str)] = &[
    ("wasmtime", "runtime/host"),
    ("rusqlite", "runtime/state"),
    ("axum", "runtime/server"),
    ("hnsw_rs", "index"),
    ("tract-onnx", "models"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_path_buf()
}

fn sources() -> Vec<PathBuf> {
    let skip = ["target", ".git", "node_modules", "data"];
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable").map(|e| e.expect("entry").path()) {
            let name = entry.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if entry.is_dir() && !skip.contains(&name) {
                folders.push(entry);
            } else if name.ends_with(".rs") {
                found.push(entry);
            }
        }
    }
    found
}

/// The lines of a manifest's dependency sections (not the development ones).
fn dependencies(manifest: &Path) -> Vec<String> {
    let mut inside = false;
    fs::read_to_string(manifest)
        .expect("manifest")
        .lines()
        .filter(|line| {
            if line.starts_with('[') {
                inside = *line == "[dependencies]";
            }
            inside
        })
        .filter_map(|line| line.split(['.', '=', ' ']).next().map(str::to_owned))
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    for (folder, allowed) in MAY_USE {
        for name in dependencies(&root().join(folder).join("Cargo.toml")) {
            let ours = name.starts_with("qianmian");
            assert!(!ours || allowed.contains(&name.as_str()), "{folder} must not depend on {name}");
        }
    }
    for (package, only) in ONLY {
        for (folder, _) in MAY_USE {
            let names = dependencies(&root().join(folder).join("Cargo.toml"));
            assert!(
                folder == only || !names.iter().any(|name| name == package),
                "only {only} may name {package}, {folder} does"
            );
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for_and_stays_short() {
    let mut wrong = BTreeMap::new();
    for file in sources() {
        let text = fs::read_to_string(&file).expect("source");
        if !text.lines().take(3).any(|line| line.starts_with("//!")) {
            wrong.insert(file.clone(), "has no //! line".to_owned());
        }
        let lines = text.lines().count();
        if lines > LINES {
            wrong.insert(file, format!("has {lines} lines, at most {LINES}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_path_that_architecture_names_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut seen = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let is_path = word.contains('/')
            && !word.starts_with('/')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if is_path {
            seen += 1;
            assert!(root().join(word).exists(), "ARCHITECTURE.md names {word}, which is not there");
        }
    }
    assert!(seen > 20, "ARCHITECTURE.md should name its files; it names {seen}");
}

#[test]
fn both_readmes_have_the_same_shape() {
    let headings = |name: &str| {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|_| panic!("{name} is missing"));
        let mut code = false;
        text.lines()
            .filter(|line| {
                if line.starts_with("```") {
                    code = !code;
                }
                !code && line.starts_with('#')
            })
            .map(|line| line.chars().take_while(|c| *c == '#').count())
            .collect::<Vec<_>>()
    };
    assert_eq!(headings("README.md"), headings("README.zh-CN.md"), "README.zh-CN.md must keep step with README.md");
}
