//! From a capture's terms to the process's own: places become rows.

use super::*;
use qianmian_core::expr::Expression;

/// Places to rows, while a capture is replayed.
pub(super) struct Rower {
    /// By place.
    pub rows: Vec<ItemRow>,
}

impl Rower {
    pub fn row(&self, place: u32) -> anyhow::Result<ItemRow> {
        self.rows.get(place as usize).copied().ok_or_else(|| anyhow::anyhow!("the capture names no item {place}"))
    }

    pub fn rows(&self, places: &[u32]) -> anyhow::Result<Vec<ItemRow>> {
        places.iter().map(|place| self.row(*place)).collect()
    }

    fn source(&self, spec: &CapturedSource) -> anyhow::Result<SourceSpec> {
        let basis = |history: &bool| if *history { Basis::History } else { Basis::Items };
        let source = match &spec.source {
            CapturedFrom::NearVisitor(space) => Source::NearVisitor { space: space.clone() },
            CapturedFrom::NearItems(space) => Source::NearItems { space: space.clone() },
            CapturedFrom::BoughtTogether { history } => Source::BoughtTogether(basis(history)),
            CapturedFrom::ViewedTogether { history } => Source::ViewedTogether(basis(history)),
            CapturedFrom::NextAfter { history } => Source::NextAfter(basis(history)),
            CapturedFrom::BuyAgain => Source::BuyAgain,
            CapturedFrom::Trending(scope) => Source::Trending(SCOPES[usize::from(*scope) % SCOPES.len()]),
            CapturedFrom::Newest => Source::Newest,
            CapturedFrom::Same(attribute) => Source::Same(ATTRIBUTES[usize::from(*attribute) % ATTRIBUTES.len()]),
            CapturedFrom::Listed(places) => Source::Listed(self.rows(places)?),
            CapturedFrom::Exploration => Source::Exploration,
        };
        let kinds = spec.kinds.iter().map(|kind| kind.parse().map_err(anyhow::Error::msg)).collect::<Result<_, _>>()?;
        let filter = spec.filter.as_deref().map(Expression::parse).transpose()?.map(Arc::new);
        Ok(SourceSpec { name: spec.name.clone(), source, limit: spec.limit, kinds, filter })
    }

    pub fn call(&self, call: CapturedCall) -> anyhow::Result<Call> {
        Ok(match call {
            CapturedCall::Retrieve { spec, found } => Call::Retrieve {
                spec: self.source(&spec)?,
                found: match found {
                    Ok(found) => Ok(found
                        .into_iter()
                        .map(|(place, score)| Ok((self.row(place)?, score)))
                        .collect::<anyhow::Result<_>>()?),
                    Err(error) => Err(error_in(error)),
                },
            },
            CapturedCall::Column { name, rows, values } => {
                Call::Column { name, rows: self.rows(&rows)?, values: values.map(values_in).map_err(error_in) }
            }
            CapturedCall::Rows { ids, rows } => Call::Rows {
                ids,
                rows: rows.into_iter().map(|row| row.map(|row| self.row(row)).transpose()).collect::<Result<_, _>>()?,
            },
            CapturedCall::Vectors { space, rows, vectors } => Call::Vectors {
                space,
                rows: self.rows(&rows)?,
                vectors: vectors.map(|(v, dim)| (v, dim as usize)).map_err(error_in),
            },
            CapturedCall::Score { model, rows, set, scores } => {
                Call::Score { model, rows: self.rows(&rows)?, set, scores: scores.map_err(error_in) }
            }
        })
    }

    pub fn visitor(&self, captured: &CapturedVisitor, catalogue: &Catalogue) -> anyhow::Result<Visitor> {
        let v = captured;
        let text = |text: &String| Arc::from(text.as_str());
        // A word no item uses any more stands for nothing.
        let symbols = |named: &[(String, f32)]| {
            named.iter().filter_map(|(word, value)| Some((catalogue.symbols.get(word)?, *value))).collect()
        };
        Ok(Visitor {
            recent: v
                .recent
                .iter()
                .map(|(item, kind, time)| {
                    let kind = kind.parse().map_err(anyhow::Error::msg)?;
                    Ok(Interaction { item: self.row(*item)?, kind, time: *time })
                })
                .collect::<anyhow::Result<_>>()?,
            items: v
                .items
                .iter()
                .map(|(item, history)| Ok((self.row(*item)?, history_in(history))))
                .collect::<anyhow::Result<_>>()?,
            orders: v.orders,
            order_lines: v.order_lines,
            spend: v.spend,
            price_sum: v.price_sum,
            events: v.events,
            first_seen: v.first_seen,
            last_seen: v.last_seen,
            last_order: v.last_order,
            order_times: v.order_times.clone(),
            categories: symbols(&v.categories),
            brands: symbols(&v.brands),
            tags: v.tags.iter().map(text).collect(),
            segments: v.segments.iter().map(text).collect(),
            attributes: v.attributes.iter().map(|(name, value)| (text(name), text(value))).collect(),
            channel: text(&v.channel),
            region: text(&v.region),
            version: v.version,
            // what these tell a strategy was recorded as columns
            ..Visitor::default()
        })
    }
}

fn values_in(values: CapturedValues) -> ColumnValues {
    let texts = |list: Vec<String>| list.into_iter().map(|text| Arc::from(text.as_str()));
    match values {
        CapturedValues::Numbers(numbers) => ColumnValues::Numbers(numbers),
        CapturedValues::Texts(list) => ColumnValues::Texts(texts(list).collect()),
        CapturedValues::Lists(lists) => ColumnValues::Lists(lists.into_iter().map(|l| texts(l).collect()).collect()),
    }
}

fn history_in(item: &CapturedHistory) -> ItemHistory {
    let CapturedHistory { impressions, views, carts, orders, quantity, last, last_impression, last_order, first_order } =
        *item;
    ItemHistory { impressions, views, carts, orders, quantity, last, last_impression, last_order, first_order }
}

fn error_in(error: CapturedError) -> ReachError {
    match error {
        CapturedError::Unknown(what, name, known) => {
            let what = THINGS.into_iter().find(|thing| *thing == what).unwrap_or("thing");
            ReachError::Unknown { what, name, known }
        }
        CapturedError::Invalid(detail) => ReachError::Invalid(detail),
        CapturedError::Failed(what, detail) => ReachError::Failed { what, detail },
    }
}
