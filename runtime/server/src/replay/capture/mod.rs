//! A capture: a request with all its answer depended on, in a form that outlives the process. Items are named by id, each
//! once; rows below are places in that list.

mod name;
mod restore;

use super::tape::Call;
use crate::recommend::Answer;
use crate::recommend::ground::GroundTape;
use crate::scenario::{Release, ScenarioSpec};
use name::Namer;
use qianmian_core::source::Attribute;
use qianmian_core::{
    Basis, ColumnValues, Interaction, ItemHistory, ItemKind, ItemRow, ReachError, Request, RequestContext, Scope,
    Scored, Source, SourceSpec, TimeMs, Visitor,
};
use qianmian_host::Usage;
use qianmian_state::{Catalogue, CatalogueStore};
use restore::Rower;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Raised when the shape below changes: an older capture is then told apart and not misread.
/// 5: what models were given, at the end.
const FORMAT: u8 = 5;
/// The one before, which ends there.
const WITHOUT_SCORED: u8 = 4;

/// What one composition leaves behind, still in the process's own terms.
pub(crate) struct Taken {
    pub ctx: Arc<RequestContext>,
    pub release: Arc<Release>,
    pub calls: Vec<Call>,
    pub ground: GroundTape,
    pub catalogue: Arc<Catalogue>,
    pub usage: Usage,
    pub guarded: usize,
    pub scored: Vec<Arc<Scored>>,
}

/// A stored capture.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capture {
    /// The scenario's release that answered.
    pub release: u64,
    /// SHA-256 of the strategy's component.
    pub digest: String,
    /// The release's spec: strategy, version, parameters, guards; JSON.
    pub spec: String,
    /// What was asked.
    pub request: CapturedRequest,
    /// The frozen clock.
    pub now: TimeMs,
    /// The seed of everything random.
    pub seed: u64,
    /// The visitor as the request saw them.
    pub visitor: CapturedVisitor,
    /// Every item that is named below, with its kind.
    pub items: Vec<(String, String)>,
    /// What the strategy asked of the host, and the answers.
    pub calls: Vec<CapturedCall>,
    /// What the guards were told of each item they checked: nothing, or the reason against it.
    pub verdicts: Vec<(u32, Option<String>)>,
    /// The popular items that were asked for, by how many.
    pub popular: Vec<(u32, Vec<u32>)>,
    /// The answer as it was sent, but for `took_us` (0) and the explanation; JSON.
    pub answer: String,
    /// What the strategy used.
    pub usage: CapturedUsage,
    /// What models were given, in a share of captures (`feature_share`).
    pub scored: Vec<CapturedScored>,
}

/// [`Scored`] with ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CapturedScored {
    /// The model.
    pub model: String,
    /// Digest of its file.
    pub digest: String,
    /// The names of a row's numbers.
    pub names: Vec<String>,
    /// The candidates.
    pub items: Vec<u32>,
    /// Row-major; NaN means missing.
    pub features: Vec<f32>,
    /// One a candidate.
    pub scores: Vec<f32>,
}

/// What a strategy's call used.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct CapturedUsage {
    /// Fuel.
    pub fuel: u64,
    /// Microseconds of wall clock.
    pub wall_us: u64,
    /// Bytes of linear memory at the most.
    pub memory: u64,
    /// Host calls.
    pub host_calls: u32,
    /// Slots that guards took out of its page.
    pub guarded: u32,
}

impl CapturedUsage {
    /// Of a call whose page lost so many slots to the guards.
    pub(super) fn new(usage: &Usage, guarded: usize) -> Self {
        let (wall_us, memory, guarded) = (usage.wall.as_micros() as u64, usage.memory as u64, guarded as u32);
        Self { fuel: usage.fuel, wall_us, memory, host_calls: usage.host_calls, guarded }
    }
}

/// [`Request`] with ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CapturedRequest {
    id: String,
    scenario: String,
    visitor: Option<String>,
    channel: String,
    region: String,
    context: Vec<(String, String)>,
    items: Vec<u32>,
    limit: u32,
    exclude: Vec<u32>,
    personalised: bool,
    explain: bool,
}

/// [`Visitor`] with ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CapturedVisitor {
    recent: Vec<(u32, String, TimeMs)>,
    items: Vec<(u32, CapturedHistory)>,
    orders: u32,
    order_lines: u32,
    spend: f64,
    price_sum: f64,
    events: u32,
    first_seen: TimeMs,
    last_seen: TimeMs,
    last_order: TimeMs,
    order_times: Vec<TimeMs>,
    categories: Vec<(String, f32)>,
    brands: Vec<(String, f32)>,
    tags: Vec<String>,
    segments: Vec<String>,
    attributes: Vec<(String, String)>,
    channel: String,
    region: String,
    version: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct CapturedHistory {
    impressions: u32,
    views: u32,
    carts: u32,
    orders: u32,
    quantity: f32,
    last: TimeMs,
    last_impression: TimeMs,
    last_order: TimeMs,
    first_order: TimeMs,
}

/// [`Call`] with ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturedCall {
    /// Candidates of a source.
    Retrieve {
        /// What was asked.
        spec: CapturedSource,
        /// Rows and scores.
        found: Result<Vec<(u32, f32)>, CapturedError>,
    },
    /// A column.
    Column {
        /// Its name.
        name: String,
        /// For these rows.
        rows: Vec<u32>,
        /// One a row.
        values: Result<CapturedValues, CapturedError>,
    },
    /// Rows of ids.
    Rows {
        /// The ids.
        ids: Vec<String>,
        /// Their rows.
        rows: Vec<Option<u32>>,
    },
    /// Vectors.
    Vectors {
        /// The embedding space.
        space: String,
        /// For these rows.
        rows: Vec<u32>,
        /// Row-major, and the dimension.
        vectors: Result<(Vec<f32>, u32), CapturedError>,
    },
    /// Scores of a model.
    Score {
        /// The model.
        model: String,
        /// For these rows.
        rows: Vec<u32>,
        /// Digest of the set's own columns.
        set: u64,
        /// One a row.
        scores: Result<Vec<f32>, CapturedError>,
    },
}

/// [`SourceSpec`] with ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CapturedSource {
    name: String,
    limit: u32,
    kinds: Vec<String>,
    source: CapturedFrom,
    filter: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CapturedFrom {
    NearVisitor(String),
    NearItems(String),
    BoughtTogether { history: bool },
    ViewedTogether { history: bool },
    NextAfter { history: bool },
    BuyAgain,
    Trending(u8),
    Newest,
    Same(u8),
    Listed(Vec<u32>),
    Exploration,
}

/// [`ColumnValues`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturedValues {
    /// Numbers.
    Numbers(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
    /// Lists.
    Lists(Vec<Vec<String>>),
}

/// [`ReachError`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturedError {
    /// There is no such thing.
    Unknown(String, String, String),
    /// A wrong argument.
    Invalid(String),
    /// It failed.
    Failed(String, String),
}

const SCOPES: [Scope; 4] = [Scope::All, Scope::Channel, Scope::Region, Scope::Segment];
const ATTRIBUTES: [Attribute; 3] = [Attribute::Category, Attribute::Brand, Attribute::Tag];
/// What a [`ReachError::Unknown`] may be about.
const THINGS: [&str; 6] = ["embedding space", "model", "column", "list", "source", "thing"];

/// What a capture holds, back in the process's own terms.
pub(crate) struct Restored {
    pub ctx: Arc<RequestContext>,
    pub spec: ScenarioSpec,
    pub calls: Vec<Call>,
    pub ground: GroundTape,
    pub items: Vec<(ItemRow, ItemKind)>,
    pub answer: Answer,
}

impl Capture {
    pub(crate) fn of(taken: &Taken, answer: &Answer) -> anyhow::Result<Self> {
        let (request, visitor) = (&taken.ctx.request, &taken.ctx.visitor);
        let mut namer = Namer::new(&taken.catalogue);
        Ok(Self {
            release: taken.release.number,
            digest: taken.release.strategy.digest().to_owned(),
            spec: serde_json::to_string(&taken.release.spec)?,
            request: CapturedRequest {
                id: request.id.clone(),
                scenario: request.scenario.clone(),
                visitor: request.visitor.clone(),
                channel: request.channel.clone(),
                region: request.region.clone(),
                context: request.context.clone(),
                items: namer.places(&request.items),
                limit: request.limit,
                exclude: namer.places(&request.exclude),
                personalised: request.personalised,
                explain: request.explain,
            },
            now: taken.ctx.now,
            seed: taken.ctx.seed,
            visitor: namer.visitor(visitor),
            calls: taken.calls.iter().map(|call| namer.call(call)).collect(),
            verdicts: taken
                .ground
                .verdicts
                .iter()
                .map(|(row, verdict)| (namer.place(*row), verdict.clone().err()))
                .collect(),
            popular: taken.ground.popular.iter().map(|(limit, rows)| (*limit as u32, namer.places(rows))).collect(),
            answer: comparable(answer)?,
            usage: CapturedUsage::new(&taken.usage, taken.guarded),
            scored: taken
                .scored
                .iter()
                .map(|scored| CapturedScored {
                    model: scored.model.clone(),
                    digest: scored.digest.clone(),
                    names: scored.names.to_vec(),
                    items: namer.places(&scored.rows),
                    features: scored.features.clone(),
                    scores: scored.scores.clone(),
                })
                .collect(),
            // The last: everything above names its items here.
            items: namer.items,
        })
    }

    /// As stored.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let plain = postcard::to_stdvec(self)?;
        let mut stored = vec![FORMAT];
        stored.extend(zstd::encode_all(plain.as_slice(), 1)?);
        Ok(stored)
    }

    /// From what [`Capture::encode`] wrote.
    ///
    /// # Errors
    /// Another format, or damage that the store's checksum did not see.
    pub fn decode(stored: &[u8]) -> anyhow::Result<Self> {
        let (format, packed) = match stored.split_first() {
            Some((&format, packed)) if matches!(format, FORMAT | WITHOUT_SCORED) => (format, packed),
            _ => anyhow::bail!("a capture of another format: replay it with the version that wrote it"),
        };
        let mut plain = zstd::decode_all(packed)?;
        if format == WITHOUT_SCORED {
            // an empty list
            plain.push(0);
        }
        Ok(postcard::from_bytes(&plain)?)
    }

    /// Items that are gone get a placeholder row: the capture says all that is asked of them.
    pub(crate) fn restore(self, store: &CatalogueStore) -> anyhow::Result<Restored> {
        let ids: Vec<&str> = self.items.iter().map(|(id, _)| id.as_str()).collect();
        let rower = Rower { rows: store.reserve(&ids) };
        let catalogue = store.current();
        let request = Request {
            id: self.request.id,
            scenario: self.request.scenario,
            visitor: self.request.visitor,
            channel: self.request.channel,
            region: self.request.region,
            context: self.request.context,
            items: rower.rows(&self.request.items)?,
            limit: self.request.limit,
            exclude: rower.rows(&self.request.exclude)?,
            personalised: self.request.personalised,
            explain: false,
        };
        let visitor = Arc::new(rower.visitor(&self.visitor, &catalogue)?);
        let kinds = self.items.iter().map(|(_, kind)| kind.parse::<ItemKind>().map_err(anyhow::Error::msg));
        Ok(Restored {
            ctx: Arc::new(RequestContext::new(request, visitor, self.now, self.seed)),
            spec: serde_json::from_str(&self.spec)?,
            calls: self.calls.into_iter().map(|call| rower.call(call)).collect::<anyhow::Result<_>>()?,
            ground: GroundTape {
                verdicts: self
                    .verdicts
                    .into_iter()
                    .map(|(place, against)| Ok((rower.row(place)?, against.map_or(Ok(()), Err))))
                    .collect::<anyhow::Result<_>>()?,
                popular: self
                    .popular
                    .iter()
                    .map(|(limit, places)| Ok((*limit as usize, rower.rows(places)?)))
                    .collect::<anyhow::Result<_>>()?,
            },
            items: rower.rows.iter().copied().zip(kinds.collect::<Result<Vec<_>, _>>()?).collect(),
            answer: serde_json::from_str(&self.answer)?,
        })
    }
}

/// The answer without what depends on the moment it was computed in: how long it took, and the explanation with its
/// timings.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn comparable(answer: &Answer) -> anyhow::Result<String> {
    let mut answer = answer.clone();
    answer.took_us = 0;
    answer.explanation = None;
    answer.shelves.iter_mut().flat_map(|shelf| &mut shelf.slots).for_each(|slot| slot.explain = None);
    if let Some(fallback) = &mut answer.fallback {
        fallback.detail = None;
    }
    Ok(serde_json::to_string(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_of_the_format_before_is_read() {
        // Zeros are a capture in which everything is empty.
        let (empty, _): (Capture, _) = postcard::take_from_bytes(&[0; 1_024]).unwrap();
        assert!(Capture::decode(&empty.encode().unwrap()).unwrap().scored.is_empty());
        let mut plain = postcard::to_stdvec(&empty).unwrap();
        assert_eq!(plain.pop(), Some(0), "the last field is a list");
        let stored = |format: u8| [vec![format], zstd::encode_all(plain.as_slice(), 1).unwrap()].concat();
        assert!(Capture::decode(&stored(WITHOUT_SCORED)).unwrap().scored.is_empty());
        assert!(Capture::decode(&stored(FORMAT)).is_err() && Capture::decode(&stored(3)).is_err());
    }
}
