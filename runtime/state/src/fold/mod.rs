//! What is folded from events: visitors, item statistics, what goes together, what is popular.
//!
//! [`Folds::apply`] takes events in log order and is the only writer; the same events give the same state. Lists that
//! are derived from counts (neighbours, trending) are made by [`Folds::refresh`]. Readers take short read locks or
//! share what is immutable, so neither ever waits long for the other.
//!
//! | file | what |
//! |---|---|
//! | `crowd.rs` | all visitors, by key and by number |
//! | `checkpoint.rs`, `checkpointer.rs` | all of it kept on disk, and taken up again |
//! | `cells.rs`, `cold.rs`, `packed.rs`, `names.rs` | how it is kept |
//! | `visitors.rs` | one visitor's history, and what an event follows in it |
//! | `interest.rs` | what a visitor is interested in |
//! | `stats.rs` | counts by item |
//! | `pairs.rs` | counts by pair of items, neighbour lists |
//! | `trends.rs` | trending lists by scope |
//! | `lists.rs` | the thread that makes lists |
//! | `digest.rs` | all of it as one number, to compare with |
//! | `decay.rs` | counts that fade |

mod cells;
mod checkpoint;
mod checkpointer;
mod cold;
pub(crate) mod crowd;
pub(crate) mod decay;
mod digest;
pub(crate) mod interest;
mod lists;
mod names;
mod packed;
pub(crate) mod pairs;
mod stats;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod trends;
mod visitors;

pub(crate) use checkpointer::Checkpointer;
pub use digest::Digest;
pub(crate) use lists::Lister;
pub use pairs::{NEIGHBOURS, Neighbour, PairCount, SHRINK};
pub(crate) use stats::Statistics;
pub use stats::{ItemCounts, ItemStats, Totals};
pub use trends::TRENDING;

use crate::audience::Audience;
use crate::people::People;
use crate::{Catalogue, CatalogueStore};
use arc_swap::ArcSwap;
use checkpoint::{Keep, Progress};
use crowd::Crowd;
use lists::Lists;
use pairs::{Neighbours, PairValue, Pairs, Waiting};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use qianmian_core::{Event, EventKind, ItemRow, TimeMs, Visitor};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use trends::{Follow, TrendLists, Trends};
use visitors::{Line, Moment, Trace};

/// Orders up to so many lines count every pair of them; a longer one pairs each line with its nearest on both sides
/// only, half of this each way, so that its cost grows with its length and not with the square of it.
const ALL_PAIRS: usize = 500;
/// Lines of an order that are followed as one step of a sequence.
const ORDER_STEP: usize = 50;
/// Lines of an order a line follows.
const LINE_REACH: usize = 5;

/// Visitors looked at together where everybody is looked at.
const PORTION: usize = 4_096;

/// Which pair counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// In one order.
    Bought = 0,
    /// Looked at within half an hour.
    Viewed = 1,
    /// One after the other.
    Next = 2,
}

/// Everything folded from events.
pub struct Folds {
    store: Arc<CatalogueStore>,
    /// One writer at a time; also guards what only the writer needs.
    writer: Mutex<Writer>,
    people: Arc<People>,
    /// Tags and segments.
    pub audience: Audience,
    pub(crate) crowd: Crowd,
    stats: RwLock<Statistics>,
    bought: RwLock<Pairs<PairCount>>,
    viewed: RwLock<Pairs<f32>>,
    next: RwLock<Pairs<f32>>,
    neighbours: [RwLock<Neighbours>; 3],
    trending: ArcSwap<TrendLists>,
    /// Additions that are being merged, or room for the next: whoever merges holds it. Locked after `writer`.
    merging: Mutex<Additions>,
    lists: Lists,
    /// Where all of it is kept; `None` in a view.
    keep: Option<Keep>,
    pub(crate) kind_names: [Arc<str>; 5],
}

#[derive(Default)]
struct Writer {
    trends: Trends,
    /// Numbers of the visitors whose labels may be out of date.
    touched: FxHashSet<u32>,
    /// Of the catalogue the trending lists were made with.
    version: u64,
    waiting: Additions,
    progress: Progress,
}

/// Counts of pairs that are to be added.
#[derive(Default)]
struct Additions {
    bought: Waiting<PairCount>,
    viewed: Waiting<f32>,
    next: Waiting<f32>,
}

impl Folds {
    /// Folds of no events yet, of visitors as `people` links them.
    #[must_use]
    pub fn new(store: Arc<CatalogueStore>, people: Arc<People>) -> Self {
        Self::over(store, people, Crowd::default())
    }

    fn over(store: Arc<CatalogueStore>, people: Arc<People>, crowd: Crowd) -> Self {
        Self {
            store,
            people,
            audience: Audience::default(),
            writer: Mutex::default(),
            crowd,
            stats: RwLock::default(),
            bought: RwLock::default(),
            viewed: RwLock::default(),
            next: RwLock::default(),
            neighbours: Default::default(),
            trending: ArcSwap::default(),
            merging: Mutex::default(),
            lists: Lists::default(),
            keep: None,
            kind_names: qianmian_core::ItemKind::ALL.map(|kind| kind.as_str().into()),
        }
    }

    /// Folds events, in the order given. Items the catalogue does not know get placeholder rows. Visitors and statistics are
    /// up to date when it returns; counts of pairs too where they are few, otherwise with the lists at the next
    /// [`Self::refresh`].
    pub fn apply(&self, events: &[Event]) {
        self.apply_in_turn(&mut self.writer.lock(), events);
        self.keep_up();
    }

    fn apply_in_turn(&self, writer: &mut Writer, events: &[Event]) {
        let ids: Vec<&str> = events.iter().flat_map(|e| &e.items).map(String::as_str).collect();
        let rows = self.store.reserve(&ids);
        let catalogue = self.store.current();
        let mut rows = rows.as_slice();
        for event in events {
            let (own, rest) = rows.split_at(event.items.len());
            rows = rest;
            self.fold(writer, &catalogue, event, own);
        }
        if !self.audience.is_idle() {
            let touched: Vec<u32> = writer.touched.drain().collect();
            self.label(&touched, |_| {});
        }
        writer.touched.clear();
        writer.progress.changed |= !events.is_empty();
        let waiting = &writer.waiting;
        if waiting.is_full() {
            self.merge(writer, true);
        } else if waiting.is_small() {
            self.merge(writer, false);
        }
        self.lists.want(writer.waiting.is_much());
    }

    /// Brings the counts of pairs up to date. While they are being kept or merged by another thread they stand still: then it
    /// is done later, or, with `wait`, when they may change.
    fn merge(&self, writer: &mut Writer, wait: bool) {
        if !self.may_merge(wait) {
            return;
        }
        let turn = if wait { Some(self.merging.lock()) } else { self.merging.try_lock() };
        // what is there was taken before what waits: whoever took it has merged it when the turn is ours
        if turn.is_some() {
            writer.waiting.merge(self);
        }
    }

    /// Labels visitors anew, of whose writer it is the turn, and shows each as they were. True when somebody changed.
    fn label(&self, numbers: &[u32], mut show: impl FnMut(&Visitor)) -> bool {
        let catalogue = self.store.current();
        let mut any = false;
        for portion in numbers.chunks(PORTION) {
            // the snapshots are given back before anything changes, or each would be copied
            let changed = {
                let crowd = self.crowd.of(portion);
                crowd.iter().for_each(|one| show(&one.visitor));
                self.audience.relabel(&crowd, &catalogue, &self.people)
            };
            any |= !changed.is_empty();
            for one in changed {
                self.crowd.change(&one.key, |visitor| {
                    visitor.tags = one.tags;
                    visitor.segments = one.segments;
                });
            }
        }
        any
    }

    /// Labels visitors anew, and shows each as they were.
    pub(crate) fn relabel(&self, numbers: &[u32], show: impl FnMut(&Visitor)) {
        {
            let mut writer = self.writer.lock();
            writer.progress.changed |= self.label(numbers, show);
        }
        self.keep_up();
    }

    /// The catalogue as it is now.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.store.current()
    }

    fn fold(&self, writer: &mut Writer, catalogue: &Catalogue, event: &Event, rows: &[ItemRow]) {
        let mut touched = None;
        self.fold_steps(writer, catalogue, event, rows, 1, |key, change| {
            touched = Some(self.people.with_person(key, |person| self.crowd.edit(person, change)));
        });
        if !self.audience.is_idle() {
            writer.touched.extend(touched);
        }
    }

    /// Folds each step of an event into its visitor, through `edit`, and into the sums; with -1, takes it out of the sums.
    fn fold_steps(
        &self,
        writer: &mut Writer,
        catalogue: &Catalogue,
        event: &Event,
        rows: &[ItemRow],
        by: i32,
        mut edit: impl FnMut(&str, &mut dyn FnMut(&mut Visitor)),
    ) {
        let lines = lines(catalogue, event, rows);
        let moment = Moment::of(event);
        let (kind, time) = (moment.kind, moment.time);
        let visitor = event.visitor.as_deref().filter(|id| !id.is_empty());

        let mut tags = Vec::new();
        for step in visitors::steps(kind, &lines) {
            let mut trace = Trace::default();
            if let Some(key) = visitor {
                edit(key, &mut |visitor| {
                    trace = visitors::fold(visitor, catalogue, step, moment);
                    tags.clear();
                    tags.extend(visitor.tags.iter().filter(|tag| built_in(tag)).map(Arc::clone));
                });
            }
            self.count(step, &trace, &moment, by);
            writer.waiting.pair(step, &trace, kind, time, by as f32);
        }

        let weight = trends::interest(event.kind);
        if weight > 0.0 && !lines.is_empty() {
            let rows: Vec<u32> = lines.iter().map(|line| line.row).collect();
            let mut scopes = vec![(Follow::Channel, &*event.channel), (Follow::Region, &*event.region)];
            scopes.extend(tags.iter().map(|tag| (Follow::Tag, &**tag)));
            if by < 0 {
                writer.trends.take(&rows, weight, time, &scopes);
            } else {
                writer.trends.add(&rows, weight, time, &scopes);
            }
        }
    }

    /// Takes out of the sums what one person did, from all their events in log order. Counts are exact; what fades is left
    /// within rounding of what it were without them.
    fn unfold(&self, writer: &mut Writer, events: &[Event]) {
        let mut visitor = Visitor::default();
        let catalogue = self.store.current();
        for event in events {
            let rows = self.store.reserve(&event.items);
            self.fold_steps(writer, &catalogue, event, &rows, -1, |_, change| change(&mut visitor));
        }
    }

    fn count(&self, lines: &[Line], trace: &Trace, moment: &Moment<'_>, by: i32) {
        if lines.is_empty() {
            return;
        }
        let mut stats = self.stats.write();
        for line in lines {
            stats.add(line.row, moment.kind, moment.time, by);
        }
        if !moment.channel.is_empty() {
            stats.add_channel(moment.channel, lines.iter().map(|line| line.row), moment.kind, by);
        }
        for (line, orders) in lines.iter().zip(&trace.orders) {
            stats.add_buyer(line.row, *orders, by);
        }
    }

    /// Makes derived lists anew where the counts changed, beside the folding: at most once a second (`lists.rs`), and after
    /// bulk work.
    pub fn refresh(&self) {
        let _one = self.lists.one();
        self.merge_beside();
        self.refresh_lists(&self.bought, Relation::Bought);
        self.refresh_lists(&self.viewed, Relation::Viewed);
        self.refresh_lists(&self.next, Relation::Next);
        let mut writer = self.writer.lock();
        let catalogue = self.store.current();
        if std::mem::replace(&mut writer.version, catalogue.version) != catalogue.version {
            writer.trends.touch();
        }
        self.trending.store(Arc::new(writer.trends.refresh(&catalogue)));
    }

    /// Brings the counts of pairs up to date beside the folding, unless they are being kept: then it is done later.
    fn merge_beside(&self) {
        let mut writer = self.writer.lock();
        let mut merging = self.merging.lock();
        if self.may_merge(false) {
            std::mem::swap(&mut writer.waiting, &mut *merging);
            drop(writer);
            merging.merge(self);
        }
    }

    fn refresh_lists<V: PairValue>(&self, pairs: &RwLock<Pairs<V>>, relation: Relation) {
        let dirty = pairs.write().take_dirty();
        let lists = &self.neighbours[relation as usize];
        // In small portions: a reader waits for one at most.
        for rows in dirty.chunks(256) {
            let made: Vec<_> = rows.iter().map(|row| pairs.read().nearest(*row)).collect();
            let mut lists = lists.write();
            rows.iter().zip(made).for_each(|(row, list)| lists.set_nearest(*row, list));
        }
        if relation == Relation::Next {
            return;
        }
        for rows in dirty.chunks(256) {
            let made: Vec<_> = {
                let lists = lists.read();
                rows.iter().map(|row| pairs.read().claims(*row, &lists.floors)).collect()
            };
            let mut lists = lists.write();
            rows.iter().zip(made).for_each(|(row, list)| lists.set_claims(*row, list));
        }
    }

    /// The person of a key as of the last event folded; the unknown visitor when there is none.
    #[must_use]
    pub fn visitor(&self, key: &str) -> Arc<Visitor> {
        self.people.with_person(key, |person| self.crowd.get(person))
    }

    /// The visitor nobody knows.
    #[must_use]
    pub fn unknown_visitor(&self) -> Arc<Visitor> {
        self.crowd.unknown()
    }

    /// About the bytes that visitors take in memory, where that has a limit, and how many visitors were lost since the
    /// start because what was packed away could not be read.
    #[must_use]
    pub fn room(&self) -> (usize, u64) {
        (self.crowd.bytes(), self.crowd.lost())
    }

    /// Number of visitors.
    #[must_use]
    pub fn visitors(&self) -> usize {
        self.crowd.len()
    }

    /// Forgets a visitor. What they did stays in the counts of items, which name nobody. False when unknown.
    pub fn remove_visitor(&self, person: &str) -> bool {
        let mut writer = self.writer.lock();
        writer.progress.changed = true;
        self.forget(person).is_some()
    }

    fn forget(&self, person: &str) -> Option<u32> {
        let number = self.crowd.remove(person);
        number.iter().for_each(|number| self.audience.forget(*number));
        number
    }

    /// Folds a person anew from their own events, in log order: after their ids were linked or unlinked. Counts of items
    /// and pairs stay as they are until the log is folded from its beginning.
    pub fn refold(&self, person: &str, events: &[Event]) {
        let mut writer = self.writer.lock();
        writer.progress.changed = true;
        let mut visitor = Visitor::default();
        let catalogue = self.store.current();
        for event in events {
            let rows = self.store.reserve(&event.items);
            let lines = lines(&catalogue, event, &rows);
            for step in visitors::steps(event.kind, &lines) {
                visitors::fold(&mut visitor, &catalogue, step, Moment::of(event));
            }
        }
        // with what was carried before, what is carried now tells what changed
        let before = self.crowd.get(person);
        let labels = (before.tags.iter().filter(|tag| !built_in(tag)).map(Arc::clone), before.segments.clone());
        visitor.tags.extend(labels.0);
        visitor.segments = labels.1;
        if visitor.is_unknown() {
            self.forget(person);
        } else {
            let number = self.crowd.edit(person, |known| {
                // beyond every version before: the same number of events is another history now
                visitor.version += known.version;
                *known = visitor;
            });
            writer.progress.renewed.insert(number);
            if !self.audience.is_idle() {
                self.label(&[number], |_| {});
            }
        }
    }

    /// Changes what events do not tell: tags and attributes. Makes the visitor when unknown.
    pub fn edit_visitor(&self, person: &str, change: impl FnOnce(&mut Visitor)) {
        let mut writer = self.writer.lock();
        writer.progress.changed = true;
        self.crowd.edit(person, |visitor| {
            change(visitor);
            visitor.version += 1;
        });
    }

    /// Forgets the visitors who were last seen before a moment; returns how many.
    pub fn expire_visitors(&self, before: TimeMs) -> usize {
        let mut writer = self.writer.lock();
        let mut gone = 0;
        for shard in 0..crowd::SHARDS {
            for portion in self.crowd.numbers(shard).chunks(PORTION) {
                let idle = self.crowd.of(portion).into_iter().filter(|one| one.visitor.last_seen < before);
                gone += idle.filter(|one| self.forget(&one.key).is_some()).count();
            }
        }
        writer.progress.changed |= gone > 0;
        gone
    }

    /// The statistics of one item; zeros when nothing happened with it.
    #[must_use]
    pub fn item_stats(&self, row: ItemRow) -> ItemStats {
        self.stats.read().items.get(row.index()).copied().unwrap_or_default()
    }

    /// Sums over all items.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.stats.read().totals
    }

    /// The neighbours of one item as of the last refresh, nearest first.
    #[must_use]
    pub fn neighbours(&self, relation: Relation, row: ItemRow) -> Arc<[Neighbour]> {
        self.lists(relation).nearest.get(row.index()).map_or_else(|| Arc::from([]), Arc::clone)
    }

    pub(crate) fn lists(&self, relation: Relation) -> RwLockReadGuard<'_, Neighbours> {
        self.neighbours[relation as usize].read()
    }

    pub(crate) fn stats(&self) -> RwLockReadGuard<'_, Statistics> {
        self.stats.read()
    }

    pub(crate) fn bought(&self) -> RwLockReadGuard<'_, Pairs<PairCount>> {
        self.bought.read()
    }

    pub(crate) fn counted(&self, relation: Relation) -> RwLockReadGuard<'_, Pairs<f32>> {
        if relation == Relation::Viewed { self.viewed.read() } else { self.next.read() }
    }

    pub(crate) fn trending(&self) -> Arc<TrendLists> {
        self.trending.load_full()
    }
}

impl Additions {
    fn is_small(&self) -> bool {
        self.bought.is_small() && self.viewed.is_small() && self.next.is_small()
    }

    fn is_much(&self) -> bool {
        self.bought.is_much() || self.viewed.is_much() || self.next.is_much()
    }

    fn is_full(&self) -> bool {
        self.bought.is_full() || self.viewed.is_full() || self.next.is_full()
    }

    fn merge(&mut self, folds: &Folds) {
        self.bought.merge(&folds.bought);
        self.viewed.merge(&folds.viewed);
        self.next.merge(&folds.next);
    }

    /// Counts the pairs of one step; with -1, takes them out.
    fn pair(&mut self, lines: &[Line], trace: &Trace, kind: EventKind, time: TimeMs, by: f32) {
        if kind == EventKind::Purchase {
            self.pair_order(lines, pairs::growth(time), by);
            self.follow_lines(lines, by);
        }
        if let (Some(session), [line]) = (&trace.session, lines) {
            self.viewed.count(line.row, by);
            for other in session {
                self.viewed.add(line.row, *other, by, 0.0);
                self.viewed.add(*other, line.row, by, 0.0);
            }
        }
        // Without a visitor there is no sequence, and what is not a step of one has no trace.
        if trends::interest(kind) > 0.0 {
            let step = lines.iter().take(ORDER_STEP).map(|line| line.row).filter(|row| trace.same != Some(*row));
            for row in step {
                // The lines of an order are counted where they follow one another.
                if kind != EventKind::Purchase {
                    self.next.count(row, by);
                }
                for (before, weight) in &trace.previous {
                    self.next.add(*before, row, by * weight, 0.0);
                }
            }
        }
    }

    /// Inside an order each line follows those up to [`LINE_REACH`] before it, nearer ones more: people put together
    /// what belongs together one after the other.
    fn follow_lines(&mut self, lines: &[Line], by: f32) {
        for (at, line) in lines.iter().enumerate() {
            self.next.count(line.row, by);
            for distance in 1..=LINE_REACH.min(at) {
                self.next.add(lines[at - distance].row, line.row, by / distance as f32, 0.0);
            }
        }
    }

    /// Counts the pairs of one order.
    fn pair_order(&mut self, lines: &[Line], growth: f64, by: f32) {
        let count = lines.len();
        for (at, line) in lines.iter().enumerate() {
            self.bought.count(line.row, by);
            let mut add = |at: usize| self.bought.add(line.row, lines[at % count].row, by, growth);
            if count <= ALL_PAIRS {
                (0..count).for_each(add);
            } else {
                (1..=ALL_PAIRS / 2).flat_map(|d| [at + d, at + count - d]).for_each(&mut add);
            }
        }
    }
}

/// Tags the folds make themselves.
pub(crate) fn built_in(tag: &str) -> bool {
    tag.starts_with("stage:") || tag.starts_with("prefers:")
}

/// The distinct items of an event in order of appearance, quantities summed.
fn lines(catalogue: &Catalogue, event: &Event, rows: &[ItemRow]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::with_capacity(rows.len());
    // most events name one item: a map is for orders
    let mut place: FxHashMap<u32, usize> = FxHashMap::default();
    for (at, row) in rows.iter().enumerate() {
        let quantity = event.quantities.get(at).copied().filter(|q| q.is_finite() && *q > 0.0).unwrap_or(1.0);
        if let Some(known) = place.get(&row.0) {
            lines[*known].quantity += quantity;
            continue;
        }
        // the value of a rating is stars
        let paid = event.values.get(at).copied().filter(|v| v.is_finite() && event.kind != EventKind::Rating);
        let price = paid.or_else(|| catalogue.price.get(row.index()).copied()).unwrap_or(f32::NAN);
        if rows.len() > 1 {
            place.insert(row.0, lines.len());
        }
        lines.push(Line { row: row.0, quantity, price });
    }
    lines
}
