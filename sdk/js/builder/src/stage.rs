//! Staging: every module that the entries reach, as plain JavaScript, with imports that name modules by their paths.

use crate::project::Project;
use crate::source;
use anyhow::{Context, anyhow};
use oxc_resolver::{AliasValue, ResolveOptions, Resolver};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Modules by their paths in the project.
pub type Modules = BTreeMap<String, String>;

/// The modules of the host, which the engine knows.
const CONTRACT: &str = "qianmian:strategy/";

/// Reads what `entries` reach.
///
/// # Errors
/// A module that is not found, lies outside the project or cannot be parsed: with the place of the import.
pub fn stage(project: &Project, entries: &[PathBuf]) -> anyhow::Result<Modules> {
    let resolver = resolver(project);
    let mut waiting = entries.iter().map(|path| inside(project, path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut seen: BTreeSet<PathBuf> = waiting.iter().cloned().collect();
    let mut modules = Modules::new();
    while let Some(path) = waiting.pop() {
        let (file, name) = (project.folder.join(&path), slashed(&path));
        let mut module = source::read(&file, &name)?;
        // From the last to the first, so that the places of those before stay right.
        for (specifier, range) in module.imports.iter().rev() {
            if specifier.starts_with(CONTRACT) {
                continue;
            }
            let line = module.text[..range.start].lines().count().max(1);
            let found = resolver.resolve_file(&file, specifier).map_err(|error| {
                anyhow!(
                    "{name}:{line}: cannot find {specifier:?}: {error}; there are the project's own files, \"qianmian\" \
                     and what node_modules has, and no modules of Node or of a browser"
                )
            })?;
            let found = inside(project, found.path()).with_context(|| format!("{name}:{line}: {specifier:?}"))?;
            module.text.replace_range(range.clone(), &format!("\"/{}\"", slashed(&found)));
            if seen.insert(found.clone()) {
                waiting.push(found);
            }
        }
        modules.insert(name, module.text);
    }
    Ok(modules)
}

/// The name of an entry among the modules.
///
/// # Errors
/// A file outside the project.
pub fn name(project: &Project, path: &Path) -> anyhow::Result<String> {
    Ok(slashed(&inside(project, path)?))
}

fn resolver(project: &Project) -> Resolver {
    let own = |name: &str, file: &str| {
        let path = project.folder.join("sdk/js").join(file).to_string_lossy().into_owned();
        (format!("{name}$"), vec![AliasValue::Path(path)])
    };
    let ends = |ends: &[&str]| ends.iter().map(|end| (*end).to_owned()).collect();
    Resolver::new(ResolveOptions {
        alias: vec![
            own("qianmian", "qianmian.js"),
            own("qianmian/tagger", "tagger.js"),
            own("qianmian/testing", "testing.js"),
        ],
        condition_names: ends(&["import", "default"]),
        extensions: ends(&[".ts", ".mts", ".js", ".mjs", ".json"]),
        // TypeScript's way of naming a module by what it becomes.
        extension_alias: vec![(".js".to_owned(), ends(&[".js", ".ts"])), (".mjs".to_owned(), ends(&[".mjs", ".mts"]))],
        main_fields: ends(&["module", "main"]),
        node_path: false,
        ..ResolveOptions::default()
    })
}

/// A file's path in the project.
fn inside(project: &Project, path: &Path) -> anyhow::Result<PathBuf> {
    let real = path.canonicalize().with_context(|| format!("cannot open {}", path.display()))?;
    let within = real.strip_prefix(&project.folder).map(Path::to_path_buf);
    within.with_context(|| format!("{} is outside the project {}", real.display(), project.folder.display()))
}

fn slashed(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        let sdk =
            [("sdk/js/qianmian.js", "export const a = 1;"), ("sdk/js/tagger.js", ""), ("sdk/wit/strategy.wit", "")];
        let manifest = ("package.json", r#"{"name": "summer", "main": "src/strategy.ts"}"#);
        for (path, text) in files.iter().copied().chain(sdk).chain([manifest]) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let project = Project::open(folder.path()).unwrap();
        (folder, project)
    }

    fn run(files: &[(&str, &str)]) -> anyhow::Result<Modules> {
        let (_folder, project) = project(files);
        stage(&project, std::slice::from_ref(&project.entry))
    }

    #[test]
    fn every_way_of_naming_a_module_becomes_its_path() {
        let modules = run(&[
            ("src/strategy.ts", "import { a } from \"qianmian\";\nimport b from './b';\nimport c from \"../c.js\";\n\
                import d from \"../package.json\" with { type: \"json\" };\nimport e from \"e\";\nconst f: number = 1;\n"),
            ("src/b.ts", "export default 1 as number;"),
            ("c.ts", "export default 2;"),
            ("node_modules/e/package.json", r#"{"main": "lib/e.js"}"#),
            ("node_modules/e/lib/e.js", "export default 3;"),
        ])
        .unwrap();
        let text = &modules["src/strategy.ts"];
        for line in [
            "import { a } from \"/sdk/js/qianmian.js\";",
            "import b from \"/src/b.ts\";",
            "import c from \"/c.ts\";",
            "import d from \"/package.json\" with { type: \"json\" };",
            "import e from \"/node_modules/e/lib/e.js\";",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(modules["package.json"].starts_with("export default {"));
        assert_eq!(modules.len(), 6);
    }

    #[test]
    fn what_is_not_there_is_named_with_its_place() {
        let error = |text: &str| format!("{:#}", run(&[("src/strategy.ts", text)]).unwrap_err());
        let text = error("const a = 1;\nimport b from \"./b.js\";\n");
        assert!(text.starts_with("src/strategy.ts:2: cannot find \"./b.js\""), "{text}");
        assert!(error("import fs from \"node:fs\";").starts_with("src/strategy.ts:1: cannot find \"node:fs\""));
        assert!(error("import a from \"../../x.js\";").starts_with("src/strategy.ts:1: "));
    }
}
