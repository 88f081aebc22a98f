//! The columnar candidate set a strategy works on through a handle.

use crate::ItemRow;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A named column of the set itself: source scores and ranks, model scores, numbers the strategy computed.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberColumn {
    /// Its name, such as `source.near.score` or `score`.
    pub name: Arc<str>,
    /// One value a candidate; NaN means missing.
    pub values: Vec<f32>,
}

/// Rows with columns. Every operation keeps all columns aligned, and no operation makes a row appear twice.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    rows: Vec<ItemRow>,
    /// Bit i is set when source i of `source_names` found the row.
    found_by: Vec<u32>,
    source_names: Vec<Arc<str>>,
    columns: Vec<NumberColumn>,
}

/// A set holds at most this many sources (one bit each).
pub const MAX_SOURCES: usize = 32;

/// What one source found: the source's name, and rows best first with their scores.
pub type Retrieved = (Arc<str>, Vec<(ItemRow, f32)>);

impl Candidates {
    /// The union of several sources' results: one row per item, in order of first appearance, with the columns
    /// `source.<name>.score` and `source.<name>.rank` (from 1; both NaN where the source did not find the row).
    ///
    /// # Errors
    /// More than [`MAX_SOURCES`] sources, or two with the same name.
    pub fn union(sources: &[Retrieved]) -> Result<Self, String> {
        if sources.len() > MAX_SOURCES {
            return Err(format!("{} sources in one set: at most {MAX_SOURCES}", sources.len()));
        }
        let total: usize = sources.iter().map(|(_, found)| found.len()).sum();
        let mut set = Self::default();
        let mut place: FxHashMap<ItemRow, u32> = FxHashMap::default();
        place.reserve(total);
        set.rows.reserve(total);
        set.found_by.reserve(total);
        // Where each row that was found stands in the set.
        let mut places = Vec::with_capacity(total);
        for (bit, (name, found)) in sources.iter().enumerate() {
            if set.source_names.contains(name) {
                return Err(format!("two sources are named {name:?}"));
            }
            set.source_names.push(Arc::clone(name));
            for &(row, _) in found {
                let at = *place.entry(row).or_insert_with(|| {
                    set.rows.push(row);
                    set.found_by.push(0);
                    set.rows.len() as u32 - 1
                });
                set.found_by[at as usize] |= 1 << bit;
                places.push(at as usize);
            }
        }
        let mut places = places.into_iter();
        for (name, found) in sources {
            let mut scores = vec![f32::NAN; set.rows.len()];
            let mut ranks = vec![f32::NAN; set.rows.len()];
            for ((rank, (_, score)), at) in found.iter().enumerate().zip(places.by_ref()) {
                if scores[at].is_nan() {
                    scores[at] = *score;
                    ranks[at] = (rank + 1) as f32;
                }
            }
            set.columns.push(NumberColumn { name: format!("source.{name}.score").into(), values: scores });
            set.columns.push(NumberColumn { name: format!("source.{name}.rank").into(), values: ranks });
        }
        Ok(set)
    }

    /// Number of candidates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows in their current order.
    #[must_use]
    pub fn rows(&self) -> &[ItemRow] {
        &self.rows
    }

    /// The set's own columns.
    #[must_use]
    pub fn columns(&self) -> &[NumberColumn] {
        &self.columns
    }

    /// One of the set's own columns.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&[f32]> {
        self.columns.iter().find(|c| &*c.name == name).map(|c| c.values.as_slice())
    }

    /// The names of the sources that found candidate `at`.
    ///
    /// # Panics
    /// When `at` is not below [`Self::len`].
    pub fn sources_of(&self, at: usize) -> impl Iterator<Item = &Arc<str>> {
        let bits = self.found_by[at];
        self.source_names.iter().enumerate().filter(move |(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| name)
    }

    /// Sets a column, replacing one of the same name.
    ///
    /// # Errors
    /// When `values` is not as long as the set.
    pub fn put(&mut self, name: &str, values: Vec<f32>) -> Result<(), String> {
        if values.len() != self.rows.len() {
            return Err(format!(
                "column {name:?} has {} values, the set has {} candidates",
                values.len(),
                self.rows.len()
            ));
        }
        match self.columns.iter_mut().find(|c| &*c.name == name) {
            Some(column) => column.values = values,
            None => self.columns.push(NumberColumn { name: name.into(), values }),
        }
        Ok(())
    }

    /// Keeps the candidates whose mask is true, in order; returns the removed rows.
    ///
    /// # Errors
    /// When `mask` is not as long as the set.
    pub fn keep(&mut self, mask: &[bool]) -> Result<Vec<ItemRow>, String> {
        if mask.len() != self.rows.len() {
            return Err(format!("a mask of {} for {} candidates", mask.len(), self.rows.len()));
        }
        let removed = self.rows.iter().zip(mask).filter(|(_, keep)| !**keep).map(|(row, _)| *row).collect();
        let kept: Vec<u32> = (0..mask.len()).filter(|&at| mask[at]).map(|at| at as u32).collect();
        self.select(&kept);
        Ok(removed)
    }

    /// Orders by `column`, highest first; missing (NaN) values last, ties by `tie` (lowest first).
    ///
    /// # Errors
    /// When the set has no such column.
    pub fn order_by<K: Ord>(&mut self, column: &str, tie: impl Fn(ItemRow) -> K) -> Result<(), String> {
        let values = self.column(column).ok_or_else(|| format!("the set has no column {column:?}"))?;
        // Score and place as one number, the better the smaller: numbers are sorted without a branch.
        let mut keys: Vec<u64> = values.iter().zip(0u64..).map(|(&value, at)| descending(value) << 32 | at).collect();
        keys.sort_unstable();
        let row = |key: u64| self.rows[key as u32 as usize];
        for alike in keys.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|alike| alike.len() > 1) {
            alike.sort_unstable_by_key(|&key| tie(row(key)));
        }
        let order: Vec<u32> = keys.into_iter().map(|key| key as u32).collect();
        self.select(&order);
        Ok(())
    }

    /// Keeps at most `max` candidates of each group, the first ones in order; `keys` names each candidate's groups (a
    /// candidate without a group is always kept; one in several counts in each).
    ///
    /// # Errors
    /// When `keys` is not as long as the set.
    pub fn cap(&mut self, keys: &[Vec<Arc<str>>], max: usize) -> Result<(), String> {
        if keys.len() != self.rows.len() {
            return Err(format!("{} group keys for {} candidates", keys.len(), self.rows.len()));
        }
        let mut seen: FxHashMap<&Arc<str>, usize> = FxHashMap::default();
        let mut kept = Vec::with_capacity(self.rows.len());
        for (at, groups) in keys.iter().enumerate() {
            if groups.iter().all(|g| seen.get(g).copied().unwrap_or(0) < max) {
                for g in groups {
                    *seen.entry(g).or_default() += 1;
                }
                kept.push(at as u32);
            }
        }
        self.select(&kept);
        Ok(())
    }

    /// Keeps the first `count`.
    pub fn take(&mut self, count: usize) {
        self.rows.truncate(count);
        self.found_by.truncate(count);
        for column in &mut self.columns {
            column.values.truncate(count);
        }
    }

    /// Removes the first `count` and returns them as a set of their own: a shelf after a shelf, without doubles.
    #[must_use]
    pub fn split_off_front(&mut self, count: usize) -> Self {
        // Nothing of what stays behind is copied: a strategy may split a large set many times.
        let count = count.min(self.rows.len());
        let columns = self.columns.iter_mut();
        Self {
            rows: self.rows.drain(..count).collect(),
            found_by: self.found_by.drain(..count).collect(),
            source_names: self.source_names.clone(),
            columns: columns
                .map(|column| NumberColumn {
                    name: Arc::clone(&column.name),
                    values: column.values.drain(..count).collect(),
                })
                .collect(),
        }
    }

    /// Moves `rows` that are in the set to the front, in the order given.
    pub fn pin(&mut self, rows: &[ItemRow]) {
        let places: FxHashMap<ItemRow, u32> = self.rows.iter().copied().zip(0..).collect();
        // A position named twice is used once: all the others follow in their order.
        let pinned = rows.iter().filter_map(|row| places.get(row).copied());
        let order: Vec<u32> = pinned.chain(0..self.rows.len() as u32).collect();
        self.select(&order);
    }

    /// Reorders and drops: candidate i becomes what stood at `order[i]`. Positions out of range are ignored, a
    /// position named twice is used once.
    pub fn select(&mut self, order: &[u32]) {
        let mut used = vec![false; self.rows.len()];
        let order: Vec<usize> = order
            .iter()
            .map(|&at| at as usize)
            .filter(|&at| at < used.len() && !std::mem::replace(&mut used[at], true))
            .collect();
        self.rows = order.iter().map(|&at| self.rows[at]).collect();
        self.found_by = order.iter().map(|&at| self.found_by[at]).collect();
        for column in &mut self.columns {
            column.values = order.iter().map(|&at| column.values[at]).collect();
        }
    }
}

/// A number as one that orders the other way round: the highest first, missing ones (NaN) last, with minus infinity.
fn descending(value: f32) -> u64 {
    let value = if value.is_nan() { f32::NEG_INFINITY } else { value };
    let bits = value.to_bits();
    let ascending = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(!ascending)
}
