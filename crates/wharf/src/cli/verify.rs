//! `wharf verify`

use std::process::ExitCode;

use clap::Args;

use super::{Source, output};
use crate::config::{Loaded, Weight};

/// Check a configuration and print what would be in effect
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wharf verify config.json
  WHARF_STORAGE_GCDELAY=2h wharf verify config.json

The environment's overrides are applied. Nothing is opened and nothing is contacted: see wharf doctor.
Exit status: 0 accepted, 1 refused.")]
pub(super) struct Verify {
    #[command(flatten)]
    source: Source,
}

impl Verify {
    pub(super) fn run(self) -> ExitCode {
        match self.source.load() {
            Ok(loaded) => {
                report(&loaded);
                ExitCode::SUCCESS
            }
            Err(refused) => {
                output::error(refused);
                ExitCode::FAILURE
            }
        }
    }
}

fn report(loaded: &Loaded) {
    output::line(format!("{}: accepted. In effect:", loaded.origin));
    let rows: Vec<_> = loaded.config.settings().into_iter().map(|(key, value)| vec![key, value]).collect();
    output::table(&rows);
    for (weight, title) in [(Weight::Warn, "Warnings:"), (Weight::Info, "Notes:")] {
        let notices: Vec<_> = loaded.notices.iter().filter(|notice| notice.weight == weight).collect();
        if !notices.is_empty() {
            output::line(title);
            notices.iter().for_each(|notice| output::line(format!("  {notice}")));
        }
    }
}
