//! Columns of visitors in bulk: what tags and segments are written over. `docs/columns.md` says what each means.

use super::rfm::Rfm;
use crate::Catalogue;
use crate::fold::decay::days;
use qianmian_core::{Affinity, ColumnValues, TimeMs, Visitor};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Columns that are not numbers, and families of columns by name, for error messages.
const OTHERS: [&str; 15] = [
    "visitor.tags",
    "visitor.segments",
    "visitor.stage",
    "visitor.channel",
    "visitor.region",
    "visitor.rfm",
    "visitor.recency",
    "visitor.frequency",
    "visitor.monetary",
    "visitor.attributes.NAME",
    "visitor.numbers.NAME",
    "visitor.category.NAME",
    "visitor.brand.NAME",
    "visitor.in_channel.NAME",
    "visitor.at_hour.H",
];

/// The names there are.
pub(crate) fn names() -> String {
    NUMBERS
        .iter()
        .map(|(name, _)| format!("visitor.{name}"))
        .chain(OTHERS.map(str::to_owned))
        .collect::<Vec<_>>()
        .join(", ")
}

type Read = fn(&Visitor, TimeMs) -> f64;

fn since(now: TimeMs, time: TimeMs) -> f64 {
    if time == 0 { f64::NAN } else { days(now, time) }
}

fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { f64::NAN } else { a / b }
}

fn faded(value: f32, visitor: &Visitor, now: TimeMs, half_life: f64) -> f64 {
    f64::from(value) * crate::fold::decay::fade(days(now, visitor.last_seen), half_life)
}

/// Numbers of a visitor at a moment; NaN where missing.
pub(crate) const NUMBERS: [(&str, Read); 17] = [
    ("orders", |v, _| f64::from(v.orders)),
    ("order_lines", |v, _| f64::from(v.order_lines)),
    ("spend", |v, _| v.spend),
    ("events", |v, _| f64::from(v.events)),
    ("distinct_items", |v, _| v.items.values().filter(|history| history.orders > 0).count() as f64),
    ("average_price", |v, _| ratio(v.price_sum, f64::from(v.order_lines))),
    ("basket_size", |v, _| ratio(f64::from(v.order_lines), f64::from(v.orders))),
    ("days_since_order", |v, now| since(now, v.last_order)),
    ("days_since_first", |v, now| since(now, v.first_seen)),
    ("days_since_last", |v, now| since(now, v.last_seen)),
    ("repeat_share", |v, _| {
        let again = v.items.values().filter(|history| history.orders > 0).map(|history| f64::from(history.orders - 1));
        ratio(again.sum(), f64::from(v.order_lines))
    }),
    ("active_days", |v, _| f64::from(v.active_days)),
    ("shares", |v, _| f64::from(v.shares)),
    ("activity", |v, now| faded(v.activity, v, now, 30.0)),
    ("orders_90d", |v, now| faded(v.orders_90d, v, now, 90.0)),
    ("spend_90d", |v, now| faded(v.spend_90d, v, now, 90.0)),
    ("known", |v, _| f64::from(u8::from(!v.is_unknown()))),
];

/// A batch of visitors at a moment.
pub(super) struct Batch<'a> {
    pub visitors: Vec<&'a Visitor>,
    pub catalogue: &'a Catalogue,
    pub rfm: Arc<Rfm>,
    pub now: TimeMs,
    /// The tags and segments of each as they are being made; without them, those they carry.
    pub tags: Option<&'a [Arc<[Arc<str>]>]>,
    pub segments: Option<&'a [Arc<[Arc<str>]>]>,
}

impl Batch<'_> {
    /// The same with tags and segments as they are being made.
    pub fn with<'b>(&'b self, tags: &'b [Arc<[Arc<str>]>], segments: Option<&'b [Arc<[Arc<str>]>]>) -> Batch<'b> {
        let (visitors, rfm) = (self.visitors.clone(), Arc::clone(&self.rfm));
        Batch { visitors, catalogue: self.catalogue, rfm, now: self.now, tags: Some(tags), segments }
    }

    /// One value a visitor; `None` when no column has this name.
    pub fn column(&self, name: &str) -> Option<ColumnValues> {
        let name = name.strip_prefix("visitor.")?;
        if let Some((_, read)) = NUMBERS.iter().find(|(known, _)| *known == name) {
            return Some(self.numbers(|visitor| read(visitor, self.now) as f32));
        }
        let share = |of: Affinity, symbol: u32| self.numbers(move |visitor| share(visitor, of, symbol));
        Some(match name {
            "tags" => lists(self.tags, &self.visitors, |visitor| &visitor.tags),
            "segments" => lists(self.segments, &self.visitors, |visitor| &visitor.segments),
            "stage" => {
                let mut made: FxHashMap<&'static str, Arc<str>> = FxHashMap::default();
                let mut stage = |visitor: &Visitor| {
                    let stage = visitor.stage();
                    Arc::clone(made.entry(stage).or_insert_with(|| stage.into()))
                };
                ColumnValues::Texts(self.visitors.iter().map(|visitor| stage(visitor)).collect())
            }
            "channel" => {
                ColumnValues::Texts(self.visitors.iter().map(|visitor| Arc::clone(&visitor.channel)).collect())
            }
            "region" => ColumnValues::Texts(self.visitors.iter().map(|visitor| Arc::clone(&visitor.region)).collect()),
            "recency" => self.numbers(|visitor| self.rfm.recency(visitor)),
            "frequency" => self.numbers(|visitor| self.rfm.frequency(visitor)),
            "monetary" => self.numbers(|visitor| self.rfm.monetary(visitor)),
            "rfm" => ColumnValues::Texts(self.visitors.iter().map(|visitor| self.rfm.text(visitor)).collect()),
            name => {
                let (family, name) = name.split_once('.').filter(|(_, name)| !name.is_empty())?;
                match family {
                    "attributes" => {
                        let none: Arc<str> = Arc::from("");
                        let text = |visitor: &&Visitor| Arc::clone(visitor.attributes.get(name).unwrap_or(&none));
                        ColumnValues::Texts(self.visitors.iter().map(text).collect())
                    }
                    "numbers" => {
                        let number = |text: &Arc<str>| text.parse().ok().filter(|number: &f32| number.is_finite());
                        self.numbers(|visitor| visitor.attributes.get(name).and_then(number).unwrap_or(f32::NAN))
                    }
                    "category" => share(Affinity::Category, self.catalogue.symbols.get(name).unwrap_or(u32::MAX)),
                    "brand" => share(Affinity::Brand, self.catalogue.symbols.get(name).unwrap_or(u32::MAX)),
                    "in_channel" => self.numbers(|visitor| {
                        part(visitor.channels.get(name).copied().unwrap_or(0.0), visitor.channels.values())
                    }),
                    "at_hour" => {
                        let hour = name.parse::<u8>().ok().filter(|hour| *hour < 24)?;
                        share(Affinity::Hour, u32::from(hour))
                    }
                    _ => return None,
                }
            }
        })
    }

    fn numbers(&self, value: impl Fn(&Visitor) -> f32) -> ColumnValues {
        ColumnValues::Numbers(self.visitors.iter().map(|visitor| value(visitor)).collect())
    }
}

fn lists(
    made: Option<&[Arc<[Arc<str>]>]>,
    visitors: &[&Visitor],
    of: impl Fn(&Visitor) -> &Vec<Arc<str>>,
) -> ColumnValues {
    ColumnValues::Lists(match made {
        Some(made) => made.to_vec(),
        None => visitors.iter().map(|visitor| of(visitor).as_slice().into()).collect(),
    })
}

/// A part of a whole; NaN without a whole.
fn part<'a>(weight: f32, all: impl Iterator<Item = &'a f32>) -> f32 {
    let total: f32 = all.sum();
    if total > 0.0 { weight / total } else { f32::NAN }
}

fn share(visitor: &Visitor, of: Affinity, symbol: u32) -> f32 {
    match of {
        Affinity::Category => {
            part(visitor.categories.get(&symbol).copied().unwrap_or(0.0), visitor.categories.values())
        }
        Affinity::Brand => part(visitor.brands.get(&symbol).copied().unwrap_or(0.0), visitor.brands.values()),
        Affinity::Hour => {
            let own = visitor.hours.iter().find(|(hour, _)| u32::from(*hour) == symbol).map_or(0.0, |(_, w)| *w);
            part(own, visitor.hours.iter().map(|(_, weight)| weight))
        }
        // these are no symbols
        Affinity::Price | Affinity::Channel => f32::NAN,
    }
}

/// What a visitor is interested in, the strongest first, each with its share of all; ties by name.
pub(super) fn strongest(visitor: &Visitor, catalogue: &Catalogue, of: Affinity, most: usize) -> Vec<(String, f32)> {
    let symbols = |map: &FxHashMap<u32, f32>| {
        map.iter().map(|(symbol, weight)| (catalogue.symbols.text(*symbol).to_string(), *weight)).collect()
    };
    let mut all: Vec<(String, f32)> = match of {
        Affinity::Category => symbols(&visitor.categories),
        Affinity::Brand => symbols(&visitor.brands),
        Affinity::Channel => visitor.channels.iter().map(|(name, weight)| (name.to_string(), *weight)).collect(),
        Affinity::Hour => visitor.hours.iter().map(|(hour, weight)| (hour.to_string(), *weight)).collect(),
        Affinity::Price => visitor.prices.iter().map(|(band, weight)| (price_band(*band), *weight)).collect(),
    };
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let total: f32 = all.iter().map(|(_, weight)| weight).sum();
    all.truncate(most);
    all.iter_mut().for_each(|(_, weight)| *weight /= total);
    all
}

/// `16-32` for band 4.
#[must_use]
pub fn price_band(band: i8) -> String {
    format!("{}-{}", f64::from(band).exp2(), f64::from(band + 1).exp2())
}
