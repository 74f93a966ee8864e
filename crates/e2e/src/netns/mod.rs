//! Hosts: network namespaces on a switch, so that links can be cut and limited.
//!
//! A [`Network`] is a namespace with a bridge, its switch; a [`Host`] is a namespace with one link to it. Nothing of that is seen
//! outside: the machine's own namespace gets no interface, no address and no rule, so that two networks with the same
//! addresses do not meet. What is dropped is dropped at the switch, as a network drops it: without a word to either side.
//!
//! Programs run on a host by way of its [`Place`](crate::place::Place); [`inside`] has the test itself run on one, as its client.
//! All of it needs root, and `ip`, `tc` and `nft`.

mod cluster;
mod command;
mod host;
mod inside;
mod network;

pub use cluster::{Cluster, Hosts, Options};
pub use host::Host;
pub use inside::inside;
pub use network::Network;
