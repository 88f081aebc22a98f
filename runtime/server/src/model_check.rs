//! A model that may come from anyone, tried in a process of its own before this one loads it.

use crate::child::{self, Ended, Limits};
use crate::error::ApiError;
use qianmian_models::{Manifest, Model};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The hidden command of the binary that tries a model.
pub const COMMAND: &str = "check-model";
/// Memory the process may take, and for each byte of the file as much more: weights are unpacked, packed and planned.
const MEMORY: u64 = 1 << 30;
const MEMORY_PER_BYTE: u64 = 8;

/// What the process may use for a file of so many bytes: most take milliseconds.
#[must_use]
pub fn limits(bytes: usize) -> Limits {
    let memory = MEMORY.saturating_add((bytes as u64).saturating_mul(MEMORY_PER_BYTE));
    Limits { cpu_seconds: 20, memory, wall: Duration::from_secs(40) }
}

/// Loads the model and runs its golden cases in a process of its own.
///
/// # Errors
/// 422 `model_refused` with what is wrong, 422 `model_limit` when it crashes or takes too much, 500 when no process starts.
pub fn check(program: &Path, bytes: &[u8], manifest: &Manifest, limits: Limits) -> Result<(), ApiError> {
    let head = child::head(manifest).map_err(ApiError::internal)?;
    let ended = child::run(program, COMMAND, &[&head, bytes], limits)
        .map_err(|error| ApiError::internal(format!("the check of models does not run: {error}")))?;
    match ended {
        Ended::Done(_) => Ok(()),
        Ended::Refused(why) => Err(ApiError::unprocessable("model_refused", why)),
        Ended::Failed(status, said) => {
            tracing::warn!(%status, %said, model = manifest.name, "a model crashed or took too much while it was tried");
            Err(ApiError::unprocessable(
                "model_limit",
                format!(
                    "loading model {:?} crashed, or took more than {} s of processor time, {} MB or {} s altogether: is the \
                     file whole?",
                    manifest.name,
                    limits.cpu_seconds,
                    limits.memory >> 20,
                    limits.wall.as_secs()
                ),
            ))
        }
    }
}

/// The child: the manifest as the head of the file; nothing on standard output.
#[must_use]
pub fn child(cpu_seconds: u64, memory: u64) -> ExitCode {
    child::serve(cpu_seconds, memory, |input| {
        let (manifest, bytes) = child::split::<Manifest>(input)?;
        Ok(Model::load(bytes, manifest).map(|_| Vec::new()))
    })
}
