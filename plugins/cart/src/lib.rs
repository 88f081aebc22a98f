//! The cart strategy.
