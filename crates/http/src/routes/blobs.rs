//! `/v2/<name>/blobs/<digest>` (distribution-spec, "Pulling blobs", "Deleting Blobs").

use std::ops::Range;

use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use wharf_oci::{ByteRange, Digest, InvalidRange, RepositoryName};
use wharf_registry::StoredBlob;

use crate::body::Body;
use crate::conditional;
use crate::error::WireError;
use crate::headers::{BYTES, DOCKER_CONTENT_DIGEST, IMMUTABLE, OCTET_STREAM, value};
use crate::request::{Answer, Request, empty};

/// Whether the repository holds it. A client that is told so will not upload it.
pub(crate) async fn head(request: Request<'_>, name: &RepositoryName, digest: &Digest) -> Answer {
    let blob = request.repository(name).blob_for_push(digest).await?;
    let etag = conditional::etag(digest);
    if conditional::is_known(request.headers, &etag) {
        return Ok(described(StatusCode::NOT_MODIFIED, digest, etag));
    }
    let mut response = described(StatusCode::OK, digest, etag);
    response.headers_mut().insert(CONTENT_TYPE, OCTET_STREAM);
    response.headers_mut().insert(CONTENT_LENGTH, blob.size.into());
    Ok(response)
}

/// Its bytes, or where to find them.
pub(crate) async fn get(request: Request<'_>, name: &RepositoryName, digest: &Digest) -> Answer {
    let repository = request.repository(name);
    let blob = repository.blob(digest).await?;
    let etag = conditional::etag(digest);
    if conditional::is_known(request.headers, &etag) {
        return Ok(described(StatusCode::NOT_MODIFIED, digest, etag));
    }
    let range = wanted(request.headers, &etag, &blob)?;
    if let Some(lifetime) = request.app.options.redirect_blobs
        && let Some(url) = repository.blob_url(&blob, lifetime).await?
    {
        return Ok(elsewhere(digest, &url));
    }
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = described(status, digest, etag);
    response.headers_mut().insert(CONTENT_TYPE, OCTET_STREAM);
    if let Some(Range { start, end }) = range {
        let range = value(format_args!("bytes {start}-{}/{}", end - 1, blob.size));
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    let range = range.unwrap_or(0..blob.size);
    if !range.is_empty() {
        let length = range.end - range.start;
        *response.body_mut() = Body::stream(repository.read_blob(&blob, range).await?, length);
    }
    Ok(response)
}

/// Takes it out of this repository.
pub(crate) async fn delete(request: Request<'_>, name: &RepositoryName, digest: &Digest) -> Answer {
    request.repository(name).delete_blob(digest).await?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// The part that the client wants, if it wants only one (RFC 9110, 14.2). Several parts at once get the whole, as does what is no
/// range.
fn wanted(headers: &HeaderMap, etag: &HeaderValue, blob: &StoredBlob) -> Result<Option<Range<u64>>, WireError> {
    let Some(range) = headers.get(RANGE).filter(|_| conditional::range_counts(headers, etag)) else { return Ok(None) };
    let range = range.to_str().map_err(|_| InvalidRange::Form).and_then(str::parse::<ByteRange>);
    match range.and_then(|range| range.within(blob.size)) {
        Ok(range) => Ok(Some(range)),
        Err(InvalidRange::Form) => Ok(None),
        Err(InvalidRange::Unsatisfiable) => Err(WireError::range_not_satisfiable(blob.size)),
    }
}

fn described(status: StatusCode, digest: &Digest, etag: HeaderValue) -> Response<Body> {
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(DOCKER_CONTENT_DIGEST, value(digest));
    headers.insert(ETAG, etag);
    headers.insert(ACCEPT_RANGES, BYTES);
    headers.insert(CACHE_CONTROL, IMMUTABLE);
    response
}

/// To the store itself. The client sends its `Range` there as well.
fn elsewhere(digest: &Digest, url: &str) -> Response<Body> {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(DOCKER_CONTENT_DIGEST, value(digest));
    response.headers_mut().insert(LOCATION, value(url));
    response
}
