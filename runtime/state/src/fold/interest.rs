//! What a visitor is interested in, fading: by category, brand, channel, price and hour of the day.
//!
//! Every number is as of the visitor's `last_seen`: what is later fades what was there, what is late is added faded.

use super::decay::{MONTH, days, fade};
use super::trends::interest;
use super::visitors::{Line, Moment};
use crate::Catalogue;
use qianmian_core::{EventKind, TimeMs, Visitor};
use std::hash::Hash;
use std::sync::Arc;

/// Half-life of `orders_90d` and `spend_90d`, days.
const QUARTER: f64 = 90.0;
/// Categories and brands kept; more are cut back to the strongest half.
const AFFINITIES: usize = 256;
/// Channels kept of a visitor, likewise.
const CHANNELS: usize = 16;
const HOUR: TimeMs = 3_600_000;

/// Fades the visitor's interests to `time` and adds this event's, shared between an item's categories.
pub(super) fn add(visitor: &mut Visitor, catalogue: &Catalogue, lines: &[Line], moment: &Moment<'_>) {
    let (weight, time) = (interest(moment.kind), moment.time);
    if weight == 0.0 && time <= visitor.last_seen {
        return;
    }
    let (age, late) = (days(time, visitor.last_seen), days(visitor.last_seen, time));
    if age > 0.0 {
        pale(visitor, fade(age, MONTH) as f32, fade(age, QUARTER) as f32);
    }
    let new = (weight * fade(late, MONTH)) as f32;
    if new == 0.0 || lines.is_empty() {
        return;
    }
    visitor.activity += new;
    let hour = (time.div_euclid(HOUR).rem_euclid(24)) as u8;
    raise(&mut visitor.hours, hour, new);
    if !moment.channel.is_empty() {
        match visitor.channels.get_mut(moment.channel) {
            Some(known) => *known += new,
            None => drop(visitor.channels.insert(moment.channel.into(), new)),
        }
    }
    for line in lines {
        if let Some(band) = band(line.price) {
            raise(&mut visitor.prices, band, new / lines.len() as f32);
        }
        let Some(categories) = catalogue.categories.get(line.row as usize) else { continue };
        for category in categories.iter() {
            *visitor.categories.entry(*category).or_default() += new / categories.len() as f32;
        }
        let brand = catalogue.brand[line.row as usize];
        if brand != 0 {
            *visitor.brands.entry(brand).or_default() += new;
        }
    }
    if moment.kind == EventKind::Purchase {
        let left = fade(late, QUARTER);
        visitor.orders_90d += left as f32;
        let spent = |line: &Line| if line.price.is_finite() { f64::from(line.quantity * line.price) } else { 0.0 };
        visitor.spend_90d += (left * lines.iter().map(spent).sum::<f64>()) as f32;
    }
}

/// What is left after a while: `month` and `quarter` of it.
fn pale(visitor: &mut Visitor, month: f32, quarter: f32) {
    let maps = visitor.categories.values_mut().chain(visitor.brands.values_mut()).chain(visitor.channels.values_mut());
    maps.for_each(|weight| *weight *= month);
    visitor.prices.iter_mut().for_each(|(_, weight)| *weight *= month);
    visitor.hours.iter_mut().for_each(|(_, weight)| *weight *= month);
    visitor.activity *= month;
    visitor.orders_90d *= quarter;
    visitor.spend_90d *= quarter;
}

fn raise<K: Ord + Copy>(list: &mut Vec<(K, f32)>, key: K, weight: f32) {
    match list.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(at) => list[at].1 += weight,
        Err(at) => list.insert(at, (key, weight)),
    }
}

/// The band of a price: `b` holds 2^b to just below 2^(b+1); none without a price, or for nothing.
pub(crate) fn band(price: f32) -> Option<i8> {
    (price.is_finite() && price > 0.0).then(|| price.log2().floor().clamp(-30.0, 60.0) as i8)
}

/// Keeps the maps within their bounds.
pub(super) fn forget(visitor: &mut Visitor) {
    halve(&mut visitor.categories, AFFINITIES);
    halve(&mut visitor.brands, AFFINITIES);
    halve(&mut visitor.channels, CHANNELS);
}

fn halve<K: Eq + Hash + Ord>(map: &mut rustc_hash::FxHashMap<K, f32>, most: usize) {
    if map.len() > most {
        let mut all: Vec<(K, f32)> = map.drain().collect();
        all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        map.extend(all.into_iter().take(most / 2));
    }
}

/// What the storefront said of the visitor and of the event; the value of the newest event stands.
pub(super) fn note(visitor: &mut Visitor, moment: &Moment<'_>) {
    for (name, value) in moment.traits {
        let known = visitor.attribute_times.get(name.as_str()).copied().unwrap_or(TimeMs::MIN);
        if moment.time < known {
            continue;
        }
        let name: Arc<str> = name.as_str().into();
        visitor.attribute_times.insert(Arc::clone(&name), moment.time);
        visitor.attributes.insert(name, value.as_str().into());
    }
    let shares =
        |(name, value): &(String, String)| name == "action" && matches!(value.as_str(), "share" | "invite" | "refer");
    if moment.kind == EventKind::Custom && moment.attributes.iter().any(shares) {
        visitor.shares = visitor.shares.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_fall_into_bands_by_powers_of_two() {
        assert_eq!([0.5, 1.0, 1.99, 2.0, 9.99, 1e30].map(band), [-1, 0, 0, 1, 3, 60].map(Some));
        assert_eq!([0.0, -1.0, f32::NAN, f32::INFINITY].map(band), [None; 4]);
    }
}
