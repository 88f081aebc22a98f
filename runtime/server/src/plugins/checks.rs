//! What an uploaded component must pass, in order, and the report of it.

use super::golden::{self, Golden};
use super::signature::{Signature, TrustedKeys};
use super::{Compiler, Plugin};
use crate::error::ApiError;
use qianmian_host::{Fault, Limits, Program, Usage};
use serde::Serialize;
use utoipa::ToSchema;

/// Candidates that the smoke run offers.
const SIZES: [u32; 4] = [0, 1, 1_000, 5_000];

/// A check that was passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// Its name.
    pub check: &'static str,
    /// What it found.
    pub detail: String,
}

/// Checks passed so far; the next one that fails names them.
#[derive(Default)]
pub(super) struct Checks(pub Vec<Check>);

impl Checks {
    fn passed(&mut self, check: &'static str, detail: impl Into<String>) {
        self.0.push(Check { check, detail: detail.into() });
    }

    fn failed(&self, check: &str, error: ApiError) -> ApiError {
        let passed: Vec<&str> = self.0.iter().map(|check| check.check).collect();
        let before = if passed.is_empty() { "none".to_owned() } else { passed.join(", ") };
        ApiError { detail: format!("check {check} failed: {} (passed before it: {before})", error.detail), ..error }
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

/// Runs every check.
///
/// # Errors
/// The first that fails, with its code and what passed before it.
pub(super) fn run(compiler: &Compiler, keys: &TrustedKeys, upload: &Upload<'_>) -> Result<(Plugin, Checks), ApiError> {
    let mut checks = Checks::default();
    let by = keys.verify(upload.component, upload.signature).map_err(|error| checks.failed("signature", error))?;
    checks.passed("signature", by.map_or_else(|| "none is required".to_owned(), |key| format!("by key {key}")));
    let begun = std::time::Instant::now();
    let program = compiler.program(upload.component).map_err(|error| checks.failed(stage(error.code), error))?;
    let took = begun.elapsed().as_millis();
    checks.passed("component", format!("{} bytes, valid", upload.component.len()));
    checks.passed("imports", "nothing but the contract");
    checks.passed("compiled", format!("in {took} ms, within limits"));
    checks.passed("world", program.world());
    checks.passed("describe", program.description().summary.clone());
    let plugin = Plugin::new(program).map_err(|error| checks.failed("schema", error))?;
    checks.passed("schema", "a JSON Schema");
    if plugin.name != upload.name || plugin.version != upload.version {
        let detail = format!(
            "the component says it is {} {}, the path says {} {}",
            plugin.name, plugin.version, upload.name, upload.version
        );
        return Err(checks.failed("identity", ApiError::unprocessable("wrong_identity", detail)));
    }
    checks.passed("identity", format!("{} {}", plugin.name, plugin.version));
    let cases = golden(&plugin, upload.component).map_err(|error| checks.failed("golden", error))?;
    checks.passed("golden", format!("{} cases", cases.len()));
    let smoke = smoke(&plugin, &cases).map_err(|error| checks.failed("smoke", error))?;
    checks.passed("smoke", smoke);
    Ok((plugin, checks))
}

/// The check whose code this is.
fn stage(code: &str) -> &'static str {
    match code {
        "forbidden_import" => "imports",
        "compile_limit" => "compiled",
        "wrong_world" => "world",
        "describe_failed" | "bad_description" => "describe",
        _ => "component",
    }
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
    let (mut fuel, mut memory, mut calls) = (0, 0, 0);
    let what = match plugin.program {
        Program::Strategy(_) => "candidates",
        Program::Tagger(_) => "visitors",
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
            (fuel, memory) = (fuel.max(usage.fuel), memory.max(usage.memory));
            calls = calls.max(usage.host_calls);
            if one != two {
                let problem =
                    "two runs of the same request gave two answers: use the request's seed for what is random";
                return Err(wrong("not_deterministic", problem.to_owned()));
            }
        }
    }
    let percent = |used: f64, most: f64| 100.0 * used / most;
    Ok(format!(
        "0, 1, 1000 and 5000 {what}, each twice: at most {:.2}% of fuel, {:.1}% of memory, {:.1}% of host calls",
        percent(fuel as f64, limits.fuel as f64),
        percent(memory as f64, limits.memory as f64),
        percent(f64::from(calls), f64::from(limits.host_calls))
    ))
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

/// So many visitors of a shop of so many items: what a back-fill asks at once.
fn tags(plugin: &Plugin, size: u32, known: bool, parameters: &str) -> Answer {
    let tagged = golden::tag(plugin, size, size as usize, known, parameters)?;
    match &tagged.tags {
        Ok(tags) => Ok((Some(format!("{tags:?}")), tagged.usage)),
        Err(fault) => anyhow::bail!("{fault} ({})", fault.code()),
    }
}
