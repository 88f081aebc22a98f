//! A definition made ready, and computed for a whole candidate set.

use super::agent::{MEDIA, agent, medium, values};
use super::clock;
use super::definition::{Definition, Encode, Extractor};
use super::read::{Again, Read, Scene, Texts};
use super::text;
use super::visits::{Sequence, interacted_with, window_counts};
use crate::codes::ItemCodes;
use qianmian_core::ReachError;
use qianmian_core::expr::Expression;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What a feature comes to, row-major.
pub(super) enum Filled {
    /// One row, the same for every candidate.
    Same(Vec<f32>),
    /// A row for each candidate.
    Rows(Vec<f32>),
}

/// An extractor with all that can be made ready before a request comes.
#[derive(Debug)]
pub(super) struct Ready {
    extractor: Extractor,
    width: usize,
    /// Places of the columns it reads.
    reads: Vec<usize>,
    expression: Option<Expression>,
    /// Places of listed texts, from 1.
    places: FxHashMap<Arc<str>, u32>,
    offset: i32,
}

impl Ready {
    /// Makes a checked definition ready. `column` gives the place of a column; its second argument is true for a column of
    /// the request's items.
    pub(super) fn new(definition: &Definition, mut column: impl FnMut(&str, bool) -> usize) -> Result<Self, String> {
        use Extractor as E;
        let mut ready = Self {
            extractor: definition.extractor.clone(),
            width: definition.width(),
            reads: Vec::new(),
            expression: None,
            places: FxHashMap::default(),
            offset: 0,
        };
        let mut list = |values: &[String]| {
            ready.places = values.iter().map(|value| Arc::from(value.as_str())).zip(1..).collect();
        };
        match &definition.extractor {
            E::String { values, .. } | E::History { values, .. } => list(values),
            E::UserAgent { part, .. } => ready.places = fixed(values(*part)),
            E::Referer { .. } => ready.places = fixed(MEDIA),
            E::LocalTime { offset, .. } => ready.offset = clock::offset_minutes(offset).unwrap_or(0),
            E::Expr { expr } => {
                let expression = Expression::parse(expr).map_err(|error| format!(".expr: {error}"))?;
                ready.reads = expression.columns().iter().map(|name| column(name, false)).collect();
                ready.expression = Some(expression);
            }
            _ => {}
        }
        match &definition.extractor {
            E::FieldMatch { with, column: own, .. } => {
                let (with, anchors) = match with.strip_prefix("anchor.item.") {
                    Some(name) => (format!("item.{name}"), true),
                    None => (with.clone(), false),
                };
                ready.reads = vec![column(&with, anchors), column(own, false)];
            }
            E::Number { column: own }
            | E::String { column: own, .. }
            | E::Vector { column: Some(own), .. }
            | E::WordCount { column: own }
            | E::TimeDiff { column: own, .. }
            | E::UserAgent { column: own, .. }
            | E::Referer { column: own, .. }
            | E::InteractedWith { column: own, .. }
            | E::Diversity { column: own } => ready.reads = vec![column(own, false)],
            _ => {}
        }
        Ok(ready)
    }

    /// Computes it. An error says what is wrong with a column.
    pub(super) fn fill(&self, scene: &Scene, reads: &[Read], codes: Option<&ItemCodes>) -> Result<Filled, ReachError> {
        use Extractor as E;
        let read = |at: usize| &reads[self.reads[at]];
        let len = scene.len();
        let each = |value: &mut dyn FnMut(usize) -> f32| Filled::Rows((0..len).map(value).collect());
        Ok(match &self.extractor {
            E::Number { column } => {
                let numbers = read(0).numbers(len).map_err(|is| no_number(column, is))?;
                Filled::Rows(numbers.into_owned())
            }
            E::Expr { .. } => {
                let Some(expression) = &self.expression else { return Ok(Filled::Same(vec![f32::NAN])) };
                let by_name = |name: &str| {
                    let at = expression.columns().iter().position(|known| known == name);
                    Ok(at.map_or(Read::Absent.values(len), |at| read(at).values(len)))
                };
                Filled::Rows(expression.numbers(len, &by_name)?)
            }
            E::String { encode, .. } => self.encoded(*encode, len, &read(0).texts(), |texts, each| {
                texts.iter().filter_map(|text| self.places.get(text)).for_each(|place| each(*place));
            }),
            E::UserAgent { part, encode, .. } => self.encoded(*encode, len, &read(0).texts(), |texts, each| {
                let class = texts.first().map_or("", |text| agent(*part, text));
                self.places.get(class).into_iter().for_each(|place| each(*place));
            }),
            E::Referer { internal, encode, .. } => {
                // Without an address a visit is direct, not of unknown origin: it is looked at once for all rows.
                let texts = read(0).texts();
                let address = texts.at(0).first().map_or("", |text| text);
                let place = self.places.get(medium(address, internal)).copied().unwrap_or(0);
                Filled::Same(match encode {
                    Encode::Index => vec![place as f32],
                    Encode::OneHot => (1..=self.width as u32).map(|at| f32::from(u8::from(at == place))).collect(),
                })
            }
            E::Vector { space: Some(space), dimension, .. } => {
                let (mut numbers, got) = scene.columns.vectors(scene.candidates.rows(), space)?;
                if got != *dimension {
                    return Err(ReachError::Invalid(format!(
                        "vectors of space {space:?} have {got} numbers, dimension says {dimension}"
                    )));
                }
                // An item without a vector has zeros, which no vector is.
                for vector in numbers.chunks_exact_mut(got.max(1)).filter(|v| v.iter().all(|x| *x == 0.0)) {
                    vector.fill(f32::NAN);
                }
                Filled::Rows(numbers)
            }
            E::Vector { .. } => {
                let (texts, mut again) = (read(0).texts(), Again::new());
                Filled::Rows((0..len).flat_map(|row| again.of(texts.at(row), |t| listed(t, self.width))).collect())
            }
            E::WordCount { .. } => {
                let (texts, mut again) = (read(0).texts(), Again::new());
                each(&mut |row| match texts.at(row) {
                    [] => f32::NAN,
                    own => again.of(own, |own| text::count(own) as f32),
                })
            }
            E::TimeDiff { unit, .. } => {
                let since = |then| clock::since(scene.ctx.now, then, *unit);
                match read(0).numbers(len) {
                    Ok(numbers) => each(&mut |row| clock::moment_of(numbers[row]).map_or(f32::NAN, since)),
                    Err(_) => {
                        let texts = read(0).texts();
                        let moment = |row| texts.at(row).first().and_then(|text| clock::moment(text));
                        each(&mut |row| moment(row).map_or(f32::NAN, since))
                    }
                }
            }
            E::FieldMatch { with, method, n, .. } => {
                let (sought, own) = (read(0).texts(), read(1).texts());
                let parts = |texts: &[Arc<str>]| Arc::new(text::parts(texts, *method, *n));
                let (mut before, mut again) = (Again::new(), Again::new());
                let anchors: Option<Vec<Arc<str>>> = with
                    .starts_with("anchor.item.")
                    .then(|| (0..scene.ctx.request.items.len()).flat_map(|at| sought.at(at).to_vec()).collect());
                each(&mut |row| {
                    let sought = anchors.as_deref().unwrap_or_else(|| sought.at(row));
                    text::alike(&before.of(sought, parts), &again.of(own.at(row), parts), *method)
                })
            }
            E::InteractedWith { column, events, days, measure } => {
                Filled::Rows(interacted_with(scene, &read(0).texts(), column, (events, days), *measure)?)
            }
            E::WindowCount { events, days } => Filled::Same(window_counts(scene, events, days)),
            E::Position {} => each(&mut |row| (row + 1) as f32),
            E::Diversity { .. } => Filled::Rows(match read(0).numbers(len) {
                Ok(numbers) => from_median(&numbers),
                Err(_) => unlike(&read(0).texts(), len),
            }),
            E::LocalTime { part, cyclic, .. } => {
                let (value, turn) = clock::local(scene.ctx.now, *part, self.offset);
                let angle = std::f32::consts::TAU * value / turn;
                Filled::Same(if *cyclic { vec![angle.sin(), angle.cos()] } else { vec![value] })
            }
            E::ItemId {} => {
                let ids = scene.columns.ids(scene.candidates.rows());
                let code = |id: &str| codes.and_then(|codes| codes.code(id)).map_or(f32::NAN, |code| code as f32);
                each(&mut |row| ids.get(row).map_or(f32::NAN, |id| code(id)))
            }
            E::History { length, events, pad, column, .. } => {
                let sequence = Sequence { length: *length, events, pad: *pad, codes };
                Filled::Same(match column {
                    None => sequence.ids(scene),
                    Some(column) => sequence.column(scene, column, &self.places)?,
                })
            }
            E::HistoryMask { length, events, pad } => {
                Filled::Same(Sequence { length: *length, events, pad: *pad, codes }.mask(scene))
            }
        })
    }

    /// Texts as numbers; `known` calls back with the place of each text that is known. Missing where there is no text.
    fn encoded(
        &self,
        encode: Encode,
        len: usize,
        texts: &Texts,
        known: impl Fn(&[Arc<str>], &mut dyn FnMut(u32)),
    ) -> Filled {
        let mut numbers = vec![0.0; len * self.width];
        for (row, to) in numbers.chunks_exact_mut(self.width.max(1)).enumerate() {
            let own = texts.at(row);
            if own.is_empty() {
                to.fill(f32::NAN);
                continue;
            }
            known(own, &mut |place| match encode {
                Encode::OneHot => to[place as usize - 1] = 1.0,
                Encode::Index if to[0] == 0.0 => to[0] = place as f32,
                Encode::Index => {}
            });
        }
        Filled::Rows(numbers)
    }
}

fn fixed(values: &[&str]) -> FxHashMap<Arc<str>, u32> {
    values.iter().map(|value| Arc::from(*value)).zip(1..).collect()
}

pub(super) fn no_number(column: &str, is: &str) -> ReachError {
    ReachError::Invalid(format!(
        "{column:?} is {is}: a ranker takes numbers; a definition of type \"string\" tells texts apart"
    ))
}

/// The numbers of a text such as `1.5, 2, 3`; all missing when there are fewer or more than wanted.
fn listed(texts: &[Arc<str>], width: usize) -> Vec<f32> {
    let text = texts.first().map_or("", |text| text);
    let words = text.split([',', ';', ' ', '[', ']']).filter(|word| !word.is_empty());
    let numbers: Vec<f32> = words.map(|word| word.parse().unwrap_or(f32::NAN)).take(width + 1).collect();
    if numbers.len() == width { numbers } else { vec![f32::NAN; width] }
}

/// The distance of each number from the median of all.
fn from_median(numbers: &[f32]) -> Vec<f32> {
    let mut sorted: Vec<f32> = numbers.iter().copied().filter(|number| number.is_finite()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let median = match sorted.len() {
        0 => f32::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => f32::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    };
    numbers.iter().map(|number| (number - median).abs()).collect()
}

/// For each row one minus the share of the others that have a value of it, the mean over its values; 1 when it is alone.
fn unlike(texts: &Texts, len: usize) -> Vec<f32> {
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    (0..len).flat_map(|row| texts.at(row)).for_each(|text| *counts.entry(text).or_default() += 1);
    let others = len.saturating_sub(1).max(1) as f32;
    let row = |row: usize| match texts.at(row) {
        [] => f32::NAN,
        own => {
            let shared: f32 = own.iter().map(|text| (counts[&**text] - 1) as f32 / others).sum();
            1.0 - shared / own.len() as f32
        }
    };
    (0..len).map(row).collect()
}
