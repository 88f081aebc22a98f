//! `qianmian plugin`: what the author of a strategy types.

use super::say;
use crate::app::App;
use crate::authoring::{self, Kind, Language, Line, Trial};
use crate::config::Config;
use crate::demo::{PERSONAS, Scale, fill, install_models};
use crate::needs::NeedsSpec;
use crate::plugins::golden::{self, Golden};
use crate::plugins::{self, Signature};
use anyhow::Context;
use qianmian_core::TimeMs;
use qianmian_state::State;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The address of a server.
pub(super) const URL: &str = "http://127.0.0.1:7700";

/// The subcommands of `plugin`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Plugin {
    /// Write a new project: an example that builds, with a test, the SDK and the contract.
    New {
        /// The strategy's name: small letters, digits, '-'.
        name: String,
        /// The language.
        #[arg(long, value_enum, default_value_t = Language::Rust)]
        lang: Language,
        /// A tagger instead of a strategy: it says which tags visitors have.
        #[arg(long)]
        tagger: bool,
        /// Where to; a folder of the strategy's name without it.
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// Compile a project to a component and print its path.
    Build {
        /// The project's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Take the pages of the golden cases (golden/*.json) as they are now for right.
        #[arg(long)]
        accept: bool,
    },
    /// Run a component in the host's sandbox with its limits, for several visitors, twice.
    Test(Test),
    /// Say what a component is, without running it for anybody.
    Inspect {
        /// The component.
        file: PathBuf,
    },
    /// Upload a component to a server.
    Push {
        /// The component.
        file: PathBuf,
        /// The server.
        #[arg(long, default_value = URL, env = "QIANMIAN_URL")]
        url: String,
        /// Its signature, made by `minisign -S`: a .minisig file.
        #[arg(long)]
        signature: Option<PathBuf>,
        /// Print the server's report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a scenario's release on trial the live one.
    Promote {
        /// The scenario.
        scenario: String,
        /// The server.
        #[arg(long, default_value = URL, env = "QIANMIAN_URL")]
        url: String,
    },
    /// End a scenario's trial; without one, go back to what ran before.
    Rollback {
        /// The scenario.
        scenario: String,
        /// The server.
        #[arg(long, default_value = URL, env = "QIANMIAN_URL")]
        url: String,
    },
}

/// Flags of `plugin test`.
#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// The component.
    file: PathBuf,
    /// Parameters: JSON, or @FILE.
    #[arg(long, default_value = "{}")]
    parameters: String,
    /// A data folder with a shop; without one the demo's small one.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Visitors, besides one that nobody knows.
    #[arg(long = "visitor")]
    visitors: Vec<String>,
    /// Items that are looked at, or in the cart.
    #[arg(long = "item")]
    items: Vec<String>,
    /// Slots wanted.
    #[arg(long, default_value_t = 12)]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Plugin {
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::New { name, lang, tagger, folder } => {
                let kind = if tagger { Kind::Tagger } else { Kind::Strategy };
                let folder = folder.unwrap_or_else(|| PathBuf::from(&name));
                authoring::create(&name, &folder, lang, kind)?;
                say(format!(
                    "{}: next, cd there and `qianmian plugin build`; README.md has the rest",
                    folder.display()
                ));
            }
            Self::Build { folder, accept } => {
                let path = authoring::build(&folder)?;
                let cases = bundle(&path, &folder.join("golden"), accept)?;
                say(format!("{} ({cases} golden cases)", path.display()));
            }
            Self::Test(test) => return test.run(),
            Self::Inspect { file } => say(serde_json::to_string_pretty(&inspect(&file)?)?),
            Self::Push { file, url, signature, json } => {
                let said = inspect(&file)?;
                let (name, version) = (text(&said, "name"), text(&said, "version"));
                let path = format!("{url}/v1/plugins/{name}/versions/{version}");
                let mut request = agent().put(&path).content_type("application/wasm");
                if let Some(signature) = signature {
                    let text = String::from_utf8(read(&signature)?).context("a .minisig file is text")?;
                    request = request.header("x-signature", Signature::new(text).header());
                }
                let report = answer(request.send(&read(&file)?))?;
                say(if json { report } else { passed(&serde_json::from_str(&report)?) });
            }
            Self::Promote { scenario, url } => say(call(&url, &scenario, "promote")?),
            Self::Rollback { scenario, url } => say(call(&url, &scenario, "rollback")?),
        }
        Ok(())
    }
}

impl Test {
    fn run(self) -> anyhow::Result<()> {
        let parameters = match self.parameters.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?,
            None => self.parameters,
        };
        let parameters: Value = serde_json::from_str(&parameters).context("--parameters is not JSON")?;
        let state = match &self.data {
            Some(data) => State::open_until(data, TimeMs::MAX)
                .with_context(|| format!("cannot read the data folder {}", data.display()))?,
            None => State::in_memory()?,
        };
        let app = App::over(Config { strategy_wall_ms: 1_000, ..Config::load(None)? }, state)?;
        let mut visitors = self.visitors;
        if self.data.is_none() {
            fill(&app, 7, Scale::SMALL)?;
            install_models(&app, Scale::SMALL)?;
            if visitors.is_empty() {
                visitors = PERSONAS.iter().take(4).map(|persona| persona.id.to_owned()).collect();
            }
        }
        let plugin = app.plugins.try_out(&read(&self.file)?)?;
        let trial = Trial { plugin, parameters, visitors, items: self.items, limit: self.limit };
        let lines = authoring::run(&app, &trial)?;
        if self.json {
            say(serde_json::to_string(&lines)?);
        } else {
            lines.iter().for_each(|line| say(words(line)));
        }
        let bad = lines.iter().filter(|line| !line.good()).count();
        anyhow::ensure!(bad == 0, "{bad} of {} visitors got no page of this strategy's", lines.len());
        Ok(())
    }
}

fn words(line: &Line) -> String {
    let who = if line.visitor.is_empty() { "nobody" } else { &line.visitor };
    let percent = line.percent.iter().map(|(budget, used)| format!("{} {used:.1}%", budget.replace('_', " ")));
    let mut text = format!("{who}: {} us; {}", line.wall_us, percent.collect::<Vec<_>>().join(", "));
    for (budget, used) in line.near() {
        let budget = budget.replace('_', " ");
        text += &format!(
            "\n  NEAR THE LIMIT: {used:.0}% of {budget}; do less, or give the scenario more (`limits`, `wall_ms`)"
        );
    }
    if !line.fault.is_empty() {
        text += &format!("\n  FAULT {}", line.fault);
    }
    if !line.deterministic {
        text += "\n  NOT THE SAME TWICE: something in it does not depend on the request alone";
    }
    if !line.degraded.is_empty() {
        text += &format!("\n  without {}", line.degraded.join(", "));
    }
    for (shelf, items) in &line.page {
        text += &format!("\n  {shelf}: {}", items.join(" "));
    }
    text
}

/// The report of an upload for people.
fn passed(report: &Value) -> String {
    let mut words =
        format!("{} {} is there, {}", text(report, "name"), text(report, "version"), text(report, "digest"));
    for check in report["checks"].as_array().into_iter().flatten() {
        words += &format!("\n  {}: {}", text(check, "check"), text(check, "detail"));
    }
    words
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

fn inspect(file: &Path) -> anyhow::Result<Value> {
    let bytes = read(file)?;
    let plugin = plugins::alone(&bytes).with_context(|| format!("{} is no strategy", file.display()))?;
    let (said, cases) = (plugin.program.description(), Golden::of(&bytes)?);
    Ok(json!({
        "name": said.name, "version": said.version, "summary": said.summary, "digest": plugin.program.digest(),
        "size": bytes.len(), "needs": NeedsSpec::from(&said.needs), "tags": said.tags, "parameters_schema": plugin.schema,
        "golden": cases.iter().map(|case| &case.name).collect::<Vec<_>>(),
    }))
}

/// Puts the golden cases of a folder into the component; returns how many there are.
fn bundle(component: &Path, folder: &Path, accept: bool) -> anyhow::Result<usize> {
    let bytes = read(component)?;
    let (bytes, cases) = golden::bundle(folder, &bytes, &plugins::alone(&bytes)?, accept)?;
    std::fs::write(component, bytes).with_context(|| format!("cannot write {}", component.display()))?;
    Ok(cases)
}

pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn call(url: &str, scenario: &str, what: &str) -> anyhow::Result<String> {
    answer(agent().post(format!("{url}/v1/scenarios/{scenario}/{what}")).send_empty())
}

/// The body of a good answer; the problem of another.
pub(super) fn answer(reply: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<String> {
    let mut reply = reply.context("the server does not answer: is it running, and is --url its address?")?;
    let body = reply.body_mut().read_to_string()?;
    let problem: Value = serde_json::from_str(&body).unwrap_or_default();
    let (code, detail) = (text(&problem, "code"), text(&problem, "detail"));
    let said = if detail.is_empty() { body.clone() } else { format!("{code}: {detail}") };
    anyhow::ensure!(reply.status().is_success(), "the server answered {}: {said}", reply.status());
    Ok(body)
}
