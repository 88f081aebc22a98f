//! The engine every strategy shares: its configuration, its clock, and loading.

use crate::call::{State, TABLE_ELEMENTS};
use crate::code::{self, CodeKey};
use crate::expressions::Expressions;
use crate::program::{Program, World};
use crate::strategy::Strategy;
use crate::tagger::Tagger;
use crate::{LoadError, inspect, v1};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often running strategies are interrupted to look at the clock.
const TICK: Duration = Duration::from_millis(1);

/// What the sandbox reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// Compositions at once; at least the number of threads that compose.
    pub instances: u32,
    /// Largest linear memory in bytes.
    pub max_memory: usize,
    /// Bytes of a slot's memory that are reset in place instead of being returned to the system. A strategy within
    /// it starts without page faults.
    pub keep_resident: usize,
    /// Largest component in bytes.
    pub max_component: usize,
    /// Parsed expressions kept.
    pub expressions: usize,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { instances: 64, max_memory: 16 << 20, keep_resident: 1 << 20, max_component: 4 << 20, expressions: 1_024 }
    }
}

/// What strategies keep alive: they may outlive the [`Host`] that loaded them.
pub(crate) struct Shared {
    pub engine: Engine,
    pub expressions: Arc<Expressions>,
    ticker: Ticker,
}

/// The sandbox. One a process is enough.
pub struct Host {
    shared: Arc<Shared>,
    strategies: Linker<State>,
    taggers: Linker<State>,
    config: HostConfig,
}

impl Host {
    /// Starts the engine and its clock thread.
    ///
    /// # Errors
    /// [`LoadError::Engine`] when the reservation or the thread cannot be made.
    pub fn new(config: HostConfig) -> Result<Self, LoadError> {
        let failed = |error: wasmtime::Error| LoadError::Engine(format!("{error:#}"));
        let engine = Engine::new(&engine_config(&config)).map_err(failed)?;
        let (mut strategies, mut taggers) = (Linker::new(&engine), Linker::new(&engine));
        v1::link(&mut strategies).map_err(failed)?;
        v1::tagger::link(&mut taggers).map_err(failed)?;
        let ticker = Ticker::start(engine.weak()).map_err(|error| LoadError::Engine(error.to_string()))?;
        let expressions = Arc::new(Expressions::new(config.expressions));
        Ok(Self { shared: Arc::new(Shared { engine, expressions, ticker }), strategies, taggers, config })
    }

    /// Checks and compiles a component, and asks it what it is. Takes as long as compiling does (tens of milliseconds
    /// for 50 KB): not for a request's path.
    ///
    /// # Errors
    /// The first check it does not pass.
    pub fn program(&self, component: &[u8]) -> Result<Program, LoadError> {
        let world = self.inspect(component)?;
        let compiled = Component::from_binary(&self.shared.engine, component)
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        self.describe(world, &compiled, component)
    }

    /// As [`Host::program`], for a strategy.
    ///
    /// # Errors
    /// The first check it does not pass.
    pub fn load(&self, component: &[u8]) -> Result<Arc<Strategy>, LoadError> {
        self.program(component)?.strategy().map(Arc::clone)
    }

    /// Reads every byte of a component before any of it is compiled.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, component: &[u8]) -> Result<(), LoadError> {
        self.inspect(component).map(drop)
    }

    fn inspect(&self, component: &[u8]) -> Result<World, LoadError> {
        if component.len() > self.config.max_component {
            return Err(LoadError::TooLarge { got: component.len(), limit: self.config.max_component });
        }
        inspect::check(component, self.config.max_memory)
    }

    /// Checks and compiles a component without running any of it: machine code to be sealed with [`CodeKey::seal`]. A
    /// hostile one may take gigabytes and minutes, so this belongs in a process with limits.
    ///
    /// # Errors
    /// As [`Host::check`], and what the compiler says.
    pub fn compile(&self, component: &[u8]) -> Result<Vec<u8>, LoadError> {
        self.check(component)?;
        code::compile(&self.shared.engine, component)
    }

    /// A program from code that was sealed for it; `None` when the seal is not this key's, or the code is of another
    /// version or configuration of the engine: compile it again then.
    ///
    /// # Errors
    /// As [`Host::load`].
    pub fn load_sealed(&self, key: &CodeKey, component: &[u8], sealed: &[u8]) -> Result<Option<Program>, LoadError> {
        let world = self.inspect(component)?;
        let compiled = code::open(&self.shared.engine, key, component, sealed);
        compiled.map(|compiled| self.describe(world, &compiled, component)).transpose()
    }

    /// Fits a compiled component to the contract and asks it what it is.
    fn describe(&self, world: World, compiled: &Component, component: &[u8]) -> Result<Program, LoadError> {
        let unfit = |world, error: wasmtime::Error| LoadError::World { world, detail: format!("{error:#}") };
        let shared = Arc::clone(&self.shared);
        Ok(match world {
            World::Strategy => {
                let contract =
                    v1::Contract::new(&self.strategies, compiled).map_err(|error| unfit(v1::WORLD, error))?;
                Program::Strategy(Arc::new(Strategy::new(shared, contract, component)?))
            }
            World::Tagger => {
                let contract = v1::tagger::Contract::new(&self.taggers, compiled)
                    .map_err(|error| unfit(v1::tagger::WORLD, error))?;
                Program::Tagger(Arc::new(Tagger::new(shared, contract, component)?))
            }
        })
    }

    /// The longest delay of a clock tick since this was last asked: how much later than its limit a strategy may have
    /// been stopped.
    #[must_use]
    pub fn ticker_lag(&self) -> Duration {
        Duration::from_micros(self.shared.ticker.lag.swap(0, Ordering::Relaxed))
    }
}

fn engine_config(host: &HostConfig) -> Config {
    let per_component = inspect::MAX_CORE_INSTANCES as u32;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(host.instances)
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(inspect::MAX_MEMORIES)
        .max_tables_per_component(per_component)
        .total_core_instances(host.instances.saturating_mul(per_component))
        .total_memories(host.instances.saturating_mul(inspect::MAX_MEMORIES))
        .total_tables(host.instances.saturating_mul(per_component))
        .max_memory_size(host.max_memory)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(host.keep_resident)
        .table_keep_resident(64 << 10)
        // Only pages that were written are reset, where the kernel can say which.
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .wasm_backtrace_max_frames(None)
        .wasm_memory64(false)
        // For the calls between a component's own parts, which wasmtime compiles; `inspect` refuses modules that use it.
        .wasm_multi_memory(true)
        .wasm_multi_value(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    config
}

/// Moves the engine's epoch on, so that running strategies look at the clock.
struct Ticker {
    stop: Arc<AtomicBool>,
    /// Microseconds.
    lag: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let lag = Arc::new(AtomicU64::new(0));
        let (stopped, late) = (Arc::clone(&stop), Arc::clone(&lag));
        #[expect(clippy::disallowed_methods, reason = "a thread of its own that does nothing but keep time")]
        let tick = move || {
            let mut last = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                let now = Instant::now();
                late.fetch_max(now.duration_since(last).saturating_sub(TICK).as_micros() as u64, Ordering::Relaxed);
                last = now;
            }
        };
        let thread = std::thread::Builder::new().name("sandbox-clock".to_owned()).spawn(tick)?;
        Ok(Self { stop, lag, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread only sleeps and counts: it cannot have panicked.
            let _ = thread.join();
        }
    }
}
