//! The program: configuration, command line, logs, and the wiring of the other crates.

mod access;
mod audit;
mod cli;
mod config;
mod control;
mod descriptors;
mod fsck;
mod gc;
mod metrics;
mod reload;
mod serve;
mod service_manager;
mod shutdown;
mod store;
mod telemetry;
mod tls;

use std::process::ExitCode;

/// In the static program: musl's own allocator takes a lock for each allocation of every thread.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
