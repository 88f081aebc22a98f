//! A recommendation request after the edge resolved it, and the context one composition runs in.

use crate::{ItemRow, TimeMs, Visitor};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Instant;

/// What was asked, with item ids resolved to rows. Unknown anchors are dropped at the edge and reported.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Echoed in the answer, joins later events to what was served.
    pub id: String,
    /// The named placement.
    pub scenario: String,
    /// The visitor's key, the same for all linked ids; `None` when nobody was named or the request is not personalised.
    pub visitor: Option<String>,
    /// Channel: app, web, mini-program, store, push ...; empty means unknown.
    pub channel: String,
    /// Region of the visitor; empty means unknown.
    pub region: String,
    /// Everything else the storefront said of the moment.
    pub context: Vec<(String, String)>,
    /// Anchors: the viewed product, the cart, in the order given.
    pub items: Vec<ItemRow>,
    /// Slots wanted, at least 1.
    pub limit: u32,
    /// Never to be served in this answer.
    pub exclude: Vec<ItemRow>,
    /// False: no profile may be used (PIPL Art. 24).
    pub personalised: bool,
    /// Whether the answer must say why.
    pub explain: bool,
}

/// What a model was given for a candidate set, and what it said.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The model.
    pub model: String,
    /// Digest of its file.
    pub digest: String,
    /// The names of a row's numbers.
    pub names: Arc<[String]>,
    /// The candidates.
    pub rows: Vec<ItemRow>,
    /// Row-major `[rows, names]`; NaN means missing.
    pub features: Vec<f32>,
    /// One a row.
    pub scores: Vec<f32>,
}

/// Everything one composition may depend on. The same context gives the same page.
#[derive(Debug)]
pub struct RequestContext {
    /// What was asked.
    pub request: Request,
    /// The snapshot: the last I/O before the CPU pool. The unknown visitor when not personalised.
    pub visitor: Arc<Visitor>,
    /// The frozen clock.
    pub now: TimeMs,
    /// Seed of everything random.
    pub seed: u64,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    memo: Mutex<FxHashMap<String, Arc<Vec<f32>>>>,
    notes: Mutex<Vec<String>>,
    /// `None`: it is not kept.
    scored: Option<Mutex<Vec<Arc<Scored>>>>,
}

impl RequestContext {
    /// A context with an empty memo.
    #[must_use]
    pub fn new(request: Request, visitor: Arc<Visitor>, now: TimeMs, seed: u64) -> Self {
        Self {
            request,
            visitor,
            now,
            seed,
            deadline: None,
            memo: Mutex::default(),
            notes: Mutex::default(),
            scored: None,
        }
    }

    /// The same for a caller who stops waiting at that moment.
    #[must_use]
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The same, and what models are given is kept.
    #[must_use]
    pub fn keeping_scored(self) -> Self {
        Self { scored: Some(Mutex::default()), ..self }
    }

    /// Keeps what a model was given, if this is wanted.
    pub fn keep_scored(&self, scored: impl FnOnce() -> Scored) {
        if let Some(kept) = &self.scored {
            let scored = Arc::new(scored());
            kept.lock().push(scored);
        }
    }

    /// What models were given so far, if it is kept.
    #[must_use]
    pub fn scored(&self) -> Vec<Arc<Scored>> {
        self.scored.as_ref().map(|kept| kept.lock().clone()).unwrap_or_default()
    }

    /// Says how something was done, for the explanation.
    pub fn note(&self, line: String) {
        self.notes.lock().push(line);
    }

    /// What was noted, once.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock())
    }

    /// The value computed earlier in this request under `key`, or `compute`d now. Sources and feature columns share
    /// what is dear through it: the visitor's vector, the summed similarities over a history.
    pub fn memo(&self, key: &str, compute: impl FnOnce() -> Vec<f32>) -> Arc<Vec<f32>> {
        if let Some(found) = self.memo.lock().get(key) {
            return Arc::clone(found);
        }
        let value = Arc::new(compute());
        self.memo.lock().insert(key.to_owned(), Arc::clone(&value));
        value
    }
}
