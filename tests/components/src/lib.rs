//! Strategies written by hand as WebAssembly text, and the hostile ones of `tests/hostile/cases`, for tests and benches.
//!
//! [`component`] makes a component of our world from [`Parts`]: the contract's imports, a memory, an allocator and a
//! description stand in a prelude, a case only says what is special about it. [`cases`] reads the folder of cases;
//! how a case is written stands in `tests/hostile/README.md`. [`random`] makes components that nobody wrote.

mod case;
mod imports;
mod maker;
mod smith;

pub use case::{Case, Expected, Whole, case, cases};
pub use imports::contract;
pub use maker::{NAME, Parts, component, from_core, tagger, words};
pub use smith::random;
