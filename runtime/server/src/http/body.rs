//! Reading bodies: JSON with errors that say where, and NDJSON line by line.

use crate::error::ApiError;
use axum::body::Bytes;
use serde::Deserialize;

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
        .map(|(index, line)| (index, decode(line).map_err(said)))
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
