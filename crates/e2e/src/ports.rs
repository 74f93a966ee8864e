//! Port numbers that nobody else takes.
//!
//! A port that was found free by binding to 0 is free only until the next bind of anybody. The harness claims port
//! numbers by locking a file per number, below the range from which the kernel gives ports to clients, so that two tests
//! never claim the same one and no outgoing connection sits on it.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the kernel's ephemeral range (32768 and above).
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A claimed port, freed on drop.
#[derive(Debug)]
pub struct Port {
    address: Ipv4Addr,
    number: u16,
    _claim: File,
}

impl Port {
    /// Claims a port of the loopback address that nothing listens on.
    #[must_use]
    pub fn claim() -> Self {
        Self::claim_at(Ipv4Addr::LOCALHOST)
    }

    /// The same for another address, on which nobody else listens.
    #[must_use]
    pub fn claim_at(address: Ipv4Addr) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let directory = std::env::temp_dir().join("wharf-e2e-ports");
        fs::create_dir_all(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        // Each process starts elsewhere, so that it seldom meets the claims of another.
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
            let number = FIRST + (start + step) % COUNT;
            let path = directory.join(number.to_string());
            let Ok(claim) = OpenOptions::new().create(true).truncate(false).write(true).open(&path) else { continue };
            if claim.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { address, number, _claim: claim };
            }
        }
        panic!("no free port in {FIRST}..{}", FIRST + COUNT);
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The address without the number.
    #[must_use]
    pub fn ip(&self) -> Ipv4Addr {
        self.address
    }

    /// `<address>:<number>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.address, self.number)
    }
}
