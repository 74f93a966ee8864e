//! What an error of the client means for a caller, and what people should do about it.

use std::error::Error;

use http::StatusCode;
use object_store::client::{HttpError, HttpErrorKind};

use super::ObjectStore;
use super::answer::Answer;
use crate::StoreError;

/// Begins what is said where the source of credentials refuses.
const NO_CREDENTIALS: &str = "there are no credentials";

/// What an error of the client means.
#[derive(Debug)]
pub(super) enum Cause {
    /// There is no such object or upload.
    Missing,
    /// The caller's version is the current one.
    Unchanged,
    /// A condition did not hold.
    Lost,
    /// Nobody knows what became of the request.
    Transient(String),
    /// The service refuses, and will refuse again.
    Refused(String),
}

impl Cause {
    /// Sorts an error of the client.
    pub(super) fn of(error: &object_store::Error) -> Self {
        if let Some(answer) = find::<Answer>(error) {
            return Self::of_answer(answer);
        }
        match error {
            object_store::Error::NotFound { .. } => return Self::Missing,
            object_store::Error::NotModified { .. } => return Self::Unchanged,
            object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. } => return Self::Lost,
            _ => {}
        }
        if let Some(failure) = find::<HttpError>(error) {
            return Self::Transient(format!("{}: {}", kind(failure.kind()), deepest(failure)));
        }
        let text = deepest(error).to_string();
        // S3 may answer 200 to a long request and then send an error; the client says so in a private type.
        if text.starts_with("Server returned error response") { Self::Transient(text) } else { Self::Refused(text) }
    }

    /// Sorts an answer.
    pub(super) fn of_answer(answer: &Answer) -> Self {
        let status = answer.status;
        if let Some(host) = &answer.stranger {
            let text = format!("{NO_CREDENTIALS}: {host} answered {answer}");
            let is_transient = status.is_server_error()
                || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
            return if is_transient { Self::Transient(text) } else { Self::Refused(text) };
        }
        match answer.code.as_str() {
            "NoSuchBucket" | "ContainerNotFound" => return Self::Refused(answer.to_string()),
            "RequestTimeout" | "SlowDown" | "Throttling" | "ThrottlingException" => {
                return Self::Transient(answer.to_string());
            }
            _ => {}
        }
        match status {
            StatusCode::NOT_FOUND => Self::Missing,
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Self::Lost,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Self::Transient(answer.to_string()),
            StatusCode::NOT_IMPLEMENTED => Self::Refused(answer.to_string()),
            _ if status.is_server_error() => Self::Transient(answer.to_string()),
            _ => Self::Refused(answer.to_string()),
        }
    }
}

/// The first cause of a type in the chain.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref::<T>())
}

/// The last cause, which says what happened without the wrapping.
pub(super) fn deepest<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    std::iter::successors(Some(error), |error| (*error).source()).last().unwrap_or(error)
}

const fn kind(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "no connection",
        HttpErrorKind::Timeout => "no answer in time",
        HttpErrorKind::Request | HttpErrorKind::Interrupted => "the connection broke",
        HttpErrorKind::Decode => "the answer is not understood",
        _ => "the request failed",
    }
}

impl ObjectStore {
    /// The error that callers see for one of the client. Absence and lost conditions that mean something to an operation were
    /// dealt with before.
    pub(super) fn failure(&self, operation: &'static str, what: &str, error: &object_store::Error) -> StoreError {
        self.failure_of(operation, what, Cause::of(error))
    }

    /// As [`ObjectStore::failure`], for a cause that is known already.
    pub(super) fn failure_of(&self, operation: &'static str, what: &str, cause: Cause) -> StoreError {
        match cause {
            Cause::Missing => StoreError::not_found(what),
            Cause::Unchanged => StoreError::unavailable(operation, what, format!("{}: 304", self.place)),
            Cause::Lost => StoreError::unavailable(operation, what, format!("{}: 409, or 412", self.place)),
            Cause::Transient(text) => StoreError::unavailable(operation, what, self.transient(&text)),
            Cause::Refused(text) => StoreError::refused(operation, what, self.refusal(&text)),
        }
    }

    fn transient(&self, text: &str) -> String {
        let advice = if text.contains(NO_CREDENTIALS) {
            format!("; set {}", self.service.keys().credentials)
        } else {
            String::new()
        };
        format!("{}: {text}{advice}", self.place)
    }

    /// What the service said, where, and what to do.
    fn refusal(&self, text: &str) -> String {
        let keys = self.service.keys();
        if text.starts_with(NO_CREDENTIALS) {
            return format!("{}: {text}; set {}", self.place, keys.credentials);
        }
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let advice = if has(&["NoSuchBucket", "ContainerNotFound"]) {
            format!("; create it, or correct storage.storageDriver.{}", keys.bucket)
        } else if has(&["RequestTimeTooSkewed"]) {
            "; set this machine's clock".to_owned()
        } else if has(&["AuthorizationHeaderMalformed", "PermanentRedirect", "without LOCATION"]) {
            format!("; correct storage.storageDriver.{}", keys.region)
        } else if has(&["InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthenticationFailed", "InvalidToken", "401"]) {
            format!("; correct {}", keys.credentials)
        } else if has(&["AccessDenied", "403"]) {
            format!(
                "; let these credentials get, put, delete and list objects and multipart uploads there, or correct {}",
                keys.credentials
            )
        } else if has(&["501", "NotImplemented"]) {
            "; this store lacks something that Wharf needs".to_owned()
        } else {
            String::new()
        };
        format!("{} answered {text}{advice}", self.place)
    }
}
