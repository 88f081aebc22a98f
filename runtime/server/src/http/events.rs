//! `POST /v1/events`: validate, reserve a place in the log's queue or 503, answer after fsync.

use super::body;
use super::catalog::blocking;
use super::wire;
pub use super::wire::{Moment, WireEvent};
use crate::app::App;
use crate::error::{ApiError, Problem};
use crate::recommend::now_ms;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use qianmian_core::{Event, TimeMs};
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Most events that room is made for before they are read.
const MOST_ROOM: usize = 10_000;

/// Most events of one body: half of the log's queue, so that it finds a place while others are stored.
const MOST_EVENTS: usize = qianmian_state::QUEUE / 2;

/// Milliseconds that a clock may be ahead without being told.
const AHEAD: TimeMs = 60_000;

/// Bytes of a body above which reading it is no work for tokio's workers.
const LARGE: usize = 256 << 10;

#[derive(Deserialize, ToSchema)]
pub(super) struct Batch {
    events: Vec<serde_json::Value>,
}

/// An event that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RejectedEvent {
    index: usize,
    code: &'static str,
    detail: String,
}

/// An event whose clock is ahead: it was taken, as of when it came.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClockAhead {
    index: usize,
    /// Milliseconds that its time was in the future.
    by_ms: i64,
}

/// What became of the batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    accepted: usize,
    duplicates: usize,
    rejected: Vec<RejectedEvent>,
    /// Events from clocks that are more than a minute ahead.
    clock_ahead: Vec<ClockAhead>,
    /// `fsync`: what is accepted survives a power cut.
    durability: &'static str,
}

/// Takes events: one JSON object with `events`, or NDJSON.
#[utoipa::path(post, path = "/v1/events", tag = "storefront", request_body = Batch, responses(
    (status = 202, description = "Durable; what was refused is listed by index", body = Accepted),
    (status = 400, description = "Not JSON", body = Problem),
    (status = 413, description = "Larger than max_body, or more than 131,072 events", body = Problem),
    (status = 503, description = "The log's queue, or the room for bodies, is full, with Retry-After", body = Problem),
))]
pub(super) async fn ingest(
    State(app): State<Arc<App>>,
    headers: axum::http::HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    // the room is held until the events are stored
    let (bytes, _room) = body::within(body, &app.event_room, app.config.max_body).await.inspect_err(|error| {
        if error.status == StatusCode::SERVICE_UNAVAILABLE {
            app.metrics.shed.with_label_values(&["event_bodies"]).inc();
        }
    })?;
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lines = kind.contains("ndjson") || kind.contains("jsonl");
    let Sieve { events, rejected, clock_ahead, .. } = if bytes.len() > LARGE {
        let app = Arc::clone(&app);
        blocking(move || sift(&app, &bytes, lines)).await?
    } else {
        sift(&app, &bytes, lines)?
    };
    if events.len() > MOST_EVENTS {
        let detail = format!("{} events in one body, at most {MOST_EVENTS}: send several bodies", events.len());
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
    }
    let (accepted, duplicates) = if events.is_empty() { (0, 0) } else { append(&app, events).await? };
    let count = |outcome: &str, n: usize| app.metrics.events.with_label_values(&[outcome]).inc_by(n as u64);
    count("accepted", accepted);
    count("duplicate", duplicates);
    count("rejected", rejected.len());
    app.metrics.clock_ahead.inc_by(clock_ahead.len() as u64);
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted, duplicates, rejected, clock_ahead, durability: "fsync" })))
}

/// The good events of a body, and what is wrong with the others.
///
/// # Errors
/// A JSON body that is no batch.
fn sift(app: &App, bytes: &Bytes, lines: bool) -> Result<Sieve, ApiError> {
    let mut sieve = Sieve::new(app, bytes.len());
    if lines {
        body::lines(bytes).for_each(|(index, event)| sieve.take(index, event));
        return Ok(sieve);
    }
    // A batch without a mistake, which most are, is read at once.
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    let mut count = 0;
    let hand_on = |event: WireEvent<'_>| {
        sieve.take(count, Ok(event));
        count += 1;
    };
    if wire::Batch(hand_on).deserialize(&mut decoder).and_then(|()| decoder.end()).is_err() {
        let batch: Batch = body::json(bytes)?;
        sieve = Sieve::new(app, 0);
        batch.events.iter().enumerate().for_each(|(index, event)| sieve.take(index, body::value(event)));
    }
    Ok(sieve)
}

/// Checks events one by one.
struct Sieve {
    now: TimeMs,
    oldest: Option<TimeMs>,
    unknown: Unknown,
    events: Vec<Event>,
    rejected: Vec<RejectedEvent>,
    clock_ahead: Vec<ClockAhead>,
}

impl Sieve {
    /// For a body of so many bytes.
    fn new(app: &App, bytes: usize) -> Self {
        let now = now_ms();
        let oldest = app.config.retention().log_days.map(|days| now - i64::from(days) * qianmian_core::DAY_MS);
        // events are seldom shorter
        let events = Vec::with_capacity((bytes / 96).min(MOST_ROOM));
        let unknown = Unknown::new(app);
        Self { now, oldest, unknown, events, rejected: Vec::new(), clock_ahead: Vec::new() }
    }

    fn take(&mut self, index: usize, event: Result<WireEvent<'_>, String>) {
        let checked = event.map_err(|detail| ("wrong_shape", detail)).and_then(|event| event.check(self.now));
        let checked = checked.and_then(|event| in_time(event, self.oldest));
        match checked.and_then(|event| self.unknown.admit(event)) {
            Ok(mut event) => {
                let by_ms = event.time - self.now;
                if by_ms > AHEAD {
                    self.clock_ahead.push(ClockAhead { index, by_ms });
                }
                // what has not come to pass yet would stand as the newest until then
                event.time = event.time.min(self.now);
                self.events.push(event);
            }
            Err((code, detail)) => self.rejected.push(RejectedEvent { index, code, detail }),
        }
    }
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
            let text = serde_json::json!({ "id": "e", "type": "custom", "items": items }).to_string();
            let wire: WireEvent<'_> = serde_json::from_str(&text).expect("an event");
            wire.check(now_ms()).expect("a good event")
        };
        assert!(unknown.admit(event(&["a"])).is_ok());
        assert_eq!(unknown.admit(event(&["b", "c"])).map_err(|(code, _)| code), Err("too_many_unknown_items"));
        assert!(unknown.admit(event(&["b"])).is_ok());
        assert!(unknown.admit(event(&[])).is_ok());
        assert!(unknown.admit(event(&["d"])).is_err());
    }
}
