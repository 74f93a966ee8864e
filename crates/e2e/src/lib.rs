//! A harness that runs Wharf as its users do: real processes on loopback, a real object store, a real balancer and the
//! clients that people have.
//!
//! One file in `tests/` is one piece of evidence for one promise, and each runs alone:
//! `cargo test -p wharf-e2e --test tags_race`. What the harness starts, it ends, also when a test panics or is killed.
//!
//! A harness has nobody to hand an error to, so that its functions panic, with all that is known about the failure.
//! Nothing here waits for a fixed time: each wait polls a condition and has a bound.

pub mod authority;
pub mod balancer;
pub mod bucket;
pub mod client;
pub mod content;
pub mod directory;
pub mod engines;
pub mod image;
pub mod inventory;
pub mod lab;
pub mod load;
pub mod netns;
pub mod patient;
pub mod place;
pub mod ports;
pub mod process;
pub mod provider;
pub mod proxy;
pub mod raw;
pub mod registry;
pub mod replica;
pub mod scenario;
pub mod seaweed;
pub mod server;
pub mod small_host;
pub mod throttle;
pub mod tools;
pub mod toxiproxy;
pub mod wait;
pub mod workload;

pub use bucket::Bucket;
pub use client::Client;
pub use content::Content;
pub use lab::Lab;
pub use registry::Registry;
pub use replica::{Replica, Storage};
pub use seaweed::Seaweed;

/// Reads a number that scales a test from the environment: the size for continuous integration where it is not set.
#[must_use]
pub fn scale(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text}: not a number")),
        Err(_) => default,
    }
}

/// Prints a line of evidence. It is seen also when the test passes: unlike `println!`, the test runner does not hold it back.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => {
        $crate::say_line(format_args!($($part)*))
    };
}

/// Writes what [`say!`] formatted.
pub fn say_line(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    // Evidence that cannot be printed is no reason to fail a test.
    let _ = writeln!(std::io::stderr(), "    {line}");
}
