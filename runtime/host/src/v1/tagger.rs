//! The world `tagger` of version 1.0.0: its generated bindings, and the way between them and core types.

use super::{bindings as strategy, error_out, event_kind_out, needs, within};
use crate::Fault;
use crate::call::{State, cut};
use crate::operations;
use crate::strategy::Description;
use qianmian_core::{ColumnValues, ItemRow, ReachError, Visitor};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Result, Store};

#[allow(missing_docs, reason = "generated; the documentation is in sdk/wit/tagger.wit")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "tagger",
        imports: { default: trappable },
        with: {
            "qianmian:strategy/types": super::strategy::qianmian::strategy::types,
            "qianmian:strategy/log": super::strategy::qianmian::strategy::log,
        },
    });
}

use bindings::qianmian::strategy::{catalogue, tagging};
use strategy::qianmian::strategy::types;

/// The world's name, for messages.
pub(crate) const WORLD: &str = "qianmian:strategy/tagger@1.0.0";
/// Everything a tagger may import.
pub(crate) const IMPORTS: [&str; 4] = [
    "qianmian:strategy/types@1.0.0",
    "qianmian:strategy/tagging@1.0.0",
    "qianmian:strategy/catalogue@1.0.0",
    "qianmian:strategy/log@1.0.0",
];

/// Fills a linker with everything [`IMPORTS`] names.
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    bindings::Tagger::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// A component that fits the world, ready to be instantiated.
pub(crate) struct Contract(bindings::TaggerPre<State>);

impl Contract {
    pub fn new(linker: &Linker<State>, component: &Component) -> Result<Self> {
        Ok(Self(bindings::TaggerPre::new(linker.instantiate_pre(component)?)?))
    }

    pub fn instantiate(&self, store: &mut Store<State>) -> Result<Instance> {
        Ok(Instance(self.0.instantiate(store)?))
    }
}

/// One instance, for one call.
pub(crate) struct Instance(bindings::Tagger);

impl Instance {
    /// What it is, and the tags it may give.
    pub fn describe(&self, store: &mut Store<State>) -> Result<Description> {
        let said = self.0.call_describe(store)?;
        Ok(Description {
            name: said.name,
            version: said.version,
            summary: said.summary,
            parameters_schema: said.parameters_schema,
            needs: needs(said.needs),
            tags: said.tags,
        })
    }

    /// For each of `tags` tags the visitors that have it, rising.
    pub fn tag(
        &self,
        store: &mut Store<State>,
        visitors: &[&Visitor],
        parameters: &str,
        tags: usize,
    ) -> Result<Vec<Vec<u32>>> {
        let request = request(store.data(), visitors, parameters);
        store.data_mut().items = request.visitors.items.iter().copied().map(ItemRow).collect();
        let given = match self.0.call_tag(&mut *store, &request)? {
            Ok(given) => given,
            Err(reject) => return Err(Fault::Rejected { reason: cut(&reject.reason, 1_000).to_owned() }.into()),
        };
        let wrong = |detail: String| Fault::WrongOutput { detail };
        if given.len() != tags {
            return Err(wrong(format!("{} lists of visitors for {tags} tags", given.len())).into());
        }
        for list in &given {
            within("visitors of a tag", list.len(), visitors.len())?;
            let rising = list.windows(2).all(|pair| pair[0] < pair[1]);
            if !rising || list.last().is_some_and(|last| *last as usize >= visitors.len()) {
                return Err(wrong("numbers of visitors that do not rise, or that are not there".to_owned()).into());
            }
        }
        Ok(given)
    }
}

/// The visitors in columns, as far as the tagger's needs go.
fn request(state: &State, visitors: &[&Visitor], parameters: &str) -> tagging::Request {
    let (ctx, grants) = (&state.call.ctx, &state.call.grants);
    let mut columns = tagging::Visitors {
        orders: Vec::new(),
        first_seen: Vec::new(),
        last_seen: Vec::new(),
        begins: Vec::new(),
        items: Vec::new(),
        kinds: Vec::new(),
        times: Vec::new(),
        attributes: Vec::new(),
    };
    if grants.history() {
        columns.begins.push(0);
        for visitor in visitors {
            columns.orders.push(visitor.orders);
            columns.first_seen.push(visitor.first_seen);
            columns.last_seen.push(visitor.last_seen);
            for one in &visitor.recent {
                columns.items.push(one.item.0);
                columns.kinds.push(event_kind_out(one.kind));
                columns.times.push(one.time);
            }
            columns.begins.push(columns.items.len() as u32);
        }
    }
    for name in &grants.needs.attributes {
        let value = |visitor: &&Visitor| visitor.attributes.get(name.as_str()).map_or("", |value| value).to_owned();
        columns.attributes.push((name.clone(), visitors.iter().map(value).collect()));
    }
    tagging::Request {
        count: visitors.len() as u32,
        visitors: columns,
        now: ctx.now,
        parameters: parameters.to_owned(),
    }
}

impl tagging::Host for State {}

impl catalogue::Host for State {
    fn numbers(&mut self, column: String) -> Result<Result<Vec<f32>, types::Error>> {
        let found = self.of_items(&column, |values| match values {
            ColumnValues::Numbers(values) => Ok(values),
            other => Err(operations::wrong_type(&column, &other, "numbers")),
        })?;
        Ok(found.map_err(error_out))
    }

    fn texts(&mut self, column: String) -> Result<Result<Vec<String>, types::Error>> {
        let found = self.of_items(&column, |values| match values {
            ColumnValues::Texts(values) => Ok(values.iter().map(ToString::to_string).collect()),
            other => Err(operations::wrong_type(&column, &other, "texts")),
        })?;
        Ok(found.map_err(error_out))
    }
}

impl State {
    /// A column of the items in the request's interactions.
    fn of_items<T>(
        &mut self,
        column: &str,
        take: impl FnOnce(ColumnValues) -> Result<T, ReachError>,
    ) -> Result<Result<T, ReachError>> {
        self.call.enter()?;
        let found = operations::item_column(&self.call, &self.items, column).and_then(take);
        self.call.check_clock()?;
        Ok(found)
    }
}
