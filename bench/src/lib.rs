//! Drives registries by URL and measures them beside each other: the same load on each, one run after the other in the
//! order A B B A, so that what disturbs the machine disturbs all of them.
//!
//! [`peer`] is what is measured, `workload/` what it is loaded with (a file a family), [`measure`] one run and what
//! several come to, [`report`] the table, [`plot`] the pictures, [`scaling`] what replicas add up to. The client is small on purpose: it shares the processors
//! with the servers.

mod blob;
mod cli;
mod client;
mod compare;
mod failure;
mod growth;
mod limits;
mod measure;
mod peer;
mod plot;
mod protocol;
mod report;
mod scaling;
mod start;
mod usage;
mod workload;

pub use cli::main;
pub use compare::{Comparison, Options, Row, compare};
pub use failure::{Failure, Outcome};
pub use growth::{Growth, grow};
pub use measure::{Figures, Ratio};
pub use scaling::{Options as ScalingOptions, Packets, Row as ScalingRow, Scaling, scale};
pub use workload::Scale;
