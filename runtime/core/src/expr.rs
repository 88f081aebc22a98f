//! Expressions: CEL parsed by the `cel` crate, evaluated over whole columns by us.
