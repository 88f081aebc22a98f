//! An invented shop for trying strategies out: the same on every machine and for ever, as large as is asked for.
//!
//! Item `i0`, `i1`, ... Of every ten, six are products, two articles, one an offer and one a channel or words. Numbers
//! come from a hash of the row and the column's name, texts from ten values each; every seventeenth number but a price is
//! missing.

use qianmian_core::{
    Candidates, ColumnValues, Columns, EventKind, Interaction, ItemHistory, ItemKind, ItemRow, Reach, ReachError,
    RequestContext, Retrieval, Scoring, Source, SourceSpec, Visitor,
};
use std::sync::Arc;

/// Dimension of its vectors.
const DIM: usize = 8;

/// The shop: how many items it has.
#[derive(Clone, Copy, Debug)]
pub struct Invented {
    /// Items.
    pub items: u32,
}

impl Invented {
    /// What a strategy reaches in it.
    #[must_use]
    pub fn reach(self) -> Reach {
        let shop = Arc::new(self);
        Reach { retrieval: Arc::clone(&shop) as _, columns: Arc::clone(&shop) as _, scoring: shop }
    }

    /// A visitor who bought the items 0 to 4, and viewed 10 and 11.
    #[must_use]
    pub fn known(self) -> Visitor {
        let mut visitor = Visitor { orders: 2, events: 9, ..Visitor::default() };
        let there = |row: &u32| *row < self.items;
        for row in (0..5).filter(there) {
            visitor.items.insert(ItemRow(row), ItemHistory { orders: 1, ..ItemHistory::default() });
            visitor.recent.push(Interaction { item: ItemRow(row), kind: EventKind::Purchase, time: 5 });
        }
        for row in [10, 11].into_iter().filter(there) {
            visitor.items.insert(ItemRow(row), ItemHistory { views: 1, ..ItemHistory::default() });
            visitor.recent.push(Interaction { item: ItemRow(row), kind: EventKind::View, time: 6 });
        }
        visitor
    }
}

fn kind(row: u32) -> ItemKind {
    match row % 10 {
        0..6 => ItemKind::Product,
        6 | 7 => ItemKind::Content,
        8 => ItemKind::Offer,
        _ if row % 20 == 9 => ItemKind::Copy,
        _ => ItemKind::Channel,
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn hash(row: u32, name: &str) -> u64 {
    let name = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
    mix(name ^ u64::from(row).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

impl Retrieval for Invented {
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        let wants = |row: &u32| spec.kinds.is_empty() || spec.kinds.contains(&kind(*row));
        let history = || ctx.visitor.items.keys().any(|row| row.0 < self.items);
        let rows: Vec<u32> = match &spec.source {
            Source::Listed(rows) => rows.iter().map(|row| row.0).filter(wants).collect(),
            Source::BuyAgain => (0..5).filter(|_| history()).filter(wants).collect(),
            source => {
                // A walk through all rows in steps that share no factor with their number.
                let n = self.items.max(1);
                let step = (n / 2 + 1..n).find(|step| gcd(*step, n) == 1).unwrap_or(1);
                let first = (hash(0, source.kind()) % u64::from(n)) as u32;
                let at = |i: u32| ((u64::from(first) + u64::from(i) * u64::from(step)) % u64::from(n)) as u32;
                (0..self.items).map(at).filter(wants).take(spec.limit as usize).collect()
            }
        };
        Ok(rows
            .into_iter()
            .take(spec.limit as usize)
            .zip(0u32..)
            .map(|(row, i)| (ItemRow(row), 1.0 / (1 + i) as f32))
            .collect())
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Columns for Invented {
    fn column(&self, _: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        let text = |row: &ItemRow| -> Arc<str> {
            match name {
                "item.id" => format!("i{}", row.0).into(),
                "item.kind" => kind(row.0).as_str().into(),
                "item.title" => format!("Item {}", row.0).into(),
                _ => format!("{}-{}", name.rsplit('.').next().unwrap_or(name), hash(row.0, name) % 10).into(),
            }
        };
        Ok(match name {
            "item.id" | "item.kind" | "item.title" | "item.brand" | "item.merchant" | "item.currency"
            | "item.category" | "context.channel" | "context.region" => {
                ColumnValues::Texts(rows.iter().map(text).collect())
            }
            "item.categories" | "item.tags" | "item.channels" | "item.regions" => {
                ColumnValues::Lists(rows.iter().map(|row| Arc::from([text(row)])).collect())
            }
            _ => ColumnValues::Numbers(
                rows.iter()
                    .map(|row| match hash(row.0, name) {
                        h if h % 17 == 0 && name != "item.price" => f32::NAN,
                        h => (h % 10_000) as f32 / 100.0,
                    })
                    .collect(),
            ),
        })
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        rows.iter().map(|row| format!("i{}", row.0).into()).collect()
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        let row = |id: &String| id.strip_prefix('i')?.parse().ok().filter(|row| *row < self.items).map(ItemRow);
        ids.iter().map(row).collect()
    }

    fn vectors(&self, rows: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError> {
        let number =
            |row: &ItemRow, i: usize| (hash(row.0, space).rotate_left(8 * i as u32) % 256) as f32 / 128.0 - 1.0;
        Ok((rows.iter().flat_map(|row| (0..DIM).map(move |i| number(row, i))).collect(), DIM))
    }
}

impl Scoring for Invented {
    fn score(&self, _: &RequestContext, set: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        Ok(set.rows().iter().map(|row| (hash(row.0, model) % 1_000) as f32 / 1_000.0).collect())
    }
}
