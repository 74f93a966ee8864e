//! Why a measurement failed.

use http::StatusCode;

/// What functions of this crate answer.
pub type Outcome<T> = Result<T, Failure>;

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A registry answered something else than what was expected.
    #[error("{request}: {status}, expected {expected}: {body}")]
    Status {
        /// Method and path.
        request: String,
        /// What came.
        status: StatusCode,
        /// What should have come.
        expected: StatusCode,
        /// The beginning of what it said.
        body: String,
    },
    /// A request was not answered in time.
    #[error("{0}: not answered in time")]
    TimedOut(String),
    /// The connection broke.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// A request that cannot be made.
    #[error(transparent)]
    Request(#[from] http::Error),
    /// A file or a socket.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A result that cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// What was asked for cannot be.
    #[error("{0}")]
    Usage(String),
}
