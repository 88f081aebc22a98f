//! The folder of hostile cases: each a text with a header that says what it does and what must come of it.

use crate::maker::{Parts, component, from_core};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Begins a line of the text that stands for many.
const REPEAT: &str = ";; repeat ";

/// One hostile strategy.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name without its end.
    pub name: String,
    /// What it does.
    pub about: String,
    /// What must come of it.
    pub expected: Expected,
    /// How much of a component the text is.
    pub whole: Whole,
    /// Pages of memory to start with.
    pub pages: u32,
    /// What the text defines instead of the prelude.
    pub own: Vec<String>,
    /// Its wall clock, where it is the clock that must stop it; without fuel then.
    pub wall: Option<Duration>,
    text: String,
}

/// What must come of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is not loaded: this code, and a message with these words.
    Refused(String, String),
    /// It loads, and composing ends with this code, and a message with these words.
    Fault(String, String),
    /// It does no harm: a page of so many slots.
    Page(usize),
}

/// How much of a component a case's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Fields beside the prelude; a function `$compose`, where there is one, composes.
    Fields,
    /// A core module of our world.
    Core,
    /// A component.
    Component,
    /// Any bytes.
    Bytes,
}

impl Case {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut case = Self {
            name,
            about: String::new(),
            expected: Expected::Page(0),
            whole: Whole::Fields,
            pages: 1,
            own: Vec::new(),
            wall: None,
            text: String::new(),
        };
        let is_header = |line: &&str| line.starts_with(";;") && !line.starts_with(REPEAT);
        let header = text.lines().take_while(is_header);
        let mut expected = None;
        for line in header.map(|line| line.trim_start_matches(';').trim()) {
            let (key, value) = line.split_once(": ").unwrap_or_default();
            match key {
                "expect" => expected = Some(case.expect(value)),
                "whole" => case.whole = case.whole(value),
                "pages" => case.pages = case.number(value),
                "wall" => case.wall = Some(Duration::from_millis(case.number(value))),
                "own" => case.own = value.split(", ").map(str::to_owned).collect(),
                _ => case.about = format!("{} {line}", case.about).trim().to_owned(),
            }
        }
        assert!(!case.about.is_empty(), "{}: the header says not what it does", case.name);
        case.expected = expected.unwrap_or_else(|| panic!("{}: the header has no `expect: `", case.name));
        let rest = text.lines().skip_while(is_header);
        case.text = rest.map(|line| case.repeated(line)).collect();
        case
    }

    fn number<T: std::str::FromStr>(&self, value: &str) -> T {
        value.parse().unwrap_or_else(|_| panic!("{}: {value:?} is no number", self.name))
    }

    fn expect(&self, value: &str) -> Expected {
        let (kind, rest) = value.split_once(' ').unwrap_or((value, ""));
        let (code, words) = rest.split_once(": ").unwrap_or((rest, ""));
        match kind {
            "refused" => Expected::Refused(code.to_owned(), words.to_owned()),
            "fault" => Expected::Fault(code.to_owned(), words.to_owned()),
            "page" => Expected::Page(self.number(rest)),
            _ => panic!("{}: expect {value:?}: refused, fault or page expected", self.name),
        }
    }

    fn whole(&self, value: &str) -> Whole {
        match value {
            "core" => Whole::Core,
            "component" => Whole::Component,
            "bytes" => Whole::Bytes,
            _ => panic!("{}: whole {value:?}: core, component or bytes expected", self.name),
        }
    }

    /// `;; repeat N: TEXT` is the text so many times, `#` being the number.
    fn repeated(&self, line: &str) -> String {
        let Some((count, text)) = line.trim().strip_prefix(REPEAT).and_then(|rest| rest.split_once(": ")) else {
            return format!("{line}\n");
        };
        let texts = (0..self.number::<usize>(count)).map(|n| text.replace('#', &n.to_string()));
        texts.flat_map(|text| [text, " ".to_owned()]).collect()
    }

    /// Its bytes, under a name where it has a prelude.
    ///
    /// # Panics
    /// When the text is no WebAssembly.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        match self.whole {
            Whole::Fields => {
                let body = if self.text.contains("(func $compose") { "(call $compose)" } else { "(i32.const 128)" };
                self.with_body(name, body)
            }
            Whole::Core => from_core(&self.text),
            Whole::Component => wat::parse_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name)),
            Whole::Bytes => self.text.trim_end().as_bytes().to_vec(),
        }
    }

    /// The same, but that it gives an empty page while an upload is tried out: for the scenario `smoke`, or any other
    /// whose name has five bytes.
    ///
    /// # Panics
    /// When it is not made of fields with a `$compose`.
    #[must_use]
    pub fn sly(&self, name: &str) -> Vec<u8> {
        assert!(self.whole == Whole::Fields && self.text.contains("(func $compose"), "{} cannot be sly", self.name);
        let smoke = "(if (i32.eq (local.get 1) (i32.const 5)) (then (return (i32.const 128))))";
        self.with_body(name, &format!("{smoke} (call $compose)"))
    }

    fn with_body(&self, name: &str, body: &str) -> Vec<u8> {
        let own: Vec<&str> = self.own.iter().map(String::as_str).collect();
        component(&Parts { name, pages: self.pages, extra: &self.text, body, own: &own, ..Parts::default() })
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hostile/cases")
}

/// Every case, by name.
///
/// # Panics
/// When one cannot be read or its header is wrong.
#[must_use]
pub fn cases() -> Vec<Case> {
    let entries = std::fs::read_dir(folder()).expect("tests/hostile/cases");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

/// The case of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn case(name: &str) -> Case {
    Case::read(&folder().join(format!("{name}.wat")))
}
