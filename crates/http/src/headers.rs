//! Header names and values that answers are made of.

use std::fmt::Display;

use http::HeaderValue;
use http::header::HeaderName;
use wharf_oci::media_type;

/// `Docker-Content-Digest`.
pub(crate) const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// `Docker-Distribution-Api-Version`, which clients of Docker look for.
pub(crate) const DOCKER_API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// `Docker-Upload-UUID`.
pub(crate) const DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// `OCI-Subject`.
pub(crate) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// `OCI-Tag`.
pub(crate) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// `OCI-Filters-Applied`.
pub(crate) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// `X-Request-Id`.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The only API version there is.
pub(crate) const API_VERSION: HeaderValue = HeaderValue::from_static("registry/2.0");
/// A JSON document.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Plain text.
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Any bytes.
pub(crate) const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// `Accept-Ranges`.
pub(crate) const BYTES: HeaderValue = HeaderValue::from_static("bytes");
/// Content under a digest is the same for ever, though not for everybody: only the client itself may keep it.
pub(crate) const IMMUTABLE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// What a tag names may be another manifest the next time: caches have to ask.
pub(crate) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// The connection ends with this answer.
pub(crate) const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// A value made of parts that were checked before: digests, names, numbers, ids. Whatever no header can carry becomes empty.
pub(crate) fn value(text: impl Display) -> HeaderValue {
    HeaderValue::try_from(text.to_string()).unwrap_or(const { HeaderValue::from_static("") })
}

/// The value of a manifest's `Content-Type`.
pub(crate) fn manifest_type(media_type: &str) -> HeaderValue {
    const KNOWN: [&str; 4] =
        [media_type::OCI_MANIFEST, media_type::OCI_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST];
    let known = KNOWN.into_iter().find(|known| *known == media_type);
    known.map_or_else(|| value(media_type), HeaderValue::from_static)
}
