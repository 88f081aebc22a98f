//! Version 1.0.0 of the contract: the generated bindings of the world `strategy`, and the way between them and core types.

pub(crate) mod tagger;

use crate::call::{Call, State, cut};
use crate::operations;
use crate::strategy::Description;
use crate::{Fault, Limits, Needs};
use qianmian_core::source::Attribute;
use qianmian_core::{
    Basis, Candidates, EventKind, ItemKind, ItemRow, Page, ReachError, RequestContext, Scope, Shelf, Source, SourceSpec,
};
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Result, Store};

#[allow(missing_docs, reason = "generated; the documentation is in sdk/wit/strategy.wit")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "strategy",
        imports: { default: trappable },
        with: { "qianmian:strategy/retrieval.candidates": qianmian_core::Candidates },
        trappable_error_type: { "qianmian:strategy/types.error" => super::HostError },
    });
}

use bindings::qianmian::strategy::{log, retrieval, types, visitor};

/// The world's name, for messages.
pub(crate) const WORLD: &str = "qianmian:strategy/strategy@1.0.0";
/// Everything a strategy may import.
pub(crate) const IMPORTS: [&str; 4] = [
    "qianmian:strategy/types@1.0.0",
    "qianmian:strategy/visitor@1.0.0",
    "qianmian:strategy/retrieval@1.0.0",
    "qianmian:strategy/log@1.0.0",
];

type Set = Resource<Candidates>;

/// An error for the strategy, or the end of the call.
pub(crate) enum HostError {
    Reach(ReachError),
    End(wasmtime::Error),
}

impl From<ReachError> for HostError {
    fn from(error: ReachError) -> Self {
        Self::Reach(error)
    }
}

impl From<Fault> for HostError {
    fn from(fault: Fault) -> Self {
        Self::End(fault.into())
    }
}

impl From<wasmtime::Error> for HostError {
    fn from(error: wasmtime::Error) -> Self {
        Self::End(error)
    }
}

/// Fills a linker with everything [`IMPORTS`] names.
pub(crate) fn link(linker: &mut Linker<State>) -> Result<()> {
    bindings::Strategy::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// A component that fits the world, ready to be instantiated.
pub(crate) struct Contract(bindings::StrategyPre<State>);

impl Contract {
    pub fn new(linker: &Linker<State>, component: &Component) -> Result<Self> {
        Ok(Self(bindings::StrategyPre::new(linker.instantiate_pre(component)?)?))
    }

    pub fn instantiate(&self, store: &mut Store<State>) -> Result<Instance> {
        Ok(Instance(self.0.instantiate(store)?))
    }
}

/// One instance, for one call.
pub(crate) struct Instance(bindings::Strategy);

impl Instance {
    pub fn describe(&self, store: &mut Store<State>) -> Result<Description> {
        let said = self.0.call_describe(store)?;
        Ok(Description {
            name: said.name,
            version: said.version,
            summary: said.summary,
            parameters_schema: said.parameters_schema,
            needs: needs(said.needs),
            tags: Vec::new(),
        })
    }

    pub fn compose(&self, store: &mut Store<State>, parameters: &str) -> Result<Page> {
        let request = request(&store.data().call.ctx, parameters);
        let page = match self.0.call_compose(&mut *store, &request)? {
            Ok(page) => page,
            Err(reject) => return Err(Fault::Rejected { reason: cut(&reject.reason, 1_000).to_owned() }.into()),
        };
        let state = store.data_mut();
        let limits = state.call.limits;
        within("shelves of the page", page.shelves.len(), limits.shelves)?;
        let mut slots = 0;
        let mut shelves = Vec::with_capacity(page.shelves.len());
        for shelf in page.shelves {
            let shelf = take_shelf(&mut state.sets, shelf, &limits)?;
            slots += shelf.slots.len();
            within("slots of the page", slots, limits.slots)?;
            shelves.push(shelf);
        }
        Ok(Page { shelves })
    }
}

fn needs(said: types::Needs) -> Needs {
    let types::Needs { sources, spaces, models, columns, attributes, tags, history } = said;
    Needs { sources, spaces, models, columns, attributes, tags, history }
}

fn take_shelf(sets: &mut ResourceTable, shelf: bindings::Shelf, limits: &Limits) -> Result<Shelf> {
    let slots = sets.delete(shelf.slots)?;
    within("bytes of a shelf's id", shelf.id.len(), limits.text_bytes)?;
    within("bytes of a shelf's title", shelf.title.len(), limits.text_bytes)?;
    within("copies of a shelf", shelf.copies.len(), slots.len())?;
    for copy in &shelf.copies {
        within("bytes of a slot's copy", copy.len(), limits.text_bytes)?;
    }
    Ok(Shelf { id: shelf.id, title: shelf.title, slots, copies: shelf.copies })
}

fn within(what: &'static str, got: usize, limit: usize) -> Result<(), Fault> {
    if got > limit {
        return Err(Fault::OutputLimit { what, got, limit });
    }
    Ok(())
}

fn request(ctx: &RequestContext, parameters: &str) -> types::Request {
    let asked = &ctx.request;
    types::Request {
        scenario: asked.scenario.clone(),
        channel: asked.channel.clone(),
        region: asked.region.clone(),
        context: asked.context.clone(),
        items: asked.items.iter().map(|row| row.0).collect(),
        limit: asked.limit,
        personalised: asked.personalised,
        now: ctx.now,
        seed: ctx.seed,
        parameters: parameters.to_owned(),
    }
}

impl State {
    fn enter(&mut self) -> Result<&mut Call, Fault> {
        self.call.enter()?;
        Ok(&mut self.call)
    }

    /// Runs an operation on a set, and records it.
    fn on<T>(
        &mut self,
        handle: &Set,
        operation: &'static str,
        argument: impl FnOnce() -> String,
        run: impl FnOnce(&mut Call, &mut Candidates) -> Result<T, ReachError>,
    ) -> Result<T, HostError> {
        self.call.enter()?;
        let set = self.sets.get_mut(handle).map_err(wasmtime::Error::from)?;
        let start = self.call.start_step(Some(set));
        let result = run(&mut self.call, set);
        let said = result.as_ref().err().map(ToString::to_string);
        let argument = || said.unwrap_or_else(argument);
        self.call.end_step(start, operation, argument, set);
        // What the clock cut short is no failure of the operation.
        self.call.check_clock()?;
        if let Err(error @ ReachError::Failed { .. }) = &result
            && !matches!(operation, "score" | "spread")
        {
            self.call.degrade(format!("failed:{operation}"), error);
        }
        Ok(result?)
    }

    /// The same where the contract knows no error: there is none but the end of the call.
    fn always<T>(
        &mut self,
        handle: &Set,
        operation: &'static str,
        argument: impl FnOnce() -> String,
        run: impl FnOnce(&mut Call, &mut Candidates) -> T,
    ) -> Result<T> {
        self.on(handle, operation, argument, |call, set| Ok(run(call, set))).map_err(|error| match error {
            HostError::End(error) => error,
            HostError::Reach(error) => wasmtime::Error::new(error),
        })
    }

    fn new_set(&mut self, set: Candidates) -> Result<Set> {
        self.call.make_set()?;
        Ok(self.sets.push(set)?)
    }
}

impl types::Host for State {
    fn convert_error(&mut self, error: HostError) -> Result<types::Error> {
        match error {
            HostError::End(error) => Err(error),
            HostError::Reach(error) => Ok(error_out(error)),
        }
    }
}

fn error_out(error: ReachError) -> types::Error {
    let text = cut(&error.to_string(), 1_000).to_owned();
    match error {
        ReachError::Unknown { .. } => types::Error::Unknown(text),
        ReachError::Denied { .. } => types::Error::Denied(text),
        ReachError::Invalid(_) => types::Error::Invalid(text),
        ReachError::Failed { .. } => types::Error::Failed(text),
    }
}

impl log::Host for State {
    fn write(&mut self, line: String) -> Result<()> {
        self.enter()?.write(&line);
        Ok(())
    }
}

impl visitor::Host for State {
    fn known(&mut self) -> Result<bool> {
        Ok(!self.enter()?.ctx.visitor.is_unknown())
    }

    fn orders(&mut self) -> Result<u32> {
        let call = self.enter()?;
        Ok(if call.grants.history() { call.ctx.visitor.orders } else { 0 })
    }

    fn tags(&mut self) -> Result<Vec<String>> {
        let call = self.enter()?;
        let visitor = &call.ctx.visitor;
        // a segment is a tag of the name `segment:NAME`
        let segments = visitor.segments.iter().map(|segment| format!("segment:{segment}"));
        let tags = visitor.tags.iter().map(ToString::to_string).chain(segments);
        Ok(tags.filter(|tag| call.grants.tag(tag)).collect())
    }

    fn recent(&mut self, kinds: Vec<types::EventKind>, limit: u32) -> Result<visitor::Interactions> {
        let call = self.enter()?;
        let kinds = event_kinds(&kinds);
        let mut found = visitor::Interactions { items: Vec::new(), kinds: Vec::new(), times: Vec::new() };
        let recent = if call.grants.history() { call.ctx.visitor.recent.as_slice() } else { &[] };
        let wanted = recent.iter().filter(|event| kinds.is_empty() || kinds.contains(&event.kind));
        for event in wanted.take(limit as usize) {
            found.items.push(event.item.0);
            found.kinds.push(event_kind_out(event.kind));
            found.times.push(event.time);
        }
        Ok(found)
    }

    fn attribute(&mut self, name: String) -> Result<Option<String>> {
        let call = self.enter()?;
        if !call.grants.attribute(&name) {
            return Ok(None);
        }
        Ok(call.ctx.visitor.attributes.get(name.as_str()).map(ToString::to_string))
    }
}

impl retrieval::Host for State {
    fn retrieve(&mut self, sources: Vec<retrieval::Source>) -> Result<Set, HostError> {
        let call = self.enter()?;
        let start = call.start_step(None);
        operations::few_enough("sources", sources.len())?;
        let specs: Vec<SourceSpec> = sources.into_iter().map(|spec| source(call, spec)).collect::<Result<_, _>>()?;
        let set = operations::retrieve(call, &specs);
        call.check_clock()?;
        let set = set?;
        let argument = || specs.iter().map(|s| format!("{}:{}", s.name, s.limit)).collect::<Vec<_>>().join(" ");
        call.end_step(start, "retrieve", argument, &set);
        Ok(self.new_set(set)?)
    }
}

impl retrieval::HostCandidates for State {
    fn size(&mut self, this: Set) -> Result<u32> {
        self.enter()?;
        Ok(self.sets.get(&this)?.len() as u32)
    }

    fn rows(&mut self, this: Set) -> Result<Vec<u32>> {
        self.enter()?;
        Ok(self.sets.get(&this)?.rows().iter().map(|row| row.0).collect())
    }

    fn ids(&mut self, this: Set) -> Result<Vec<String>> {
        self.enter()?;
        let rows = self.sets.get(&this)?.rows();
        Ok(self.call.reach.columns.ids(rows).iter().map(ToString::to_string).collect())
    }

    fn numbers(&mut self, this: Set, name: String) -> Result<Vec<f32>, HostError> {
        self.on(&this, "numbers", || name.clone(), |call, set| operations::numbers(call, set, &name))
    }

    fn texts(&mut self, this: Set, name: String) -> Result<Vec<String>, HostError> {
        let texts = self.on(&this, "texts", || name.clone(), |call, set| operations::texts(call, set, &name))?;
        Ok(texts.iter().map(ToString::to_string).collect())
    }

    fn put(&mut self, this: Set, name: String, values: Vec<f32>) -> Result<(), HostError> {
        self.on(&this, "put", || name.clone(), |_, set| operations::put(set, &name, values))
    }

    fn keep(&mut self, this: Set, expression: String) -> Result<u32, HostError> {
        self.on(&this, "keep", || expression.clone(), |call, set| operations::keep(call, set, &expression))
    }

    fn score(&mut self, this: Set, model: String) -> Result<(), HostError> {
        self.on(
            &this,
            "score",
            || model.clone(),
            |call, set| operations::score(call, set, &model).inspect_err(|error| degrade(call, "model", &model, error)),
        )
    }

    fn compute(&mut self, this: Set, name: String, formula: String) -> Result<(), HostError> {
        let argument = || format!("{name} = {formula}");
        self.on(&this, "compute", argument, |call, set| operations::compute(call, set, &name, &formula))
    }

    fn order_by(&mut self, this: Set, name: String) -> Result<(), HostError> {
        self.on(&this, "order-by", || name.clone(), |call, set| operations::order_by(call, set, &name))
    }

    fn blend(&mut self, this: Set, weights: Vec<(String, f32)>) -> Result<(), HostError> {
        let argument = || weights.iter().map(|(name, w)| format!("{name}:{w}")).collect::<Vec<_>>().join(" ");
        self.on(&this, "blend", argument, |call, set| operations::blend(call, set, &weights))
    }

    fn spread(&mut self, this: Set, space: String, strength: f32, window: u32) -> Result<(), HostError> {
        let argument = || format!("{space}, strength {strength}, window {window}");
        self.on(&this, "spread", argument, |call, set| {
            operations::spread(call, set, &space, strength, window)
                .inspect_err(|error| degrade(call, "space", &space, error))
        })
    }

    fn cap(&mut self, this: Set, name: String, most: u32, overflow: retrieval::Overflow) -> Result<(), HostError> {
        let last = overflow == retrieval::Overflow::Last;
        let argument = || format!("{name}, {most}{}", if last { ", the others last" } else { "" });
        self.on(&this, "cap", argument, |call, set| operations::cap(call, set, &name, most, last))
    }

    fn pin(&mut self, this: Set, ids: Vec<String>) -> Result<()> {
        self.always(&this, "pin", || ids.join(" "), |call, set| operations::pin(call, set, &ids))
    }

    fn without_seen(&mut self, this: Set, kinds: Vec<types::EventKind>) -> Result<u32> {
        let kinds = event_kinds(&kinds);
        let argument = || kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" ");
        self.always(&this, "without-seen", argument, |call, set| operations::without_seen(call, set, &kinds))
    }

    fn without(&mut self, this: Set, rows: Vec<u32>) -> Result<u32> {
        let rows: Vec<ItemRow> = rows.into_iter().map(ItemRow).collect();
        let argument = || format!("{} rows", rows.len());
        self.always(&this, "without", argument, |_, set| operations::without(set, &rows))
    }

    fn take(&mut self, this: Set, count: u32) -> Result<()> {
        self.always(&this, "take", || count.to_string(), |_, set| set.take(count as usize))
    }

    fn split(&mut self, this: Set, count: u32) -> Result<Set> {
        let front = self.always(&this, "split", || count.to_string(), |_, set| set.split_off_front(count as usize))?;
        self.new_set(front)
    }

    fn drop(&mut self, this: Set) -> Result<()> {
        self.sets.delete(this)?;
        Ok(())
    }
}

/// A model or a space that is not there, or fails, makes a worse answer, not none: the answer says so.
fn degrade(call: &mut Call, what: &str, name: &str, error: &ReachError) {
    if !matches!(error, ReachError::Invalid(_)) {
        call.degrade(format!("{what}:{}", cut(name, 64)), error);
    }
}

fn source(call: &Call, spec: retrieval::Source) -> Result<SourceSpec, ReachError> {
    use retrieval::Origin;
    let source = match spec.origin {
        Origin::NearVisitor(space) => Source::NearVisitor { space },
        Origin::NearItems(space) => Source::NearItems { space },
        Origin::BoughtTogether(from) => Source::BoughtTogether(basis(from)),
        Origin::ViewedTogether(from) => Source::ViewedTogether(basis(from)),
        Origin::NextAfter(from) => Source::NextAfter(basis(from)),
        Origin::BuyAgain => Source::BuyAgain,
        Origin::Trending(scope) => Source::Trending(match scope {
            retrieval::Scope::All => Scope::All,
            retrieval::Scope::Channel => Scope::Channel,
            retrieval::Scope::Region => Scope::Region,
            retrieval::Scope::Segment => Scope::Segment,
        }),
        Origin::Newest => Source::Newest,
        Origin::Same(attribute) => Source::Same(match attribute {
            retrieval::Attribute::Category => Attribute::Category,
            retrieval::Attribute::Brand => Attribute::Brand,
            retrieval::Attribute::Tag => Attribute::Tag,
        }),
        Origin::Listed(ids) => Source::Listed(call.reach.columns.rows(&ids).into_iter().flatten().collect()),
        Origin::Exploration => Source::Exploration,
    };
    let mut named = [false; ItemKind::ALL.len()];
    spec.kinds.into_iter().for_each(|kind| named[item_kind(kind) as usize] = true);
    let kinds = ItemKind::ALL.into_iter().filter(|kind| named[*kind as usize]).collect();
    let filter = (!spec.filter.is_empty()).then(|| call.expressions.get(&spec.filter)).transpose()?;
    Ok(SourceSpec { name: spec.name, source, limit: spec.limit, kinds, filter })
}

fn basis(from: retrieval::Basis) -> Basis {
    match from {
        retrieval::Basis::Items => Basis::Items,
        retrieval::Basis::History => Basis::History,
    }
}

fn item_kind(kind: types::ItemKind) -> ItemKind {
    match kind {
        types::ItemKind::Product => ItemKind::Product,
        types::ItemKind::Content => ItemKind::Content,
        types::ItemKind::Offer => ItemKind::Offer,
        types::ItemKind::Copy => ItemKind::Copy,
        types::ItemKind::Channel => ItemKind::Channel,
    }
}

/// Pairs of the two enumerations, used both ways.
const EVENT_KINDS: [(types::EventKind, EventKind); 8] = [
    (types::EventKind::Impression, EventKind::Impression),
    (types::EventKind::View, EventKind::View),
    (types::EventKind::Click, EventKind::Click),
    (types::EventKind::Cart, EventKind::Cart),
    (types::EventKind::Purchase, EventKind::Purchase),
    (types::EventKind::Rating, EventKind::Rating),
    (types::EventKind::Search, EventKind::Search),
    (types::EventKind::Custom, EventKind::Custom),
];

/// Each once, however often a strategy names it: what is asked for every item must be short.
fn event_kinds(kinds: &[types::EventKind]) -> Vec<EventKind> {
    let mut named = [false; EVENT_KINDS.len()];
    kinds.iter().for_each(|kind| named[*kind as usize] = true);
    EVENT_KINDS.iter().filter(|(theirs, _)| named[*theirs as usize]).map(|(_, ours)| *ours).collect()
}

fn event_kind_out(kind: EventKind) -> types::EventKind {
    EVENT_KINDS.iter().find(|(_, ours)| *ours == kind).map_or(types::EventKind::Custom, |(theirs, _)| *theirs)
}
