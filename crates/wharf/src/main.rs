//! The program: configuration, command line, logs, and the wiring of the other crates.

mod cli;
mod config;
mod serve;
mod service_manager;
mod shutdown;
mod store;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
