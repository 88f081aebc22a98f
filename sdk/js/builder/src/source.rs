//! Reading a module: types are blanked out, so that lines and columns stay what the author sees, and imports are found.

use anyhow::{Context, anyhow, bail, ensure};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use swc_common::errors::{DiagnosticBuilder, Emitter, Handler};
use swc_common::sync::Lrc;
use swc_common::{BytePos, FileName, GLOBALS, Globals, SourceMap};
use swc_ecma_ast::{EsVersion, ModuleDecl, ModuleItem, Str};
use swc_ecma_parser::{Syntax, parse_file_as_module};
use swc_ts_fast_strip::{Mode, Options};

/// A module as the engine can read it.
#[derive(Debug)]
pub struct Source {
    /// JavaScript.
    pub text: String,
    /// What it imports, and where in the text the quoted specifier stands.
    pub imports: Vec<(String, Range<usize>)>,
}

/// Reads a module; `shown` is its path in messages.
///
/// # Errors
/// What cannot be read or parsed, with the line and column.
pub fn read(path: &Path, shown: &str) -> anyhow::Result<Source> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    match path.extension().and_then(|end| end.to_str()) {
        Some("js" | "mjs") => parsed(text, shown),
        Some("ts" | "mts") => parsed(stripped(text, shown)?, shown),
        Some("json") => {
            serde_json::from_str::<serde_json::Value>(&text).with_context(|| format!("{shown} is no JSON"))?;
            Ok(Source { text: format!("export default {}", text.trim_start_matches('\u{feff}')), imports: Vec::new() })
        }
        _ => bail!("{shown} is of no kind that can be imported: .js, .mjs, .ts, .mts and .json are"),
    }
}

/// Where something is, and what it is.
type Complaint = (Option<BytePos>, String);

/// The first complaint.
#[derive(Clone, Default)]
struct First(Arc<Mutex<Option<Complaint>>>);

impl Emitter for First {
    fn emit(&mut self, found: &mut DiagnosticBuilder<'_>) {
        if let Ok(mut first) = self.0.lock() {
            first.get_or_insert_with(|| (found.span.primary_span().map(|span| span.lo), found.message()));
        }
    }
}

impl First {
    fn error(&self, map: &SourceMap, shown: &str) -> anyhow::Error {
        match self.0.lock().ok().and_then(|mut first| first.take()) {
            Some((Some(at), words)) => {
                let place = map.lookup_char_pos(at);
                anyhow!("{shown}:{}:{}: {words}", place.line, place.col_display + 1)
            }
            Some((None, words)) => anyhow!("{shown}: {words}"),
            None => anyhow!("{shown} cannot be parsed"),
        }
    }
}

/// TypeScript without its types. What would need code of its own (enums, namespaces with values, parameter properties)
/// is refused.
fn stripped(text: String, shown: &str) -> anyhow::Result<String> {
    let map: Lrc<SourceMap> = Lrc::default();
    let first = First::default();
    let handler = Handler::with_emitter(false, false, Box::new(first.clone()));
    let options = Options { module: Some(true), mode: Mode::StripOnly, ..Options::default() };
    GLOBALS
        .set(&Globals::default(), || swc_ts_fast_strip::operate(&map, &handler, text, options))
        .map(|output| output.code)
        .map_err(|_| first.error(&map, shown))
}

fn parsed(text: String, shown: &str) -> anyhow::Result<Source> {
    let map: Lrc<SourceMap> = Lrc::default();
    let file = map.new_source_file(FileName::Anon.into(), text.clone());
    let first = First::default();
    let handler = Handler::with_emitter(false, false, Box::new(first.clone()));
    let mut errors = Vec::new();
    let module = parse_file_as_module(&file, Syntax::Es(Default::default()), EsVersion::latest(), None, &mut errors);
    let module = match module {
        Ok(module) if errors.is_empty() => module,
        Ok(_) => {
            errors.into_iter().for_each(|error| error.into_diagnostic(&handler).emit());
            return Err(first.error(&map, shown));
        }
        Err(error) => {
            error.into_diagnostic(&handler).emit();
            return Err(first.error(&map, shown));
        }
    };
    let mut imports = Vec::new();
    for item in &module.body {
        let ModuleItem::ModuleDecl(declaration) = item else { continue };
        let specifier: Option<&Str> = match declaration {
            ModuleDecl::Import(import) => Some(&import.src),
            ModuleDecl::ExportAll(export) => Some(&export.src),
            ModuleDecl::ExportNamed(export) => export.src.as_deref(),
            _ => None,
        };
        if let Some(specifier) = specifier {
            let at = |position: BytePos| (position - file.start_pos).0 as usize;
            let range = at(specifier.span.lo)..at(specifier.span.hi);
            let quoted = text.get(range.clone()).unwrap_or_default();
            ensure!(quoted.len() > 2, "{shown}: an import of nothing");
            imports.push((quoted[1..quoted.len() - 1].to_owned(), range));
        }
    }
    Ok(Source { text, imports })
}

#[cfg(test)]
mod tests {
    use super::{parsed, stripped};

    #[test]
    fn types_leave_and_everything_else_stays_where_it_is() {
        let text = "import type { Request } from \"qianmian\";\n\
            interface A { b?: string }\n\
            export const f = <T,>(a: A, n?: number): string => (a.b as string) + n!;\n\
            class C<T> { private readonly x: number = 1; declare y: T; m(this: C<T>, z?: T): void {} }\n";
        let code = stripped(text.to_owned(), "a.ts").unwrap();
        assert_eq!(code.len(), text.len());
        for word in ["interface", "import", "private", "readonly", "declare", "string", "T"] {
            assert!(!code.contains(word), "{word} in {code}");
        }
        let at = |code: &str| code.lines().nth(2).and_then(|line| line.find("a.b"));
        assert_eq!(at(&code), at(text));
        parsed(code, "a.ts").unwrap();
    }

    #[test]
    fn what_is_more_than_a_type_is_refused_with_its_place() {
        let error =
            stripped("const a = 1;\nexport enum Colour { Red }\n".to_owned(), "src/a.ts").unwrap_err().to_string();
        assert!(error.starts_with("src/a.ts:2:") && error.contains("enum"), "{error}");
        let error = stripped("let x: = 3;".to_owned(), "src/a.ts").unwrap_err().to_string();
        assert!(error.starts_with("src/a.ts:1:"), "{error}");
    }

    #[test]
    fn imports_are_found_and_mistakes_have_a_place() {
        let text =
            "import a, { b } from './b.js';\nexport * from \"c\";\nexport { d } from './d.ts';\nimport './e.js';\n";
        let source = parsed(text.to_owned(), "a.js").unwrap();
        let names: Vec<&str> = source.imports.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["./b.js", "c", "./d.ts", "./e.js"]);
        assert_eq!(&text[source.imports[1].1.clone()], "\"c\"");
        let error = parsed("export default {\n  a: 1,\n  b c\n};\n".to_owned(), "src/a.js").unwrap_err().to_string();
        assert!(error.starts_with("src/a.js:3:"), "{error}");
    }
}
