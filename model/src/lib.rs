//! An exhaustive model of the storage protocol, for small cases.
//!
//! A few actors do what the registry does, written again in as few words as possible, and every order of their calls is tried, with every
//! crash, lost answer and late write that the scenario allows. The simulation runs the real code, but only some orders; this runs all
//! orders, but not the real code. See `docs/ARCHITECTURE.md`, "The model".

mod actors;
pub mod blobs;
pub mod chunks;
pub mod commits;
mod explore;
mod scenario;

pub use explore::{Explored, Violation};
pub use scenario::{Scenario, Size};

/// All scenarios.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let parts = [blobs::scenarios(), commits::scenarios(), chunks::scenarios()];
    parts.into_iter().flatten().collect()
}
