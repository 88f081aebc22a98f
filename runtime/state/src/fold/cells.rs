//! What is folded, as the cells it is kept in (`store.rs`): items, categories and brands by the numbers that outlive the
//! process.

use super::decay::Decayed;
use super::names::Names;
use super::pairs::{PairValue, Pairs};
use super::stats::{ItemCounts, ItemStats, Statistics, Totals};
use super::trends::Trend;
use crate::bytes::{Reader, put_len, put_text};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Items of one cell of statistics.
pub(super) const PAGE: u32 = 128;

/// How far the log is folded in what is kept, and what belongs to no cell of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Head {
    /// The last event that is folded, and what it is called.
    pub offset: u64,
    pub id: [u8; 16],
    pub totals: Totals,
    /// Channels, by their number in cells of statistics.
    pub channels: Vec<Arc<str>>,
    /// No visitor had this number or a higher one.
    pub next_visitor: u32,
    /// Which checkpoint it is, and in which of their places the visitors are (`cold.rs`).
    pub visitors: [u32; 2],
    /// Somebody carries tags or segments that were defined.
    pub labelled: bool,
    /// How many there are of each: a store that lost some of its cells is noticed.
    pub counts: Counts,
}

/// Names of items and symbols, pages of statistics, rows of bought, viewed and next, scopes, visitors.
pub(super) type Counts = [u32; 8];

impl Head {
    pub fn pack(&self) -> Vec<u8> {
        let mut to = self.offset.to_le_bytes().to_vec();
        to.extend_from_slice(&self.id);
        let Totals { impressions, views, orders, buyers, repeat_buyers } = self.totals;
        for sum in [impressions, views, orders, buyers, repeat_buyers] {
            to.extend_from_slice(&sum.to_le_bytes());
        }
        put_len(&mut to, self.channels.len());
        self.channels.iter().for_each(|name| put_text(&mut to, name));
        let [checkpoint, places] = self.visitors;
        [self.next_visitor, checkpoint, places].iter().for_each(|number| to.extend_from_slice(&number.to_le_bytes()));
        to.push(self.labelled.into());
        self.counts.iter().for_each(|count| to.extend_from_slice(&count.to_le_bytes()));
        to
    }

    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader { bytes };
        let (offset, id) = (u64::from_le_bytes(from.array()?), from.array()?);
        let mut sum = || from.array().map(f64::from_le_bytes);
        let totals =
            Totals { impressions: sum()?, views: sum()?, orders: sum()?, buyers: sum()?, repeat_buyers: sum()? };
        let channels = (0..from.count()?).map(|_| from.str().map(Arc::from)).collect::<Option<_>>()?;
        let mut number = || from.array().map(u32::from_le_bytes);
        let (next_visitor, visitors) = (number()?, [number()?, number()?]);
        let [labelled] = from.array()?.map(|byte: u8| byte != 0);
        let mut counts = Counts::default();
        for count in &mut counts {
            *count = u32::from_le_bytes(from.array()?);
        }
        let head = Self { offset, id, totals, channels, next_visitor, visitors, labelled, counts };
        from.bytes.is_empty().then_some(head)
    }
}

fn whole(from: &mut Reader<'_>) -> Option<u32> {
    u32::try_from(from.len()?).ok()
}

/// The statistics of the items with kept numbers from `page` times [`PAGE`] on; `channels` in the order of the head.
pub(super) fn pack_items(stats: &Statistics, names: &Names, channels: &[Arc<str>], page: u32) -> Vec<u8> {
    let mut to = Vec::with_capacity(4_096);
    let by_channel: Vec<_> = channels.iter().map(|name| stats.channels.get(name)).collect();
    for at in 0..PAGE {
        let Some(row) = names.items.own(page * PAGE + at) else { break };
        let Some(item) = stats.items.get(row as usize).filter(|item| **item != ItemStats::default()) else { continue };
        to.push(at as u8);
        let counts = [item.impressions, item.views, item.carts, item.orders, item.buyers, item.repeat_buyers];
        counts.into_iter().for_each(|count| put_len(&mut to, count as usize));
        to.extend_from_slice(&item.last_order.to_le_bytes());
        let decayed = [&item.views_1d, &item.views_7d, &item.orders_7d, &item.orders_30d, &item.orders_90d];
        decayed.iter().flat_map(|decayed| decayed.bits()).for_each(|bits| to.extend_from_slice(&bits.to_le_bytes()));
        let there = by_channel.iter().enumerate().filter_map(|(n, items)| Some((n, items.as_ref()?.get(&row)?)));
        let there: Vec<(usize, &ItemCounts)> = there.collect();
        put_len(&mut to, there.len());
        for (channel, ItemCounts { impressions, views, carts, orders }) in there {
            put_len(&mut to, channel);
            [impressions, views, carts, orders].into_iter().for_each(|count| put_len(&mut to, *count as usize));
        }
    }
    to
}

/// What [`pack_items`] wrote: calls `each` with every item; `None` for other bytes.
pub(super) fn unpack_items(
    bytes: &[u8],
    names: &Names,
    channels: &[Arc<str>],
    page: u32,
    mut each: impl FnMut(u32, ItemStats, Vec<(Arc<str>, ItemCounts)>),
) -> Option<()> {
    let mut from = Reader { bytes };
    while !from.bytes.is_empty() {
        let [at] = from.array()?;
        let row = names.items.own(page * PAGE + u32::from(at))?;
        let mut count = || whole(&mut from);
        let (impressions, views, carts) = (count()?, count()?, count()?);
        let (orders, buyers, repeat_buyers) = (count()?, count()?, count()?);
        let last_order = i64::from_le_bytes(from.array()?);
        let mut bits = || from.array().map(u64::from_le_bytes);
        let mut decayed = || Some(Decayed::from_bits([bits()?, bits()?]));
        let (views_1d, views_7d) = (decayed()?, decayed()?);
        let (orders_7d, orders_30d, orders_90d) = (decayed()?, decayed()?, decayed()?);
        let item = ItemStats {
            impressions,
            views,
            carts,
            orders,
            buyers,
            repeat_buyers,
            last_order,
            views_1d,
            views_7d,
            orders_7d,
            orders_30d,
            orders_90d,
        };
        let mut by_channel = Vec::new();
        for _ in 0..from.count()? {
            let channel = channels.get(from.len()?)?;
            let mut count = || whole(&mut from);
            let stats = ItemCounts { impressions: count()?, views: count()?, carts: count()?, orders: count()? };
            by_channel.push((Arc::clone(channel), stats));
        }
        each(row, item, by_channel);
    }
    Some(())
}

/// The partners of one item.
pub(super) fn pack_pairs<V: PairValue>(pairs: &Pairs<V>, row: u32, names: &Names, to: &mut Vec<u8>) {
    pairs.total(row).pack(to);
    let partners = pairs.partners(row);
    put_len(to, partners.map_or(0, FxHashMap::len));
    for (other, value) in partners.into_iter().flatten() {
        put_len(to, names.items.kept(*other) as usize);
        value.pack(to);
    }
}

/// The total and the partners that [`pack_pairs`] wrote; `None` for other bytes.
pub(super) fn unpack_pairs<V: PairValue>(bytes: &[u8], names: &Names) -> Option<(f32, FxHashMap<u32, V>)> {
    let mut from = Reader { bytes };
    let total = f32::unpack(&mut from)?;
    let count = from.count()?;
    let one = |_| Some((names.items.own(whole(&mut from)?)?, V::unpack(&mut from)?));
    let partners = (0..count).map(one).collect::<Option<_>>()?;
    from.bytes.is_empty().then_some((total, partners))
}

/// One scope of what is popular.
pub(super) fn pack_trend(sort: usize, name: &str, trend: &Trend, names: &Names) -> Vec<u8> {
    let mut to = vec![sort as u8];
    put_text(&mut to, name);
    to.extend_from_slice(&trend.events.to_le_bytes());
    put_len(&mut to, trend.marks.len());
    for (row, mark) in &trend.marks {
        put_len(&mut to, names.items.kept(*row) as usize);
        to.extend_from_slice(&mark.to_le_bytes());
    }
    to
}

/// Sort, name, events and marks that [`pack_trend`] wrote; `None` for other bytes.
pub(super) fn unpack_trend<'a>(bytes: &'a [u8], names: &Names) -> Option<(usize, &'a str, u32, FxHashMap<u32, f64>)> {
    let mut from = Reader { bytes };
    let [sort] = from.array()?;
    let (name, events) = (from.str()?, u32::from_le_bytes(from.array()?));
    let count = from.count()?;
    let one = |_| Some((names.items.own(whole(&mut from)?)?, f64::from_le_bytes(from.array()?)));
    let marks = (0..count).map(one).collect::<Option<_>>()?;
    from.bytes.is_empty().then_some((sort.into(), name, events, marks))
}

#[cfg(test)]
mod tests {
    use super::super::names::Numbers;
    use super::*;
    use proptest::prelude::*;
    use qianmian_core::EventKind;

    fn names() -> Names {
        Names { items: Numbers::restore((0..300).map(|n| n * 7 % 300).collect()), symbols: Numbers::default() }
    }

    #[test]
    fn what_is_folded_comes_back() {
        let head = Head {
            offset: 7,
            id: [3; 16],
            totals: Totals { views: 2.5, ..Totals::default() },
            channels: vec!["app".into(), "web".into()],
            next_visitor: 9,
            visitors: [3, 0xfeed],
            labelled: true,
            counts: [1, 2, 3, 4, 5, 6, 7, 8],
        };
        assert_eq!(Head::unpack(&head.pack()), Some(head.clone()));
        let (mut stats, mut again, names) = (Statistics::default(), Statistics::default(), names());
        for n in 0..900u32 {
            stats.add(n % 290, EventKind::ALL[n as usize % 6], i64::from(n) * 1_000_000, 1);
            stats.add_channel(["app", "web"][n as usize % 2], [n % 31].into_iter(), EventKind::View, 1);
            stats.add_buyer(n % 290, n % 3, 1);
        }
        for page in 0..3 {
            let bytes = pack_items(&stats, &names, &head.channels, page);
            let each = |row, item, channels| again.restore(row, item, channels);
            unpack_items(&bytes, &names, &head.channels, page, each).unwrap();
        }
        assert_eq!((&again.items, &again.channels), (&stats.items, &stats.channels));
    }

    proptest! {
        #[test]
        fn nonsense_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let names = names();
            let _ = Head::unpack(&bytes);
            let _ = unpack_items(&bytes, &names, &["app".into()], 0, |_, _, _| {});
            let _ = unpack_pairs::<f32>(&bytes, &names);
            let _ = unpack_pairs::<super::super::PairCount>(&bytes, &names);
            let _ = unpack_trend(&bytes, &names);
        }
    }
}
