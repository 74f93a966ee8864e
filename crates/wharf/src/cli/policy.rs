//! `wharf policy`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use wharf_auth::policy::{Action, Decision, Facts, Question, Subject};
use wharf_oci::RepositoryName;

use super::{Source, output};

/// What stands for nobody on the command line.
const NOBODY: &str = "-";

/// Ask what access control says
#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a user may do something, and by which rule
    Explain(Explain),
}

/// Say whether a user may do something, and by which rule
#[derive(Debug, Args)]
#[command(override_usage = "wharf policy explain [OPTIONS] [CONFIG] USER REPOSITORY ACTION")]
#[command(after_help = "Examples:
  wharf policy explain config.json alice team/web create
  wharf policy explain config.json - team/web read
  wharf policy explain --group ops alice team/web delete

ACTION is read, create, update, delete or detectManifestCollision. USER is - for nobody. Without CONFIG: $WHARF_CONFIG.
Conditions see a request of which nothing else is known.
Exit status: 0 allowed, 1 not allowed or not understood.")]
struct Explain {
    /// A group that the login tells of, apart from those of the configuration
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,

    /// Configuration file (optional), user, repository and action
    #[arg(required = true, num_args = 3..=4, value_name = "[CONFIG] USER REPOSITORY ACTION")]
    words: Vec<String>,
}

impl Policy {
    pub(super) fn run(self) -> ExitCode {
        let Command::Explain(explain) = self.command;
        match explain.run() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                output::error(error);
                ExitCode::FAILURE
            }
        }
    }
}

impl Explain {
    fn run(mut self) -> Result<bool, String> {
        let config = (self.words.len() == 4).then(|| PathBuf::from(self.words.remove(0)));
        let [user, repository, action] = self.words.as_slice() else { return Err("three words are needed".to_owned()) };
        let name: RepositoryName = repository.parse().map_err(|why| format!("{repository}: {why}"))?;
        let action: Action = action.parse().map_err(|why: wharf_auth::policy::UnknownAction| why.to_string())?;
        let loaded = Source { config }.load().map_err(|refused| refused.to_string())?;
        let subject =
            Subject { name: (user != NOBODY).then_some(user.as_str()), groups: &self.groups, ..Subject::default() };
        let question = Question { action, repository: &name, facts: Facts::default() };
        let decision = loaded.config.access.policy().decide(&subject, &question);
        let who = subject.name.unwrap_or("nobody in particular");
        output::line(format!("{who}, {action}, {name}: {}", told(&decision)));
        Ok(decision.is_allowed())
    }
}

fn told(decision: &Decision) -> String {
    match decision {
        Decision::Allowed(because) => format!("allowed by {because}"),
        Decision::Denied { glob, reason } => {
            let rules = match glob {
                Some(glob) => format!("the longest pattern that matches is {glob:?}, and no rule of it allows this"),
                None => "no pattern matches".to_owned(),
            };
            let reason = reason.as_ref().map(|reason| format!("; a condition says: {reason}"));
            format!("not allowed: {rules}{}", reason.unwrap_or_default())
        }
    }
}
