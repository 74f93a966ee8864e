//! Clients that push, tag, mount, delete and pull shared layers at once, and a ledger of what was acknowledged to them.
//!
//! Each worker changes only its own tags and its own manifests, so that it knows what each has to say next; the layers, and so
//! everything below the manifests, they share. Anybody checks anybody's images.

mod ledger;
mod picture;
mod push;
mod worker;

pub use ledger::{Held, Ledger};
pub use picture::{LAYERS, Picture};
pub use worker::{Plan, Worker, check};
