//! Benches of the running product: the load generator, the peers it is held against, and the native twin of a strategy.
//!
//! - [`load`]: closed and open loops over keep-alive connections;
//! - [`http1`]: the little HTTP/1.1 a load generator needs;
//! - [`bitflips`]: damaged data folders, and what is read of them;
//! - [`kills`]: a server killed at random moments, and what it lost;
//! - [`lines`]: one JSON object a measured figure;
//! - [`models`]: models run by us and by onnxruntime, on the same inputs;
//! - [`process`]: servers as child processes;
//! - [`peer`]: the Python peer, its environment and the data both sides serve;
//! - [`shop`]: that data loaded into a server under test over HTTP;
//! - [`twin`], [`sandbox`]: a strategy written natively, and what the sandbox costs against it;
//! - [`languages`]: the same strategy in Rust and in JavaScript;
//! - [`hostile`]: how late a strategy that never ends is stopped, and what its neighbour feels.

#![allow(clippy::disallowed_methods, reason = "a load generator waits until a request is due, a bench for its servers")]

pub mod bitflips;
pub mod hostile;
pub mod http1;
pub mod kills;
pub mod languages;
pub mod lines;
pub mod load;
pub mod models;
pub mod peer;
pub mod place;
pub mod process;
pub mod sandbox;
pub mod shop;
pub mod twin;
