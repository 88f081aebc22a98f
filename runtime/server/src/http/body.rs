//! Reading bodies: JSON with errors that say where, and NDJSON line by line.

use crate::error::ApiError;
use axum::body::Bytes;
use serde::de::DeserializeOwned;

/// Decodes one JSON document.
///
/// # Errors
/// 400 `malformed_json` when it is not JSON, 422 `wrong_shape` when it is JSON of another shape; both say where.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            ApiError::unprocessable("wrong_shape", format!("the body does not fit: {error}"))
        } else {
            ApiError::bad_request("malformed_json", format!("the body is not JSON: {error}"))
        }
    })
}

/// The non-empty lines of an NDJSON body with their numbers from 0, each decoded on its own.
pub fn lines<T: DeserializeOwned>(body: &Bytes) -> impl Iterator<Item = (usize, Result<T, String>)> {
    body.split(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .enumerate()
        .map(|(index, line)| (index, serde_json::from_slice(line).map_err(|error| error.to_string())))
}
