//! Events as bytes: a chunk is a version byte and a length-prefixed slot an event; an erased event is an empty slot.
//!
//! The visitor stands near the front, so that erasure can look for one
//! without decoding the rest.

use crate::bytes::{Reader, put_len, put_text};
use crate::error::{Result, StateError};
use qianmian_core::{Event, EventKind};

/// 2: attributes and traits; the visitor is a key and no id.
const VERSION: u8 = 2;

/// Builds a chunk slot by slot.
pub(super) struct Encoder {
    bytes: Vec<u8>,
    slot: Vec<u8>,
}

impl Encoder {
    pub fn new() -> Self {
        Self { bytes: vec![VERSION], slot: Vec::new() }
    }

    pub fn event(&mut self, event: &Event) {
        self.slot.clear();
        encode(event, &mut self.slot);
        put_len(&mut self.bytes, self.slot.len());
        self.bytes.extend_from_slice(&self.slot);
    }

    pub fn slot(&mut self, slot: &[u8]) {
        put_len(&mut self.bytes, slot.len());
        self.bytes.extend_from_slice(slot);
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The slots of a chunk; `first` is its offset, for the error.
pub(super) fn slots(first: u64, chunk: &[u8]) -> Result<impl Iterator<Item = Result<&[u8]>>> {
    let version = chunk.first().copied();
    if version != Some(VERSION) {
        let found = version.map_or(-1, i64::from);
        return Err(StateError::Format { what: format!("event chunk {first}"), found, expected: VERSION.into() });
    }
    let mut rest = Reader { bytes: &chunk[1..] };
    Ok(std::iter::from_fn(move || {
        if rest.bytes.is_empty() {
            return None;
        }
        let slot = rest.sized();
        if slot.is_none() {
            rest.bytes = &[];
        }
        Some(slot.ok_or_else(|| damaged(first)))
    }))
}

/// The event of a slot that is not empty.
pub(super) fn decode(offset: u64, slot: &[u8]) -> Result<Event> {
    let mut reader = Reader { bytes: slot };
    let event = reader.event().filter(|_| reader.bytes.is_empty());
    event.ok_or_else(|| damaged(offset))
}

/// Whose event a slot holds; `None` for nobody's, and for an empty slot.
pub(super) fn visitor(slot: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader { bytes: slot };
    reader.take(9)?;
    reader.optional()?
}

/// When the event of a slot happened; `None` for an empty slot.
pub(super) fn time(slot: &[u8]) -> Option<i64> {
    let mut reader = Reader { bytes: slot };
    reader.take(1)?;
    reader.array().map(i64::from_le_bytes)
}

fn damaged(offset: u64) -> StateError {
    StateError::Damaged { what: format!("event {offset}"), detail: "it cannot be decoded".into() }
}

fn encode(event: &Event, to: &mut Vec<u8>) {
    to.push(event.kind as u8);
    to.extend_from_slice(&event.time.to_le_bytes());
    match &event.visitor {
        None => to.push(0),
        Some(visitor) => {
            put_len(to, visitor.len() + 1);
            to.extend_from_slice(visitor.as_bytes());
        }
    }
    put_text(to, &event.id);
    put_len(to, event.items.len());
    event.items.iter().for_each(|item| put_text(to, item));
    for numbers in [&event.quantities, &event.values] {
        put_len(to, numbers.len());
        numbers.iter().for_each(|x| to.extend_from_slice(&x.to_le_bytes()));
    }
    for text in [&event.channel, &event.region, &event.scenario, &event.request_id] {
        put_text(to, text);
    }
    to.extend_from_slice(&event.position.to_le_bytes());
    for pairs in [&event.attributes, &event.traits] {
        put_len(to, pairs.len());
        pairs.iter().flat_map(|(name, value)| [name, value]).for_each(|text| put_text(to, text));
    }
}

/// What only events are made of.
impl<'a> Reader<'a> {
    fn optional(&mut self) -> Option<Option<&'a [u8]>> {
        match self.len()? {
            0 => Some(None),
            n => self.take(n - 1).map(Some),
        }
    }

    fn numbers(&mut self) -> Option<Vec<f32>> {
        let n = self.len()?;
        let bytes = self.take(n.checked_mul(4)?)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    fn pairs(&mut self) -> Option<Vec<(String, String)>> {
        (0..self.count()?).map(|_| Some((self.text()?, self.text()?))).collect()
    }

    fn event(&mut self) -> Option<Event> {
        let [kind] = self.array()?;
        let time = i64::from_le_bytes(self.array()?);
        let visitor = match self.optional()? {
            None => None,
            Some(bytes) => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
        };
        let id = self.text()?;
        let items = (0..self.count()?).map(|_| self.text()).collect::<Option<_>>()?;
        Some(Event {
            id,
            kind: *EventKind::ALL.get(usize::from(kind))?,
            time,
            visitor,
            items,
            quantities: self.numbers()?,
            values: self.numbers()?,
            channel: self.text()?,
            region: self.text()?,
            scenario: self.text()?,
            request_id: self.text()?,
            position: u32::from_le_bytes(self.array()?),
            attributes: self.pairs()?,
            traits: self.pairs()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn any_event()(
            (id, time, kind, visitor) in (".{0,40}", any::<i64>(), 0usize..8, proptest::option::of(".{0,200}")),
            items in proptest::collection::vec(".{0,20}", 0..5),
            quantities in proptest::collection::vec(-1e9f32..1e9, 0..5),
            values in proptest::collection::vec(-1e9f32..1e9, 0..5),
            (channel, region, scenario, request_id) in (".{0,9}", ".{0,9}", ".{0,9}", ".{0,9}"),
            position in any::<u32>(),
            attributes in proptest::collection::vec((".{0,9}", ".{0,9}"), 0..3),
            traits in proptest::collection::vec((".{0,9}", ".{0,9}"), 0..3),
        ) -> Event {
            let kind = EventKind::ALL[kind];
            Event {
                id, kind, time, visitor, items, quantities, values, channel, region, scenario, request_id, position,
                attributes, traits,
            }
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(events in proptest::collection::vec(any_event(), 0..8)) {
            let mut encoder = Encoder::new();
            events.iter().for_each(|e| encoder.event(e));
            let bytes = encoder.finish();
            let back: Vec<Event> = slots(1, &bytes).unwrap().map(|s| decode(1, s.unwrap()).unwrap()).collect();
            prop_assert_eq!(&back, &events);
            for (slot, event) in slots(1, &bytes).unwrap().zip(&events) {
                let slot = slot.unwrap();
                prop_assert_eq!(visitor(slot), event.visitor.as_deref().map(str::as_bytes));
                prop_assert_eq!(time(slot), Some(event.time));
            }
        }

        #[test]
        fn nonsense_is_an_error_and_no_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(1, &bytes);
            let _ = (visitor(&bytes), time(&bytes));
            if let Some(first) = bytes.first_mut() { *first = VERSION; }
            if let Ok(found) = slots(1, &bytes) {
                for slot in found.flatten() { let _ = decode(1, slot); }
            }
        }
    }

    #[test]
    fn erased_slots_are_empty_and_other_versions_refused() {
        let mut encoder = Encoder::new();
        encoder.slot(&[]);
        encoder.slot(b"x");
        let bytes = encoder.finish();
        assert_eq!(slots(1, &bytes).unwrap().map(|s| s.unwrap().len()).collect::<Vec<_>>(), [0, 1]);
        assert!(matches!(slots(1, &[9]).err(), Some(StateError::Format { found: 9, .. })));
        assert!(slots(1, &[VERSION, 5, 0]).unwrap().any(|s| s.is_err()), "a cut slot is an error");
    }
}
