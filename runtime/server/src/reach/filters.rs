//! Filters of sources: a CEL condition over the catalogue, as a bitmap that is kept while the catalogue stands and mended
//! row by row when it changes.

use moka::sync::Cache;
use qianmian_core::expr::Expression;
use qianmian_core::{ItemRow, ReachError, RequestContext};
use qianmian_index::Filter;
use qianmian_state::{Catalogue, Folds, Item};
use std::sync::Arc;

/// Filters kept; a strategy that makes up texts for each request only ever costs itself.
const KEPT: u64 = 256;

/// Filters by text.
pub struct Filters(Cache<String, Arc<Known>>);

/// A filter, and of the catalogue it was made with only what tells which items changed since.
struct Known {
    version: u64,
    items: Arc<Vec<Arc<Item>>>,
    filter: Filter,
}

impl Default for Filters {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl Filters {
    /// The rows of `catalogue` that `condition` is true for.
    ///
    /// # Errors
    /// [`ReachError::Invalid`] for a column that is not the catalogue's, or types that do not fit.
    pub fn get(&self, catalogue: &Arc<Catalogue>, folds: &Folds, condition: &Expression) -> Result<Filter, ReachError> {
        let known = self.0.get(condition.source());
        if let Some(known) = &known
            && known.version == catalogue.version
        {
            return Ok(known.filter.clone());
        }
        if let Some(column) = condition.columns().iter().find(|name| !Folds::is_of_catalogue(name)) {
            return Err(ReachError::Invalid(format!(
                "the filter of a source reads {column}: it may read columns of the catalogue only, such as item.price; \
                 `keep` the others afterwards"
            )));
        }
        let filter = match known {
            Some(known) => mended(&known, catalogue, folds, condition)?,
            None => whole(catalogue, folds, condition)?,
        };
        let (version, items) = (catalogue.version, Arc::clone(&catalogue.items));
        let new = Known { version, items, filter: filter.clone() };
        self.0.insert(condition.source().to_owned(), Arc::new(new));
        Ok(filter)
    }
}

fn whole(catalogue: &Catalogue, folds: &Folds, condition: &Expression) -> Result<Filter, ReachError> {
    let rows: Vec<ItemRow> = (0..catalogue.len() as u32).map(ItemRow).collect();
    let mask = mask(catalogue, folds, condition, &rows)?;
    Ok(Filter::new(rows.into_iter().zip(mask).filter(|(_, is)| *is).map(|(row, _)| row)))
}

/// The same filter after the catalogue changed: only changed rows are asked about.
fn mended(known: &Known, catalogue: &Catalogue, folds: &Folds, condition: &Expression) -> Result<Filter, ReachError> {
    let before = &known.items;
    let changed: Vec<ItemRow> = catalogue
        .items
        .iter()
        .zip(0u32..)
        .filter(|(item, row)| !before.get(*row as usize).is_some_and(|before| Arc::ptr_eq(before, item)))
        .map(|(_, row)| ItemRow(row))
        .collect();
    let mask = mask(catalogue, folds, condition, &changed)?;
    let mut words = known.filter.words().to_vec();
    words.resize(catalogue.len().div_ceil(64), 0);
    for (row, is) in changed.into_iter().zip(mask) {
        let (word, bit) = (row.index() / 64, row.0 % 64);
        words[word] = words[word] & !(1 << bit) | u64::from(is) << bit;
    }
    Ok(Filter::from_words(words))
}

fn mask(
    catalogue: &Catalogue,
    folds: &Folds,
    condition: &Expression,
    rows: &[ItemRow],
) -> Result<Vec<bool>, ReachError> {
    // What is asked for depends on the catalogue alone.
    let nobody = RequestContext::new(Default::default(), Default::default(), 0, 0);
    condition.mask(rows.len(), &|name| {
        folds.column(catalogue, &nobody, rows, name).ok_or_else(|| ReachError::Unknown {
            what: "column",
            name: name.to_owned(),
            known: Folds::names().join(", "),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qianmian_state::State;

    fn item(id: &str, price: f32, tag: &str) -> Item {
        Item { id: id.into(), price: Some(price), tags: vec![tag.into()], ..Item::default() }
    }

    #[test]
    fn a_filter_follows_the_catalogue() {
        let state = State::in_memory().expect("a state");
        let filters = Filters::default();
        let condition = Expression::parse("item.price < 10.0 && 'tea' in item.tags").expect("a condition");
        let rows = || -> Vec<u32> {
            let catalogue = state.catalogue.current();
            let filter = filters.get(&catalogue, &state.folds, &condition).expect("a filter");
            let rows: Vec<u32> = filter.rows().map(|row| row.0).collect();
            let anew = whole(&catalogue, &state.folds, &condition).expect("a filter");
            assert_eq!(rows, anew.rows().map(|row| row.0).collect::<Vec<_>>());
            rows
        };
        state.catalogue.upsert(vec![item("a", 5.0, "tea"), item("b", 5.0, "cup")]).expect("taken");
        assert_eq!(rows(), [0]);
        let more = (0..130).map(|n| item(&format!("n{n}"), n as f32, "tea")).collect();
        state.catalogue.upsert(more).expect("taken");
        assert_eq!(rows().len(), 11);
        state.catalogue.patch("a", &serde_json::json!({ "price": 50 })).expect("changed");
        state.catalogue.patch("b", &serde_json::json!({ "tags": ["tea"] })).expect("changed");
        assert_eq!(rows()[..2], [1, 2]);
        let clock = Expression::parse("item.age_days < 3.0").expect("a condition");
        let error = filters.get(&state.catalogue.current(), &state.folds, &clock).expect_err("not the catalogue's");
        assert!(error.to_string().contains("item.age_days"), "{error}");
    }
}
