//! A seeded simulation of the storage protocol.
//!
//! It runs the real registry, not a model of it, on the store in memory: single-threaded, in virtual time, with a seeded scheduler
//! that delays every store call, loses requests and answers, lets writes land late, kills replicas between any two calls and lets grace
//! times pass at any moment. What clients were told is kept in a plain [`model`], and after every step the store is checked
//! against it ([`check`]). One seed gives one trace.

pub mod check;
mod duel;
pub mod env;
pub mod many;
pub mod model;
pub mod scheduler;
pub mod script;
mod shrink;
pub mod store;
pub mod turns;
pub mod work;
pub mod world;

pub use many::{Total, each};
pub use shrink::{Shortest, shrink};
pub use world::{Kind, Plan, Report, run};
