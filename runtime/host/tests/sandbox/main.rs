//! The sandbox as a whole: hostile components and the shipped strategies over an invented shop.

mod calls;
mod cases;
mod hostile;
mod neighbour;
mod refused;
mod shipped;
mod shop;
mod smith;
mod tagger;
