//! A loaded strategy: what it says of itself, and composing a page with it.

use crate::call::{Call, cut};
use crate::engine::Shared;
use crate::needs::Grants;
use crate::session::{Ended, describe, run};
use crate::v1::Contract;
use crate::{Fault, Limits, LoadError, Needs, Usage};
use qianmian_core::{ItemRow, Page, Reach, RequestContext};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What a strategy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// 1 to 64 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// A sentence.
    pub summary: String,
    /// JSON Schema of the parameters; looks like a JSON object, and is checked by the server.
    pub parameters_schema: String,
    /// What it may reach, where the scenario allows it too.
    pub needs: Needs,
    /// Of a tagger, the tags it may give; of a strategy, none.
    pub tags: Vec<String>,
}

/// One host operation on a candidate set, recorded when the request asks for an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The operation, as the contract names it.
    pub operation: &'static str,
    /// What it was asked; of an operation that failed, the error.
    pub argument: String,
    /// Candidates before.
    pub before: usize,
    /// Candidates after.
    pub after: usize,
    /// The rows that `keep`, `cap`, `without-seen` and `without` removed.
    pub removed: Vec<ItemRow>,
    /// How long it took, microseconds.
    pub micros: u64,
}

/// What came of one composition.
#[derive(Debug)]
pub struct Outcome {
    /// The page, or why there is none.
    pub page: Result<Page, Fault>,
    /// What it used, either way.
    pub usage: Usage,
    /// What it logged, cut at the budget.
    pub log: Vec<String>,
    /// What it did; empty unless the request asks for an explanation.
    pub steps: Vec<Step>,
    /// What was not there or failed: `source:NAME`, `model:NAME`, `space:NAME`, `failed:OPERATION`.
    pub degraded: Vec<String>,
}

/// A compiled strategy. Calls share nothing: any number may run at once.
pub struct Strategy {
    shared: Arc<Shared>,
    contract: Arc<Contract>,
    digest: Arc<str>,
    description: Arc<Description>,
    grants: Arc<Grants>,
}

impl Strategy {
    /// Asks the component what it is and checks the answer.
    pub(crate) fn new(shared: Arc<Shared>, contract: Contract, component: &[u8]) -> Result<Self, LoadError> {
        let digest = hex::encode(Sha256::digest(component));
        let description =
            describe(&shared, |store| contract.instantiate(store), |instance, store| instance.describe(store))?;
        let grants = Arc::new(Grants { needs: description.needs.clone(), allowed: None });
        let (contract, description) = (Arc::new(contract), Arc::new(description));
        Ok(Self { shared, contract, digest: digest.into(), description, grants })
    }

    /// The same strategy where it may reach only what `allowed` names of its needs.
    #[must_use]
    pub fn within(&self, allowed: Needs) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            contract: Arc::clone(&self.contract),
            digest: Arc::clone(&self.digest),
            description: Arc::clone(&self.description),
            grants: Arc::new(Grants { needs: self.description.needs.clone(), allowed: Some(allowed) }),
        }
    }

    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether it may score with this model: its needs name it, and so does what it is allowed.
    #[must_use]
    pub fn may_score(&self, model: &str) -> bool {
        self.grants.model(model).is_ok()
    }

    /// Whether it may search this embedding space.
    #[must_use]
    pub fn may_search(&self, space: &str) -> bool {
        self.grants.space(space).is_ok()
    }

    /// Composes a page in a store of its own. `parameters` is JSON that fits the description's schema. Blocks the
    /// thread for up to `limits.wall` and the host operation then under way; never panics on what a strategy does.
    #[must_use]
    pub fn compose(&self, ctx: Arc<RequestContext>, reach: &Reach, parameters: &str, limits: &Limits) -> Outcome {
        let (expressions, grants) = (Arc::clone(&self.shared.expressions), Arc::clone(&self.grants));
        let call = Call::new(ctx, reach.clone(), *limits, expressions, grants);
        let Ended { result: page, usage, call } = run(
            &self.shared,
            call,
            |store| self.contract.instantiate(store),
            |instance, store| instance.compose(store, parameters),
        );
        Outcome { page, usage, log: call.log, steps: call.steps, degraded: call.degraded }
    }
}

pub(crate) fn check(said: &Description) -> Result<(), LoadError> {
    let wrong =
        |field, got: &str, expected| Err(LoadError::Description { field, got: cut(got, 100).to_owned(), expected });
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if !(1..=64).contains(&said.name.len()) || !said.name.bytes().all(plain) {
        return wrong("name", &said.name, "1 to 64 letters, digits, '-', '_' or '.'");
    }
    if said.version.len() > 64 || semver::Version::parse(&said.version).is_err() {
        return wrong("version", &said.version, "a semantic version such as 1.0.0");
    }
    if said.summary.len() > 1_000 {
        return wrong("summary", &said.summary, "at most 1000 bytes");
    }
    let schema = said.parameters_schema.trim();
    if schema.len() > 256 << 10 || !schema.starts_with('{') || !schema.ends_with('}') {
        return wrong("parameters_schema", schema, "a JSON object of at most 256 KiB");
    }
    said.needs.check()
}
