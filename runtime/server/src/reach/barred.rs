//! What may not be shown at a moment, as a small bitmap beside the filters: stock, validity, channels and regions.
//!
//! Of a catalogue only the rows whose answer depends on the moment or the request are looked at again: those with a time
//! window, without stock of their own, or for certain channels or regions. Each stands until the next moment one changes.

use arc_swap::ArcSwapOption;
use moka::sync::Cache;
use qianmian_core::{ItemRow, RequestContext, TimeMs};
use qianmian_index::Filter;
use qianmian_state::campaigns::Open;
use qianmian_state::{Catalogue, Gate};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Channels and regions whose bitmaps are kept.
const KEPT: u64 = 64;

/// Bitmaps by channel and region.
pub struct Barred {
    standing: ArcSwapOption<Standing>,
    known: Cache<(Option<u32>, Option<u32>), Arc<Known>>,
}

/// One version of the catalogue, taken apart.
struct Standing {
    version: u64,
    /// Rows that nobody may ever see: bit `j` of word `i` is row `64 * i + j`.
    shut: Vec<u64>,
    /// Rows to be asked about.
    varying: RoaringBitmap,
}

/// Of one channel and region, for as long as nothing changes.
struct Known {
    standing: Arc<Standing>,
    /// What it was made with: campaigns free units without a new catalogue. Held, so that no other is at its address.
    campaigns: Arc<Open>,
    from: TimeMs,
    until: TimeMs,
    filter: Filter,
}

impl Default for Barred {
    fn default() -> Self {
        Self { standing: ArcSwapOption::empty(), known: Cache::new(KEPT) }
    }
}

impl Barred {
    /// The rows of `catalogue` that [`Gate::check`] refuses to this request.
    pub fn get(&self, catalogue: &Catalogue, ctx: &RequestContext) -> Filter {
        let now = ctx.now;
        let symbol = |name: &str| if name.is_empty() { None } else { catalogue.symbols.get(name) };
        let key = (symbol(&ctx.request.channel), symbol(&ctx.request.region));
        let campaigns = catalogue.campaigns.load_full();
        let standing = self.standing(catalogue);
        let fits = |known: &Arc<Known>| {
            Arc::ptr_eq(&known.standing, &standing)
                && Arc::ptr_eq(&known.campaigns, &campaigns)
                && (known.from..known.until).contains(&now)
        };
        let known = self.known.get(&key);
        if let Some(known) = known.as_ref().filter(|known| fits(known)) {
            return known.filter.clone();
        }
        let gate = Gate::new(catalogue, ctx);
        let mut words = standing.shut.clone();
        let (mut from, mut until) = (TimeMs::MIN, TimeMs::MAX);
        let mut edge = |at: TimeMs| if at <= now { from = from.max(at) } else { until = until.min(at) };
        for row in &standing.varying {
            let at = row as usize;
            edge(catalogue.valid_from[at]);
            edge(catalogue.valid_to[at]);
            words[at / 64] |= u64::from(gate.check(ItemRow(row)).is_err()) << (row % 64);
        }
        for (from, to, _) in campaigns.values().flatten() {
            edge(*from);
            edge(*to);
        }
        // The same rows keep what was worked out for them.
        let same = known.filter(|known| known.filter.words() == words);
        let filter = same.map_or_else(|| Filter::from_words(words), |known| known.filter.clone());
        let new = Known { standing, campaigns, from, until, filter: filter.clone() };
        self.known.insert(key, Arc::new(new));
        filter
    }

    fn standing(&self, catalogue: &Catalogue) -> Arc<Standing> {
        if let Some(known) = self.standing.load_full().filter(|known| known.version == catalogue.version) {
            return known;
        }
        let mut shut = vec![0u64; catalogue.len().div_ceil(64)];
        let mut varying = RoaringBitmap::new();
        for at in 0..catalogue.len() {
            let row = at as u32;
            let sold_out = catalogue.sellable[at].is_some_and(|units| units <= 0);
            if !catalogue.live[at] {
                shut[at / 64] |= 1 << (at % 64);
            } else if sold_out
                || catalogue.valid_from[at] > TimeMs::MIN
                || catalogue.valid_to[at] < TimeMs::MAX
                || !catalogue.channels[at].is_empty()
                || !catalogue.regions[at].is_empty()
            {
                varying.insert(row);
            }
        }
        let new = Arc::new(Standing { version: catalogue.version, shut, varying });
        self.standing.store(Some(Arc::clone(&new)));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qianmian_core::Request;
    use qianmian_state::{Item, State, Stock};

    /// Items of every sort, each different enough that a wrong one shows.
    fn items() -> Vec<Item> {
        let item = |n: u32| Item {
            id: format!("i{n}"),
            stock: Stock { sellable: n.is_multiple_of(3).then(|| i64::from(n % 2)), ..Stock::default() },
            valid_from: n.is_multiple_of(5).then(|| TimeMs::from(n) * 10),
            valid_to: n.is_multiple_of(7).then(|| TimeMs::from(n) * 10 + 500),
            channels: if n.is_multiple_of(11) { vec!["app".into()] } else { Vec::new() },
            regions: if n.is_multiple_of(13) { vec!["north".into(), "south".into()] } else { Vec::new() },
            ..Item::default()
        };
        (0..300).map(item).collect()
    }

    #[test]
    fn what_is_barred_is_what_the_gate_refuses() {
        let state = State::in_memory().expect("a state");
        state.catalogue.upsert(items()).expect("taken");
        let barred = Barred::default();
        let check = |now: TimeMs, channel: &str, region: &str| {
            let request = Request { channel: channel.into(), region: region.into(), ..Request::default() };
            let ctx = RequestContext::new(request, Arc::default(), now, 0);
            let catalogue = state.catalogue.current();
            let (filter, gate) = (barred.get(&catalogue, &ctx), Gate::new(&catalogue, &ctx));
            for row in (0..catalogue.len() as u32).map(ItemRow) {
                assert_eq!(
                    filter.contains(row),
                    gate.check(row).is_err(),
                    "{row:?} at {now} in {channel:?} {region:?}"
                );
            }
            filter.len()
        };
        let all = |times: &[TimeMs]| {
            for &now in times {
                for channel in ["", "app", "web"] {
                    for region in ["", "south", "moon"] {
                        assert!(check(now, channel, region) > 0);
                    }
                }
            }
        };
        // Forwards, backwards, to the very edges and across them.
        all(&[0, 49, 50, 51, 1_000, 999, 3_490, 3_489, 5_000, 570, 569]);
        state.catalogue.delete("i4").expect("deleted");
        state.catalogue.patch("i8", &serde_json::json!({ "stock": { "sellable": 0 } })).expect("changed");
        all(&[1_000, 0]);
        state.catalogue.upsert(vec![Item { id: "new".into(), valid_to: Some(700), ..Item::default() }]).expect("taken");
        all(&[699, 700]);
    }

    #[test]
    fn a_bitmap_stands_until_something_changes() {
        let state = State::in_memory().expect("a state");
        state.catalogue.upsert(items()).expect("taken");
        let barred = Barred::default();
        let at = |now| {
            let ctx = RequestContext::new(Request::default(), Arc::default(), now, 0);
            barred.get(&state.catalogue.current(), &ctx).words().as_ptr()
        };
        // The edges around 1,000 are 990 and 1,000; then comes 1,050.
        assert_eq!(at(1_000), at(1_019));
        assert_ne!(at(1_000), at(1_100));
    }
}
