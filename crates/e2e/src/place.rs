//! Where a process of a test runs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::Lab;
use crate::ports::Port;
use crate::tools;

/// Where Debian has the library that tells a program another time.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// This machine's loopback address, or a host of its own ([`crate::netns`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    address: Ipv4Addr,
    namespace: Option<String>,
    clock: Option<Clock>,
}

/// A clock that can be wrong. Clocks that only count are right all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// A clock that is wrong by this much: `+0h`, `-5h`.
    #[must_use]
    pub fn new(lab: &Lab, name: &str, wrong_by: &str) -> Self {
        Self { file: lab.file(&format!("{name}.clock"), &format!("{wrong_by}\n")) }
    }

    /// From now on, or a second later, it is wrong by this much.
    pub fn set(&self, wrong_by: &str) {
        let file = &self.file;
        std::fs::write(file, format!("{wrong_by}\n")).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
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

    /// The same place with a clock of its own.
    ///
    /// # Panics
    /// Without libfaketime: a clock that is right would prove nothing.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        assert!(Path::new(FAKETIME).is_file(), "{FAKETIME} is missing: apt-get install libfaketime");
        Self { clock: Some(clock), ..self }
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
            line.push(format!("LD_PRELOAD={FAKETIME}"));
            line.push(format!("FAKETIME_TIMESTAMP_FILE={}", clock.file.display()));
            line.extend(["FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"].map(str::to_owned));
        }
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        tools::within(line[0], &line[1..], command)
    }
}
