//! Preset `amazon-beauty`: `items.tsv.gz` and `sequences.txt.gz` (a line is a visitor and items in order, no times). The
//! last item of each sequence is left out: it is what the evaluation asks for.

use super::{Imported, Rejects, open};
use anyhow::Context;
use qianmian_core::{Event, EventKind, TimeMs};
use qianmian_state::Item;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The sequences have no times: interactions are put a minute apart from here (2014-01-01).
const START: TimeMs = 1_388_534_400_000;

/// Every visitor's whole sequence.
///
/// # Errors
/// When the file cannot be read or a line has fewer than three items.
pub fn sequences(folder: &Path) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let path = folder.join("sequences.txt.gz");
    let mut all = Vec::new();
    for (number, line) in BufReader::new(open(&path)?).lines().enumerate() {
        let line = line?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let visitor = words.next().with_context(|| format!("{}: line {} is empty", path.display(), number + 1))?;
        let items: Vec<String> = words.collect();
        anyhow::ensure!(items.len() >= 3, "{}: line {} has {} items", path.display(), number + 1, items.len());
        all.push((visitor, items));
    }
    Ok(all)
}

/// Reads the folder into items and events.
///
/// # Errors
/// When a file cannot be read.
pub fn read(folder: &Path) -> anyhow::Result<Imported> {
    let path = folder.join("items.tsv.gz");
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_reader(open(&path)?);
    let mut items = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot read {}", path.display()))?;
        let text = |at: usize| record.get(at).unwrap_or_default().to_owned();
        items.push(Item { id: text(0), title: text(2), created: Some(START), ..Item::default() });
    }
    let mut events = Vec::new();
    for (visitor, sequence) in sequences(folder)? {
        for (at, item) in sequence[..sequence.len() - 1].iter().enumerate() {
            events.push(Event {
                id: format!("beauty-{visitor}-{at}"),
                kind: EventKind::Purchase,
                time: START + at as TimeMs * 60_000,
                visitor: Some(visitor.clone()),
                items: vec![item.clone()],
                quantities: Vec::new(),
                values: Vec::new(),
                channel: String::new(),
                region: String::new(),
                scenario: String::new(),
                request_id: String::new(),
                position: 0,
                attributes: Vec::new(),
                traits: Vec::new(),
            });
        }
    }
    Ok(Imported { items, events, rejects: Rejects::default() })
}
