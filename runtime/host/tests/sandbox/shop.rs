//! An invented shop of 300 items behind the traits of `core::reach`, and requests to it.

use qianmian_core::{
    Candidates, ColumnValues, Columns, EventKind, Interaction, ItemHistory, ItemRow, Reach, ReachError, Request,
    RequestContext, Retrieval, Scoring, Source, SourceSpec, Visitor,
};
use qianmian_host::{Host, HostConfig, Strategy};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

pub const ITEMS: u32 = 300;

/// Rows 0..200 are products, 200..250 content, 250..300 offers; category, brand and price follow from the row.
pub struct Shop {
    /// Answers sources with as many rows as they ask for, to measure with.
    pub generous: bool,
}

/// With few slots: a test that watches the memory has to wait until each was used.
pub static HOST: LazyLock<Host> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(8, usize::from) as u32;
    Host::new(HostConfig { instances: threads.max(8), ..HostConfig::default() }).unwrap()
});

pub fn reach() -> Reach {
    reach_of(Shop { generous: false })
}

pub fn reach_of(shop: Shop) -> Reach {
    let shop = Arc::new(shop);
    Reach { retrieval: Arc::clone(&shop) as _, columns: Arc::clone(&shop) as _, scoring: shop }
}

/// A visitor who bought items 0 to 4, and viewed 10 and 11.
pub fn known() -> Visitor {
    let mut visitor = Visitor { orders: 2, events: 9, ..Visitor::default() };
    for row in 0..5 {
        visitor.items.insert(ItemRow(row), ItemHistory { orders: 1, ..ItemHistory::default() });
        visitor.recent.push(Interaction { item: ItemRow(row), kind: EventKind::Purchase, time: 5 });
    }
    for row in [10, 11] {
        visitor.items.insert(ItemRow(row), ItemHistory { views: 1, ..ItemHistory::default() });
        visitor.recent.push(Interaction { item: ItemRow(row), kind: EventKind::View, time: 6 });
    }
    visitor
}

pub fn request(limit: u32) -> Request {
    Request { scenario: "test".to_owned(), limit, personalised: true, ..Request::default() }
}

pub fn context(request: Request, visitor: Visitor) -> Arc<RequestContext> {
    Arc::new(RequestContext::new(request, Arc::new(visitor), 1_000, 7))
}

/// A strategy of `target/plugins`; none when they are not built, which CI does not forgive.
pub fn shipped(name: &str) -> Option<Arc<Strategy>> {
    Some(HOST.load(&built(name)?).unwrap())
}

/// A component of `target/plugins`.
pub fn built(name: &str) -> Option<Vec<u8>> {
    let target = std::env::var_os("QIANMIAN_PLUGINS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/plugins")), PathBuf::from);
    let Ok(bytes) = std::fs::read(target.join(format!("{name}.wasm"))) else {
        assert!(std::env::var_os("CI").is_none(), "no {name}.wasm in {}", target.display());
        eprintln!("skipped: build the strategies first with `cargo xtask plugins`");
        return None;
    };
    Some(bytes)
}

pub fn is_product(row: ItemRow) -> bool {
    row.0 < 200
}

fn kind(row: ItemRow) -> &'static str {
    match row.0 {
        0..200 => "product",
        200..250 => "content",
        _ => "offer",
    }
}

fn unknown(what: &'static str, name: &str) -> ReachError {
    ReachError::Unknown { what, name: name.to_owned(), known: "vectors, ranker".to_owned() }
}

impl Retrieval for Shop {
    fn retrieve(&self, ctx: &RequestContext, spec: &SourceSpec) -> Result<Vec<(ItemRow, f32)>, ReachError> {
        let known = !ctx.visitor.is_unknown();
        let anchored = !ctx.request.items.is_empty();
        let rows: Vec<u32> = match &spec.source {
            _ if self.generous => (0..ITEMS).collect(),
            Source::NearVisitor { space } | Source::NearItems { space } if space != "vectors" => {
                return Err(unknown("embedding space", space));
            }
            Source::NearVisitor { .. } => {
                if known {
                    (20..60).collect()
                } else {
                    vec![]
                }
            }
            Source::NearItems { .. } => {
                if anchored {
                    (30..70).collect()
                } else {
                    vec![]
                }
            }
            Source::BoughtTogether(basis) | Source::ViewedTogether(basis) | Source::NextAfter(basis) => {
                let there = if *basis == qianmian_core::Basis::Items { anchored } else { known };
                if there { (0..40).collect() } else { vec![] }
            }
            Source::BuyAgain => {
                if known {
                    (0..5).collect()
                } else {
                    vec![]
                }
            }
            Source::Trending(_) => (0..ITEMS).step_by(3).collect(),
            Source::Newest => (0..ITEMS).rev().collect(),
            Source::Same(_) => {
                if anchored || known {
                    (0..ITEMS).step_by(7).collect()
                } else {
                    vec![]
                }
            }
            Source::Listed(rows) => rows.iter().map(|row| row.0).collect(),
            Source::Exploration => vec![77, 99],
        };
        let of_kind = |row: &ItemRow| spec.kinds.is_empty() || spec.kinds.iter().any(|k| k.as_str() == kind(*row));
        let found = rows.into_iter().map(ItemRow).filter(of_kind).take(spec.limit as usize);
        Ok(found.map(|row| (row, 1.0 / (row.0 + 1) as f32)).collect())
    }
}

impl Columns for Shop {
    fn column(&self, _: &RequestContext, rows: &[ItemRow], name: &str) -> Result<ColumnValues, ReachError> {
        let texts =
            |text: &dyn Fn(ItemRow) -> String| ColumnValues::Texts(rows.iter().map(|r| text(*r).into()).collect());
        Ok(match name {
            "item.price" => ColumnValues::Numbers(rows.iter().map(|row| row.0 as f32).collect()),
            "item.category" => texts(&|row| format!("category {}", row.0 % 7)),
            "item.brand" => texts(&|row| format!("brand {}", row.0 % 29)),
            "item.kind" => texts(&|row| kind(row).to_owned()),
            "item.tags" => {
                ColumnValues::Lists(rows.iter().map(|row| [format!("tag {}", row.0 % 3).into()].into()).collect())
            }
            "item.short" => ColumnValues::Numbers(vec![1.0]),
            _ => return Err(unknown("column", name)),
        })
    }

    fn ids(&self, rows: &[ItemRow]) -> Vec<Arc<str>> {
        rows.iter().map(|row| format!("i{:03}", row.0).into()).collect()
    }

    fn rows(&self, ids: &[String]) -> Vec<Option<ItemRow>> {
        ids.iter().map(|id| id.strip_prefix('i')?.parse().ok().filter(|row| *row < ITEMS).map(ItemRow)).collect()
    }

    fn vectors(&self, rows: &[ItemRow], space: &str) -> Result<(Vec<f32>, usize), ReachError> {
        if space != "vectors" {
            return Err(unknown("embedding space", space));
        }
        let vector = |row: &ItemRow| (0..16).map(|d| ((row.0 * 31 + d * 17) % 13) as f32 - 6.0).collect::<Vec<_>>();
        Ok((rows.iter().flat_map(vector).collect(), 16))
    }
}

impl Scoring for Shop {
    fn score(&self, _: &RequestContext, candidates: &Candidates, model: &str) -> Result<Vec<f32>, ReachError> {
        match model {
            "ranker" => Ok(candidates.rows().iter().map(|row| -(row.0 as f32)).collect()),
            "nan" => Ok(vec![f32::NAN; candidates.len()]),
            "short" => Ok(vec![1.0]),
            "broken" => Err(ReachError::Failed { what: "model broken".to_owned(), detail: "no luck".to_owned() }),
            _ => Err(unknown("model", model)),
        }
    }
}
