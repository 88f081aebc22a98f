//! A project: the folder with package.json, the strategy's name and its entry module.

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A project of a strategy's author.
#[derive(Debug)]
pub struct Project {
    /// The folder, without links.
    pub folder: PathBuf,
    /// The folder as it was named.
    pub given: PathBuf,
    /// The strategy's name: `name` of package.json.
    pub name: String,
    /// The module that exports the strategy: `main` of package.json.
    pub entry: PathBuf,
}

impl Project {
    /// Reads the project in `folder`.
    ///
    /// # Errors
    /// No package.json, one that does not say what is needed, or no SDK beside it.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let manifest = folder.join("package.json");
        let text = std::fs::read_to_string(&manifest).with_context(|| {
            format!("cannot read {}: run this in a strategy's folder, or name it", manifest.display())
        })?;
        let said: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", manifest.display()))?;
        let word = |member: &str, example: &str| {
            let found = said[member].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            found.with_context(|| format!("{} has no \"{member}\", such as {example:?}", manifest.display()))
        };
        let (name, main) = (word("name", "summer")?, word("main", "src/strategy.js")?);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        ensure!(
            name.len() <= 64 && name.bytes().all(plain),
            "the name {name:?} in {} is not one for a strategy: use 1 to 64 letters, digits, '-', '_' or '.'",
            manifest.display()
        );
        let given = folder.to_path_buf();
        let folder = folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?;
        for file in ["sdk/js/qianmian.js", "sdk/js/tagger.js", "sdk/wit/strategy.wit"] {
            let there = folder.join(file).is_file();
            ensure!(there, "{file} is not there: copy sdk/ from a new project (`qianmian plugin new NAME --lang js`)");
        }
        let entry = folder.join(&main);
        ensure!(entry.is_file(), "{main} is not there: \"main\" in {} names the entry module", manifest.display());
        Ok(Self { folder, given, name, entry })
    }

    /// The folder of the contract's text.
    pub fn contract(&self) -> PathBuf {
        self.folder.join("sdk/wit")
    }

    /// Every *.test.js and *.test.ts, sorted.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn tests(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if path.is_dir() && !name.starts_with('.') && !matches!(name, "node_modules" | "target" | "sdk") {
                    folders.push(path);
                } else if [".test.js", ".test.mjs", ".test.ts", ".test.mts"].iter().any(|end| name.ends_with(end)) {
                    found.push(path);
                }
            }
        }
        if found.is_empty() {
            bail!("{} has no *.test.js and no *.test.ts", self.folder.display());
        }
        found.sort();
        Ok(found)
    }
}
