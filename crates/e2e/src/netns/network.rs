//! The switch.

use std::net::Ipv4Addr;

use super::command::{ip, nft, require, try_ip};
use super::host::Host;

/// How the names of all namespaces of the tests begin.
const PREFIX: &str = "wharf-e2e-";

/// Drops between pairs of addresses, and counters, where packets go from port to port.
const RULES: &str = "
table bridge wharf {
    set cut { type ipv4_addr . ipv4_addr; }
    chain forward {
        type filter hook forward priority 0;
        ip saddr . ip daddr @cut drop
    }
    chain count { type filter hook forward priority -10; }
}
";

/// A switch with hosts. It goes with all of them on drop; what runs on them is to be ended before.
#[derive(Debug)]
pub struct Network {
    /// The namespace of the switch.
    switch: String,
    hosts: Vec<Host>,
}

impl Network {
    /// A switch without hosts. What a test that was killed left is removed first: the caller has the
    /// [turn](crate::Lab), so that no other test has networks.
    ///
    /// # Panics
    /// Without root, `ip`, `tc` or `nft`.
    #[must_use]
    pub fn new(_turn: &crate::Lab) -> Self {
        require();
        for left in ip("netns list").lines().filter_map(|line| line.split_whitespace().next()) {
            if left.starts_with(PREFIX) {
                try_ip(&format!("netns delete {left}"));
            }
        }
        let network = Self { switch: format!("{PREFIX}{}-switch", std::process::id()), hosts: Vec::new() };
        let switch = &network.switch;
        ip(&format!("netns add {switch}"));
        // Without spanning tree a port forwards as soon as it is up.
        ip(&format!("-n {switch} link add br0 type bridge stp_state 0 forward_delay 0"));
        ip(&format!("-n {switch} link set br0 up"));
        nft(switch, RULES);
        network
    }

    /// A host more, with a link to the switch that has no limit.
    #[must_use]
    pub fn host(&mut self, name: &str) -> Host {
        let number = u8::try_from(self.hosts.len() + 1).unwrap_or_else(|_| panic!("too many hosts"));
        let namespace = format!("{PREFIX}{}-{name}", std::process::id());
        let host = Host::new(name, &namespace, &self.switch, number, Ipv4Addr::new(10, 77, 0, number));
        self.hosts.push(host.clone());
        host
    }

    /// From now on, no packet of one host reaches the other.
    pub fn cut(&self, one: &Host, other: &Host) {
        self.change_cut("add", one, other);
    }

    /// Packets pass again.
    pub fn join(&self, one: &Host, other: &Host) {
        self.change_cut("delete", one, other);
    }

    fn change_cut(&self, change: &str, one: &Host, other: &Host) {
        let (one, other) = (one.address(), other.address());
        nft(&self.switch, &format!("{change} element bridge wharf cut {{ {one} . {other}, {other} . {one} }}\n"));
    }

    /// From now on, counts packets from any of some hosts to any of others; to be read by [`Network::packets`].
    pub fn count(&self, name: &str, from: &[Host], to: &[Host]) {
        let list = |hosts: &[Host]| hosts.iter().map(|host| host.address().to_string()).collect::<Vec<_>>().join(", ");
        let (from, to) = (list(from), list(to));
        nft(
            &self.switch,
            &format!(
                "add counter bridge wharf {name}\n\
                 add rule bridge wharf count ip saddr {{ {from} }} ip daddr {{ {to} }} counter name {name}\n"
            ),
        );
    }

    /// The packets of a counter.
    #[must_use]
    pub fn packets(&self, name: &str) -> u64 {
        let text = nft(&self.switch, &format!("list counter bridge wharf {name}\n"));
        let count = text.split_whitespace().skip_while(|word| *word != "packets").nth(1);
        count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("counter {name}: {text}"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            try_ip(&format!("netns delete {}", host.namespace()));
        }
        try_ip(&format!("netns delete {}", self.switch));
    }
}
