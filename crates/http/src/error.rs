//! Every refusal that goes over the wire, by name.
//!
//! Handlers answer with a [`WireError`] for what is wrong with a request, and pass errors of the registry through the one `From`
//! below. The body is the specification's (distribution-spec, "Error Codes").

use std::borrow::Cow;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use wharf_oci::{Digest, ErrorCode, InvalidDigest, InvalidManifest, InvalidName, MAX_MANIFEST_BYTES};
use wharf_registry::Error;

use crate::body::{Body, Cut, Stalled};
use crate::headers::{JSON, value};
use crate::router::NoRoute;

/// A refusal, as the client sees it. Small, because every answer might be one.
#[derive(Debug)]
pub(crate) struct WireError(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    entries: Vec<Entry>,
    headers: HeaderMap,
    /// What the log hears and the client does not.
    cause: Option<Box<Error>>,
}

/// One of a body's `errors`.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(serialize_with = "as_word")]
    code: ErrorCode,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
}

fn as_word<S: serde::Serializer>(code: &ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

/// The form of every refusal's body.
#[derive(Serialize)]
struct Document<'a> {
    errors: &'a [Entry],
}

impl WireError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        let entry = Entry { code, message: message.into(), detail: None };
        Self(Box::new(Refusal { status, entries: vec![entry], headers: HeaderMap::new(), cause: None }))
    }

    fn bad(code: ErrorCode, message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message.to_string())
    }

    fn detail(mut self, detail: Value) -> Self {
        if let Some(first) = self.0.entries.first_mut() {
            first.detail = Some(detail);
        }
        self
    }

    fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// No such path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::Unsupported, "the registry has no such path")
    }

    /// The path is there, the method is not.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let message = format!("this path allows {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message)
            .header(ALLOW, HeaderValue::from_static(allowed))
    }

    /// No repository can have this name.
    pub(crate) fn name_invalid(why: InvalidName) -> Self {
        Self::bad(ErrorCode::NameInvalid, why)
    }

    /// No digest.
    pub(crate) fn digest_invalid(why: InvalidDigest) -> Self {
        Self::bad(ErrorCode::DigestInvalid, why)
    }

    /// A parameter that the request needs.
    pub(crate) fn digest_missing() -> Self {
        Self::bad(ErrorCode::DigestInvalid, "the request needs the parameter digest")
    }

    /// No manifest can be pushed under this tag.
    pub(crate) fn tag_invalid(why: impl ToString) -> Self {
        Self::bad(ErrorCode::ManifestInvalid, why)
    }

    /// There cannot be a manifest under this tag.
    pub(crate) fn tag_unknown(why: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown, why.to_string())
    }

    /// `tag` in the query of a push by tag, where the path names the only one.
    pub(crate) fn tag_twice() -> Self {
        Self::bad(ErrorCode::ManifestInvalid, "the parameter tag goes with a push by digest")
    }

    /// More tags in one push than the registry sets at once.
    pub(crate) fn too_many_tags(most: usize) -> Self {
        let message = format!("one push sets at most {most} tags");
        Self::new(StatusCode::URI_TOO_LONG, ErrorCode::ManifestInvalid, message)
    }

    /// A manifest beyond the limit.
    pub(crate) fn manifest_too_large() -> Self {
        let message = format!("a manifest has at most {MAX_MANIFEST_BYTES} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid, message)
            .detail(json!({ "limit": MAX_MANIFEST_BYTES }))
    }

    /// No such session, because no session has such an id.
    pub(crate) fn upload_unknown() -> Self {
        Error::UploadUnknown.into()
    }

    /// `Content-Range` that is none.
    pub(crate) fn content_range_invalid() -> Self {
        Self::bad(ErrorCode::BlobUploadInvalid, "Content-Range must be first-last, both inclusive")
    }

    /// `Content-Range` and `Content-Length` contradict each other.
    pub(crate) fn content_range_contradicts(range: u64, length: u64) -> Self {
        let message = format!("Content-Range spans {range} bytes, Content-Length is {length}");
        Self::bad(ErrorCode::SizeInvalid, message)
    }

    /// A `Range` of which the blob has nothing.
    pub(crate) fn range_not_satisfiable(size: u64) -> Self {
        let message = format!("the range lies outside the blob, which has {size} bytes");
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::SizeInvalid, message)
            .header(CONTENT_RANGE, value(format_args!("bytes */{size}")))
    }

    /// `n` that is no number.
    pub(crate) fn page_size_invalid() -> Self {
        Self::bad(ErrorCode::Unsupported, "the parameter n must be a number, 0 or more")
    }

    /// Nobody is known by what the request shows, or it shows nothing and would have to.
    pub(crate) fn unauthorized(message: String, challenge: HeaderValue) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message).header(WWW_AUTHENTICATE, challenge)
    }

    /// They may not; `reason` is a condition's own word.
    pub(crate) fn denied(message: impl Into<Cow<'static, str>>, reason: Option<String>) -> Self {
        let error = Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message);
        match reason {
            Some(reason) => error.detail(json!({ "reason": reason })),
            None => error,
        }
    }

    /// Whether it is one of the two above.
    pub(crate) fn is_about_access(&self) -> bool {
        matches!(self.0.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }

    /// Too many passwords are being tried.
    pub(crate) fn too_many_logins() -> Self {
        let message = "too many logins wait for their passwords to be checked";
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// What would know a login does not answer.
    pub(crate) fn login_unavailable() -> Self {
        let message = "logins cannot be checked at this moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// More scopes than a token has.
    pub(crate) fn scopes_invalid(why: impl ToString) -> Self {
        Self::bad(ErrorCode::Unsupported, why)
    }

    /// Another way to get a token than by a password.
    pub(crate) fn grant_unsupported() -> Self {
        Self::bad(ErrorCode::Unsupported, "the only grant_type is password")
    }

    /// No login begins so.
    pub(crate) fn login_invalid(why: String) -> Self {
        Self::bad(ErrorCode::Unsupported, why)
    }

    /// Nobody has logged in. There is no challenge: what could be shown was shown to the provider.
    pub(crate) fn login_refused(why: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, why)
    }

    /// No API key is made so.
    pub(crate) fn api_key_invalid(why: String) -> Self {
        Self::bad(ErrorCode::Unsupported, why)
    }

    /// A body that is read whole, and too large for that.
    pub(crate) fn body_too_large(most: usize) -> Self {
        let message = format!("the body has at most {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
    }

    /// A fault of the registry's own.
    pub(crate) fn internal() -> Self {
        let message = "the registry made a mistake; its log has the details under the id in X-Request-Id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, message)
    }

    /// Headers beyond the limit.
    pub(crate) fn head_too_large(most: u32) -> Self {
        let message = format!("the headers of a request have at most {most} bytes");
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode::Unsupported, message)
    }

    /// More requests a second than this client may make.
    pub(crate) fn too_many_requests(wait: Duration) -> Self {
        // Whole seconds, and not too early.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, "too many requests; try again later")
            .header(RETRY_AFTER, value(seconds))
    }

    /// More requests at once than the registry takes.
    pub(crate) fn too_busy() -> Self {
        let message = "the registry is at as many requests as it takes at once; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// An upload was cut short because the process ends.
    fn ends() -> Self {
        let message =
            "this process of the registry ends: go on with the upload where its session stands, on another one";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The same, where the session is, and how far.
    pub(crate) fn cut_at(location: HeaderValue, offset: u64) -> Self {
        Self::ends().header(LOCATION, location).header(RANGE, upload_range(offset)).detail(json!({ "offset": offset }))
    }

    fn unavailable(message: &'static str, cause: Error) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
            .header(RETRY_AFTER, HeaderValue::from_static("1"));
        error.0.cause = Some(Box::new(cause));
        error
    }

    /// Tells where the session is, if the refusal is about a place in it.
    pub(crate) fn at_upload(mut self, location: impl FnOnce() -> HeaderValue) -> Self {
        if self.0.status == StatusCode::RANGE_NOT_SATISFIABLE {
            self.0.headers.insert(LOCATION, location());
        }
        self
    }

    /// Puts into the log what the client is not told.
    pub(crate) fn log(&self) {
        match self.0.cause.as_deref() {
            Some(cause @ Error::Contended(_)) => tracing::warn!(%cause, "a request gave up"),
            Some(cause) => tracing::error!(%cause, "a request failed"),
            None => {}
        }
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response<Body> {
        let Refusal { status, entries, headers, .. } = *self.0;
        let body = serde_json::to_vec(&Document { errors: &entries }).unwrap_or_default();
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        response
    }
}

impl From<NoRoute> for WireError {
    fn from(why: NoRoute) -> Self {
        match why {
            NoRoute::Path => Self::no_such_path(),
            NoRoute::Name(why) => Self::name_invalid(why),
            NoRoute::Digest(why) => Self::digest_invalid(why),
            NoRoute::Tag(why) => Self::tag_unknown(why),
            NoRoute::UploadId => Self::upload_unknown(),
        }
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        let not_found = |code, error: &Error| Self::new(StatusCode::NOT_FOUND, code, error.to_string());
        match error {
            Error::NameUnknown(ref name) => {
                not_found(ErrorCode::NameUnknown, &error).detail(json!({ "name": name.as_str() }))
            }
            Error::ManifestUnknown(ref reference) => {
                not_found(ErrorCode::ManifestUnknown, &error).detail(json!({ "reference": reference }))
            }
            Error::BlobUnknown(ref digest) => {
                not_found(ErrorCode::BlobUnknown, &error).detail(json!({ "digest": digest }))
            }
            Error::UploadUnknown => not_found(ErrorCode::BlobUploadUnknown, &error),
            Error::ManifestBlobUnknown(missing) => manifest_blob_unknown(missing),
            Error::ManifestInvalid(why) => manifest_invalid(&why),
            Error::DigestMismatch { ref expected, ref actual } => {
                Self::bad(ErrorCode::DigestInvalid, &error).detail(json!({ "expected": expected, "actual": actual }))
            }
            Error::RangeNotAligned { offset } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid, error.to_string())
                    .header(RANGE, upload_range(offset))
                    .detail(json!({ "offset": offset }))
            }
            Error::SizeInvalid { announced, received } => Self::bad(ErrorCode::SizeInvalid, &error)
                .detail(json!({ "announced": announced, "received": received })),
            Error::InUse { ref what, ref by } => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Denied, error.to_string())
                    .header(ALLOW, HeaderValue::from_static("GET, HEAD"))
                    .detail(json!({ "digest": what, "neededBy": by }))
            }
            Error::TagDenied { ref tag, .. } => Self::denied(error.to_string(), None).detail(json!({ "tag": tag })),
            Error::Shared { ref what, tags } => {
                Self::new(StatusCode::CONFLICT, ErrorCode::ManifestInvalid, error.to_string())
                    .detail(json!({ "digest": what, "tags": tags }))
            }
            Error::Body(ref why) if why.is::<Stalled>() => {
                Self::new(StatusCode::REQUEST_TIMEOUT, ErrorCode::SizeInvalid, error.to_string())
            }
            Error::Body(ref why) if why.is::<Cut>() => Self::ends(),
            Error::Body(_) => Self::bad(ErrorCode::SizeInvalid, "the request body broke off"),
            Error::Contended(_) => {
                Self::unavailable("too many concurrent changes of the same content; try again", error)
            }
            Error::Store(_) | Error::Commit(_) => {
                Self::unavailable("the registry's storage did not answer; try again", error)
            }
        }
    }
}

/// One entry for each digest that is missing (distribution-spec, "Pushing Manifests").
fn manifest_blob_unknown(missing: Vec<Digest>) -> WireError {
    let entries = missing.into_iter().map(|digest| Entry {
        code: ErrorCode::ManifestBlobUnknown,
        message: format!("the repository does not have {digest}, which the manifest needs; push it first").into(),
        detail: Some(json!({ "digest": digest })),
    });
    let mut error = WireError::bad(ErrorCode::ManifestBlobUnknown, "");
    error.0.entries = entries.collect();
    error
}

fn manifest_invalid(why: &InvalidManifest) -> WireError {
    match why {
        InvalidManifest::Unsupported(media_type) => {
            WireError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::ManifestInvalid, why.to_string())
                .detail(json!({ "mediaType": media_type }))
        }
        _ => WireError::bad(ErrorCode::ManifestInvalid, why),
    }
}

/// What a session has, as the specification writes it: both ends inclusive, and `0-0` for nothing.
pub(crate) fn upload_range(offset: u64) -> HeaderValue {
    value(format_args!("0-{}", offset.saturating_sub(1)))
}

impl From<InvalidName> for WireError {
    fn from(why: InvalidName) -> Self {
        Self::name_invalid(why)
    }
}

impl From<InvalidDigest> for WireError {
    fn from(why: InvalidDigest) -> Self {
        Self::digest_invalid(why)
    }
}
