//! `wharf version`

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::config::SPEC_VERSION;

/// Print the version
#[derive(Debug, Args)]
pub(super) struct Version {}

impl Version {
    pub(super) fn run(self) -> ExitCode {
        output::line(format!("wharf {} (distribution-spec {SPEC_VERSION})", env!("CARGO_PKG_VERSION")));
        ExitCode::SUCCESS
    }
}
