//! What the visitor did lately: sequences for networks, and counts in windows.

use super::definition::{Interacted, Measure, Pad};
use super::read::{Scene, Texts};
use crate::codes::ItemCodes;
use qianmian_core::{ColumnValues, DAY_MS, Interaction, ItemRow, ReachError};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Recent interactions that are looked at; the folds keep no more.
const RECENT: usize = 256;
const WORDS: usize = RECENT / 64;
type Bits = [u64; WORDS];

/// Which items a sequence is of.
pub(super) struct Sequence<'a> {
    pub(super) length: usize,
    pub(super) events: &'a [Interacted],
    pub(super) pad: Pad,
    pub(super) codes: Option<&'a ItemCodes>,
}

fn recent<'a>(scene: &Scene<'a>, events: &'a [Interacted]) -> impl Iterator<Item = &'a Interaction> {
    let counts = |one: &&Interaction| events.is_empty() || events.iter().any(|event| event.kind() == one.kind);
    scene.ctx.visitor.recent.iter().take(RECENT).filter(counts)
}

impl Sequence<'_> {
    /// The latest items, oldest first, with their integers where ids have some: what a model does not know is left out, so
    /// that a sequence of ids and one of a column stay in step.
    fn latest(&self, scene: &Scene) -> (Vec<ItemRow>, Vec<i64>) {
        let rows: Vec<ItemRow> = recent(scene, self.events).map(|one| one.item).collect();
        let mut latest: Vec<(ItemRow, i64)> = match self.codes {
            None => rows.into_iter().map(|row| (row, 0)).take(self.length).collect(),
            Some(codes) => {
                let ids = scene.columns.ids(&rows);
                let known = |(row, id): (ItemRow, Arc<str>)| codes.code(&id).map(|code| (row, code));
                rows.into_iter().zip(ids).filter_map(known).take(self.length).collect()
            }
        };
        latest.reverse();
        latest.into_iter().unzip()
    }

    /// Puts at most `length` numbers between zeros.
    fn padded(&self, numbers: impl ExactSizeIterator<Item = f32>) -> Vec<f32> {
        let mut padded = vec![0.0; self.length];
        let from = if self.pad == Pad::Left { self.length.saturating_sub(numbers.len()) } else { 0 };
        padded[from..].iter_mut().zip(numbers).for_each(|(to, number)| *to = number);
        padded
    }

    /// The integers of the items.
    pub(super) fn ids(&self, scene: &Scene) -> Vec<f32> {
        let (_, codes) = self.latest(scene);
        self.padded(codes.into_iter().map(|code| code as f32))
    }

    /// 1 for each item.
    pub(super) fn mask(&self, scene: &Scene) -> Vec<f32> {
        let (rows, _) = self.latest(scene);
        self.padded(rows.into_iter().map(|_| 1.0))
    }

    /// A column of the items: its numbers, or the places of its texts in a list.
    pub(super) fn column(
        &self,
        scene: &Scene,
        name: &str,
        places: &FxHashMap<Arc<str>, u32>,
    ) -> Result<Vec<f32>, ReachError> {
        let (rows, _) = self.latest(scene);
        let values = scene.column(&rows, name)?;
        if places.is_empty() {
            return match values {
                ColumnValues::Numbers(numbers) => Ok(self.padded(numbers.into_iter())),
                _ => Err(ReachError::Invalid(format!("column {name:?} is no number: list its values"))),
            };
        }
        let texts = Texts::from(&values);
        let place = |at: usize| texts.at(at).iter().find_map(|text| places.get(text)).map_or(0.0, |at| *at as f32);
        Ok(self.padded((0..rows.len()).map(place)))
    }
}

/// Interactions by window, as bits: bit `i` is the `i`-th that counts.
struct Windows {
    rows: Vec<ItemRow>,
    masks: Vec<Bits>,
}

impl Windows {
    fn new(scene: &Scene, events: &[Interacted], days: &[f32]) -> Self {
        let mut masks = vec![[0; WORDS]; days.len().max(1)];
        let mut rows = Vec::new();
        for (at, one) in recent(scene, events).enumerate() {
            rows.push(one.item);
            let age = scene.ctx.now.saturating_sub(one.time) as f64 / DAY_MS as f64;
            for (window, mask) in masks.iter_mut().enumerate() {
                if days.get(window).is_none_or(|days| age <= f64::from(*days)) {
                    mask[at / 64] |= 1 << (at % 64);
                }
            }
        }
        Self { rows, masks }
    }
}

fn ones(bits: &Bits) -> u32 {
    bits.iter().map(|word| word.count_ones()).sum()
}

fn both(a: &Bits, b: &Bits) -> Bits {
    std::array::from_fn(|at| a[at] & b[at])
}

/// How many interactions each window has.
pub(super) fn window_counts(scene: &Scene, events: &[Interacted], days: &[f32]) -> Vec<f32> {
    Windows::new(scene, events, days).masks.iter().map(|mask| ones(mask) as f32).collect()
}

/// Interactions with items that share a value with each candidate, row-major `[candidates, windows]`.
pub(super) fn interacted_with(
    scene: &Scene,
    of: &Texts,
    column: &str,
    (events, days): (&[Interacted], &[f32]),
    measure: Measure,
) -> Result<Vec<f32>, ReachError> {
    let windows = Windows::new(scene, events, days);
    let values = scene.column(&windows.rows, column)?;
    let texts = Texts::from(&values);
    let mut by_value: FxHashMap<&str, Bits> = FxHashMap::default();
    for at in 0..windows.rows.len() {
        for text in texts.at(at) {
            by_value.entry(text).or_default()[at / 64] |= 1 << (at % 64);
        }
    }
    let mut numbers = Vec::with_capacity(scene.len() * windows.masks.len());
    for row in 0..scene.len() {
        let mut shared = [0; WORDS];
        for bits in of.at(row).iter().filter_map(|text| by_value.get(&**text)) {
            shared.iter_mut().zip(bits).for_each(|(all, own)| *all |= own);
        }
        numbers.extend(windows.masks.iter().map(|mask| {
            let count = ones(&both(&shared, mask)) as f32;
            match measure {
                Measure::Count => count,
                Measure::Any => count.min(1.0),
                // 0 of 0 is NaN, which is missing
                Measure::Share => count / ones(mask) as f32,
            }
        }));
    }
    Ok(numbers)
}
