//! Where a process of a test runs.

use std::net::Ipv4Addr;
use std::process::Command;

use crate::ports::Port;
use crate::tools;

/// Where Debian has the library that tells a program another time.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// This machine's loopback address, or a host of its own ([`crate::netns`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    address: Ipv4Addr,
    namespace: Option<String>,
    clock: Option<String>,
}

impl Default for Place {
    fn default() -> Self {
        Self { address: Ipv4Addr::LOCALHOST, namespace: None, clock: None }
    }
}

impl Place {
    /// A network namespace in which a process has this address.
    #[must_use]
    pub fn host(namespace: &str, address: Ipv4Addr) -> Self {
        Self { address, namespace: Some(namespace.to_owned()), clock: None }
    }

    /// The same place with a clock that is wrong by this much: `+5h`, `-5h`. Clocks that only count are right.
    ///
    /// # Panics
    /// Without libfaketime: a clock that is right would prove nothing.
    #[must_use]
    pub fn with_clock(self, wrong_by: &str) -> Self {
        assert!(std::path::Path::new(FAKETIME).is_file(), "{FAKETIME} is missing: apt-get install libfaketime");
        Self { clock: Some(wrong_by.to_owned()), ..self }
    }

    /// The address on which a process listens here.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A port on that address.
    #[must_use]
    pub fn port(&self) -> Port {
        Port::claim_at(self.address)
    }

    /// A command that does the same here. The program is the started process itself, and no child of it.
    #[must_use]
    pub fn command(&self, command: &Command) -> Command {
        let mut line = Vec::new();
        if let Some(namespace) = &self.namespace {
            line.extend(["ip", "netns", "exec", namespace].map(str::to_owned));
        }
        line.push("env".to_owned());
        if let Some(clock) = &self.clock {
            line.extend([format!("LD_PRELOAD={FAKETIME}"), format!("FAKETIME={clock}")]);
            line.push("FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned());
        }
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        tools::within(line[0], &line[1..], command)
    }
}
