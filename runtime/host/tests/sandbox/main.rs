//! The sandbox as a whole: hostile components and the shipped strategies over an invented shop.

mod component;
mod hostile;
mod refused;
mod shipped;
mod shop;
