//! The command line: one command a file.

mod command;
mod completions;
mod doctor;
mod fsck;
mod gc;
mod output;
mod policy;
mod serve;
mod verify;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, CONFIG_VARIABLE, Environment, Loaded, Refused};

/// An OCI container registry: stateless replicas over one bucket, or one process over local disk.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, arg_required_else_help = true)]
#[command(after_help = "Examples:
  wharf serve                 serve from local disk on 127.0.0.1:5000, without any configuration
  wharf serve config.json     serve as a configuration file says (JSON, YAML or TOML; zot's keys)
  wharf verify config.json    say what that file would do, and what is wrong with it")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the registry until a signal stops it
    Serve(serve::Serve),
    /// Check a configuration and print what would be in effect
    Verify(verify::Verify),
    /// Check that the store can do what a registry needs
    Doctor(doctor::Doctor),
    /// Walk the whole registry: find what is lost, in danger, or left behind
    Fsck(fsck::Fsck),
    /// Look into the garbage collector, or let it work now
    Gc(gc::Gc),
    /// Ask what access control says
    Policy(policy::Policy),
    /// Print the version
    Version(version::Version),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// Names the configuration; for every command that reads one.
#[derive(Debug, Args)]
struct Source {
    /// Configuration file (JSON, YAML or TOML), or else $WHARF_CONFIG; without one: local disk, 127.0.0.1:5000
    config: Option<PathBuf>,
}

impl Source {
    fn load(&self) -> Result<Loaded, Refused> {
        let environment = Environment::of_process();
        let file = self.config.clone().or_else(|| environment.get(CONFIG_VARIABLE).map(PathBuf::from));
        config::load(file.as_deref(), &environment)
    }
}

/// Runs the command that the command line names.
pub(crate) fn run() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Fsck(command) => command.run(),
        Command::Gc(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Version(command) => command.run(),
        Command::Completions(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
