//! What an uploaded component must pass, in order, and the report of it. All but the signature is checked where what it does
//! or uses hurts nobody: in a process of its own.

use super::golden::{self, Golden};
use super::signature::{Signature, TrustedKeys};
use super::{Compiler, Plugin};
use crate::code_tags;
use crate::error::ApiError;
use qianmian_host::{CodeKey, Fault, Host, Limits, LoadError, NEAR_LIMIT, Program, Usage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Candidates that the smoke run offers.
const SIZES: [u32; 4] = [0, 1, 1_000, 5_000];
/// Every check, in order.
const CHECKS: [&str; 10] =
    ["signature", "component", "imports", "compiled", "world", "describe", "schema", "identity", "golden", "smoke"];
/// Every code of a refusal: another process only sends its text.
const CODES: [&str; 17] = [
    "bad_description",
    "bad_parameters",
    "bad_schema",
    "compile_limit",
    "component_too_large",
    "describe_failed",
    "forbidden_import",
    "golden_failed",
    "invalid_component",
    "needs_too_much",
    "not_a_component",
    "not_deterministic",
    "sandbox_unavailable",
    "smoke_failed",
    "trial_limit",
    "wrong_identity",
    "wrong_world",
];

/// A check that was passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Its name.
    pub check: String,
    /// What it found.
    pub detail: String,
}

impl Check {
    fn new(check: &str, detail: impl Into<String>) -> Self {
        Self { check: check.to_owned(), detail: detail.into() }
    }
}

/// The check that was not passed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    check: String,
    code: String,
    detail: String,
}

impl Refusal {
    pub fn into_error(self) -> ApiError {
        match CODES.into_iter().find(|known| *known == self.code) {
            Some(code) => ApiError::unprocessable(code, self.detail),
            // what goes wrong here is not the author's fault
            None => ApiError::internal(self.detail),
        }
    }
}

/// What came of the checks of a component.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub passed: Vec<Check>,
    pub refused: Option<Refusal>,
}

impl Verdict {
    /// Of a process that ended at a limit or crashed; `said` has the check it was at as its last line.
    pub fn ended(said: &str, limits: &super::Limits) -> Self {
        let at = said.lines().rev().find(|line| CHECKS.contains(line)).unwrap_or("compiled");
        let (code, doing, advice) = match at {
            "component" | "imports" | "compiled" => ("compile_limit", "compiling", "make the largest function smaller"),
            _ => ("trial_limit", "running it", "do less in one call, or bring fewer golden cases"),
        };
        let detail = format!(
            "{doing} crashed, or took more than {} s of processor time, {} MB or {} s altogether: {advice}",
            limits.cpu_seconds,
            limits.memory >> 20,
            limits.wall.as_secs()
        );
        let done = CHECKS.iter().skip(1).take_while(|check| **check != at);
        let passed = done.map(|check| Check::new(check, "")).collect();
        Self { passed, refused: Some(Refusal { check: at.to_owned(), code: code.to_owned(), detail }) }
    }
}

/// What is uploaded.
pub struct Upload<'a> {
    /// The name in the path.
    pub name: &'a str,
    /// The version in the path.
    pub version: &'a str,
    /// The component.
    pub component: &'a [u8],
    /// Its signature, where one came along.
    pub signature: Option<&'a Signature>,
}

/// Runs every check; the plugin, and what was found.
///
/// # Errors
/// The first that fails, with its code and what passed before it.
pub(super) fn run(
    compiler: &Compiler,
    keys: &TrustedKeys,
    upload: &Upload<'_>,
) -> Result<(Plugin, Vec<Check>), ApiError> {
    let failed = |check: &str, passed: &[Check], error: ApiError| {
        let passed: Vec<&str> = passed.iter().map(|check| check.check.as_str()).collect();
        let before = if passed.is_empty() { "none".to_owned() } else { passed.join(", ") };
        let (wrong, advice) = (&error.detail, advice(error.code, check));
        ApiError { detail: format!("check {check} failed: {wrong}{advice} (passed before it: {before})"), ..error }
    };
    let by = keys.verify(upload.component, upload.signature).map_err(|error| failed("signature", &[], error))?;
    let mut passed =
        vec![Check::new("signature", by.map_or("none is required".to_owned(), |key| format!("by key {key}")))];
    let (Verdict { passed: more, refused }, code) = compiler.tried((upload.name, upload.version), upload.component)?;
    passed.extend(more);
    if let Some(refusal) = refused {
        return Err(failed(&refusal.check.clone(), &passed, refusal.into_error()));
    }
    let plugin = Plugin::new(compiler.keep(upload.component, &code)?)?;
    // It said so in the other process as well, over the very same bytes.
    identity(&plugin, (upload.name, upload.version)).map_err(|error| failed("identity", &passed, error))?;
    Ok((plugin, passed))
}

/// What to do about a check that failed, where its words do not say it.
fn advice(code: &str, check: &str) -> &'static str {
    match check {
        _ if code.ends_with("_limit") => "",
        "component" => "; `qianmian plugin build` makes one that is",
        "imports" => "; there is no clock, file, network or chance but what the SDK has",
        "world" => "; build it with the SDK that `qianmian plugin new` of this version brings",
        "schema" => "; correct the parameters' schema (JSON Schema 2020-12)",
        "golden" => "; if it is right as it is now, `qianmian plugin build --accept` and a new version",
        "smoke" => {
            "; `qianmian plugin test` runs it the same way: no candidates or thousands, no error, and the same twice"
        }
        _ => "",
    }
}

/// Every check but the signature's, in this process: the verdict, and the machine code of what passed. `begins` is told of
/// each check before it begins.
pub(super) fn all(host: &Host, path: (&str, &str), component: &[u8], begins: impl Fn(&str)) -> (Verdict, Vec<u8>) {
    let mut checks = Checks { passed: Vec::new(), at: CHECKS[1], begins };
    let code = checks.all(host, path, component);
    verdict(checks.passed, checks.at, code)
}

/// The machine code alone, of a component that was checked before.
pub(super) fn compiled(host: &Host, component: &[u8]) -> (Verdict, Vec<u8>) {
    let mut checks = Checks { passed: Vec::new(), at: "compiled", begins: |_: &str| () };
    let code = host.compile(component).map_err(|error| checks.refused(&error));
    verdict(checks.passed, checks.at, code)
}

fn verdict(passed: Vec<Check>, at: &str, code: Result<Vec<u8>, ApiError>) -> (Verdict, Vec<u8>) {
    let refused = |error: ApiError| Refusal { check: at.to_owned(), code: error.code.to_owned(), detail: error.detail };
    let (refused, code) = code.map_or_else(|error| (Some(refused(error)), Vec::new()), |code| (None, code));
    (Verdict { passed, refused }, code)
}

/// Checks passed so far, and the one that is under way.
struct Checks<B> {
    passed: Vec<Check>,
    at: &'static str,
    begins: B,
}

impl<B: Fn(&str)> Checks<B> {
    fn begin(&mut self, check: &'static str) {
        self.at = check;
        (self.begins)(check);
    }

    fn passed(&mut self, detail: impl Into<String>) {
        self.passed.push(Check::new(self.at, detail));
    }

    /// A component may turn out to be wrong in an earlier or a later way than the one that was looked for.
    fn refused(&mut self, error: &LoadError) -> ApiError {
        self.at = match error.code() {
            "forbidden_import" => "imports",
            "wrong_world" => "world",
            "describe_failed" | "bad_description" => "describe",
            _ => self.at,
        };
        ApiError::unprocessable(error.code(), error.to_string())
    }

    fn all(&mut self, host: &Host, path: (&str, &str), component: &[u8]) -> Result<Vec<u8>, ApiError> {
        self.begin("component");
        host.check(component).map_err(|error| self.refused(&error))?;
        self.passed(format!("{} bytes, valid", component.len()));
        self.begin("imports");
        self.passed("nothing but the contract");
        self.begin("compiled");
        let begun = std::time::Instant::now();
        let code = host.compile(component).map_err(|error| self.refused(&error))?;
        self.passed(format!("in {} ms, within limits", begun.elapsed().as_millis()));
        self.begin("world");
        let key = CodeKey::new(rand::random());
        let program = host.load_sealed(&key, component, &key.seal(component, &code));
        let program = program.map_err(|error| self.refused(&error))?;
        let program = program.ok_or_else(|| ApiError::internal("the engine refuses what it compiled itself"))?;
        self.passed(program.world());
        self.begin("describe");
        self.passed(program.description().summary.clone());
        self.begin("schema");
        let plugin = Plugin::new(program)?;
        self.passed("a JSON Schema");
        self.begin("identity");
        identity(&plugin, path)?;
        self.passed(format!("{} {}", plugin.name, plugin.version));
        self.begin("golden");
        let cases = golden(&plugin, component)?;
        self.passed(format!("{} cases", cases.len()));
        self.begin("smoke");
        let found = smoke(&plugin, &cases)?;
        self.passed(found);
        Ok(code)
    }
}

fn identity(plugin: &Plugin, (name, version): (&str, &str)) -> Result<(), ApiError> {
    if plugin.name == name && plugin.version == version {
        return Ok(());
    }
    let detail = format!(
        "the component says it is {} {}, the path says {name} {version}: `qianmian plugin push` names the path by the \
         component",
        plugin.name, plugin.version
    );
    Err(ApiError::unprocessable("wrong_identity", detail))
}

fn golden(plugin: &Plugin, component: &[u8]) -> Result<Vec<Golden>, ApiError> {
    let cases =
        Golden::of(component).map_err(|error| ApiError::unprocessable("golden_failed", format!("{error:#}")))?;
    for case in &cases {
        case.check(plugin)
            .map_err(|error| ApiError::unprocessable("golden_failed", format!("case {}: {error:#}", case.name)))?;
    }
    Ok(cases)
}

/// Composes over shops of several sizes, for a stranger and a known visitor, each twice.
fn smoke(plugin: &Plugin, cases: &[Golden]) -> Result<String, ApiError> {
    let first = cases.first().map(|case| case.parameters.clone());
    let parameters = [Some(serde_json::json!({})), first].into_iter().flatten();
    let Some(parameters) = parameters.into_iter().find(|some| plugin.check_parameters(some).is_ok()) else {
        return Ok("left out: {} does not fit the schema, and there is no golden case with parameters".to_owned());
    };
    let (parameters, limits) = (parameters.to_string(), Limits::default());
    let mut most: Vec<(&str, f64)> = Vec::new();
    let what = match plugin.program {
        Program::Strategy(_) => "candidates",
        Program::Tagger(_) => "items",
    };
    for size in SIZES {
        for known in [false, true] {
            let wrong = |code, problem: String| ApiError::unprocessable(code, format!("with {size} {what}: {problem}"));
            let once = || match plugin.program {
                Program::Strategy(_) => pages(plugin, size, known, &parameters),
                Program::Tagger(_) => tags(plugin, size, known, &parameters),
            };
            let once = || once().map_err(|error| wrong("smoke_failed", format!("{error:#}")));
            let ((one, usage), (two, _)) = (once()?, once()?);
            // Not the wall clock: here it is generous, and the machine's.
            let shares = usage.shares(&limits).into_iter().filter(|(budget, _)| *budget != "wall");
            most =
                shares.enumerate().map(|(at, (b, used))| (b, most.get(at).map_or(used, |m| m.1.max(used)))).collect();
            if one != two {
                let problem =
                    "two runs of the same request gave two answers: use the request's seed for what is random";
                return Err(wrong("not_deterministic", problem.to_owned()));
            }
        }
    }
    let told = most.iter().map(|(budget, used)| {
        let near = if *used > NEAR_LIMIT { " (near the limit)" } else { "" };
        format!("{:.1}% of {budget}{near}", 100.0 * used)
    });
    Ok(format!("0, 1, 1000 and 5000 {what}, each twice: at most {}", told.collect::<Vec<_>>().join(", ")))
}

/// The answer of one run, in a form that can be compared.
type Answer = anyhow::Result<(Option<String>, Usage)>;

fn pages(plugin: &Plugin, size: u32, known: bool, parameters: &str) -> Answer {
    let outcome = golden::compose(plugin, size, known, parameters, &[], 50)?;
    let page = match &outcome.page {
        Ok(page) => Some(format!("{:?}", golden::shelves(size, page))),
        // A product page may well want an item.
        Err(Fault::Rejected { .. }) => None,
        Err(fault) => anyhow::bail!("{fault} ({})", fault.code()),
    };
    Ok((page, outcome.usage))
}

/// As many visitors as a server asks about at once, of a shop of so many items: half where all are too much, as it does.
fn tags(plugin: &Plugin, size: u32, known: bool, parameters: &str) -> Answer {
    let mut visitors = code_tags::BATCH.min(size as usize);
    loop {
        let tagged = golden::tag(plugin, size, visitors, known, parameters)?;
        match &tagged.tags {
            Ok(tags) => return Ok((Some(format!("{tags:?}")), tagged.usage)),
            Err(Fault::Timeout { .. } | Fault::OutOfFuel { .. } | Fault::MemoryLimit { .. })
                if visitors > code_tags::LEAST =>
            {
                visitors /= 2;
            }
            Err(fault) => anyhow::bail!("with {visitors} visitors: {fault} ({})", fault.code()),
        }
    }
}
