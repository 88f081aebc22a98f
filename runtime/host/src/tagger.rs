//! A loaded tagger: what it says of itself, and asking it about visitors.

use crate::call::{Call, no_reach};
use crate::engine::Shared;
use crate::needs::Grants;
use crate::session::{Ended, describe, nobody, run};
use crate::v1::tagger::Contract;
use crate::{Description, Fault, Limits, LoadError, Usage};
use qianmian_core::{Columns, Reach, TimeMs, Visitor};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Tags that one tagger may give.
const MOST_TAGS: usize = 64;

/// A compiled tagger. Calls share nothing: any number may run at once.
pub struct Tagger {
    shared: Arc<Shared>,
    contract: Contract,
    digest: Arc<str>,
    description: Description,
    grants: Arc<Grants>,
}

/// What came of asking once.
#[derive(Debug)]
pub struct Tagged {
    /// For each tag of the description, in that order, the visitors that have it, as their places in the list that was
    /// given, rising; or why there is nothing.
    pub tags: Result<Vec<Vec<u32>>, Fault>,
    /// What it used, either way.
    pub usage: Usage,
    /// What it logged, cut at the budget.
    pub log: Vec<String>,
}

impl Tagger {
    /// Asks the component what it is and checks the answer.
    pub(crate) fn new(shared: Arc<Shared>, contract: Contract, component: &[u8]) -> Result<Self, LoadError> {
        let description =
            describe(&shared, |store| contract.instantiate(store), |instance, store| instance.describe(store))?;
        check_tags(&description)?;
        let digest = hex::encode(Sha256::digest(component)).into();
        let grants = Arc::new(Grants { needs: description.needs.clone(), allowed: None });
        Ok(Self { shared, contract, digest, description, grants })
    }

    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it says of itself, with the tags it may give.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Asks which of these visitors have which of its tags, in a store of its own. `parameters` is JSON that fits the
    /// description's schema, `columns` those of the catalogue. Blocks the thread for up to `limits.wall`; never panics on
    /// what a tagger does.
    #[must_use]
    pub fn tag(
        &self,
        visitors: &[&Visitor],
        now: TimeMs,
        columns: &Arc<dyn Columns>,
        parameters: &str,
        limits: &Limits,
    ) -> Tagged {
        let reach = Reach { columns: Arc::clone(columns), ..no_reach() };
        let (expressions, grants) = (Arc::clone(&self.shared.expressions), Arc::clone(&self.grants));
        let most = self.description.tags.len();
        let Ended { result: tags, usage, call } = run(
            &self.shared,
            Call::new(nobody(now), reach, *limits, expressions, grants),
            |store| self.contract.instantiate(store),
            |instance, store| instance.tag(store, visitors, parameters, most),
        );
        Tagged { tags, usage, log: call.log }
    }
}

fn check_tags(said: &Description) -> Result<(), LoadError> {
    let wrong = |got: String, expected| Err(LoadError::Description { field: "tags", got, expected });
    if !(1..=MOST_TAGS).contains(&said.tags.len()) {
        return wrong(format!("{} tags", said.tags.len()), "1 to 64 tags");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let good = |tag: &&String| (1..=64).contains(&tag.len()) && tag.bytes().all(plain);
    if let Some(tag) = said.tags.iter().find(|tag| !good(tag)) {
        return wrong(tag.chars().take(100).collect(), "1 to 64 letters, digits, '-', '_', '.' or ':'");
    }
    let mut sorted: Vec<&String> = said.tags.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return wrong(pair[0].clone(), "each tag once");
    }
    if let Some(name) = said.needs.attributes.iter().find(|name| name.ends_with('*')) {
        return Err(LoadError::Description {
            field: "needs.attributes",
            got: name.clone(),
            expected: "the full names of attributes",
        });
    }
    Ok(())
}
