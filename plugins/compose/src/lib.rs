//! The compose strategy.
