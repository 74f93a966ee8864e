//! `wharf serve`

use std::process::ExitCode;

use clap::Args;

use super::{Source, output};

/// Serve the registry until a signal stops it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wharf serve
  wharf serve /etc/wharf/config.json
  WHARF_HTTP_PORT=8080 wharf serve config.yaml

SIGTERM or SIGINT: stop when running requests have ended, after http.drainTimeout at the latest.
A second signal: stop at once.
SIGHUP: read the configuration again; so does a change of its file.")]
pub(super) struct Serve {
    #[command(flatten)]
    source: Source,
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        let loaded = match self.source.load() {
            Ok(loaded) => loaded,
            Err(refused) => {
                output::error(refused);
                return ExitCode::FAILURE;
            }
        };
        let level = match crate::telemetry::start(&loaded.config.log) {
            Ok(level) => level,
            Err(error) => {
                output::error(error);
                return ExitCode::FAILURE;
            }
        };
        match crate::serve::run(loaded, level) {
            Ok(code) => code,
            Err(error) => {
                tracing::error!("{error}");
                ExitCode::FAILURE
            }
        }
    }
}
