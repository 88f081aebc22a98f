//! `POST /v1/events`: validate, reserve a place in the log's queue or 503, answer after fsync.

use super::body;
use super::catalog::blocking;
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::recommend::now_ms;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use qianmian_core::{Event, EventKind, TimeMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// 1980-01-01: nothing was sold online before, and a time in seconds is told apart.
const EARLIEST: TimeMs = 315_532_800_000;

/// Bytes of a body above which reading it is no work for tokio's workers.
const LARGE: usize = 256 << 10;

/// A moment: milliseconds since 1970 UTC, or RFC 3339.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Moment {
    /// Milliseconds since 1970 UTC.
    Millis(i64),
    /// RFC 3339, such as `2011-11-01T09:00:00Z`.
    Text(String),
}

impl Moment {
    /// As milliseconds.
    ///
    /// # Errors
    /// A text saying what was expected.
    pub fn millis(&self) -> Result<TimeMs, String> {
        match self {
            Self::Millis(ms) => Ok(*ms),
            Self::Text(text) => text.parse::<jiff::Timestamp>().map(|t| t.as_millisecond()).map_err(|error| {
                format!("time {text:?}: expected RFC 3339 such as 2011-11-01T09:00:00Z, or milliseconds ({error})")
            }),
        }
    }
}

/// One event as a storefront sends it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WireEvent {
    /// Makes it idempotent.
    pub id: String,
    /// impression, view, click, cart, purchase, rating, search, custom.
    #[serde(rename = "type")]
    pub kind: String,
    /// When; now without one.
    pub time: Option<Moment>,
    /// Who, and what is known of them.
    pub visitor: Option<EventVisitor>,
    /// One item ...
    pub item: Option<String>,
    /// ... or several: an order.
    pub items: Vec<String>,
    /// Units, of each item or one for all.
    pub quantity: Option<OneOrMany>,
    /// Unit price paid or rating given, of each item or one for all.
    pub value: Option<OneOrMany>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// app, web ...
    pub channel: Option<String>,
    /// Country or province.
    pub region: Option<String>,
    /// The scenario that served the item.
    pub scenario: Option<String>,
    /// The request that served the item.
    pub request_id: Option<String>,
    /// The slot's position from 1.
    pub position: Option<u32>,
    /// Anything else: numbers, texts, booleans. `region` here counts as the region; `action` of a custom event says what
    /// was done (`share` and `invite` count as referral).
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// A visitor's ids, and what the storefront knows of them.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventVisitor {
    /// The id after login; it wins over `anonymous_id`.
    pub id: Option<String>,
    /// The id before login.
    pub anonymous_id: Option<String>,
    /// Numbers, texts and booleans by name: the value of the newest event stands.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// A number for all items, or one for each.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// The same for all.
    One(f32),
    /// One each.
    Many(Vec<f32>),
}

impl OneOrMany {
    fn spread(self, count: usize, what: &str) -> Result<Vec<f32>, String> {
        let values = match self {
            Self::One(value) => vec![value; count],
            Self::Many(values) if values.len() == count => values,
            Self::Many(values) => return Err(format!("{} numbers in {what} for {count} items", values.len())),
        };
        match values.iter().find(|value| !value.is_finite() || value.abs() > 1e9) {
            Some(bad) => Err(format!("{what} has {bad}: expected a number between -1e9 and 1e9")),
            None => Ok(values),
        }
    }
}

impl WireEvent {
    /// Checks and converts; `now` stands in for a missing time.
    ///
    /// # Errors
    /// A stable code and what is wrong.
    pub fn check(self, now: TimeMs) -> Result<Event, (&'static str, String)> {
        if self.id.is_empty() || self.id.len() > 256 {
            return Err(("bad_id", format!("id has {} bytes: expected 1 to 256, unique per event", self.id.len())));
        }
        let kind: EventKind = self.kind.parse().map_err(|detail| ("unknown_type", detail))?;
        let time = self.time.map_or(Ok(now), |time| time.millis()).map_err(|detail| ("bad_time", detail))?;
        // A phone's clock may be ahead a little; far ahead would pin decayed counts into the future.
        if time > now + qianmian_core::DAY_MS || time < EARLIEST {
            let detail = format!(
                "time {time} is before 1980 or more than a day in the future: milliseconds since 1970 expected, not seconds"
            );
            return Err(("bad_time", detail));
        }
        if self.item.is_some() && !self.items.is_empty() {
            return Err(("bad_item", "item and items are both there: give one of them".to_owned()));
        }
        if self.position == Some(0) {
            return Err(("bad_position", "position is 0: slots count from 1".to_owned()));
        }
        let mut items = self.items;
        items.extend(self.item);
        if items.len() > 5_000 || items.iter().any(|id| id.is_empty() || id.len() > 256) {
            return Err(("bad_item", "expected at most 5000 items with ids of 1 to 256 bytes".to_owned()));
        }
        let wants_item = !matches!(kind, EventKind::Search | EventKind::Custom);
        if wants_item && items.is_empty() {
            return Err(("bad_item", format!("a {} event needs item or items", kind.as_str())));
        }
        let count = items.len();
        let quantities =
            self.quantity.map_or(Ok(Vec::new()), |q| q.spread(count, "quantity")).map_err(|d| ("bad_quantity", d))?;
        let values = self.value.map_or(Ok(Vec::new()), |v| v.spread(count, "value")).map_err(|d| ("bad_value", d))?;
        if let Some(bad) = quantities.iter().find(|quantity| **quantity <= 0.0) {
            return Err(("bad_quantity", format!("quantity {bad}: expected more than 0; leave returns out")));
        }
        if let Some(bad) = values.iter().find(|value| **value < 0.0) {
            return Err(("bad_value", format!("value {bad}: expected a price or rating of at least 0")));
        }
        let attributes = texts(&self.attributes, "attributes").map_err(|d| ("bad_attribute", d))?;
        let visitor = self.visitor.unwrap_or_default();
        let traits = texts(&visitor.attributes, "visitor.attributes").map_err(|d| ("bad_attribute", d))?;
        let region = self.region.or_else(|| Some(self.attributes.get("region")?.as_str()?.to_owned()));
        Ok(Event {
            id: self.id,
            kind,
            time,
            visitor: visitor.id.or(visitor.anonymous_id).filter(|id| !id.is_empty() && id.len() <= 256),
            items,
            quantities,
            values,
            channel: self.channel.unwrap_or_default(),
            region: region.unwrap_or_default(),
            scenario: self.scenario.unwrap_or_default(),
            request_id: self.request_id.unwrap_or_default(),
            position: self.position.unwrap_or_default(),
            attributes,
            traits,
        })
    }
}

/// Attributes as texts, so that `3` and `"3"` are the same.
fn texts(given: &BTreeMap<String, serde_json::Value>, of: &str) -> Result<Vec<(String, String)>, String> {
    use serde_json::Value;
    if given.len() > 64 {
        return Err(format!("{of} has {} entries: at most 64", given.len()));
    }
    let mut texts = Vec::with_capacity(given.len());
    for (name, value) in given {
        let text = match value {
            Value::Null => continue,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::String(text) => text.clone(),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("{of}.{name} is nested: a number, text or boolean expected"));
            }
        };
        if name.is_empty() || name.len() > 64 || text.len() > 512 {
            return Err(format!("{of}.{name}: a name of 1 to 64 bytes and a value of at most 512 expected"));
        }
        texts.push((name.clone(), text));
    }
    Ok(texts)
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Batch {
    events: Vec<serde_json::Value>,
}

/// A batch without a mistake, which most are: read at once.
#[derive(Deserialize)]
struct GoodBatch {
    events: Vec<WireEvent>,
}

/// An event with its number, or why it is none.
type Parsed = (usize, Result<WireEvent, String>);

/// The events of a body with their numbers, each or why it is none.
///
/// # Errors
/// A JSON body that is no batch.
fn parse(bytes: &Bytes, lines: bool) -> Result<Vec<Parsed>, ApiError> {
    if lines {
        return Ok(body::lines(bytes).collect());
    }
    // A list would be taken for an object by its order.
    let object = bytes.trim_ascii_start().first() == Some(&b'{');
    if let (true, Ok(batch)) = (object, serde_json::from_slice::<GoodBatch>(bytes)) {
        return Ok(batch.events.into_iter().map(Ok).enumerate().collect());
    }
    let batch: Batch = body::json(bytes)?;
    Ok(batch.events.into_iter().map(body::value).enumerate().collect())
}

/// An event that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RejectedEvent {
    index: usize,
    code: &'static str,
    detail: String,
}

/// What became of the batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    accepted: usize,
    duplicates: usize,
    rejected: Vec<RejectedEvent>,
    /// `fsync`: what is accepted survives a power cut.
    durability: &'static str,
}

/// Takes events: one JSON object with `events`, or NDJSON.
#[utoipa::path(post, path = "/v1/events", tag = "storefront", request_body = Batch, responses(
    (status = 202, description = "Durable; what was refused is listed by index", body = Accepted),
    (status = 400, description = "Not JSON", body = Problem),
    (status = 503, description = "The log's queue is full, with Retry-After", body = Problem),
))]
pub(super) async fn ingest(
    State(app): State<Arc<App>>,
    headers: axum::http::HeaderMap,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lines = kind.contains("ndjson") || kind.contains("jsonl");
    let (events, rejected) = if bytes.len() > LARGE {
        let app = Arc::clone(&app);
        blocking(move || sift(&app, &bytes, lines)).await?
    } else {
        sift(&app, &bytes, lines)?
    };
    let (accepted, duplicates) = if events.is_empty() { (0, 0) } else { append(&app, events).await? };
    let count = |outcome: &str, n: usize| app.metrics.events.with_label_values(&[outcome]).inc_by(n as u64);
    count("accepted", accepted);
    count("duplicate", duplicates);
    count("rejected", rejected.len());
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted, duplicates, rejected, durability: "fsync" })))
}

/// The good events of a body, and what is wrong with the others.
///
/// # Errors
/// As [`parse`].
fn sift(app: &App, bytes: &Bytes, lines: bool) -> Result<(Vec<Event>, Vec<RejectedEvent>), ApiError> {
    let (parsed, now) = (parse(bytes, lines)?, now_ms());
    let (mut events, mut rejected) = (Vec::with_capacity(parsed.len()), Vec::new());
    let mut unknown = Unknown::new(app);
    let oldest = app.config.retention().log_days.map(|days| now - i64::from(days) * qianmian_core::DAY_MS);
    for (index, event) in parsed {
        let checked = event.map_err(|detail| ("wrong_shape", detail)).and_then(|event| event.check(now));
        match checked.and_then(|event| in_time(event, oldest)).and_then(|event| unknown.admit(event)) {
            Ok(event) => events.push(event),
            Err((code, detail)) => rejected.push(RejectedEvent { index, code, detail }),
        }
    }
    Ok((events, rejected))
}

/// What is older than the log keeps would be gone again, and could come twice.
fn in_time(event: Event, oldest: Option<TimeMs>) -> Result<Event, (&'static str, String)> {
    match oldest {
        Some(oldest) if event.time < oldest => {
            let detail = format!("time {} is before {oldest}: older events are not kept (log_days)", event.time);
            Err(("too_late", detail))
        }
        _ => Ok(event),
    }
}

/// Bounds what strangers' item ids may cost: each gets a row that lives as long as the process.
struct Unknown {
    catalogue: Arc<qianmian_state::Catalogue>,
    most: usize,
    room: usize,
}

impl Unknown {
    fn new(app: &App) -> Self {
        let (catalogue, most) = (app.state.catalogue.current(), app.config.max_unknown_items);
        let there = catalogue.len() - catalogue.live_count();
        Self { catalogue, most, room: most.saturating_sub(there) }
    }

    fn admit(&mut self, event: Event) -> Result<Event, (&'static str, String)> {
        let new = event.items.iter().filter(|id| self.catalogue.row(id).is_none()).count();
        if new > self.room {
            let detail = format!(
                "events already name {} items that the catalogue does not know: put the items first, or raise \
                 max_unknown_items",
                self.most
            );
            return Err(("too_many_unknown_items", detail));
        }
        self.room -= new;
        Ok(event)
    }
}

/// Appends and waits for the fsync; returns accepted and duplicates.
async fn append(app: &Arc<App>, events: Vec<Event>) -> Result<(usize, usize), ApiError> {
    let total = events.len();
    let (done, result) = tokio::sync::oneshot::channel();
    let submitted = app.state.submit(
        events,
        Box::new(move |appended| {
            let _ = done.send(appended);
        }),
    );
    if submitted.is_err() {
        app.metrics.shed.with_label_values(&["events"]).inc();
        return Err(ApiError::overloaded("the event log's queue is full; nothing was taken, send the batch again"));
    }
    let appended = result.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    let accepted = appended.accepted.iter().filter(|taken| **taken).count();
    Ok((accepted, total - accepted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_items_are_bounded() {
        let mut unknown = Unknown { catalogue: Arc::default(), most: 2, room: 2 };
        let event = |items: &[&str]| {
            let items = items.iter().map(|id| (*id).to_owned()).collect();
            let wire = WireEvent { id: "e".to_owned(), kind: "custom".to_owned(), items, ..WireEvent::default() };
            wire.check(EARLIEST).expect("a good event")
        };
        assert!(unknown.admit(event(&["a"])).is_ok());
        assert_eq!(unknown.admit(event(&["b", "c"])).map_err(|(code, _)| code), Err("too_many_unknown_items"));
        assert!(unknown.admit(event(&["b"])).is_ok());
        assert!(unknown.admit(event(&[])).is_ok());
        assert!(unknown.admit(event(&["d"])).is_err());
    }
}
