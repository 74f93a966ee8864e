//! Logs: for people on a terminal, one JSON object a line everywhere else.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Config, LOG_VARIABLE, Level, Log};
use crate::reload::{Reload, Switch};

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// The file cannot be opened.
    #[error("log.output: {path} cannot be opened for appending: {source}")]
    Output {
        /// As configured.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The variable cannot be understood.
    #[error("{LOG_VARIABLE}: {0}; write a level, or target=level, joined by commas")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logs were started before.
    #[error("logs cannot start: {0}")]
    Init(#[from] TryInitError),
}

/// Changes what is logged.
#[derive(Clone)]
pub(crate) struct LogLevel(Arc<dyn Fn(EnvFilter) + Send + Sync>);

impl Reload for LogLevel {
    fn keys(&self) -> &'static [&'static str] {
        &["log.level"]
    }

    fn prepare(&self, config: &Config) -> Result<Switch, String> {
        let filter = filter(config.log.level, variable()).map_err(|error| error.to_string())?;
        let set = self.0.clone();
        Ok(Box::new(move || set(filter)))
    }
}

/// The filter in the environment, which wins over the configuration.
fn variable() -> Option<String> {
    std::env::var(LOG_VARIABLE).ok().filter(|text| !text.is_empty())
}

/// Starts the log of this process. To be called once.
///
/// # Errors
/// Where `log.output` cannot be opened, or the filter in the environment is malformed.
pub(crate) fn start(log: &Log) -> Result<LogLevel, TelemetryError> {
    let filter = filter(log.level, variable())?;
    match &log.output {
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            let file = file.map_err(|source| TelemetryError::Output { path: path.display().to_string(), source })?;
            let terminal = file.is_terminal();
            write_to(Mutex::<File>::new(file), terminal, filter)
        }
        None => write_to(std::io::stdout, std::io::stdout().is_terminal(), filter),
    }
}

fn write_to<W>(writer: W, terminal: bool, filter: EnvFilter) -> Result<LogLevel, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let logs = tracing_subscriber::fmt().with_writer(writer).with_env_filter(filter).with_ansi(terminal);
    // The handle's type names the whole subscriber: a function hides it.
    if terminal {
        let logs = logs.compact().with_target(false).with_filter_reloading();
        let handle = logs.reload_handle();
        logs.finish().try_init()?;
        Ok(LogLevel(Arc::new(move |filter| said(handle.reload(filter)))))
    } else {
        let logs = logs.json().flatten_event(true).with_current_span(true).with_span_list(false);
        let logs = logs.with_filter_reloading();
        let handle = logs.reload_handle();
        logs.finish().try_init()?;
        Ok(LogLevel(Arc::new(move |filter| said(handle.reload(filter)))))
    }
}

fn said(changed: Result<(), tracing_subscriber::reload::Error>) {
    if let Err(error) = changed {
        tracing::error!(%error, "log.level cannot be changed any more");
    }
}

/// The configured level for Wharf's own crates, and for the libraries beneath a level that does not drown them.
fn filter(level: Level, variable: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let libraries = match level {
        Level::Trace => "debug",
        Level::Error => "error",
        Level::Debug | Level::Info | Level::Warn => "warn",
    };
    let directives = variable.unwrap_or_else(|| format!("{libraries},wharf={}", level.name()));
    Ok(EnvFilter::try_new(directives)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_for_every_crate_of_wharf() {
        // A directive matches every target that begins with it: `wharf_http::server` too.
        let filter = filter(Level::Debug, None).expect("valid");
        assert_eq!(filter.to_string(), "wharf=debug,warn");
    }

    #[test]
    fn the_variable_wins_and_may_be_wrong() {
        assert_eq!(filter(Level::Info, Some("trace".into())).expect("valid").to_string(), "trace");
        assert!(filter(Level::Info, Some("wharf=loud".into())).is_err());
    }
}
