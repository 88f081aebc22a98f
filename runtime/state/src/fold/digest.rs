//! Everything folded, as one digest a part: two states that say the same have the same, whatever rows their items have.

use super::pairs::{PairValue, Pairs};
use super::{Folds, built_in, crowd};
use crate::Catalogue;
use qianmian_core::{ItemRow, Visitor};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Digests of the parts of a folded state, hexadecimal SHA-256. Derived lists, and tags and segments that are defined, are
/// not in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Profiles of all visitors.
    pub visitors: String,
    /// Statistics of items.
    pub items: String,
    /// Counts of pairs.
    pub pairs: String,
    /// What trending lists are made of.
    pub trends: String,
}

/// Hashes values with their lengths, so that no two states run into one another.
#[derive(Default)]
struct Sum(Sha256);

impl Sum {
    fn number(&mut self, value: u64) {
        self.0.update(value.to_le_bytes());
    }

    fn float(&mut self, value: f64) {
        self.number(value.to_bits());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

impl Folds {
    /// The digest of what is folded now. No event is folded meanwhile.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut writer = self.writer.lock();
        self.merge(&mut writer, true);
        let catalogue = self.catalogue();
        let mut order: Vec<ItemRow> = (0..catalogue.len() as u32).map(ItemRow).collect();
        order.sort_unstable_by(|a, b| catalogue.ids[a.index()].cmp(&catalogue.ids[b.index()]));

        let mut pairs = Sum::default();
        sum_pairs(&mut pairs, &self.bought(), &catalogue, &order);
        sum_pairs(&mut pairs, &self.viewed.read(), &catalogue, &order);
        sum_pairs(&mut pairs, &self.next.read(), &catalogue, &order);

        let mut trends = Sum::default();
        for (sort, name, trend) in writer.trends.scopes() {
            trends.number(sort as u64);
            trends.text(&name);
            trends.number(u64::from(trend.events));
            for row in &order {
                if let Some(mark) = trend.marks.get(&row.0) {
                    trends.text(&catalogue.ids[row.index()]);
                    trends.float(*mark);
                }
            }
        }
        Digest {
            visitors: self.sum_visitors(&catalogue),
            items: self.sum_items(&catalogue, &order),
            pairs: pairs.finish(),
            trends: trends.finish(),
        }
    }

    fn sum_visitors(&self, catalogue: &Catalogue) -> String {
        let all = (0..crowd::SHARDS).flat_map(|shard| self.crowd.numbers(shard));
        let mut all: Vec<(Arc<str>, u32)> = all
            .flat_map(|number| self.crowd.keys([number].into_iter()).into_iter().map(move |key| (key, number)))
            .collect();
        all.sort_unstable();
        let numbers: Vec<u32> = all.into_iter().map(|(_, number)| number).collect();
        let mut sum = Sum::default();
        for one in numbers.chunks(super::PORTION).flat_map(|portion| self.crowd.of(portion)) {
            sum.text(&one.key);
            sum_visitor(&mut sum, &one.visitor, catalogue);
        }
        sum.finish()
    }

    fn sum_items(&self, catalogue: &Catalogue, order: &[ItemRow]) -> String {
        let stats = self.stats();
        let mut sum = Sum::default();
        for row in order {
            let Some(item) = stats.items.get(row.index()).filter(|item| **item != Default::default()) else { continue };
            sum.text(&catalogue.ids[row.index()]);
            for count in [item.impressions, item.views, item.carts, item.orders, item.buyers, item.repeat_buyers] {
                sum.number(u64::from(count));
            }
            sum.number(item.last_order.cast_unsigned());
            let decayed = [&item.views_1d, &item.views_7d, &item.orders_7d, &item.orders_30d, &item.orders_90d];
            decayed.iter().flat_map(|decayed| decayed.bits()).for_each(|bits| sum.number(bits));
        }
        let mut channels: Vec<_> = stats.channels.iter().collect();
        channels.sort_unstable_by_key(|(name, _)| *name);
        for (name, items) in channels {
            sum.text(name);
            for row in order {
                if let Some(item) = items.get(&row.0).filter(|item| **item != Default::default()) {
                    sum.text(&catalogue.ids[row.index()]);
                    let counts = [item.impressions, item.views, item.carts, item.orders];
                    counts.iter().for_each(|count| sum.number(u64::from(*count)));
                }
            }
        }
        sum.finish()
    }
}

fn sum_pairs<V: PairValue>(sum: &mut Sum, pairs: &Pairs<V>, catalogue: &Catalogue, order: &[ItemRow]) {
    for row in order.iter().filter(|row| row.0 < pairs.rows()) {
        if pairs.total(row.0) == 0.0 && pairs.partners(row.0).is_none_or(|partners| partners.is_empty()) {
            continue;
        }
        sum.text(&catalogue.ids[row.index()]);
        sum.float(f64::from(pairs.total(row.0)));
        let mut partners: Vec<(&str, u64)> = pairs
            .partners(row.0)
            .into_iter()
            .flatten()
            .map(|(other, value)| (&*catalogue.ids[*other as usize], value.bits()))
            .collect();
        partners.sort_unstable();
        for (id, bits) in partners {
            sum.text(id);
            sum.number(bits);
        }
    }
}

fn sum_visitor(sum: &mut Sum, visitor: &Visitor, catalogue: &Catalogue) {
    let id = |row: ItemRow| &*catalogue.ids[row.index()];
    for seen in &visitor.recent {
        sum.text(id(seen.item));
        sum.number(seen.kind as u64);
        sum.number(seen.time.cast_unsigned());
    }
    let mut items: Vec<_> = visitor.items.iter().map(|(row, history)| (id(*row), history)).collect();
    items.sort_unstable_by_key(|(id, _)| *id);
    for (id, h) in items {
        sum.text(id);
        [h.impressions, h.views, h.carts, h.orders].iter().for_each(|count| sum.number(u64::from(*count)));
        sum.float(f64::from(h.quantity));
        let times = [h.last, h.last_impression, h.last_order, h.first_order];
        times.iter().for_each(|time| sum.number(time.cast_unsigned()));
    }
    let counts = [visitor.orders, visitor.order_lines, visitor.events, visitor.active_days, visitor.shares];
    counts.iter().for_each(|count| sum.number(u64::from(*count)));
    [visitor.spend, visitor.price_sum].iter().for_each(|value| sum.float(*value));
    let times = [visitor.first_seen, visitor.last_seen, visitor.last_order];
    times.iter().chain(&visitor.order_times).for_each(|time| sum.number(time.cast_unsigned()));
    let symbols = [&visitor.categories, &visitor.brands].map(|map| {
        map.iter().map(|(symbol, weight)| (catalogue.symbols.text(*symbol).to_string(), *weight)).collect::<Vec<_>>()
    });
    let channels = visitor.channels.iter().map(|(name, weight)| (name.to_string(), *weight)).collect();
    for mut weights in symbols.into_iter().chain([channels]) {
        weights.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, weight) in weights {
            sum.text(&name);
            sum.float(f64::from(weight));
        }
        sum.text("");
    }
    visitor.prices.iter().for_each(|(band, weight)| {
        sum.number(i64::from(*band).cast_unsigned());
        sum.float(f64::from(*weight));
    });
    visitor.hours.iter().for_each(|(hour, weight)| {
        sum.number(u64::from(*hour));
        sum.float(f64::from(*weight));
    });
    [visitor.activity, visitor.orders_90d, visitor.spend_90d].iter().for_each(|value| sum.float(f64::from(*value)));
    visitor.tags.iter().filter(|tag| built_in(tag)).for_each(|tag| sum.text(tag));
    let mut attributes: Vec<_> = visitor.attributes.iter().collect();
    attributes.sort_unstable();
    for (name, value) in attributes {
        sum.text(name);
        sum.text(value);
    }
    sum.text(&visitor.channel);
    sum.text(&visitor.region);
}
