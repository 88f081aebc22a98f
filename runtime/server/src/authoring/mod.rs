//! For authors of strategies and taggers: a project from nothing, a component from the project, and a trial run with the host's own
//! sandbox and limits.

mod build;
mod javascript;
mod project;
mod trial;

pub use build::build;
pub use javascript::build_with;
pub use project::{Kind, Language, create};
pub use trial::{Line, Trial, run};

/// What strategies are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";
