//! Recording what a strategy reached, and answering from the recording.

use parking_lot::Mutex;
use qianmian_core::{
    Candidates, ColumnValues, Columns, ItemRow, Reach, ReachError, RequestContext, Retrieval, Scoring, SourceSpec,
};
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One call of a strategy's host operation, with its answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    Retrieve { spec: SourceSpec, found: Result<Vec<(ItemRow, f32)>, ReachError> },
    Column { name: String, rows: Vec<ItemRow>, values: Result<ColumnValues, ReachError> },
    Rows { ids: Vec<String>, rows: Vec<Option<ItemRow>> },
    Vectors { space: String, rows: Vec<ItemRow>, vectors: Result<(Vec<f32>, usize), ReachError> },
    Score { model: String, rows: Vec<ItemRow>, set: u64, scores: Result<Vec<f32>, ReachError> },
}

/// A digest of the columns a strategy gave a set: a model may read them.
fn digest(set: &Candidates) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    for column in set.columns() {
        hasher.write(column.name.as_bytes());
        for value in column.values.iter() {
            hasher.write_u32(value.to_bits());
        }
    }
    hasher.finish()
}

/// The live reach, written down as it answers.
pub(crate) struct Recorder {
    live: Reach,
    calls: Mutex<Vec<Call>>,
}

impl Recorder {
    /// A recorder and the reach to give to a strategy.
    pub fn over(live: &Reach) -> (Arc<Self>, Reach) {
        let recorder = Arc::new(Self { live: live.clone(), calls: Mutex::new(Vec::with_capacity(16)) });
        let reach = Reach {
            retrieval: Arc::clone(&recorder) as _,
            columns: Arc::clone(&recorder) as _,
            scoring: Arc::clone(&recorder) as _,
        };
        (recorder, reach)
    }

    /// What was written so far.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock())
    }

    fn write<T>(&self, answer: T, call: impl FnOnce(&T) -> Call) -> T {
        let call = call(&answer);
        self.calls.lock().push(call);
        answer
    }
}

impl Retrieval for Recorder {
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        self.write(self.live.retrieval.retrieve(ctx, spec), |found| Call::Retrieve {
            spec: spec.clone(),
            found: found.clone(),
        })
    }
}

impl Columns for Recorder {
    fn column(&self, ctx: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        self.write(self.live.columns.column(ctx, rows, name), |values| Call::Column {
            name: name.to_owned(),
            rows: rows.to_vec(),
            values: values.clone(),
        })
    }

    /// Not written: a capture names every item by its id.
    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        self.live.columns.ids(rows)
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        self.write(self.live.columns.rows(ids), |rows| Call::Rows { ids: ids.to_vec(), rows: rows.clone() })
    }

    fn vectors(&self, rows: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError> {
        self.write(self.live.columns.vectors(rows, space), |vectors| Call::Vectors {
            space: space.to_owned(),
            rows: rows.to_vec(),
            vectors: vectors.clone(),
        })
    }
}

impl Scoring for Recorder {
    fn score(&self, ctx: &RequestContext, set: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        self.write(self.live.scoring.score(ctx, set, model), |scores| Call::Score {
            model: model.to_owned(),
            rows: set.rows().to_vec(),
            set: digest(set),
            scores: scores.clone(),
        })
    }
}

/// A reach that answers from a recording what is in it, and asks the live one for the rest.
pub(crate) struct Player {
    live: Reach,
    calls: Vec<Call>,
    asked: AtomicUsize,
    missing: AtomicUsize,
}

impl Player {
    /// A player and the reach to give to a strategy.
    pub fn over(live: &Reach, calls: Vec<Call>) -> (Arc<Self>, Reach) {
        let (asked, missing) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let player = Arc::new(Self { live: live.clone(), calls, asked, missing });
        let reach = Reach {
            retrieval: Arc::clone(&player) as _,
            columns: Arc::clone(&player) as _,
            scoring: Arc::clone(&player) as _,
        };
        (player, reach)
    }

    /// How many calls there were, and how many of them the recording could not answer.
    pub fn counts(&self) -> (usize, usize) {
        (self.asked.load(Ordering::Relaxed), self.missing.load(Ordering::Relaxed))
    }

    fn find<T>(&self, matching: impl Fn(&Call) -> Option<T>, live: impl FnOnce() -> T) -> T {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.calls.iter().find_map(matching).unwrap_or_else(|| {
            self.missing.fetch_add(1, Ordering::Relaxed);
            live()
        })
    }
}

impl Retrieval for Player {
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        let matching = |call: &Call| match call {
            Call::Retrieve { spec: known, found } if known == spec => Some(found.clone()),
            _ => None,
        };
        self.find(matching, || self.live.retrieval.retrieve(ctx, spec))
    }
}

impl Columns for Player {
    fn column(&self, ctx: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        let matching = |call: &Call| match call {
            Call::Column { name: known, rows: of, values } if known == name && of == rows => Some(values.clone()),
            _ => None,
        };
        self.find(matching, || self.live.columns.column(ctx, rows, name))
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        self.live.columns.ids(rows)
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        let matching = |call: &Call| match call {
            Call::Rows { ids: known, rows } if known == ids => Some(rows.clone()),
            _ => None,
        };
        self.find(matching, || self.live.columns.rows(ids))
    }

    fn vectors(&self, rows: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError> {
        let matching = |call: &Call| match call {
            Call::Vectors { space: known, rows: of, vectors } if known == space && of == rows => Some(vectors.clone()),
            _ => None,
        };
        self.find(matching, || self.live.columns.vectors(rows, space))
    }
}

impl Scoring for Player {
    fn score(&self, ctx: &RequestContext, set: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        let key = digest(set);
        let matching = |call: &Call| match call {
            Call::Score { model: known, rows, set: of, scores }
                if known == model && *of == key && rows == set.rows() =>
            {
                Some(scores.clone())
            }
            _ => None,
        };
        self.find(matching, || self.live.scoring.score(ctx, set, model))
    }
}
