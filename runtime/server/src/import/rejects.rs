//! Rows an import left out, each with its reason.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// What was left out.
#[derive(Debug, Default)]
pub struct Rejects {
    rows: Vec<(u64, &'static str, String)>,
}

impl Rejects {
    /// Row `line` of the file (from 1) is left out because of `reason`.
    pub fn push(&mut self, line: u64, reason: &'static str, what: impl Into<String>) {
        self.rows.push((line, reason, what.into()));
    }

    /// Number of rows by reason.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, reason, _) in &self.rows {
            *counts.entry((*reason).to_owned()).or_default() += 1;
        }
        counts
    }

    /// Writes one CSV line a row: line number, reason, the row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        writeln!(file, "line,reason,row")?;
        for (line, reason, row) in &self.rows {
            writeln!(file, "{line},{reason},\"{}\"", row.replace('"', "\"\""))?;
        }
        file.flush()
    }
}
