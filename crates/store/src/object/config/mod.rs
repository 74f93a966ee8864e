//! The keys of zot's storage drivers, and the stores that they describe.

mod azure;
mod client;
mod gcs;
mod s3;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};

pub use azure::{AzureCredentials, AzureSettings, connect_azure};
pub use gcs::{GcsSettings, connect_gcs};
pub use s3::{S3Settings, connect_s3};

/// The longest root. S3 takes 1,024 bytes for a whole name.
const MAX_ROOT: usize = 128;

/// A key of a storage driver that cannot be used as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    /// The key, as it stands under `storage.storageDriver`.
    pub key: &'static str,
    /// The value, where there is one and it is no secret.
    pub value: Option<String>,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage.storageDriver.{}", self.key)?;
        if let Some(value) = &self.value {
            write!(f, " is {value}")?;
        }
        write!(f, ": {}", self.fix)
    }
}

impl SettingsError {
    fn missing(key: &'static str, fix: impl Into<String>) -> Self {
        Self { key, value: None, fix: fix.into() }
    }

    fn new(key: &'static str, value: impl fmt::Debug, fix: impl Into<String>) -> Self {
        Self { key, value: Some(format!("{value:?}")), fix: fix.into() }
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads the options of a driver. An empty text counts as none.
struct Options<'a>(&'a Map<String, Value>);

impl<'a> Options<'a> {
    fn value(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &'static str) -> Result<Option<&'a str>, SettingsError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(SettingsError::new(key, other.to_string(), "must be a text")),
        }
    }

    fn owned(&self, key: &'static str) -> Result<Option<String>, SettingsError> {
        Ok(self.text(key)?.map(str::to_owned))
    }

    fn secret(&self, key: &'static str) -> Result<Option<Secret>, SettingsError> {
        match self.text(key) {
            Ok(text) => Ok(text.map(Secret::new)),
            Err(e) => Err(SettingsError { value: None, ..e }),
        }
    }

    fn required(&self, key: &'static str, fix: &str) -> Result<String, SettingsError> {
        self.owned(key)?.ok_or_else(|| SettingsError::missing(key, fix))
    }

    fn switch(&self, key: &'static str) -> Result<Option<bool>, SettingsError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(switch)) => Ok(Some(*switch)),
            Some(other) => Err(SettingsError::new(key, other, "must be true or false")),
        }
    }

    fn number(&self, key: &'static str) -> Result<Option<u64>, SettingsError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => {
                let fix = "must be a number of bytes";
                value.as_u64().map(Some).ok_or_else(|| SettingsError::new(key, value, fix))
            }
        }
    }

    /// The folder in the bucket, without `/` at either end.
    fn root(&self) -> Result<String, SettingsError> {
        const KEY: &str = "rootdirectory";
        let root = self.text(KEY)?.unwrap_or_default();
        let trimmed = root.trim_matches('/');
        let is_plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!=,".contains(&b))
        };
        if trimmed.is_empty() {
            return Ok(String::new());
        }
        if trimmed.len() > MAX_ROOT || !trimmed.split('/').all(is_plain) {
            let fix =
                format!("must be at most {MAX_ROOT} letters, digits and any of - _ . ! = , in folders divided by /");
            return Err(SettingsError::new(KEY, root, fix));
        }
        Ok(trimmed.to_owned())
    }
}
