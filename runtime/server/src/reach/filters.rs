//! Filters of sources: a CEL condition over the catalogue and the kinds asked for, as a bitmap that is kept while the
//! catalogue stands and mended row by row when it changes.

use moka::sync::Cache;
use qianmian_core::expr::Expression;
use qianmian_core::{ItemKind, ItemRow, ReachError, RequestContext};
use qianmian_index::Filter;
use qianmian_state::{Catalogue, Folds, Item};
use std::sync::Arc;

/// Filters kept; a strategy that makes up texts for each request only ever costs itself.
const KEPT: u64 = 256;

/// Filters by text and kinds.
pub struct Filters(Cache<(String, u8), Arc<Known>>);

/// What a source asks of the catalogue.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    condition: Option<&'a Expression>,
    /// Empty for all.
    kinds: &'a [ItemKind],
}

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
    /// The rows of `catalogue` that `condition` is true for, of these kinds; `None` when nothing is asked.
    ///
    /// # Errors
    /// [`ReachError::Invalid`] for a column that is not the catalogue's, or types that do not fit.
    pub fn get(
        &self,
        catalogue: &Arc<Catalogue>,
        folds: &Folds,
        condition: Option<&Expression>,
        kinds: &[ItemKind],
    ) -> Result<Option<Filter>, ReachError> {
        let wanted = Wanted { condition, kinds };
        if condition.is_none() && kinds.is_empty() {
            return Ok(None);
        }
        let set = kinds.iter().fold(0u8, |set, &kind| set | 1 << kind as u8);
        let key = (condition.map_or_else(String::new, |condition| condition.source().to_owned()), set);
        let known = self.0.get(&key);
        if let Some(known) = &known
            && known.version == catalogue.version
        {
            return Ok(Some(known.filter.clone()));
        }
        let columns = condition.map(Expression::columns).into_iter().flatten();
        if let Some(column) = columns.into_iter().find(|name| !Folds::is_of_catalogue(name)) {
            return Err(ReachError::Invalid(format!(
                "the filter of a source reads {column}: it may read columns of the catalogue only, such as item.price; \
                 `keep` the others afterwards"
            )));
        }
        let filter = match known {
            Some(known) => mended(&known, catalogue, folds, wanted)?,
            None => whole(catalogue, folds, wanted)?,
        };
        let (version, items) = (catalogue.version, Arc::clone(&catalogue.items));
        self.0.insert(key, Arc::new(Known { version, items, filter: filter.clone() }));
        Ok(Some(filter))
    }
}

fn whole(catalogue: &Catalogue, folds: &Folds, wanted: Wanted<'_>) -> Result<Filter, ReachError> {
    let rows: Vec<ItemRow> = (0..catalogue.len() as u32).map(ItemRow).collect();
    let mask = mask(catalogue, folds, wanted, &rows)?;
    Ok(Filter::new(rows.into_iter().zip(mask).filter(|(_, is)| *is).map(|(row, _)| row)))
}

/// The same filter after the catalogue changed: only changed rows are asked about. Where none of them changes sides it is
/// the very same one, with what the index worked out for it.
fn mended(known: &Known, catalogue: &Catalogue, folds: &Folds, wanted: Wanted<'_>) -> Result<Filter, ReachError> {
    let before = &known.items;
    let changed: Vec<ItemRow> = catalogue
        .items
        .iter()
        .zip(0u32..)
        .filter(|(item, row)| !before.get(*row as usize).is_some_and(|before| Arc::ptr_eq(before, item)))
        .map(|(_, row)| ItemRow(row))
        .collect();
    let mask = mask(catalogue, folds, wanted, &changed)?;
    if changed.iter().zip(&mask).all(|(&row, &is)| known.filter.contains(row) == is) {
        return Ok(known.filter.clone());
    }
    let mut words = known.filter.words().to_vec();
    words.resize(catalogue.len().div_ceil(64), 0);
    for (row, is) in changed.into_iter().zip(mask) {
        let (word, bit) = (row.index() / 64, row.0 % 64);
        words[word] = words[word] & !(1 << bit) | u64::from(is) << bit;
    }
    Ok(Filter::from_words(words))
}

fn mask(catalogue: &Catalogue, folds: &Folds, wanted: Wanted<'_>, rows: &[ItemRow]) -> Result<Vec<bool>, ReachError> {
    let of_kind = |row: &ItemRow| wanted.kinds.is_empty() || wanted.kinds.contains(&catalogue.kind[row.index()]);
    let Some(condition) = wanted.condition else { return Ok(rows.iter().map(of_kind).collect()) };
    // What is asked for depends on the catalogue alone.
    let nobody = RequestContext::new(Default::default(), Default::default(), 0, 0);
    let mut mask = condition.mask(rows.len(), &|name| {
        folds.column(catalogue, &nobody, rows, name).ok_or_else(|| ReachError::Unknown {
            what: "column",
            name: name.to_owned(),
            known: Folds::names().join(", "),
        })
    })?;
    mask.iter_mut().zip(rows).for_each(|(is, row)| *is &= of_kind(row));
    Ok(mask)
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
            let filter = filters.get(&catalogue, &state.folds, Some(&condition), &[]).expect("a filter").expect("one");
            let rows: Vec<u32> = filter.rows().map(|row| row.0).collect();
            let anew = whole(&catalogue, &state.folds, Wanted { condition: Some(&condition), kinds: &[] });
            let anew = anew.expect("a filter");
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
        let error =
            filters.get(&state.catalogue.current(), &state.folds, Some(&clock), &[]).expect_err("not the catalogue's");
        assert!(error.to_string().contains("item.age_days"), "{error}");
    }
    #[test]
    fn kinds_are_part_of_a_filter_and_what_stays_is_the_same_one() {
        let state = State::in_memory().expect("a state");
        let filters = Filters::default();
        let kind = |n: u32| if n.is_multiple_of(2) { ItemKind::Product } else { ItemKind::Content };
        let items = (0..100).map(|n| Item { kind: kind(n), ..item(&format!("n{n}"), n as f32, "tea") }).collect();
        state.catalogue.upsert(items).expect("taken");
        let cheap = Expression::parse("item.price < 10.0").expect("a condition");
        let get = |condition, kinds: &[ItemKind]| {
            filters.get(&state.catalogue.current(), &state.folds, condition, kinds).expect("a filter")
        };
        assert!(get(None, &[]).is_none());
        assert_eq!(get(None, &[ItemKind::Content]).map(|f| f.len()), Some(50));
        assert_eq!(get(Some(&cheap), &[ItemKind::Content]).map(|f| f.len()), Some(5));
        let before = get(Some(&cheap), &[]).expect("one");
        assert_eq!(before.len(), 10);
        state.catalogue.patch("n50", &serde_json::json!({ "price": 51 })).expect("changed");
        assert_eq!(get(Some(&cheap), &[]).expect("one").words().as_ptr(), before.words().as_ptr());
        state.catalogue.patch("n50", &serde_json::json!({ "price": 5 })).expect("changed");
        assert_eq!(get(Some(&cheap), &[]).map(|f| f.len()), Some(11));
    }
}
