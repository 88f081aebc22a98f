//! The product strategy.
