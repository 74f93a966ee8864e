//! One error outward; each backend has a private one with a single `From` into it.

use std::fmt;

/// The result of a call to a store.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a call to a store did not answer what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There are no such data. (An absent record is no error: see [`crate::Records::get`].)
    #[error("{what} does not exist in the store")]
    NotFound {
        /// The key or id.
        what: String,
    },
    /// Somebody else in this process writes the same data in place; see [`crate::Data::claim`].
    #[error("{what} is being written by another request")]
    Busy {
        /// The id.
        what: String,
    },
    /// The store did not answer, or not in time, or asked to slow down. **If the call was a write, its outcome is
    /// unknown**: it may have taken effect, may still take effect later, or never.
    #[error("the store did not answer: {operation} {what}: {source}")]
    Unavailable {
        /// What was called.
        operation: &'static str,
        /// The key or id.
        what: String,
        /// What the backend said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store answered and refuses for good: no permission, no such bucket, a request that it does not know.
    #[error("the store refused: {operation} {what}: {source}")]
    Refused {
        /// What was called.
        operation: &'static str,
        /// The key or id.
        what: String,
        /// What the backend said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What came back cannot be what was written.
    #[error("the store returned damaged content: {what}: {detail}")]
    Corrupt {
        /// The key or id.
        what: String,
        /// How it is known.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Builds [`StoreError::Unavailable`].
    pub fn unavailable(
        operation: &'static str,
        what: impl fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { operation, what: what.to_string(), source: source.into() }
    }

    /// Builds [`StoreError::Refused`].
    pub fn refused(
        operation: &'static str,
        what: impl fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Refused { operation, what: what.to_string(), source: source.into() }
    }

    /// Builds [`StoreError::NotFound`].
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::NotFound { what: what.to_string() }
    }

    /// Builds [`StoreError::Corrupt`].
    pub fn corrupt(what: impl fmt::Display, detail: impl Into<String>) -> Self {
        Self::Corrupt { what: what.to_string(), detail: detail.into() }
    }
}
