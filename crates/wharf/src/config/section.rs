//! What the typed sections read from.

use std::time::Duration;

use super::env::Environment;
use super::findings::{Findings, Weight};
use super::value::Value;

/// A checked configuration, and where to say what is wrong with it. A key that is absent, or wrong and said so
/// already, reads as `None`.
pub(super) struct Source<'a> {
    /// In canonical form.
    pub(super) tree: &'a Value,
    /// The environment, for what is no key.
    pub(super) environment: &'a Environment,
    /// Whether there is no file, or an empty one.
    pub(super) bare: bool,
    /// Where to say it.
    pub(super) findings: &'a mut Findings,
}

impl<'a> Source<'a> {
    /// The value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.tree.at(key)
    }

    /// Whether something is asked for at a key.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| !value.is_off())
    }

    /// The value of a switch.
    pub(super) fn switch(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            Some(Value::Bool(on)) => Some(*on),
            _ => None,
        }
    }

    /// The text of a key that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        match self.value(key) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A whole number: nanoseconds, bytes or a port.
    pub(super) fn int(&self, key: &str) -> Option<i64> {
        match self.value(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// The texts of a list.
    pub(super) fn texts(&self, key: &str) -> Vec<&'a str> {
        let items = match self.value(key) {
            Some(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter_map(|item| if let Value::Text(text) = item { Some(text.as_str()) } else { None }).collect()
    }

    /// A duration that may not be negative.
    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let nanos = self.int(key)?;
        match u64::try_from(nanos) {
            Ok(nanos) => Some(Duration::from_nanos(nanos)),
            Err(_) => {
                self.problem(key, "must not be negative");
                None
            }
        }
    }

    /// A number of bytes that is at least `least`.
    pub(super) fn bytes(&mut self, key: &str, least: u64) -> Option<u64> {
        let bytes = u64::try_from(self.int(key)?).ok()?;
        if bytes < least {
            self.problem(key, format!("must be at least {}", super::scalar::show_bytes(least)));
            return None;
        }
        Some(bytes)
    }

    /// The text of a key that must have one; `what` says what it is.
    pub(super) fn required(&mut self, key: &str, what: &str) -> Option<&'a str> {
        let text = self.text(key);
        if text.is_none() {
            self.missing(key, what);
        }
        text
    }

    /// Says that a key must have a value, unless something that was said explains why it has none.
    pub(super) fn missing(&mut self, key: &str, text: impl std::fmt::Display) {
        if !self.findings.explain(key) {
            self.findings.problem(key, None, format!("is missing: {text}"));
        }
    }

    /// Says that the value of a key is not accepted.
    pub(super) fn problem(&mut self, key: &str, text: impl Into<String>) {
        let durations = ["gcDelay", "gcInterval", "drainTimeout", "lifetime"];
        let shown = self.value(key).map(|value| match value {
            Value::Int(nanos) if durations.iter().any(|name| key.ends_with(name)) => {
                format!("{:?}", super::scalar::show_duration(*nanos))
            }
            value => value.shown(key),
        });
        self.findings.problem(key, shown, text);
    }

    /// Says something that is worth a line.
    pub(super) fn notice(&mut self, weight: Weight, key: &str, text: impl Into<String>) {
        self.findings.notice(weight, key, text);
    }
}
