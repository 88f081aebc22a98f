//! From the process's own terms to a capture's: rows become places in its list of items.

use super::*;

/// Rows to places, while a capture is made.
pub(super) struct Namer<'a> {
    catalogue: &'a Catalogue,
    /// Ids and kinds, by place.
    pub items: Vec<(String, String)>,
    places: FxHashMap<ItemRow, u32>,
}

impl<'a> Namer<'a> {
    pub fn new(catalogue: &'a Catalogue) -> Self {
        Self { catalogue, items: Vec::new(), places: FxHashMap::default() }
    }

    pub fn place(&mut self, row: ItemRow) -> u32 {
        let (catalogue, items) = (self.catalogue, &mut self.items);
        *self.places.entry(row).or_insert_with(|| {
            let id = catalogue.ids.get(row.index()).map(ToString::to_string).unwrap_or_default();
            let kind = catalogue.kind.get(row.index()).copied().unwrap_or_default();
            items.push((id, kind.to_string()));
            (items.len() - 1) as u32
        })
    }

    pub fn places(&mut self, rows: &[ItemRow]) -> Vec<u32> {
        rows.iter().map(|row| self.place(*row)).collect()
    }

    fn source(&mut self, spec: &SourceSpec) -> CapturedSource {
        let history = |basis: &Basis| *basis == Basis::History;
        let source = match &spec.source {
            Source::NearVisitor { space } => CapturedFrom::NearVisitor(space.clone()),
            Source::NearItems { space } => CapturedFrom::NearItems(space.clone()),
            Source::BoughtTogether(basis) => CapturedFrom::BoughtTogether { history: history(basis) },
            Source::ViewedTogether(basis) => CapturedFrom::ViewedTogether { history: history(basis) },
            Source::NextAfter(basis) => CapturedFrom::NextAfter { history: history(basis) },
            Source::BuyAgain => CapturedFrom::BuyAgain,
            Source::Trending(scope) => CapturedFrom::Trending(at(&SCOPES, scope)),
            Source::Newest => CapturedFrom::Newest,
            Source::Same(attribute) => CapturedFrom::Same(at(&ATTRIBUTES, attribute)),
            Source::Listed(rows) => CapturedFrom::Listed(self.places(rows)),
            Source::Exploration => CapturedFrom::Exploration,
        };
        let kinds = spec.kinds.iter().map(ToString::to_string).collect();
        let filter = spec.filter.as_ref().map(|filter| filter.source().to_owned());
        CapturedSource { name: spec.name.clone(), limit: spec.limit, kinds, source, filter }
    }

    pub fn call(&mut self, call: &Call) -> CapturedCall {
        match call {
            Call::Retrieve { spec, found } => CapturedCall::Retrieve {
                spec: self.source(spec),
                found: match found {
                    Ok(found) => Ok(found.iter().map(|(row, score)| (self.place(*row), *score)).collect()),
                    Err(error) => Err(error_out(error)),
                },
            },
            Call::Column { name, rows, values } => CapturedCall::Column {
                name: name.clone(),
                rows: self.places(rows),
                values: values.as_ref().map(values_out).map_err(error_out),
            },
            Call::Rows { ids, rows } => CapturedCall::Rows {
                ids: ids.clone(),
                rows: rows.iter().map(|row| row.map(|row| self.place(row))).collect(),
            },
            Call::Vectors { space, rows, vectors } => CapturedCall::Vectors {
                space: space.clone(),
                rows: self.places(rows),
                vectors: vectors.as_ref().map(|(v, dim)| (v.clone(), *dim as u32)).map_err(error_out),
            },
            Call::Score { model, rows, set, scores } => CapturedCall::Score {
                model: model.clone(),
                rows: self.places(rows),
                set: *set,
                scores: scores.clone().map_err(|error| error_out(&error)),
            },
        }
    }

    pub fn visitor(&mut self, visitor: &Visitor) -> CapturedVisitor {
        let texts = |list: &[Arc<str>]| list.iter().map(ToString::to_string).collect();
        let symbols = self.catalogue.symbols.clone();
        let named = |map: &FxHashMap<u32, f32>| {
            let mut named: Vec<(String, f32)> =
                map.iter().map(|(symbol, value)| (symbols.text(*symbol).to_string(), *value)).collect();
            named.sort_by(|a, b| a.0.cmp(&b.0));
            named
        };
        let mut items: Vec<(ItemRow, ItemHistory)> = visitor.items.iter().map(|(row, item)| (*row, *item)).collect();
        items.sort_unstable_by_key(|(row, _)| *row);
        CapturedVisitor {
            recent: visitor
                .recent
                .iter()
                .map(|one| (self.place(one.item), one.kind.as_str().to_owned(), one.time))
                .collect(),
            items: items.iter().map(|(row, item)| (self.place(*row), history_out(item))).collect(),
            orders: visitor.orders,
            order_lines: visitor.order_lines,
            spend: visitor.spend,
            price_sum: visitor.price_sum,
            events: visitor.events,
            first_seen: visitor.first_seen,
            last_seen: visitor.last_seen,
            last_order: visitor.last_order,
            order_times: visitor.order_times.clone(),
            categories: named(&visitor.categories),
            brands: named(&visitor.brands),
            tags: texts(&visitor.tags),
            segments: texts(&visitor.segments),
            attributes: visitor.attributes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            channel: visitor.channel.to_string(),
            region: visitor.region.to_string(),
            version: visitor.version,
        }
    }
}

fn at<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|other| other == one).unwrap_or(0) as u8
}

fn values_out(values: &ColumnValues) -> CapturedValues {
    match values {
        ColumnValues::Numbers(numbers) => CapturedValues::Numbers(numbers.clone()),
        ColumnValues::Texts(texts) => CapturedValues::Texts(texts.iter().map(ToString::to_string).collect()),
        ColumnValues::Lists(lists) => {
            CapturedValues::Lists(lists.iter().map(|list| list.iter().map(ToString::to_string).collect()).collect())
        }
    }
}

fn history_out(item: &ItemHistory) -> CapturedHistory {
    let ItemHistory { impressions, views, carts, orders, quantity, last, last_impression, last_order, first_order } =
        *item;
    CapturedHistory { impressions, views, carts, orders, quantity, last, last_impression, last_order, first_order }
}

fn error_out(error: &ReachError) -> CapturedError {
    match error {
        ReachError::Unknown { what, name, known } => {
            CapturedError::Unknown((*what).to_owned(), name.clone(), known.clone())
        }
        // The sandbox denies before it reaches: no call of a tape ends so.
        ReachError::Denied { .. } => CapturedError::Invalid(error.to_string()),
        ReachError::Invalid(detail) => CapturedError::Invalid(detail.clone()),
        ReachError::Failed { what, detail } => CapturedError::Failed(what.clone(), detail.clone()),
    }
}
