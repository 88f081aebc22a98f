//! Why a composition gave no page, and why a component was refused.

use std::time::Duration;
use wasmtime::{PoolConcurrencyLimitError, Trap};

/// Why a composition gave no page. [`Fault::code`] is stable: it stands in answers and metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It ran into a trap: a panic, an access out of bounds, a handle it does not own.
    #[error("the strategy trapped: {detail}")]
    Trap {
        /// The trap, and the last line it logged.
        detail: String,
    },
    /// The wall clock ran out.
    #[error("the strategy took more than {limit:?}: do less, or raise the scenario's wall clock")]
    Timeout {
        /// The budget.
        limit: Duration,
    },
    /// The instructions ran out.
    #[error("the strategy used more than {limit} units of fuel: leave heavy work to host operations")]
    OutOfFuel {
        /// The budget.
        limit: u64,
    },
    /// It asked for more memory than it may have.
    #[error("the strategy asked for {asked} bytes of memory: at most {limit}")]
    MemoryLimit {
        /// What it asked for, in bytes.
        asked: usize,
        /// The budget, in bytes.
        limit: usize,
    },
    /// Too many calls into the host.
    #[error("the strategy called the host more than {limit} times: work on whole sets, not on single candidates")]
    HostCallLimit {
        /// The budget.
        limit: u32,
    },
    /// Too many candidate sets.
    #[error("the strategy made more than {limit} candidate sets")]
    SetLimit {
        /// The budget.
        limit: u32,
    },
    /// One call copied too much into the host.
    #[error("one call copied more than {limit} bytes into the host")]
    TransferLimit {
        /// The budget, in bytes.
        limit: usize,
    },
    /// The page, a text in it or a name is too long.
    #[error("{what}: {got}, at most {limit}")]
    OutputLimit {
        /// What is too long.
        what: &'static str,
        /// How long it is.
        got: usize,
        /// The budget.
        limit: usize,
    },
    /// What it returned contradicts itself.
    #[error("the answer is wrong: {detail}")]
    WrongOutput {
        /// What is wrong with it.
        detail: String,
    },
    /// It refused to answer.
    #[error("the strategy refused: {reason}")]
    Rejected {
        /// Its own words, cut.
        reason: String,
    },
    /// Every slot of the sandbox is taken: too many compositions at once.
    #[error("every sandbox slot is in use: raise HostConfig::instances or compose on fewer threads")]
    Busy,
}

impl Fault {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "strategy_trap",
            Self::Timeout { .. } => "strategy_timeout",
            Self::OutOfFuel { .. } => "out_of_fuel",
            Self::MemoryLimit { .. } => "memory_limit",
            Self::HostCallLimit { .. } => "host_call_limit",
            Self::SetLimit { .. } => "set_limit",
            Self::TransferLimit { .. } => "transfer_limit",
            Self::OutputLimit { .. } => "output_limit",
            Self::WrongOutput { .. } => "wrong_output",
            Self::Rejected { .. } => "strategy_reject",
            Self::Busy => "sandbox_busy",
        }
    }

    /// What ended a call: our own fault as it is, a trap by its kind.
    pub(crate) fn of(error: &wasmtime::Error, limits: &crate::Limits, last_line: Option<&String>) -> Self {
        if let Some(fault) = error.downcast_ref::<Self>() {
            return fault.clone();
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::Busy;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => return Self::OutOfFuel { limit: limits.fuel },
            Some(Trap::Interrupt) => return Self::Timeout { limit: limits.wall },
            _ => {}
        }
        let mut detail = error.root_cause().to_string();
        // wasmtime keeps this error's type to itself.
        if detail.contains("fuel allocated for hostcalls") {
            return Self::TransferLimit { limit: limits.transfer_bytes };
        }
        if let Some(line) = last_line {
            detail = format!("{detail}; last log line: {line}");
        }
        Self::Trap { detail }
    }
}

/// Why a component was refused, or why there is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The engine cannot be made with this configuration on this machine.
    #[error("the sandbox cannot start: {0}")]
    Engine(String),
    /// Larger than `HostConfig::max_component`.
    #[error("the component has {got} bytes: at most {limit}")]
    TooLarge {
        /// Its size.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Not a component.
    #[error(
        "this is no WebAssembly component but {0}; build it with `cargo xtask plugins` or `wasm-tools component new`"
    )]
    NotAComponent(&'static str),
    /// Not valid.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// It wants what a strategy may not have.
    #[error("the component imports {name:?}, which no strategy may; allowed: {allowed}")]
    Import {
        /// The import.
        name: String,
        /// The allow-list.
        allowed: String,
    },
    /// Its imports or exports do not have the types of the contract.
    #[error("the component does not fit the world {world}: {detail}")]
    World {
        /// The world.
        world: &'static str,
        /// What differs.
        detail: String,
    },
    /// It starts with more memory or more instances than there is room for.
    #[error("the component needs {what}: {got}, at most {limit}")]
    Needs {
        /// Of what.
        what: &'static str,
        /// How much.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// `describe` failed.
    #[error("describe failed: {0}")]
    Describe(#[from] Fault),
    /// `describe` said something wrong.
    #[error("the description's {field} is {got:?}: expected {expected}")]
    Description {
        /// Which field.
        field: &'static str,
        /// What it said, cut.
        got: String,
        /// What is right.
        expected: &'static str,
    },
}

impl LoadError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(_) => "sandbox_unavailable",
            Self::TooLarge { .. } => "component_too_large",
            Self::NotAComponent(_) => "not_a_component",
            Self::Invalid(_) => "invalid_component",
            Self::Import { .. } => "forbidden_import",
            Self::World { .. } => "wrong_world",
            Self::Needs { .. } => "needs_too_much",
            Self::Describe(_) => "describe_failed",
            Self::Description { .. } => "bad_description",
        }
    }
}
