//! What a component can be.

use crate::{Description, LoadError, Strategy, Tagger, v1};
use std::sync::Arc;

/// A world of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    Strategy,
    Tagger,
}

/// A compiled component, by what it is.
#[derive(Clone)]
pub enum Program {
    /// Composes pages.
    Strategy(Arc<Strategy>),
    /// Tags visitors.
    Tagger(Arc<Tagger>),
}

impl Program {
    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        match self {
            Self::Strategy(strategy) => strategy.digest(),
            Self::Tagger(tagger) => tagger.digest(),
        }
    }

    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        match self {
            Self::Strategy(strategy) => strategy.description(),
            Self::Tagger(tagger) => tagger.description(),
        }
    }

    /// The world's name with its version, for messages.
    #[must_use]
    pub fn world(&self) -> &'static str {
        match self {
            Self::Strategy(_) => v1::WORLD,
            Self::Tagger(_) => v1::tagger::WORLD,
        }
    }

    /// The strategy.
    ///
    /// # Errors
    /// [`LoadError::World`] when it is something else.
    pub fn strategy(&self) -> Result<&Arc<Strategy>, LoadError> {
        match self {
            Self::Strategy(strategy) => Ok(strategy),
            Self::Tagger(_) => {
                Err(LoadError::World { world: v1::WORLD, detail: format!("it is a {}", v1::tagger::WORLD) })
            }
        }
    }

    /// The tagger.
    ///
    /// # Errors
    /// [`LoadError::World`] when it is something else.
    pub fn tagger(&self) -> Result<&Arc<Tagger>, LoadError> {
        match self {
            Self::Tagger(tagger) => Ok(tagger),
            Self::Strategy(_) => {
                Err(LoadError::World { world: v1::tagger::WORLD, detail: format!("it is a {}", v1::WORLD) })
            }
        }
    }
}
