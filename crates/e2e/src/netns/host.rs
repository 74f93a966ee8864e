//! A host with one link.

use std::net::Ipv4Addr;

use super::command::{ip, tc};
use crate::place::Place;

/// A namespace with a link to the switch.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    namespace: String,
    address: Ipv4Addr,
    /// The namespace of the switch, and the switch's end of the link.
    switch: String,
    port: String,
}

impl Host {
    pub(super) fn new(name: &str, namespace: &str, switch: &str, number: u8, address: Ipv4Addr) -> Self {
        let port = format!("port{number}");
        ip(&format!("netns add {namespace}"));
        ip(&format!("-n {switch} link add {port} type veth peer name eth0 netns {namespace}"));
        ip(&format!("-n {switch} link set {port} master br0 up"));
        ip(&format!("-n {namespace} address add {address}/24 dev eth0"));
        ip(&format!("-n {namespace} link set eth0 up"));
        // Programs of several parts talk to themselves.
        ip(&format!("-n {namespace} link set lo up"));
        Self { name: name.to_owned(), namespace: namespace.to_owned(), address, switch: switch.to_owned(), port }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// For what is to run on it.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::host(&self.namespace, self.address)
    }

    /// Takes its cable out of the switch. The host runs on; connections stay open and silent.
    pub fn unplug(&self) {
        ip(&format!("-n {} link set {} down", self.switch, self.port));
    }

    /// Puts the cable back.
    pub fn plug(&self) {
        ip(&format!("-n {} link set {} up", self.switch, self.port));
    }

    /// Limits its link to so many megabits a second, in each direction.
    pub fn limit(&self, megabits: u64) {
        // A few milliseconds' worth at once, and more than the 64 KiB that a sender hands over in one piece; what waits longer
        // than 50 ms in the queue is dropped, as a switch does.
        let burst = (megabits * 1_000_000 / 8 / 250).max(128 << 10);
        let queue = format!("root tbf rate {megabits}mbit burst {burst} latency 50ms");
        tc(&format!("-n {} qdisc replace dev {} {queue}", self.switch, self.port));
        tc(&format!("-n {} qdisc replace dev eth0 {queue}", self.namespace));
    }
}
