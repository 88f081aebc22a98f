//! The sandbox as a whole: hostile components, the shipped strategies over an invented shop, and what a call costs.

mod component;
mod hostile;
mod measure;
mod refused;
mod shipped;
mod shop;
