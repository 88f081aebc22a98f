//! Definitions in the order they can be evaluated in, and what they make of a batch of visitors.

use super::profile::{self, Batch};
use crate::fold::built_in;
use crate::people::People;
use parking_lot::Mutex;
use qianmian_core::expr::Expression;
use qianmian_core::{ColumnValues, ReachError, Segment, SegmentRule, Tag, TagRule};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Most values of one tag: an attribute with more is no tag but an id.
pub const MOST_VALUES: usize = 1_000;
/// Events a visitor must have made before they are said to prefer anything.
const ENOUGH_EVENTS: u32 = 3;

/// Texts of one visitor.
pub(super) type Texts = Vec<Arc<str>>;

/// What a tag made up so far.
#[derive(Default)]
pub(super) struct Values {
    /// `NAME:VALUE` by value.
    made: FxHashMap<Arc<str>, Arc<str>>,
    /// True once there were more than [`MOST_VALUES`].
    pub overflow: bool,
    /// Why the rule could not be evaluated last.
    pub error: Option<String>,
}

pub(super) struct Defined {
    pub tag: Tag,
    pub values: Mutex<Values>,
}

/// All tags and segments, each after those it names.
#[derive(Default)]
pub(super) struct Rules {
    pub tags: Vec<Defined>,
    pub segments: Vec<Segment>,
    /// Raised with every change.
    pub generation: u64,
}

impl Rules {
    /// Orders definitions.
    ///
    /// # Errors
    /// The names in a circle of conditions that need one another.
    pub fn new(tags: Vec<Tag>, segments: Vec<Segment>, generation: u64) -> Result<Self, String> {
        let tags = in_order(
            tags,
            |tag| &tag.name,
            |tag| match &tag.rule {
                TagRule::Combined { when } => names_in(when, "visitor.tags"),
                _ => Vec::new(),
            },
        )?;
        let segments = in_order(
            segments,
            |segment| &segment.name,
            |segment| match &segment.rule {
                SegmentRule::When(when) => names_in(when, "visitor.segments"),
                SegmentRule::Listed(_) => Vec::new(),
            },
        )?;
        let tags = tags.into_iter().map(|tag| Defined { tag, values: Mutex::default() }).collect();
        Ok(Self { tags, segments, generation })
    }

    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.segments.is_empty()
    }

    /// True when time alone may change who carries what: then everybody is looked at now and then.
    pub fn follow_time(&self) -> bool {
        let tag = |rule: &TagRule| match rule {
            TagRule::Base { of } | TagRule::Layered { of, .. } => moves(of),
            TagRule::Combined { when } => when.columns().iter().any(|column| moves(column)),
            // shares fade alike
            TagRule::Preference { .. } => false,
            TagRule::Code { .. } => true,
        };
        let segment = |rule: &SegmentRule| match rule {
            SegmentRule::When(when) => when.columns().iter().any(|column| moves(column)),
            SegmentRule::Listed(_) => false,
        };
        self.tags.iter().any(|defined| tag(&defined.tag.rule)) || self.segments.iter().any(|one| segment(&one.rule))
    }

    /// The tags and segments of each visitor of a batch; `keys` are theirs.
    pub fn label(&self, batch: &Batch<'_>, keys: &[Arc<str>], people: &People) -> Vec<(Texts, Texts)> {
        let built_in = |tags: &Texts| tags.iter().filter(|tag| built_in(tag)).map(Arc::clone).collect();
        let mut tags: Vec<Texts> = batch.visitors.iter().map(|visitor| built_in(&visitor.tags)).collect();
        let memo = Memo::default();
        for defined in self.tags.iter() {
            let made = match &defined.tag.rule {
                TagRule::Combined { when } => {
                    let frozen: Vec<Arc<[Arc<str>]>> = tags.iter().map(|tags| tags.as_slice().into()).collect();
                    memo.mask(&batch.with(&frozen, None), when).map(|mask| {
                        let name = &defined.tag.name;
                        mask.into_iter().map(|is| if is { vec![Arc::clone(name)] } else { vec![] }).collect()
                    })
                }
                rule => values(batch, rule, &memo).map(|values| named(defined, values)),
            };
            match made {
                Ok(made) => tags.iter_mut().zip(made).for_each(|(tags, mut made)| tags.append(&mut made)),
                Err(error) => defined.values.lock().error = Some(error.to_string()),
            }
        }
        let frozen: Vec<Arc<[Arc<str>]>> = tags.iter().map(|tags| tags.as_slice().into()).collect();
        let mut segments: Vec<Texts> = vec![Vec::new(); tags.len()];
        for segment in &self.segments {
            let mask = match &segment.rule {
                SegmentRule::Listed(list) => keys
                    .iter()
                    .map(|key| list.contains(key) || people.members(key).iter().any(|id| list.contains(&id.key)))
                    .collect(),
                SegmentRule::When(when) => {
                    let own: Vec<Arc<[Arc<str>]>> = segments.iter().map(|own| own.as_slice().into()).collect();
                    memo.mask(&batch.with(&frozen, Some(&own)), when).unwrap_or_else(|error| {
                        tracing::error!(segment = &*segment.name, %error, "a segment cannot be evaluated");
                        vec![false; segments.len()]
                    })
                }
            };
            for (own, is) in segments.iter_mut().zip(mask) {
                if is {
                    own.push(Arc::clone(&segment.name));
                }
            }
        }
        tags.into_iter().zip(segments).collect()
    }
}

/// Columns that change while nothing happens: with the clock, or with what others do.
fn moves(column: &str) -> bool {
    let name = column.strip_prefix("visitor.").unwrap_or(column);
    let fading = ["activity", "orders_90d", "spend_90d", "recency", "frequency", "monetary", "rfm"];
    name.starts_with("days_since_") || fading.contains(&name)
}

/// Columns read once a batch, but for those that change while it is labelled.
#[derive(Default)]
pub(super) struct Memo(Mutex<FxHashMap<String, ColumnValues>>);

impl Memo {
    fn column(&self, batch: &Batch<'_>, name: &str) -> Result<ColumnValues, ReachError> {
        let stands = !matches!(name, "visitor.tags" | "visitor.segments");
        if let Some(known) = self.0.lock().get(name).filter(|_| stands) {
            return Ok(known.clone());
        }
        let unknown = || ReachError::Unknown { what: "column", name: name.to_owned(), known: profile::names() };
        let values = batch.column(name).ok_or_else(unknown)?;
        if stands {
            self.0.lock().insert(name.to_owned(), values.clone());
        }
        Ok(values)
    }

    pub fn mask(&self, batch: &Batch<'_>, when: &Expression) -> Result<Vec<bool>, ReachError> {
        when.mask(batch.visitors.len(), &|name| self.column(batch, name))
    }
}

/// The values of each visitor by a rule that is no condition.
fn values(batch: &Batch<'_>, rule: &TagRule, memo: &Memo) -> Result<Vec<Texts>, ReachError> {
    let none = || batch.visitors.iter().map(|_| Vec::new()).collect::<Vec<Texts>>();
    Ok(match rule {
        TagRule::Base { of } => match memo.column(batch, of)? {
            ColumnValues::Texts(texts) => {
                texts.into_iter().map(|text| if text.is_empty() { vec![] } else { vec![text] }).collect()
            }
            _ => return Err(ReachError::Invalid(format!("a base tag needs a column of texts, {of} is none"))),
        },
        TagRule::Layered { of, layers } => match memo.column(batch, of)? {
            ColumnValues::Numbers(numbers) => {
                let layer = |number: f32| layers.iter().rev().find(|layer| number >= layer.from);
                numbers
                    .into_iter()
                    .map(|n| layer(n).map(|layer| Arc::clone(&layer.name)).into_iter().collect())
                    .collect()
            }
            _ => return Err(ReachError::Invalid(format!("a layered tag needs a column of numbers, {of} is none"))),
        },
        TagRule::Preference { of, most, share } => {
            let mut all = none();
            for (into, visitor) in all.iter_mut().zip(&batch.visitors) {
                if visitor.events >= ENOUGH_EVENTS {
                    let strongest = profile::strongest(visitor, batch.catalogue, *of, *most).into_iter();
                    *into = strongest.filter(|(_, own)| own >= share).map(|(name, _)| name.into()).collect();
                }
            }
            all
        }
        TagRule::Code { tagger } => {
            let failed = |detail| ReachError::Failed { what: "the tagger".into(), detail };
            let values = tagger.values(&batch.visitors, batch.now).map_err(failed)?;
            if values.len() != batch.visitors.len() {
                return Err(failed(format!("{} answers for {} visitors", values.len(), batch.visitors.len())));
            }
            values
        }
        TagRule::Combined { .. } => none(),
    })
}

/// `NAME:VALUE`, each text made once; beyond [`MOST_VALUES`] there are none.
fn named(defined: &Defined, values: Vec<Texts>) -> Vec<Texts> {
    let mut known = defined.values.lock();
    known.error = None;
    let mut name = |value: Arc<str>| {
        if let Some(text) = known.made.get(&value) {
            return Some(Arc::clone(text));
        }
        if known.made.len() >= MOST_VALUES {
            known.overflow = true;
            return None;
        }
        let text: Arc<str> = format!("{}:{value}", defined.tag.name).into();
        known.made.insert(value, Arc::clone(&text));
        Some(text)
    };
    values.into_iter().map(|values| values.into_iter().filter_map(&mut name).collect()).collect()
}

/// The names in the texts of a condition (`NAME`, `NAME:VALUE`), where it reads the list column of them.
fn names_in(when: &Expression, column: &str) -> Vec<Arc<str>> {
    let names = |text: Arc<str>| match text.split_once(':') {
        Some((name, _)) => name.into(),
        None => text,
    };
    let reads = when.columns().iter().any(|name| name == column);
    when.texts().into_iter().filter(|_| reads).map(names).collect()
}

/// Puts each after those it names.
fn in_order<T>(
    all: Vec<T>,
    name: impl Fn(&T) -> &Arc<str>,
    names: impl Fn(&T) -> Vec<Arc<str>>,
) -> Result<Vec<T>, String> {
    let known: FxHashSet<Arc<str>> = all.iter().map(|one| Arc::clone(name(one))).collect();
    let mut waiting = all;
    let (mut done, mut ready) = (FxHashSet::default(), Vec::with_capacity(waiting.len()));
    while !waiting.is_empty() {
        // those whose texts are no definition, or one that is done already
        let free = |one: &T| names(one).iter().all(|text| !known.contains(text) || done.contains(text));
        let (now, later): (Vec<T>, Vec<T>) = waiting.into_iter().partition(free);
        if now.is_empty() {
            let circle: Vec<String> = later.iter().map(|one| name(one).to_string()).collect();
            return Err(format!("{} need one another", circle.join(", ")));
        }
        done.extend(now.iter().map(|one| Arc::clone(name(one))));
        ready.extend(now);
        waiting = later;
    }
    Ok(ready)
}
