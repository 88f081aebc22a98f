//! Damage to the data folder: a flipped bit or a file cut short, in every file there is, must be refused or mended, and
//! never be read as something else.

use anyhow::{Context, Result};
use qianmian_core::{Event, EventKind};
use qianmian_state::{AuditFilter, Campaign, CaptureFilter, CaptureHead, Item, Reservation, State, StateError};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What became of the damaged copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Copies that were damaged and opened.
    pub tried: usize,
    /// Refused with words.
    pub refused: usize,
    /// Everything was there: the damage was mended, or in a place that holds nothing.
    pub unharmed: usize,
    /// Opened, and something else was read than had been written.
    pub silent: usize,
    /// Panicked: neither refused nor mended.
    pub panicked: usize,
    /// By file: tried and refused.
    pub files: BTreeMap<String, (usize, usize)>,
    /// What was done in the cases that went wrong.
    pub wrong: Vec<String>,
}

fn event(n: usize) -> Event {
    Event {
        id: format!("e{n}"),
        kind: EventKind::ALL[n % 6],
        time: 1_700_000_000_000 + n as i64 * 977,
        visitor: Some(format!("v{}", n % 37)),
        items: vec![format!("p{}", n % 53)],
        quantities: vec![],
        values: vec![1.5],
        channel: "app".into(),
        region: "GB".into(),
        scenario: String::new(),
        request_id: String::new(),
        position: 0,
        attributes: vec![],
        traits: vec![("city".into(), format!("c{}", n % 5))],
    }
}

/// Fills a folder with something of every kind, and leaves it as a crash would: without closing it.
fn fill(dir: &Path) -> Result<()> {
    let state = State::open(dir)?;
    let items =
        (0..60).map(|n| Item { id: format!("p{n}"), title: format!("Title {n}"), price: Some(2.0), ..Item::default() });
    state.catalogue.upsert(items.collect())?;
    for n in 0..20 {
        let ids = [(format!("v{n}"), "login".to_owned()), (format!("d{n}"), "device".to_owned())];
        state.link_visitors(&ids)?;
    }
    for first in (0..3_000).step_by(100) {
        state.append((first..first + 100).map(event).collect())?;
        // what is folded is kept now and then, and the last events come after that
        if first % 900 == 0 {
            state.checkpoint()?;
        }
    }
    for n in 0..20 {
        state.registry.put("scenario", &format!("s{n}"), &serde_json::json!({ "n": n, "text": "x".repeat(200) }))?;
        let head = CaptureHead {
            id: format!("r{n}"),
            time: n,
            scenario: "home".into(),
            visitor: Some(state.people.key(&format!("v{n}"))),
            fault: None,
        };
        state.captures.put(&[(head, vec![n as u8; 700])])?;
    }
    state.blobs.put(&[7; 9_000])?;
    let campaign = Campaign { from: 0, to: i64::MAX, quotas: vec![("p1".into(), 50)], per_visitor: None };
    state.campaigns.put("flash", campaign)?;
    for n in 0..20 {
        let wish = Reservation { item: "p1".into(), quantity: 1, visitor: None, time: 5 };
        state.campaigns.reserve("flash", &format!("o{n}"), wish, &[])?;
    }
    state.flush()?;
    // what a killed process leaves: the write-ahead logs are not folded in
    copy(dir, &dir.with_extension("crashed"))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("a name")?);
        if path.is_dir() {
            copy(&path, &target)?;
        } else if path.file_name().is_some_and(|name| name != "lock") && !path.to_string_lossy().ends_with("-shm") {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if fs::metadata(&path)?.len() > 0 {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// Everything that can be read of a folder, as a text. A part that is refused stands there as its error's kind.
fn read(dir: &Path, digest: &str) -> Result<String, StateError> {
    let state = State::open(dir)?;
    let mut all = String::new();
    let (offset, folded) = state.digest()?;
    // writing to a text cannot fail
    let _ = write!(all, "{offset} {folded:?} {} {}", state.log.len(), state.people.linked());
    let catalogue = state.catalogue.current();
    let mut items: Vec<_> = catalogue.live_rows().map(|row| format!("{:?}", catalogue.items[row.index()])).collect();
    items.sort();
    let _ = write!(all, "{items:?}");
    for n in 0..20 {
        let name = format!("s{n}");
        let _ = write!(
            all,
            "{:?}",
            state.registry.history("scenario", &name)?.into_iter().map(|d| d.value).collect::<Vec<_>>()
        );
        let _ = write!(all, "{:?}", state.captures.get(&format!("r{n}"))?);
        let _ = write!(all, "{:?}", state.people.members(&state.people.of(&format!("v{n}"))).len());
    }
    let _ = write!(all, "{}", state.registry.list("scenario")?.len());
    let _ = write!(all, "{:?}", state.captures.list(&CaptureFilter { limit: 100, ..CaptureFilter::default() })?);
    let trail = state.audit.list(&AuditFilter { limit: 1_000, ..AuditFilter::default() })?;
    let _ =
        write!(all, "{:?} {:?}", state.blobs.get(digest)?.len(), trail.iter().map(|e| &e.detail).collect::<Vec<_>>());
    let _ = write!(all, "{:?}", state.campaigns.get("flash"));
    Ok(all)
}

/// Damages a copy of a folder so many times.
///
/// # Errors
/// When the folder cannot be made.
pub fn damage(folder: &Path, times: usize, seed: u64) -> Result<Damage> {
    let whole = folder.join("data");
    fill(&whole)?;
    let crashed = whole.with_extension("crashed");
    let digest = qianmian_state::FolderBlobs::digest(&[7; 9_000]);
    let mut found = Damage::default();
    let mut random = seed;
    // closed in order, and as after a crash
    for (source, share) in [(&whole, times / 2), (&crashed, times - times / 2)] {
        let right = read(
            &{
                let copied = folder.join("right");
                copy(source, &copied)?;
                copied
            },
            &digest,
        )?;
        fs::remove_dir_all(folder.join("right"))?;
        let mut names = Vec::new();
        files(source, &mut names)?;
        for _ in 0..share {
            let victim = names[next(&mut random) as usize % names.len()].clone();
            let copied = folder.join("copy");
            copy(source, &copied)?;
            let path = copied.join(victim.strip_prefix(source)?);
            let mut bytes = fs::read(&path)?;
            let at = next(&mut random) as usize % bytes.len();
            let what = if next(&mut random).is_multiple_of(4) {
                bytes.truncate(at);
                format!("{} cut at {at}", victim.display())
            } else {
                let bit = next(&mut random) % 8;
                bytes[at] ^= 1 << bit;
                format!("{} bit {bit} of byte {at}", victim.display())
            };
            fs::write(&path, bytes)?;
            let outcome = catch_unwind(AssertUnwindSafe(|| read(&copied, &digest)));
            fs::remove_dir_all(&copied)?;
            found.tried += 1;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = if name.len() == 64 { "blob".to_owned() } else { name };
            let by_file = found.files.entry(name).or_default();
            by_file.0 += 1;
            match outcome {
                Ok(Err(_)) => {
                    found.refused += 1;
                    by_file.1 += 1;
                }
                Ok(Ok(text)) if text == right => found.unharmed += 1,
                Ok(Ok(_)) => {
                    found.silent += 1;
                    found.wrong.push(format!("silent: {what}"));
                }
                Err(_) => {
                    found.panicked += 1;
                    found.wrong.push(format!("panic: {what}"));
                }
            }
        }
    }
    Ok(found)
}

/// Splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
