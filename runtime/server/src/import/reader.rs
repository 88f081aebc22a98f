//! Opening files as they come: plain, `.gz` or `.zst`.

use anyhow::Context;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// A reader of the file's uncompressed bytes, chosen by its ending.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let file = BufReader::new(file);
    Ok(match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    })
}
