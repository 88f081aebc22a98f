//! Reading bodies: JSON with errors that say where, NDJSON line by line, forms, and not more at once than there is room for.

use crate::error::ApiError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Multipart;
use axum::extract::multipart::MultipartError;
use axum::http::StatusCode;
use serde::Deserialize;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that a body begins with room for; what it says of its length is only said.
const FIRST: usize = 64 << 10;

/// Reads a body of at most `most` bytes while there is room for it among those that are held; a permit of `room` is a byte.
/// The room is its own until the permit is dropped.
///
/// # Errors
/// 413 `too_large`, 503 `overloaded` when there is no room, 400 when the body breaks off.
pub async fn within(
    mut body: Body,
    room: &Arc<Semaphore>,
    most: usize,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError> {
    let mut bytes = Vec::with_capacity(body.size_hint().lower().min(FIRST as u64) as usize);
    let mut held: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let broken = |error| ApiError::bad_request("bad_request", format!("the body breaks off: {error}"));
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if bytes.len() + data.len() > most {
            let detail = format!("the body has more than {most} bytes: send less at once, or raise max_body");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
        }
        let new = Arc::clone(room).try_acquire_many_owned(u32::try_from(data.len()).unwrap_or(u32::MAX));
        let new =
            new.map_err(|_| ApiError::overloaded("too much is being sent at once; nothing was taken, send it again"))?;
        match &mut held {
            Some(held) => held.merge(new),
            None => held = Some(new),
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.into(), held))
}

/// The parts of a form, by these names; `None` for one that is not there.
///
/// # Errors
/// 400 `unknown_part`, `bad_multipart`; 413 when it is too large.
pub async fn parts<const N: usize>(mut form: Multipart, names: [&str; N]) -> Result<[Option<Bytes>; N], ApiError> {
    let bad = |error: MultipartError| ApiError::new(error.status(), "bad_multipart", error.body_text());
    let mut parts = [const { None }; N];
    while let Some(part) = form.next_field().await.map_err(bad)? {
        let name = part.name().unwrap_or_default();
        let Some(at) = names.iter().position(|known| *known == name) else {
            return Err(ApiError::bad_request("unknown_part", format!("part {name:?}: expected {names:?}")));
        };
        parts[at] = Some(part.bytes().await.map_err(bad)?);
    }
    Ok(parts)
}

/// A part that must be there.
///
/// # Errors
/// 400 `missing_part`.
pub fn part(part: Option<Bytes>, name: &str) -> Result<Bytes, ApiError> {
    part.ok_or_else(|| ApiError::bad_request("missing_part", format!("the multipart body has no part {name:?}")))
}

/// A list would be taken for an object by its order, which nobody means.
const A_LIST: &str = "a list where an object is expected";

/// Why a text is not the value that was expected.
enum Wrong {
    NotJson(String),
    Shape(String),
}

/// The path is named: "visitor.id: invalid type ...".
fn decode<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Wrong> {
    let Some(first) = text.trim_ascii_start().first() else {
        return Err(Wrong::NotJson("it is empty".to_owned()));
    };
    if *first == b'[' {
        return Err(Wrong::Shape(A_LIST.to_owned()));
    }
    // The place of a mistake costs time to keep: it is looked for when there is one.
    if let Ok(value) = serde_json::from_slice(text) {
        return Ok(value);
    }
    let mut decoder = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut decoder).map_err(placed)?;
    decoder.end().map_err(|error| Wrong::NotJson(error.to_string()))?;
    Ok(value)
}

fn placed(error: serde_path_to_error::Error<serde_json::Error>) -> Wrong {
    let path = error.path().to_string();
    let inner = error.into_inner();
    match (inner.is_data(), path.as_str()) {
        (false, _) => Wrong::NotJson(inner.to_string()),
        (true, ".") => Wrong::Shape(inner.to_string()),
        (true, _) => Wrong::Shape(format!("{path}: {inner}")),
    }
}

/// Decodes one JSON object.
///
/// # Errors
/// 400 `malformed_json` when it is not JSON, 422 `wrong_shape` when it is JSON of another shape; both say where.
pub fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    decode(body).map_err(|wrong| match wrong {
        Wrong::NotJson(detail) => ApiError::bad_request("malformed_json", format!("the body is not JSON: {detail}")),
        Wrong::Shape(detail) => ApiError::unprocessable("wrong_shape", format!("the body does not fit: {detail}")),
    })
}

/// The non-empty lines of an NDJSON body with their numbers from 0, each decoded on its own.
pub fn lines<'a, T: Deserialize<'a>>(body: &'a Bytes) -> impl Iterator<Item = (usize, Result<T, String>)> {
    body.split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .enumerate()
        .map(|(index, text)| (index, line(text)))
}

/// One line of NDJSON.
///
/// # Errors
/// Where it does not fit, and how.
pub fn line<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    decode(text).map_err(said)
}

/// A value that is JSON already.
///
/// # Errors
/// Where it does not fit, and how.
pub fn value<'a, T: Deserialize<'a>>(value: &'a serde_json::Value) -> Result<T, String> {
    if value.is_array() {
        return Err(A_LIST.to_owned());
    }
    serde_path_to_error::deserialize(value).map_err(|error| said(placed(error)))
}

fn said(wrong: Wrong) -> String {
    match wrong {
        Wrong::NotJson(detail) => format!("not a JSON object on one line: {detail}"),
        Wrong::Shape(detail) => detail,
    }
}
