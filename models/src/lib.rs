//! ONNX models: from columns to features, or from a history of items, to scores and vectors.
//!
//! [`Model::load`] takes the bytes of an ONNX file and a [`Manifest`] that says what its tensors mean, refuses what it
//! cannot serve, and checks the golden answers the manifest brings. [`Models`] holds the versions that are live and
//! swaps them atomically. Ensembles of trees ([`trees`]) are evaluated by this crate, everything else by `tract`; this
//! is the only crate that names it.

mod codes;
pub mod drift;
mod error;
pub mod features;
mod graph;
mod import;
mod kernels;
pub mod manifest;
mod model;
mod network;
mod normalise;
mod program;
mod registry;
mod schema;
pub mod tensors;
pub mod trees;
mod validate;

pub use codes::ItemCodes;
pub use drift::{Drift, DriftReport};
pub use error::ModelError;
pub use features::{Feature, FeaturePlan, Table};
pub use graph::Side;
pub use manifest::{Golden, ItemIds, Kind, Manifest};
pub use model::Model;
pub use network::Network;
pub use program::Numbers;
pub use registry::{Models, Served};
pub use schema::manifest_schema;
