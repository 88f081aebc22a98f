//! All features of a ranker, checked and made ready: the one place where they are computed.

use super::Feature;
use super::check::{MOST_FEATURES, MOST_NUMBERS, check, whole};
use super::definition::{Definition, Extractor, Missing, Scale};
use super::extract::{Filled, Ready, no_number};
use super::read::{Read, Scene, Wanted};
use super::table::Table;
use crate::ModelError;
use crate::codes::ItemCodes;
use crate::manifest::Manifest;
use qianmian_core::{Candidates, Columns, ItemRow, ReachError, Request, RequestContext, Visitor};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Item ids up to here are told apart by a number of 32 bits.
const MOST_IDS: usize = 1 << 24;

/// The features of a ranker. It is immutable and may be used from any number of threads at once.
#[derive(Debug)]
pub struct FeaturePlan {
    features: Vec<Planned>,
    wanted: Vec<Wanted>,
    names: Vec<String>,
    watched: Vec<bool>,
    codes: Option<Arc<ItemCodes>>,
}

#[derive(Debug)]
struct Planned {
    /// Numbers of a row.
    width: usize,
    path: String,
    work: Work,
}

#[derive(Debug)]
enum Work {
    /// A column as it is.
    Column(usize, String),
    Made(Box<Ready>, After),
}

/// What is done with the numbers afterwards.
#[derive(Clone, Copy, Debug)]
struct After {
    clip: Option<[f32; 2]>,
    scale: Option<Scale>,
    missing: Missing,
}

/// The features of a manifest, with where each stands in it.
fn listed(manifest: &Manifest) -> impl Iterator<Item = (String, &Feature)> {
    let own = manifest.features.iter().enumerate().map(|(at, feature)| (format!("features[{at}]"), feature));
    let tensors = manifest.tensors.iter().enumerate().flat_map(|(tensor, of)| {
        let path = move |at| format!("tensors[{tensor}].features[{at}]");
        of.features.iter().enumerate().map(move |(at, feature)| (path(at), feature))
    });
    own.chain(tensors)
}

/// Checks the features of a manifest: each by itself, their number and width, names, and that ids have their list.
pub(crate) fn check_all(manifest: &Manifest) -> Result<(), String> {
    let (mut count, mut numbers) = (0, 0usize);
    let mut known: FxHashMap<String, (String, &Feature)> = FxHashMap::default();
    for (path, feature) in listed(manifest) {
        check(feature).map_err(|error| format!("{path}{error}"))?;
        if by_ids(feature) && manifest.item_ids.is_none() {
            return Err(format!("{path}: ids of items need item_ids, \"numeric\" with a vocabulary or a list of ids"));
        }
        count += 1;
        numbers = numbers.saturating_add(feature.width());
        if count > MOST_FEATURES || numbers > MOST_NUMBERS {
            return Err(format!(
                "{path}: that are {count} features of {numbers} numbers, at most {MOST_FEATURES} of {MOST_NUMBERS}"
            ));
        }
        for name in feature.names() {
            match known.get(&name) {
                // Inputs may share a feature; one input has it once.
                Some((before, same)) if *same == feature && input_of(before) != input_of(&path) => {}
                Some((before, same)) if *same == feature => {
                    return Err(format!("{path}: feature {name:?} is listed twice, as {before} too"));
                }
                Some((before, _)) => {
                    return Err(format!("{path}: {before} is called {name:?} too: give one of them a name"));
                }
                None => drop(known.insert(name, (path.clone(), feature))),
            }
        }
    }
    let ids = listed(manifest).any(|(_, feature)| by_ids(feature));
    match manifest.rows() {
        None if ids => Err("item_ids by a rule need vocabulary: the number of embedding rows".to_owned()),
        Some(rows) if ids && rows > MOST_IDS => {
            Err(format!("vocabulary is {rows}: a ranker's ids are at most {MOST_IDS}"))
        }
        _ => Ok(()),
    }
}

/// The input a path is of; nothing for the only one.
fn input_of(path: &str) -> &str {
    path.split_once('.').map_or("", |(tensor, _)| tensor)
}

/// Whether a feature is of the integers of items.
fn by_ids(feature: &Feature) -> bool {
    let Feature::Defined(definition) = feature else { return false };
    matches!(definition.extractor, Extractor::ItemId {} | Extractor::History { column: None, .. })
}

impl FeaturePlan {
    /// The features of a manifest made ready.
    ///
    /// # Errors
    /// [`ModelError::Manifest`] with the place in the document, what is wrong with it and what is expected.
    pub fn of(manifest: &Manifest) -> Result<Self, ModelError> {
        let wrong = |detail| ModelError::Manifest { model: manifest.name.clone(), detail };
        check_all(manifest).map_err(wrong)?;
        let codes = ItemCodes::of(manifest)?.map(Arc::new);
        let mut plan = Self { features: Vec::new(), wanted: Vec::new(), names: Vec::new(), watched: Vec::new(), codes };
        for (path, feature) in listed(manifest) {
            plan.add(path, feature).map_err(wrong)?;
        }
        Ok(plan)
    }

    fn add(&mut self, path: String, feature: &Feature) -> Result<(), String> {
        let wanted = &mut self.wanted;
        let mut column = |name: &str, anchors: bool| {
            let known = wanted.iter().position(|one| one.name == name && one.anchors == anchors);
            known.unwrap_or_else(|| {
                wanted.push(Wanted { name: name.to_owned(), anchors, path: path.clone() });
                wanted.len() - 1
            })
        };
        let work = match feature {
            Feature::Column(name) => Work::Column(column(name, false), name.clone()),
            Feature::Defined(definition) => {
                let ready = Ready::new(definition, column).map_err(|error| format!("{path}{error}"))?;
                let Definition { clip, scale, missing, .. } = **definition;
                Work::Made(Box::new(ready), After { clip, scale, missing })
            }
        };
        let watched = !matches!(feature, Feature::Defined(definition) if whole(definition));
        let (at, width) = (self.names.len(), feature.width());
        self.names.extend(feature.names());
        self.watched.resize(at + width, watched);
        self.features.push(Planned { width, path, work });
        Ok(())
    }

    /// The names of a row's numbers, in their order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// For each number of a row whether its distribution says something: that of an id does not.
    #[must_use]
    pub fn watched(&self) -> &[bool] {
        &self.watched
    }

    /// How item ids become integers, when the manifest says so.
    #[must_use]
    pub fn codes(&self) -> Option<&ItemCodes> {
        self.codes.as_deref()
    }

    /// The features of every candidate. What is missing is NaN, or what the feature says. A set column the set does not have
    /// (a source the strategy did not ask) is missing everywhere: rankers are trained with such gaps.
    ///
    /// # Errors
    /// A host column or space that does not exist, or one of another type than its feature takes.
    pub fn table(
        &self,
        columns: &dyn Columns,
        ctx: &RequestContext,
        candidates: &Candidates,
    ) -> Result<Table, ReachError> {
        let scene = Scene { columns, ctx, candidates };
        let reads = self.wanted.iter().map(|wanted| wanted.read(&scene)).collect::<Result<Vec<_>, _>>()?;
        let mut table = Table::new(candidates.len(), self.names.len());
        for feature in &self.features {
            let placed = |error: ReachError| match error {
                ReachError::Invalid(detail) => ReachError::Invalid(format!("{}: {detail}", feature.path)),
                other => other,
            };
            match &feature.work {
                Work::Column(at, name) => match &reads[*at] {
                    Read::Absent => table.same(f32::NAN),
                    read => {
                        let values = read.numbers(candidates.len()).map_err(|is| placed(no_number(name, is)))?;
                        table.rows_of(&values, 1);
                    }
                },
                Work::Made(ready, after) => {
                    let mut filled = ready.fill(&scene, &reads, self.codes()).map_err(placed)?;
                    after.finish(&mut filled, feature.width);
                    match filled {
                        Filled::Same(values) => values.into_iter().for_each(|value| table.same(value)),
                        Filled::Rows(values) => table.rows_of(&values, feature.width),
                    }
                }
            }
        }
        Ok(table)
    }

    /// The same numbers row-major, `[candidates, names]`.
    ///
    /// # Errors
    /// As [`Self::table`].
    pub fn matrix(
        &self,
        columns: &dyn Columns,
        ctx: &RequestContext,
        candidates: &Candidates,
    ) -> Result<Vec<f32>, ReachError> {
        Ok(self.table(columns, ctx, candidates)?.rows())
    }

    /// Checks that every column there is has the type its feature takes, for a visitor nobody knows and some items.
    ///
    /// # Errors
    /// The first feature that cannot be computed, by its place in the manifest, and what there is instead.
    pub fn check(&self, columns: &dyn Columns, some: &[ItemRow]) -> Result<(), String> {
        let ctx = RequestContext::new(Request::default(), Arc::new(Visitor::default()), 0, 0);
        let found = some.iter().map(|row| (*row, 0.0)).collect();
        let candidates = Candidates::union(&[(Arc::from("check"), found)])?;
        let scene = Scene { columns, ctx: &ctx, candidates: &candidates };
        for wanted in &self.wanted {
            wanted.read(&scene).map_err(|error| format!("{} {:?}: {error}", wanted.path, wanted.name))?;
        }
        self.matrix(columns, &ctx, &candidates).map(drop).map_err(|error| error.to_string())
    }
}

impl After {
    fn finish(self, filled: &mut Filled, width: usize) {
        let (Filled::Same(numbers) | Filled::Rows(numbers)) = filled;
        for number in numbers.iter_mut() {
            if let Some([low, high]) = self.clip {
                // clamp keeps NaN
                *number = number.clamp(low, high);
            }
            if let Some(scale) = self.scale {
                *number = scale.of(*number);
            }
            if !number.is_finite() {
                *number = f32::NAN;
            }
        }
        match self.missing {
            Missing::Nan => {}
            Missing::Value(value) => numbers.iter_mut().filter(|n| n.is_nan()).for_each(|n| *n = value),
            Missing::Mean => (0..width).for_each(|at| fill_mean(numbers, at, width)),
        }
    }
}

/// Gives column `at` the mean of its numbers where it has none.
fn fill_mean(numbers: &mut [f32], at: usize, width: usize) {
    let (mut sum, mut count) = (0f64, 0u32);
    for number in numbers.iter().skip(at).step_by(width).filter(|number| !number.is_nan()) {
        sum += f64::from(*number);
        count += 1;
    }
    if count > 0 {
        let mean = (sum / f64::from(count)) as f32;
        numbers.iter_mut().skip(at).step_by(width).filter(|n| n.is_nan()).for_each(|n| *n = mean);
    }
}
