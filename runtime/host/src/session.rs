//! One call into a component: a store of its own, and what it used.

use crate::call::{Call, Memory, State, no_reach};
use crate::engine::Shared;
use crate::strategy::check;
use crate::{Description, Fault, Limits, LoadError, Usage};
use qianmian_core::{Request, RequestContext, TimeMs, Visitor};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::ResourceTable;
use wasmtime::{Result, Store, UpdateDeadline};

/// Time for `describe`, which computes nothing.
const DESCRIBE: Duration = Duration::from_secs(1);

/// A call that ended, well or not.
pub(crate) struct Ended<T> {
    pub result: Result<T, Fault>,
    pub usage: Usage,
    /// What it left behind.
    pub call: Call,
}

/// Instantiates a component and calls it, in a store that is dropped afterwards, page or trap.
pub(crate) fn run<I, T>(
    shared: &Shared,
    call: Call,
    instantiate: impl FnOnce(&mut Store<State>) -> Result<I>,
    function: impl FnOnce(I, &mut Store<State>) -> Result<T>,
) -> Ended<T> {
    let (begun, limits) = (Instant::now(), call.limits);
    let mut store = store(shared, call);
    let instance = instantiate(&mut store);
    let instantiate = begun.elapsed();
    let result = instance.and_then(|instance| function(instance, &mut store));
    let wall = begun.elapsed();
    let fuel = limits.fuel - store.get_fuel().unwrap_or(0).min(limits.fuel);
    let State { call, memory, .. } = store.into_data();
    let (host_calls, sets, log_bytes) = (call.host_calls, call.sets_made, call.log_bytes);
    let usage = Usage { fuel, wall, memory: memory.peak, host_calls, sets, log_bytes, instantiate };
    Ended { result: result.map_err(|error| Fault::of(&error, &limits, call.log.last())), usage, call }
}

/// Asks a component what it is, for nobody and with nothing in reach, and checks the answer.
pub(crate) fn describe<I>(
    shared: &Shared,
    instantiate: impl FnOnce(&mut Store<State>) -> Result<I>,
    function: impl FnOnce(I, &mut Store<State>) -> Result<Description>,
) -> Result<Description, LoadError> {
    let limits = Limits { wall: DESCRIBE, ..Limits::default() };
    let call = Call::new(nobody(0), no_reach(), limits, Arc::clone(&shared.expressions), Arc::default());
    let description = run(shared, call, instantiate, function).result?;
    check(&description)?;
    Ok(description)
}

/// A context without a visitor.
pub(crate) fn nobody(now: TimeMs) -> Arc<RequestContext> {
    Arc::new(RequestContext::new(Request::default(), Arc::new(Visitor::default()), now, 0))
}

fn store(shared: &Shared, call: Call) -> Store<State> {
    let limits = call.limits;
    let memory = Memory { limit: limits.memory, peak: 0 };
    let mut store = Store::new(&shared.engine, State { call, sets: ResourceTable::new(), memory, items: Vec::new() });
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(limits.transfer_bytes);
    // Ticks come late on a busy machine, so a tick only asks the real clock.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        store.data().call.check_clock()?;
        Ok(UpdateDeadline::Continue(1))
    });
    // Fuel is on in every engine that `Host` makes.
    let _ = store.set_fuel(limits.fuel);
    store
}
