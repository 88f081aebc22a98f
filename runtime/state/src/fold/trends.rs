//! What is popular now: over everything, over one channel or region, and among visitors with one tag.

use super::decay::{WEEK, landmark_add, landmark_take};
use crate::Catalogue;
use qianmian_core::{EventKind, ItemRow, TimeMs};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Items kept in a list.
pub const TRENDING: usize = 500;
/// Scopes followed of each sort: more (a sender that invents regions) are not.
const MAX_SCOPES: usize = 1024;
/// Events a tag's visitors must have made before its list is used.
pub(crate) const ENOUGH_EVENTS: u32 = 50;

/// A row and `log2(value) + time / half_life`, best first.
pub(crate) type TrendList = Arc<[(u32, f64)]>;

/// Which events a list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Channel = 0,
    Region = 1,
    Tag = 2,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trend {
    pub marks: FxHashMap<u32, f64>,
    pub events: u32,
    dirty: bool,
    unkept: bool,
    /// By kind, and over all kinds last.
    pub lists: [TrendList; 6],
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trends {
    all: Trend,
    scopes: [FxHashMap<Arc<str>, Trend>; 3],
}

/// What an event adds to trending; 0 for those that say nothing of interest.
pub(crate) fn interest(kind: EventKind) -> f64 {
    match kind {
        EventKind::View | EventKind::Click => 1.0,
        EventKind::Cart => 3.0,
        EventKind::Purchase => 5.0,
        EventKind::Rating => 2.0,
        EventKind::Impression | EventKind::Search | EventKind::Custom => 0.0,
    }
}

impl Trend {
    pub fn add(&mut self, rows: &[u32], weight: f64, time: TimeMs) {
        for row in rows {
            let mark = self.marks.entry(*row).or_insert(f64::NEG_INFINITY);
            *mark = landmark_add(*mark, weight, time, WEEK);
        }
        self.events = self.events.saturating_add(1);
        (self.dirty, self.unkept) = (true, true);
    }

    /// Takes out what [`Self::add`] added.
    fn take(&mut self, rows: &[u32], weight: f64, time: TimeMs) {
        for row in rows {
            if let Some(mark) = self.marks.get_mut(row) {
                *mark = landmark_take(*mark, weight, time, WEEK);
                if *mark == f64::NEG_INFINITY {
                    self.marks.remove(row);
                }
            }
        }
        self.events = self.events.saturating_sub(1);
        (self.dirty, self.unkept) = (true, true);
    }

    pub fn refresh(&mut self, catalogue: &Catalogue) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        let mut kinds: [Vec<(u32, f64)>; 6] = Default::default();
        for (&row, &mark) in self.marks.iter().filter(|(row, _)| catalogue.is_live(ItemRow(**row))) {
            kinds[catalogue.kind[row as usize] as usize].push((row, mark));
        }
        let order = |a: &(u32, f64), b: &(u32, f64)| {
            b.1.total_cmp(&a.1).then_with(|| catalogue.ids[a.0 as usize].cmp(&catalogue.ids[b.0 as usize]))
        };
        let (by_kind, all) = kinds.split_at_mut(5);
        for list in by_kind {
            best(list, order);
            all[0].extend_from_slice(list);
        }
        best(&mut all[0], order);
        self.lists = kinds.map(Into::into);
    }
}

/// Sorts and keeps the first [`TRENDING`].
fn best(list: &mut Vec<(u32, f64)>, order: impl Fn(&(u32, f64), &(u32, f64)) -> std::cmp::Ordering) {
    if list.len() > TRENDING {
        list.select_nth_unstable_by(TRENDING, &order);
        list.truncate(TRENDING);
    }
    list.sort_unstable_by(&order);
}

impl Trends {
    /// Every scope that is followed, by sort and name, everybody first.
    pub fn scopes(&self) -> Vec<(usize, Arc<str>, &Trend)> {
        let mut all: Vec<(usize, Arc<str>, &Trend)> = vec![(0, Arc::from(""), &self.all)];
        for (sort, scopes) in self.scopes.iter().enumerate() {
            all.extend(scopes.iter().map(|(name, trend)| (sort + 1, Arc::clone(name), trend)));
        }
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        all
    }

    /// Visits the scopes that changed since the last call, or all: sort, name, what is counted.
    pub fn take_unkept(&mut self, all: bool, mut visit: impl FnMut(usize, &str, &Trend)) {
        if std::mem::take(&mut self.all.unkept) || all {
            visit(0, "", &self.all);
        }
        for (sort, scopes) in self.scopes.iter_mut().enumerate() {
            for (name, trend) in scopes {
                if std::mem::take(&mut trend.unkept) || all {
                    visit(sort + 1, name, trend);
                }
            }
        }
    }

    /// A scope as it was kept; `None` when there is no such sort.
    pub fn restore(&mut self, sort: usize, name: &str, events: u32, marks: FxHashMap<u32, f64>) -> Option<()> {
        let trend = Trend { marks, events, dirty: true, ..Trend::default() };
        match sort.checked_sub(1) {
            None => self.all = trend,
            Some(sort) => drop(self.scopes.get_mut(sort)?.insert(name.into(), trend)),
        }
        Some(())
    }

    /// Counts one event of these items for everybody and for the named scopes (empty names are none).
    pub fn add(&mut self, rows: &[u32], weight: f64, time: TimeMs, scopes: &[(Follow, &str)]) {
        self.all.add(rows, weight, time);
        for (follow, name) in scopes.iter().filter(|(_, name)| !name.is_empty()) {
            let map = &mut self.scopes[*follow as usize];
            if let Some(trend) = map.get_mut(*name) {
                trend.add(rows, weight, time);
            } else if map.len() < MAX_SCOPES {
                map.entry(Arc::from(*name)).or_default().add(rows, weight, time);
            }
        }
    }

    /// Takes out what [`Self::add`] added.
    pub fn take(&mut self, rows: &[u32], weight: f64, time: TimeMs, scopes: &[(Follow, &str)]) {
        self.all.take(rows, weight, time);
        for (follow, name) in scopes {
            if let Some(trend) = self.scopes[*follow as usize].get_mut(*name) {
                trend.take(rows, weight, time);
            }
        }
    }

    /// Makes the lists that changed anew, and returns all of them. A new item enters them then.
    pub fn refresh(&mut self, catalogue: &Catalogue) -> TrendLists {
        self.all.refresh(catalogue);
        let mut lists = TrendLists { all: self.all.lists.clone(), ..TrendLists::default() };
        for (scope, into) in self.scopes.iter_mut().zip(&mut lists.scopes) {
            for (name, trend) in scope {
                trend.refresh(catalogue);
                into.insert(Arc::clone(name), (trend.events, trend.lists.clone()));
            }
        }
        lists
    }

    /// Makes every list anew at the next [`Self::refresh`]: items came, went or changed their kind.
    pub fn touch(&mut self) {
        self.all.dirty = true;
        self.scopes.iter_mut().flat_map(FxHashMap::values_mut).for_each(|trend| trend.dirty = true);
    }
}

/// By the scope's name: its events and its lists.
type NamedLists = FxHashMap<Arc<str>, (u32, [TrendList; 6])>;

/// The lists as readers see them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrendLists {
    all: [TrendList; 6],
    scopes: [NamedLists; 3],
}

impl TrendLists {
    /// Everybody's lists: by kind, and over all kinds last.
    pub fn all(&self) -> &[TrendList; 6] {
        &self.all
    }

    /// The lists of one scope, when it is followed.
    pub fn of(&self, follow: Follow, name: &str) -> Option<&[TrendList; 6]> {
        self.scopes[follow as usize].get(name).map(|(_, lists)| lists)
    }

    /// The lists of the first tag that has enough events.
    pub fn of_tags(&self, tags: &[Arc<str>]) -> Option<&[TrendList; 6]> {
        let known = tags.iter().filter_map(|tag| self.scopes[Follow::Tag as usize].get(tag));
        known.into_iter().find(|(events, _)| *events >= ENOUGH_EVENTS).map(|(_, lists)| lists)
    }
}
