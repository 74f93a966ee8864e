//! `log`: how much is logged, and where to.

use std::path::PathBuf;

use super::section::Source;

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// `level`.
    pub(crate) level: Level,
    /// `output`: a file that is appended to; `None` is the standard output.
    pub(crate) output: Option<PathBuf>,
    /// `audit`: a file that a line is appended to for each change.
    pub(crate) audit: Option<PathBuf>,
}

/// The least weight that a line must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Everything.
    Trace,
    /// What a developer of Wharf wants to know.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What an operator should look at.
    Warn,
    /// What failed.
    Error,
}

impl Level {
    /// As the configuration names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl Log {
    /// Reads the section.
    pub(super) fn read(source: &Source<'_>) -> Self {
        let level = match source.text("log.level") {
            Some("trace") => Level::Trace,
            Some("debug") => Level::Debug,
            Some("warn" | "warning") => Level::Warn,
            Some("error" | "fatal" | "panic") => Level::Error,
            _ => Level::Info,
        };
        let path = |key| source.text(key).map(PathBuf::from);
        Self { level, output: path("log.output"), audit: path("log.audit") }
    }
}
