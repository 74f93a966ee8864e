//! What is to be said about a configuration: why it is refused, and what its author should know.

use std::collections::BTreeMap;
use std::fmt;

/// The key of a problem with all of a file.
pub(super) const WHOLE: &str = "(file)";

/// One reason to refuse a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The key, from the root, or the environment variable.
    pub(crate) key: String,
    /// Its value as it may be shown.
    pub(crate) value: Option<String>,
    /// What is wrong, and what is allowed.
    pub(crate) text: String,
    /// The environment variable that the value came from.
    pub(crate) variable: Option<String>,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Good to know.
    Info,
    /// Something does not happen that the author may count on.
    Warn,
}

/// Something that is accepted, and worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// How much it matters.
    pub(crate) weight: Weight,
    /// The key, from the root.
    pub(crate) key: String,
    /// The line.
    pub(crate) text: String,
}

/// Everything found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    notices: Vec<Notice>,
}

/// A configuration that is not accepted, with every reason.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Refused {
    /// Where it came from.
    pub(crate) source_name: String,
    /// Why; at least one.
    pub(crate) problems: Vec<Problem>,
}

impl Findings {
    /// Adds a problem.
    pub(super) fn problem(&mut self, key: &str, value: Option<String>, text: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), value, text: text.into(), variable: None });
    }

    /// Whether a problem that was found already explains that this key has no value: one with the key, with what is
    /// around it, or with a key that is written instead of it.
    pub(super) fn explain(&self, key: &str) -> bool {
        let meant = format!("did you mean {key}?");
        self.problems.iter().any(|problem| {
            let inside = key.strip_prefix(&problem.key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            inside || problem.key == WHOLE || problem.text.contains(&meant)
        })
    }

    /// Adds a notice.
    pub(super) fn notice(&mut self, weight: Weight, key: &str, text: impl Into<String>) {
        self.notices.push(Notice { weight, key: key.to_owned(), text: text.into() });
    }

    /// The notices, or the refusal where there is a problem. `variables` names the environment variable of each key
    /// that has its value from one.
    pub(super) fn finish(self, source: &str, variables: &BTreeMap<String, String>) -> Result<Vec<Notice>, Refused> {
        if self.problems.is_empty() {
            return Ok(self.notices);
        }
        let mut problems = self.problems;
        for problem in &mut problems {
            problem.variable = variables.get(&problem.key).cloned();
        }
        Err(Refused { source_name: source.to_owned(), problems })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(variable) = &self.variable {
            write!(f, " (from {variable})")?;
        }
        write!(f, ": {}", self.text)
    }
}

impl Notice {
    /// Puts it into the log.
    pub(crate) fn log(&self) {
        match self.weight {
            Weight::Info => tracing::info!(key = %self.key, "{}", self.text),
            Weight::Warn => tracing::warn!(key = %self.key, "{}", self.text),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{}: refused, {count} {noun}", self.source_name)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
