//! Building a page.

use crate::{Row, Set, bindings};

/// A page: shelves in reading order.
#[derive(Debug, Default)]
pub struct Page {
    shelves: Vec<bindings::Shelf>,
    rows: Vec<Row>,
}

impl Page {
    /// A page without shelves. Served as it is, the host fills it with what is popular.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a shelf; an empty title shows none.
    #[must_use]
    pub fn shelf(self, id: &str, title: &str, slots: Set) -> Self {
        self.shelf_with_copies(id, title, slots, Vec::new())
    }

    /// Adds a shelf with words beside its slots, in order.
    #[must_use]
    pub fn shelf_with_copies(mut self, id: &str, title: &str, slots: Set, copies: Vec<String>) -> Self {
        self.push(id, title, slots, copies);
        self
    }

    /// Adds a shelf and remembers its rows; one without slots is left out.
    pub fn push(&mut self, id: &str, title: &str, slots: Set, copies: Vec<String>) {
        let rows = slots.rows();
        if rows.is_empty() {
            return;
        }
        self.rows.extend(rows);
        let slots = slots.into_inner();
        self.shelves.push(bindings::Shelf { id: id.to_owned(), title: title.to_owned(), slots, copies });
    }

    /// The rows of all shelves so far: what the next shelf should be without.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many of `limit` slots are still free.
    #[must_use]
    pub fn room(&self, limit: u32) -> u32 {
        limit.saturating_sub(self.rows.len() as u32)
    }

    pub(crate) fn into_inner(self) -> bindings::Page {
        bindings::Page { shelves: self.shelves }
    }
}
