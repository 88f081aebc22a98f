//! Visitors as they are kept on disk: read there while memory has no room for them, and at the next start.
//!
//! Each has two places, and every copy says before which checkpoint it was written. A new copy takes the place of the one
//! that the last checkpoint is not of, so that a start always finds everybody as of it, and a checkpoint moves nobody.

use super::crowd::Numbered;
use super::names::Names;
use super::packed::{pack, unpack};
use crate::bytes::{Reader, put_text};
use crate::error::{Result, StateError};
use crate::store::{Cell, Put, Space, StateStore};
use parking_lot::RwLock;
use qianmian_core::Visitor;
use roaring::RoaringBitmap;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What is done with each visitor read: number, key, and the rest as it was kept.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(u32, Arc<str>, &[u8]) -> Result<()>;

/// Visitors by number, each with their key.
pub(crate) struct Cold {
    pub store: Arc<dyn StateStore>,
    pub names: RwLock<Names>,
    places: RwLock<Places>,
}

/// In which of their two places the newest copy of each visitor is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// Those whose newest copy is in the second.
    second: RoaringBitmap,
    /// Those whose newest copy is later than the last checkpoint.
    ahead: RoaringBitmap,
    /// The number of the last checkpoint; 0 before the first.
    checkpoint: u32,
}

/// A copy of a visitor.
struct Copy<'a> {
    /// The checkpoint that it is part of.
    checkpoint: u32,
    key: Arc<str>,
    packed: &'a [u8],
}

impl Places {
    fn newest(&self, number: u32) -> Cell {
        let space = if self.second.contains(number) { Space::VisitorsToo } else { Space::Visitors };
        Cell { space, number }
    }

    fn flip(&mut self, number: u32) {
        if !self.second.remove(number) {
            self.second.insert(number);
        }
    }

    /// Writes new copies, packed with these names.
    ///
    /// # Errors
    /// What `put` returns.
    pub fn write(&mut self, changed: &[Numbered], names: &Names, put: Put<'_>) -> Result<()> {
        for one in changed {
            if self.ahead.insert(one.number) {
                self.flip(one.number);
            }
            let mut bytes = Vec::with_capacity(320);
            bytes.extend_from_slice(&(self.checkpoint + 1).to_le_bytes());
            put_text(&mut bytes, &one.key);
            pack(&one.visitor, names, &mut bytes);
            put(self.newest(one.number), Some(&bytes))?;
        }
        Ok(())
    }

    /// Removes visitors.
    ///
    /// # Errors
    /// What `put` returns.
    pub fn remove(&mut self, gone: &[u32], put: Put<'_>) -> Result<()> {
        for &number in gone {
            self.second.remove(number);
            [Space::Visitors, Space::VisitorsToo]
                .into_iter()
                .try_for_each(|space| put(Cell { space, number }, None))?;
        }
        Ok(())
    }

    /// All newest copies are of a checkpoint now, and of these visitors no other may stay.
    ///
    /// # Errors
    /// What `put` returns.
    pub fn complete(&mut self, renewed: &[u32], put: Put<'_>) -> Result<()> {
        self.checkpoint += 1;
        self.ahead.clear();
        for &number in renewed {
            let space = if self.second.contains(number) { Space::Visitors } else { Space::VisitorsToo };
            put(Cell { space, number }, None)?;
        }
        Ok(())
    }

    /// The last checkpoint, and a sum over who has the newest copy where: one that is lost does not give way to an older
    /// one unnoticed.
    pub fn sums(&self) -> [u32; 2] {
        let mut sum = crc32fast::Hasher::new();
        self.second.iter().for_each(|number| sum.update(&number.to_le_bytes()));
        [self.checkpoint, sum.finalize()]
    }
}

impl Cold {
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self { store, names: RwLock::default(), places: RwLock::default() }
    }

    /// Changes what is kept, all or nothing.
    ///
    /// # Errors
    /// [`StateError::Database`].
    pub fn change(&self, change: impl Fn(&mut Places, &Names, Put<'_>) -> Result<()>) -> Result<()> {
        let mut places = self.places.read().clone();
        {
            let names = self.names.read();
            self.store.change(&mut |put| change(&mut places, &names, put))?;
        }
        *self.places.write() = places;
        Ok(())
    }

    /// Visits everybody as they were at a checkpoint, with their key and the rest for [`Self::unpack`]; copies of later are
    /// removed. Returns what [`Places::sums`] gave then.
    ///
    /// # Errors
    /// [`StateError::Damaged`], [`StateError::Database`], and what `visit` returns.
    pub fn restore(&self, checkpoint: u32, visit: Visit<'_>) -> Result<[u32; 2]> {
        let mut later = Vec::new();
        let mut second = FxHashMap::default();
        self.store.scan(Space::VisitorsToo, &mut |number, bytes| {
            let cell = Cell { space: Space::VisitorsToo, number };
            match copy(number, bytes)?.checkpoint {
                own if own > checkpoint => later.push(cell),
                own => drop(second.insert(number, own)),
            }
            Ok(())
        })?;
        self.store.scan(Space::Visitors, &mut |number, bytes| {
            let own = copy(number, bytes)?;
            if own.checkpoint > checkpoint {
                later.push(Cell { space: Space::Visitors, number });
            } else if second.get(&number).is_none_or(|other| *other < own.checkpoint) {
                second.remove(&number);
                visit(number, own.key, own.packed)?;
            }
            Ok(())
        })?;
        self.store.scan(Space::VisitorsToo, &mut |number, bytes| {
            if second.contains_key(&number) {
                let own = copy(number, bytes)?;
                visit(number, own.key, own.packed)?;
            }
            Ok(())
        })?;
        self.store.change(&mut |put| later.iter().try_for_each(|cell| put(*cell, None)))?;
        let second = second.into_keys().collect();
        let places = Places { second, ahead: RoaringBitmap::new(), checkpoint };
        let sums = places.sums();
        *self.places.write() = places;
        Ok(sums)
    }

    /// The visitor behind a key.
    ///
    /// # Errors
    /// [`StateError::Damaged`].
    pub fn unpack(&self, number: u32, packed: &[u8]) -> Result<Visitor> {
        unpack(packed, &self.names.read()).ok_or_else(|| damaged(number, "it cannot be unpacked"))
    }

    /// A visitor that is kept.
    ///
    /// # Errors
    /// [`StateError::Damaged`] when the bytes are not what was written, or not there; [`StateError::Database`].
    pub fn get(&self, number: u32) -> Result<Visitor> {
        let place = self.places.read().newest(number);
        let cell = self.store.get(place)?.ok_or_else(|| damaged(number, "it is not there"))?;
        self.unpack(number, copy(number, &cell)?.packed)
    }
}

fn copy(number: u32, cell: &[u8]) -> Result<Copy<'_>> {
    let mut from = Reader { bytes: cell };
    let checkpoint = from.array().map(u32::from_le_bytes).ok_or_else(|| damaged(number, "it is of no checkpoint"))?;
    let key = from.str().ok_or_else(|| damaged(number, "it has no key"))?.into();
    Ok(Copy { checkpoint, key, packed: from.bytes })
}

fn damaged(number: u32, detail: &str) -> StateError {
    StateError::Damaged { what: format!("visitor {number}"), detail: detail.into() }
}
