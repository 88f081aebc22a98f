//! The content strategy.
