//! The home strategy.
