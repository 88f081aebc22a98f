//! A loaded tagger: what it says of itself, and asking it about visitors.

use crate::call::{Call, no_reach};
use crate::engine::Shared;
use crate::needs::Grants;
use crate::strategy::{DESCRIBE, check, store};
use crate::v1::tagger::Contract;
use crate::{Description, Fault, Limits, LoadError, Usage};
use qianmian_core::{Reach, Request, RequestContext, TimeMs, Visitor};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Instant;

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
        let limits = Limits { wall: DESCRIBE, ..Limits::default() };
        let call = Call::new(nobody(0), no_reach(), limits, Arc::clone(&shared.expressions), Arc::default());
        let mut store = store(&shared, call);
        let description = contract
            .instantiate(&mut store)
            .and_then(|instance| instance.describe(&mut store))
            .map_err(|error| Fault::of(&error, &limits, store.data().call.log.last()))?;
        check(&description)?;
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
    /// description's schema; of `reach` only the catalogue's columns are used. Blocks the thread for up to
    /// `limits.wall`; never panics on what a tagger does.
    #[must_use]
    pub fn tag(&self, visitors: &[&Visitor], now: TimeMs, reach: &Reach, parameters: &str, limits: &Limits) -> Tagged {
        let begun = Instant::now();
        let (expressions, grants) = (Arc::clone(&self.shared.expressions), Arc::clone(&self.grants));
        let mut store = store(&self.shared, Call::new(nobody(now), reach.clone(), *limits, expressions, grants));
        let instance = self.contract.instantiate(&mut store);
        let instantiate = begun.elapsed();
        let most = self.description.tags.len();
        let result = instance.and_then(|instance| instance.tag(&mut store, visitors, parameters, most));
        let fuel = limits.fuel - store.get_fuel().unwrap_or(0).min(limits.fuel);
        let state = store.into_data();
        let wall = begun.elapsed();
        let usage = Usage { fuel, wall, memory: state.memory.peak, host_calls: state.call.host_calls, instantiate };
        let tags = result.map_err(|error| Fault::of(&error, limits, state.call.log.last()));
        Tagged { tags, usage, log: state.call.log }
    }
}

/// A context without a visitor: a tagger answers no request.
fn nobody(now: TimeMs) -> Arc<RequestContext> {
    Arc::new(RequestContext::new(Request::default(), Arc::new(Visitor::default()), now, 0))
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
