//! A visitor as bytes: about a tenth of what they take in memory. Items, categories and brands stand there by the numbers
//! that outlive the process.

use super::names::Names;
use crate::bytes::{Reader, put_len, put_text};
use qianmian_core::{EventKind, Interaction, ItemHistory, ItemRow, TimeMs, Visitor};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::Hash;
use std::sync::Arc;

/// Appends every field of a visitor.
pub(super) fn pack(visitor: &Visitor, names: &Names, bytes: &mut Vec<u8>) {
    // named one by one, so that a new field is not forgotten here
    let Visitor {
        recent,
        items,
        orders,
        order_lines,
        spend,
        price_sum,
        events,
        first_seen,
        last_seen,
        last_order,
        order_times,
        categories,
        brands,
        channels,
        prices,
        hours,
        activity,
        orders_90d,
        spend_90d,
        active_days,
        shares,
        tags,
        segments,
        attributes,
        attribute_times,
        channel,
        region,
        version,
    } = visitor;
    let mut to = Packer { bytes, base: *last_seen };
    to.bytes.extend_from_slice(&last_seen.to_le_bytes());
    to.all(recent, |to, seen| {
        to.whole(names.items.kept(seen.item.0));
        to.bytes.push(seen.kind as u8);
        to.time(seen.time);
    });
    to.all(items, |to, (row, history)| {
        to.whole(names.items.kept(row.0));
        [history.impressions, history.views, history.carts, history.orders].into_iter().for_each(|n| to.whole(n));
        to.float(history.quantity);
        [history.last, history.last_impression, history.last_order, history.first_order]
            .into_iter()
            .for_each(|time| to.time(time));
    });
    [*orders, *order_lines, *events, *active_days, *shares].into_iter().for_each(|n| to.whole(n));
    [*spend, *price_sum].into_iter().for_each(|x| to.bytes.extend_from_slice(&x.to_le_bytes()));
    [*activity, *orders_90d, *spend_90d].into_iter().for_each(|x| to.float(x));
    [*first_seen, *last_order].into_iter().for_each(|time| to.time(time));
    to.all(order_times, |to, time| to.time(*time));
    for weights in [categories, brands] {
        to.all(weights, |to, (symbol, weight)| {
            to.whole(names.symbols.kept(*symbol));
            to.float(*weight);
        });
    }
    to.all(channels, |to, (name, weight)| {
        put_text(to.bytes, name);
        to.float(*weight);
    });
    to.all(prices, |to, (band, weight)| {
        to.bytes.push(band.cast_unsigned());
        to.float(*weight);
    });
    to.all(hours, |to, (hour, weight)| {
        to.bytes.push(*hour);
        to.float(*weight);
    });
    for names in [tags, segments] {
        to.all(names, |to, name| put_text(to.bytes, name));
    }
    to.all(attributes, |to, (name, value)| [name, value].into_iter().for_each(|text| put_text(to.bytes, text)));
    to.all(attribute_times, |to, (name, time)| {
        put_text(to.bytes, name);
        to.time(*time);
    });
    [channel, region].into_iter().for_each(|text| put_text(to.bytes, text));
    to.bytes.extend_from_slice(&version.to_le_bytes());
}

/// The visitor of [`pack`]; `None` for other bytes.
pub(super) fn unpack(bytes: &[u8], names: &Names) -> Option<Visitor> {
    let mut from = Reader { bytes };
    let last_seen = i64::from_le_bytes(from.array()?);
    let mut from = Unpacker { from, base: last_seen };
    let item = |from: &mut Unpacker<'_>| names.items.own(from.whole()?).map(ItemRow);
    let weight = |from: &mut Unpacker<'_>| Some((names.symbols.own(from.whole()?)?, from.float()?));
    let recent = from.list(|from| {
        let item = item(from)?;
        let [kind] = from.from.array()?;
        Some(Interaction { item, kind: *EventKind::ALL.get(usize::from(kind))?, time: from.time()? })
    })?;
    let items = from.map(|from| {
        let row = item(from)?;
        let (impressions, views, carts, orders) = (from.whole()?, from.whole()?, from.whole()?, from.whole()?);
        let quantity = from.float()?;
        let (last, last_impression, last_order, first_order) = (from.time()?, from.time()?, from.time()?, from.time()?);
        let history =
            ItemHistory { impressions, views, carts, orders, quantity, last, last_impression, last_order, first_order };
        Some((row, history))
    })?;
    let (orders, order_lines, events, active_days, shares) =
        (from.whole()?, from.whole()?, from.whole()?, from.whole()?, from.whole()?);
    let (spend, price_sum) = (f64::from_le_bytes(from.from.array()?), f64::from_le_bytes(from.from.array()?));
    let (activity, orders_90d, spend_90d) = (from.float()?, from.float()?, from.float()?);
    let (first_seen, last_order) = (from.time()?, from.time()?);
    let visitor = Visitor {
        recent,
        items,
        orders,
        order_lines,
        spend,
        price_sum,
        events,
        first_seen,
        last_seen,
        last_order,
        order_times: from.list(Unpacker::time)?,
        categories: from.map(weight)?,
        brands: from.map(weight)?,
        channels: from.map(|from| Some((from.text()?, from.float()?)))?,
        prices: from.list(|from| Some((i8::from_le_bytes(from.from.array()?), from.float()?)))?,
        hours: from.list(|from| Some((u8::from_le_bytes(from.from.array()?), from.float()?)))?,
        activity,
        orders_90d,
        spend_90d,
        active_days,
        shares,
        tags: from.list(Unpacker::text)?,
        segments: from.list(Unpacker::text)?,
        attributes: from.map(|from| Some((from.text()?, from.text()?)))?,
        attribute_times: from.map(|from| Some((from.text()?, from.time()?)))?,
        channel: from.text()?,
        region: from.text()?,
        version: u64::from_le_bytes(from.from.array()?),
    };
    from.from.bytes.is_empty().then_some(visitor)
}

/// About the bytes a visitor takes in memory.
pub(super) fn weight(visitor: &Visitor) -> usize {
    fn map<K, V>(map: &FxHashMap<K, V>) -> usize {
        // a byte of control for each place, and an eighth of the places stay free
        map.capacity() * (size_of::<(K, V)>() + 1) * 8 / 7
    }
    let texts = visitor.tags.len() + visitor.segments.len() + 2 * visitor.attributes.len() + visitor.channels.len();
    size_of::<Visitor>()
        + visitor.recent.capacity() * size_of::<Interaction>()
        + map(&visitor.items)
        + visitor.order_times.capacity() * size_of::<TimeMs>()
        + map(&visitor.categories)
        + map(&visitor.brands)
        + map(&visitor.channels)
        + (visitor.prices.capacity() + visitor.hours.capacity()) * 8
        + map(&visitor.attributes)
        + map(&visitor.attribute_times)
        + texts * 48
}

struct Packer<'a> {
    bytes: &'a mut Vec<u8>,
    /// Times are written as how far they are from this one.
    base: TimeMs,
}

impl Packer<'_> {
    fn whole(&mut self, n: u32) {
        put_len(self.bytes, n as usize);
    }

    fn float(&mut self, x: f32) {
        self.bytes.extend_from_slice(&x.to_le_bytes());
    }

    fn time(&mut self, time: TimeMs) {
        let back = self.base.wrapping_sub(time);
        put_len(self.bytes, ((back << 1) ^ (back >> 63)).cast_unsigned() as usize);
    }

    fn all<I: IntoIterator<IntoIter: ExactSizeIterator>>(&mut self, all: I, mut each: impl FnMut(&mut Self, I::Item)) {
        let all = all.into_iter();
        put_len(self.bytes, all.len());
        all.for_each(|one| each(self, one));
    }
}

struct Unpacker<'a> {
    from: Reader<'a>,
    base: TimeMs,
}

impl Unpacker<'_> {
    fn whole(&mut self) -> Option<u32> {
        u32::try_from(self.from.len()?).ok()
    }

    fn float(&mut self) -> Option<f32> {
        self.from.array().map(f32::from_le_bytes)
    }

    fn time(&mut self) -> Option<TimeMs> {
        let written = self.from.len()? as u64;
        let back = (written >> 1).cast_signed() ^ -((written & 1).cast_signed());
        Some(self.base.wrapping_sub(back))
    }

    fn text(&mut self) -> Option<Arc<str>> {
        self.from.str().map(Arc::from)
    }

    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.from.count()?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(each(self)?);
        }
        Some(all)
    }

    /// Made as large as it will be: growing it again and again would be most of the work.
    fn map<K: Hash + Eq, V>(&mut self, mut each: impl FnMut(&mut Self) -> Option<(K, V)>) -> Option<FxHashMap<K, V>> {
        let count = self.from.count()?;
        let mut all = FxHashMap::with_capacity_and_hasher(count, FxBuildHasher);
        for _ in 0..count {
            let (key, value) = each(self)?;
            all.insert(key, value);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Numbers;
    use super::*;
    use proptest::prelude::*;

    /// Items, and symbols; an even number.
    const THINGS: u32 = 1_000;

    fn names() -> Names {
        // kept under other numbers than they have here
        let numbers = |step: u32| Numbers::restore((0..THINGS).map(|n| n * step % THINGS).collect());
        Names { items: numbers(7), symbols: numbers(3) }
    }

    fn weights<K: Hash + Eq>(all: Vec<(K, f32)>) -> FxHashMap<K, f32> {
        all.into_iter().collect()
    }

    prop_compose! {
        fn any_visitor()(
            recent in proptest::collection::vec((0..THINGS, 0usize..8, any::<i64>()), 0..6),
            items in proptest::collection::vec((0..THINGS, any::<[u32; 4]>(), any::<[i64; 4]>()), 0..6),
            counts in any::<[u32; 5]>(),
            sums in (any::<f64>(), any::<f64>(), -1e9f32..1e9),
            times in any::<[i64; 3]>(),
            order_times in proptest::collection::vec(any::<i64>(), 0..4),
            interests in proptest::collection::vec((0..THINGS, 0f32..1e6), 0..5),
            named in proptest::collection::vec((".{0,9}", 0f32..9.0), 0..4),
            bands in proptest::collection::vec((any::<i8>(), 0f32..9.0), 0..4),
            version in any::<u64>(),
        ) -> Visitor {
            let texts: Vec<Arc<str>> = named.iter().map(|(name, _)| name.as_str().into()).collect();
            Visitor {
                recent: recent
                    .into_iter()
                    .map(|(row, kind, time)| Interaction { item: ItemRow(row), kind: EventKind::ALL[kind], time })
                    .collect(),
                items: items
                    .into_iter()
                    .map(|(row, n, t)| (ItemRow(row), ItemHistory {
                        impressions: n[0], views: n[1], carts: n[2], orders: n[3], quantity: 2.5,
                        last: t[0], last_impression: t[1], last_order: t[2], first_order: t[3],
                    }))
                    .collect(),
                orders: counts[0], order_lines: counts[1], events: counts[2], active_days: counts[3], shares: counts[4],
                spend: sums.0, price_sum: sums.1, activity: sums.2, orders_90d: 0.5, spend_90d: sums.2,
                first_seen: times[0], last_seen: times[1], last_order: times[2], order_times,
                categories: weights(interests.clone()),
                brands: weights(interests.iter().map(|(k, w)| (k ^ 1, *w)).collect()),
                channels: weights(texts.iter().map(|text| (Arc::clone(text), 1.5)).collect()),
                hours: bands.iter().map(|(band, weight)| (band.cast_unsigned(), *weight)).collect(),
                prices: bands,
                attributes: texts.iter().map(|text| (Arc::clone(text), Arc::clone(text))).collect(),
                attribute_times: texts.iter().map(|text| (Arc::clone(text), times[0])).collect(),
                channel: texts.first().cloned().unwrap_or_default(),
                region: texts.last().cloned().unwrap_or_default(),
                segments: texts.clone(), tags: texts,
                version,
            }
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(visitor in any_visitor()) {
            let (names, mut bytes) = (names(), Vec::new());
            pack(&visitor, &names, &mut bytes);
            let back = unpack(&bytes, &names).expect("our own bytes");
            // maps may differ in order, so fields are compared sorted
            let sorted = |v: &Visitor| {
                let mut items: Vec<_> = v.items.iter().map(|(row, history)| (*row, *history)).collect();
                items.sort_by_key(|(row, _)| *row);
                let maps = [&v.categories, &v.brands].map(|map| {
                    let mut all: Vec<_> = map.iter().map(|(k, w)| (*k, w.to_bits())).collect();
                    all.sort_unstable();
                    all
                });
                let mut names: Vec<String> = v.channels.iter().map(|one| format!("{one:?}")).collect();
                names.extend(v.attributes.iter().map(|one| format!("{one:?}")));
                names.extend(v.attribute_times.iter().map(|one| format!("{one:?}")));
                names.sort_unstable();
                (items, maps, names)
            };
            prop_assert_eq!(sorted(&back), sorted(&visitor));
            let bare = |v: &Visitor| {
                let mut v = v.clone();
                (v.items, v.categories, v.brands) = Default::default();
                (v.channels, v.attributes, v.attribute_times) = Default::default();
                format!("{v:?}")
            };
            prop_assert_eq!(bare(&back), bare(&visitor));
        }

        #[test]
        fn nonsense_is_nobody_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = unpack(&bytes, &names());
        }
    }
}
