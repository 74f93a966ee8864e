//! `wharf doctor`

use std::process::ExitCode;

use clap::Args;

use super::{Source, output};
use crate::config::Storage;
use crate::store::{self, Check, Outcome, StartError};

/// Check that the store can do what a registry needs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wharf doctor
  wharf doctor config.json

Writes and removes a few small objects under a scratch prefix of the store.
Exit status: 0 fit, 1 not fit.")]
pub(super) struct Doctor {
    #[command(flatten)]
    source: Source,
}

impl Doctor {
    pub(super) fn run(self) -> ExitCode {
        let loaded = match self.source.load() {
            Ok(loaded) => loaded,
            Err(refused) => {
                output::error(refused);
                return ExitCode::FAILURE;
            }
        };
        output::line(format!("Store: {}", loaded.config.storage.place));
        match probe(&loaded.config.storage) {
            Ok(checks) => report(&checks),
            Err(error) => {
                output::error(error);
                ExitCode::FAILURE
            }
        }
    }
}

fn probe(storage: &Storage) -> Result<Vec<Check>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Runtime)?;
    Ok(runtime.block_on(store::probe(storage)))
}

fn report(checks: &[Check]) -> ExitCode {
    let rows: Vec<_> = checks
        .iter()
        .map(|check| vec![check.outcome.mark().to_owned(), check.name.clone(), check.detail.clone()])
        .collect();
    output::table(&rows);
    if checks.iter().any(|check| check.outcome == Outcome::Failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
