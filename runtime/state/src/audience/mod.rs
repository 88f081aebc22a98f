//! Tags and segments: who carries which, kept up with every event, back-filled when a definition changes.
//!
//! Definitions are swapped whole. After events are folded, the visitors they touched are labelled anew in one batch; a
//! sweep over everybody follows each change of definitions, and the clock, for conditions that time alone makes true.
//! Who carries a label is also kept as bitmaps over the visitors' numbers, so that a size is a count.
//!
//! | file | what |
//! |---|---|
//! | `rules.rs` | definitions in order, and what they make of a batch |
//! | `profile.rs` | columns of visitors in bulk |
//! | `rfm.rs` | buyers in fifths |
//! | `estimate.rs` | sizes and samples |
//! | `members.rs` | what members of segments do |
//! | `sweep.rs` | the thread that goes over everybody |

mod estimate;
mod members;
mod profile;
mod rfm;
mod rules;
mod sweep;
#[cfg(test)]
mod tests;

pub use estimate::Estimate;
pub use members::{ItemOrder, SegmentItem, SegmentItems};
pub use profile::price_band;
pub(crate) use profile::{NUMBERS, names};
pub use rules::MOST_VALUES;
pub(crate) use sweep::Sweeper;

use crate::Catalogue;
use crate::fold::crowd::Numbered;
use crate::people::People;
use arc_swap::ArcSwap;
use members::AllMembers;
use parking_lot::{Condvar, Mutex, RwLock};
use profile::Batch;
use qianmian_core::expr::Expression;
use qianmian_core::{ColumnValues, ReachError, Segment, Tag, TagRule, TimeMs, Visitor};
use rfm::Rfm;
use roaring::RoaringBitmap;
use rules::{Memo, Rules, Texts};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// How far the sweep that follows the last change of definitions is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Visitors looked at.
    pub done: usize,
    /// Of so many.
    pub of: usize,
    /// True when everybody was looked at with the definitions as they are.
    pub finished: bool,
    /// When the last whole sweep ended, milliseconds since 1970 UTC; 0 before the first.
    pub swept: TimeMs,
}

/// A visitor's labels as they are now to be.
pub(crate) struct Relabelled {
    pub key: Arc<str>,
    pub tags: Texts,
    pub segments: Texts,
}

/// Who carries which tag and is in which segment.
#[derive(Default)]
pub struct Audience {
    rules: ArcSwap<Rules>,
    rfm: ArcSwap<Rfm>,
    tagged: RwLock<FxHashMap<Arc<str>, RoaringBitmap>>,
    inside: RwLock<FxHashMap<Arc<str>, RoaringBitmap>>,
    /// Whose labels are in the bitmaps: those of a visitor as kept on disk are not yet.
    counted: RwLock<RoaringBitmap>,
    progress: Mutex<Progress>,
    changed: Condvar,
    pub(crate) members: ArcSwap<AllMembers>,
    /// Somebody was forgotten whom `members` may be made of.
    left: AtomicBool,
    /// The clock stands at this moment; 0 when it does not stand.
    frozen: AtomicI64,
}

impl Audience {
    /// Swaps all definitions; a sweep follows. Names must differ.
    ///
    /// # Errors
    /// In words, the definitions that need one another; nothing is changed then.
    pub fn define(&self, tags: Vec<Tag>, segments: Vec<Segment>) -> Result<(), String> {
        let generation = self.rules.load().generation + 1;
        let rules = Rules::new(tags, segments, generation)?;
        let stays = |text: &Arc<str>| {
            let name = text.split(':').next().unwrap_or_default();
            rules.tags.iter().any(|defined| *defined.tag.name == *name)
        };
        let is_there = |name: &Arc<str>| rules.segments.iter().any(|segment| segment.name == *name);
        // under the progress' lock, so that a sweep does not finish with the old ones
        let mut progress = self.progress.lock();
        self.tagged.write().retain(|text, _| stays(text));
        self.inside.write().retain(|name, _| is_there(name));
        self.rules.store(Arc::new(rules));
        progress.finished = false;
        progress.done = 0;
        self.changed.notify_all();
        Ok(())
    }

    /// How far the back-fill is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// Waits until everybody was labelled with the definitions as they are. For tests and commands.
    pub fn wait(&self) {
        let mut progress = self.progress.lock();
        while !progress.finished && self.rules.load().generation > 0 {
            self.changed.wait(&mut progress);
        }
    }

    /// Lets the clock of conditions stand: to measure a shop of the past.
    pub fn freeze(&self, at: TimeMs) {
        self.frozen.store(at, Ordering::Relaxed);
    }

    fn now(&self) -> TimeMs {
        match self.frozen.load(Ordering::Relaxed) {
            0 => crate::identity::now(),
            at => at,
        }
    }

    /// Number of visitors in a segment; `None` when there is none of this name.
    #[must_use]
    pub fn size(&self, segment: &str) -> Option<u64> {
        let known = self.rules.load().segments.iter().any(|known| *known.name == *segment);
        known.then(|| self.inside.read().get(segment).map_or(0, RoaringBitmap::len))
    }

    /// Numbers of members: at most `most`, evenly spread.
    pub(crate) fn members(&self, segment: &str, most: usize) -> Vec<u32> {
        let inside = self.inside.read();
        let Some(members) = inside.get(segment) else { return Vec::new() };
        let count = members.len();
        let step = (count / (most as u64).max(1)).max(1);
        (0..count).step_by(step as usize).filter_map(|at| members.select(at as u32)).take(most).collect()
    }

    /// A tag's texts with the number of visitors who carry each, the most frequent first.
    #[must_use]
    pub fn values(&self, tag: &str) -> Vec<(Arc<str>, u64)> {
        let of = |text: &str| text == tag || text.strip_prefix(tag).is_some_and(|rest| rest.starts_with(':'));
        let tagged = self.tagged.read();
        let mut all: Vec<(Arc<str>, u64)> =
            tagged.iter().filter(|(text, _)| of(text)).map(|(text, who)| (Arc::clone(text), who.len())).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }

    /// What is wrong with a tag: why it could not be evaluated last, or that it has too many values.
    #[must_use]
    pub fn trouble(&self, tag: &str) -> Option<String> {
        let rules = self.rules.load();
        let values = rules.tags.iter().find(|defined| *defined.tag.name == *tag)?.values.lock();
        let overflow =
            || values.overflow.then(|| format!("it has more than {MOST_VALUES} values; the others are left out"));
        values.error.clone().or_else(overflow)
    }

    /// Tries a rule on nobody: whether it can be evaluated at all.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, rule: &TagRule, catalogue: &Catalogue) -> Result<(), ReachError> {
        let nobody = Visitor::default();
        let batch = self.batch(vec![&nobody], catalogue);
        let column = |of: &str, texts: bool| {
            let unknown = || ReachError::Unknown { what: "column", name: of.to_owned(), known: names() };
            match (batch.column(of).ok_or_else(unknown)?, texts) {
                (ColumnValues::Texts(_), true) | (ColumnValues::Numbers(_), false) => Ok(()),
                (_, true) => {
                    Err(ReachError::Invalid(format!("{of} is no column of texts; make a layered tag of a number")))
                }
                (_, false) => {
                    Err(ReachError::Invalid(format!("{of} is no column of numbers; make a base tag of a text")))
                }
            }
        };
        match rule {
            TagRule::Base { of } => column(of, true),
            TagRule::Layered { of, .. } => column(of, false),
            TagRule::Combined { when } => Memo::default().mask(&batch, when).map(drop),
            TagRule::Preference { .. } | TagRule::Code { .. } => Ok(()),
        }
    }

    fn batch<'a>(&self, visitors: Vec<&'a Visitor>, catalogue: &'a Catalogue) -> Batch<'a> {
        Batch { visitors, catalogue, rfm: self.rfm.load_full(), now: self.now(), tags: None, segments: None }
    }

    /// Recency, frequency and money of a visitor among all buyers, each a fifth, such as `543`; `None` without orders, and
    /// before buyers were first cut into fifths, which they are while tags or segments are defined.
    #[must_use]
    pub fn rfm(&self, visitor: &Visitor) -> Option<Arc<str>> {
        Some(self.rfm.load().text(visitor)).filter(|text| !text.is_empty())
    }

    /// True when there is no definition.
    pub(crate) fn is_idle(&self) -> bool {
        self.rules.load().is_empty()
    }

    /// Labels visitors anew and keeps the bitmaps; returns those whose labels are not what they carry. For the folds'
    /// writer: one at a time.
    pub(crate) fn relabel(&self, crowd: &[Numbered], catalogue: &Catalogue, people: &People) -> Vec<Relabelled> {
        let rules = self.rules.load();
        let keys: Vec<Arc<str>> = crowd.iter().map(|one| Arc::clone(&one.key)).collect();
        let batch = self.batch(crowd.iter().map(|one| &*one.visitor).collect(), catalogue);
        let labels = rules.label(&batch, &keys, people);
        let mut changed = Vec::new();
        let (mut tagged, mut inside) = (Moves::default(), Moves::default());
        let mut counted = self.counted.write();
        for (one, (tags, segments)) in crowd.iter().zip(labels) {
            let visitor = &one.visitor;
            let first = counted.insert(one.number);
            let same = visitor.tags == tags && visitor.segments == segments;
            if first {
                tagged.note(one.number, &[], &tags);
                inside.note(one.number, &[], &segments);
            } else if !same {
                tagged.note(one.number, &visitor.tags, &tags);
                inside.note(one.number, &visitor.segments, &segments);
            }
            if !same {
                changed.push(Relabelled { key: Arc::clone(&one.key), tags, segments });
            }
        }
        drop(counted);
        tagged.apply(&mut self.tagged.write());
        inside.apply(&mut self.inside.write());
        changed
    }

    /// Forgets a visitor's number.
    pub(crate) fn forget(&self, number: u32) {
        self.counted.write().remove(number);
        self.left.store(true, Ordering::Relaxed);
        self.changed.notify_all();
        for bitmaps in [&self.tagged, &self.inside] {
            bitmaps.write().values_mut().for_each(|bitmap| {
                bitmap.remove(number);
            });
        }
    }

    /// Which of these a condition is true for, with the labels they carry.
    ///
    /// # Errors
    /// [`ReachError::Unknown`] columns, [`ReachError::Invalid`] types.
    pub(crate) fn holds(
        &self,
        crowd: &[Numbered],
        catalogue: &Catalogue,
        when: &Expression,
    ) -> Result<Vec<bool>, ReachError> {
        Memo::default().mask(&self.batch(crowd.iter().map(|one| &*one.visitor).collect(), catalogue), when)
    }
}

/// What leaves bitmaps, and what comes.
#[derive(Default)]
struct Moves(Vec<(Arc<str>, u32, bool)>);

impl Moves {
    fn note(&mut self, number: u32, before: &[Arc<str>], after: &[Arc<str>]) {
        let gone = before.iter().filter(|label| !after.contains(label)).map(|label| (label, false));
        let come = after.iter().filter(|label| !before.contains(label)).map(|label| (label, true));
        self.0.extend(gone.chain(come).map(|(label, is)| (Arc::clone(label), number, is)));
    }

    fn apply(self, bitmaps: &mut FxHashMap<Arc<str>, RoaringBitmap>) {
        for (label, number, is) in self.0 {
            if is {
                bitmaps.entry(label).or_default().insert(number);
            } else if let Some(bitmap) = bitmaps.get_mut(&label) {
                bitmap.remove(number);
            }
        }
    }
}
