//! Visitors as they are kept on disk: read there while memory has no room for them, and at the next start.

use super::names::Names;
use super::packed::{pack, unpack};
use crate::bytes::{Reader, put_text};
use crate::error::{Result, StateError};
use crate::store::{Cell, Space, StateStore};
use parking_lot::RwLock;
use qianmian_core::Visitor;
use std::sync::Arc;

/// Visitors by number, each with their key.
pub(crate) struct Cold {
    pub store: Arc<dyn StateStore>,
    pub names: RwLock<Names>,
}

impl Cold {
    pub fn new(store: Arc<dyn StateStore>) -> Self {
        Self { store, names: RwLock::default() }
    }

    /// The cell of a visitor at the last checkpoint.
    pub fn cell(number: u32) -> Cell {
        Cell { space: Space::Visitors, number }
    }

    /// The cell of a visitor who left memory after it.
    pub fn ahead(number: u32) -> Cell {
        Cell { space: Space::Ahead, number }
    }

    /// A visitor as their cell holds them.
    pub fn pack(names: &Names, key: &str, visitor: &Visitor) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(320);
        put_text(&mut bytes, key);
        pack(visitor, names, &mut bytes);
        bytes
    }

    /// The key of a cell, and what is left to [`Self::unpack`].
    ///
    /// # Errors
    /// [`StateError::Damaged`].
    pub fn key(number: u32, cell: &[u8]) -> Result<(Arc<str>, &[u8])> {
        let mut from = Reader { bytes: cell };
        let key = from.str().ok_or_else(|| damaged(number, "it has no key"))?;
        Ok((key.into(), from.bytes))
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
        // a checkpoint moves it from the first to the second at once
        let mut cell = self.store.get(Self::ahead(number))?;
        if cell.is_none() {
            cell = self.store.get(Self::cell(number))?;
        }
        let cell = cell.ok_or_else(|| damaged(number, "it is not there"))?;
        let (_, packed) = Self::key(number, &cell)?;
        self.unpack(number, packed)
    }
}

fn damaged(number: u32, detail: &str) -> StateError {
    StateError::Damaged { what: format!("visitor {number}"), detail: detail.into() }
}
