//! A row of the log as a backup holds it: each visitor's events sealed, nobody's as they are.

use super::{codec, rows};
use crate::bytes::{Reader, put_len};
use crate::db;
use crate::error::{Result, StateError};
use rusqlite::Transaction;

/// First byte of a slot.
const NOBODYS: u8 = 0;
const SEALED: u8 = 1;

/// The events of a stored row, and how many. `seal` makes of a visitor's key and slot what stands for it; nothing where it must
/// not be kept. Whose they are is in the sealed parts only.
pub(crate) fn pack(
    first: u64,
    events: &[u8],
    mut seal: impl FnMut(&str, &[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<(Vec<u8>, u64)> {
    let (mut packed, mut count) = (Vec::with_capacity(2 * events.len()), 0);
    for slot in codec::slots(first, db::unseal("event chunk", &rows::key("events", first), events)?)? {
        let slot = slot?;
        let visitor = codec::visitor(slot).map(std::str::from_utf8).transpose();
        let visitor = visitor.map_err(|_| damaged(first))?;
        let (begin, payload) = match visitor {
            Some(visitor) => (SEALED, seal(visitor, slot)?.unwrap_or_default()),
            None => (NOBODYS, slot.to_vec()),
        };
        if payload.is_empty() {
            put_len(&mut packed, 0);
        } else {
            count += 1;
            put_len(&mut packed, payload.len() + 1);
            packed.push(begin);
            packed.extend_from_slice(&payload);
        }
    }
    Ok((packed, count))
}

/// Stores a row that was packed; returns how many events are left of it. `open` makes of what stands for a slot the slot
/// again; nothing where it cannot be opened any more. The hashes of all ids stay, as after an erasure.
pub(crate) fn unpack(
    tx: &Transaction<'_>,
    first: u64,
    ids: &[u8],
    packed: &[u8],
    mut open: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>>,
) -> Result<u64> {
    let (mut encoder, mut marks, mut kept) = (codec::Encoder::new(), Vec::new(), 0);
    let mut from = Reader { bytes: packed };
    while !from.bytes.is_empty() {
        let slot = match from.sized().ok_or_else(|| damaged(first))?.split_first() {
            None => Vec::new(),
            Some((&NOBODYS, slot)) => slot.to_vec(),
            Some((_, sealed)) => open(sealed)?.unwrap_or_default(),
        };
        kept += usize::from(!slot.is_empty());
        marks.push(codec::visitor(&slot).map_or(0, rows::mark));
        encoder.slot(&slot);
    }
    let (_, ids) = rows::open_ids(first, ids)?;
    let ids: Vec<rows::Id> = ids.into_iter().copied().collect();
    if ids.len() != marks.len() {
        return Err(damaged(first));
    }
    rows::put(tx, first, &ids, kept, &marks, &encoder.finish())?;
    Ok(kept as u64)
}

fn damaged(first: u64) -> StateError {
    StateError::Damaged { what: format!("event chunk {first}"), detail: "its events cannot be told apart".into() }
}
