//! `/v2/<name>/blobs/uploads/` (distribution-spec, "Pushing Blobs").

use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use wharf_oci::{Algorithm, ContentRange, Digest, RepositoryName};
use wharf_registry::{Chunk, StoredBlob, UploadId};

use crate::body::Body;
use crate::error::{WireError, upload_range};
use crate::headers::{DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID, value};
use crate::request::{Answer, Request, blob_location, empty};

/// Begins a session, or takes a whole blob in, or mounts one.
pub(crate) async fn post(request: Request<'_>, name: &RepositoryName) -> Answer {
    let query = request.query;
    if let Some(digest) = query.get("digest") {
        return post_whole(request, name, &digest.parse()?).await;
    }
    let mut algorithm = match query.get("digest-algorithm") {
        Some(algorithm) => algorithm.parse()?,
        None => Algorithm::Sha256,
    };
    if let Some(digest) = query.get("mount").filter(|mount| !mount.is_empty()) {
        let digest: Digest = digest.parse()?;
        if let Some(blob) = mount(&request, name, &digest).await? {
            return Ok(created(request.base, name, &blob));
        }
        algorithm = digest.algorithm();
    }
    let upload = request.repository(name).start_upload(algorithm).await?;
    Ok(session(StatusCode::ACCEPTED, request.base, name, &upload, 0))
}

/// The whole blob in one request (distribution-spec, "Single POST").
async fn post_whole(request: Request<'_>, name: &RepositoryName, digest: &Digest) -> Answer {
    let length = chunk(request.headers, request.body.announced())?.length;
    let blob = request.repository(name).upload_blob(digest, length, request.body).await?;
    Ok(created(request.base, name, &blob))
}

/// Without `from`, from any repository. A `from` that no repository can have holds nothing.
fn mount<'a>(
    request: &Request<'a>,
    name: &RepositoryName,
    digest: &'a Digest,
) -> impl Future<Output = Result<Option<StoredBlob>, WireError>> + 'a {
    let (repository, visit) = (request.repository(name), request.visit);
    let from = request.query.get("from").filter(|from| !from.is_empty()).map(|from| from.parse::<RepositoryName>());
    async move {
        match from {
            Some(Err(_)) => Ok(None),
            Some(Ok(from)) => Ok(repository.mount(digest, Some(&from), &|name| visit.may_read(name)).await?),
            None => Ok(repository.mount(digest, None, &|name| visit.may_read(name)).await?),
        }
    }
}

/// How far a session is (distribution-spec, "Pushing a blob in chunks").
pub(crate) async fn get(request: Request<'_>, name: &RepositoryName, upload: &UploadId) -> Answer {
    let status = request.repository(name).upload_status(upload).await?;
    Ok(session(StatusCode::NO_CONTENT, request.base, name, upload, status.offset))
}

/// Appends a chunk.
pub(crate) async fn patch(request: Request<'_>, name: &RepositoryName, upload: &UploadId) -> Answer {
    let base = request.base;
    let mut chunk = chunk(request.headers, request.body.announced())?;
    if chunk.length == request.body.announced() {
        // The HTTP library lets exactly that much through, or fails; only a chunk that is cut short is smaller, and is kept.
        chunk.length = None;
        request.body.may_end_early();
    }
    let appended = request.repository(name).append(upload, chunk, &mut *request.body).await;
    let status = appended.map_err(|e| WireError::from(e).at_upload(|| location(base, name, upload)))?;
    if request.body.is_cut() {
        return Err(WireError::cut_at(location(base, name, upload), status.offset));
    }
    Ok(session(StatusCode::ACCEPTED, base, name, upload, status.offset))
}

/// Appends the last chunk, if there is one more, and ends the session with a blob.
pub(crate) async fn put(request: Request<'_>, name: &RepositoryName, upload: &UploadId) -> Answer {
    let Request { headers, base, query, .. } = request;
    let digest: Digest = query.get("digest").ok_or_else(WireError::digest_missing)?.parse()?;
    let chunk = chunk(headers, request.body.announced())?;
    let finished = request.repository(name).finish_upload(upload, &digest, chunk, request.body).await;
    let blob = finished.map_err(|e| WireError::from(e).at_upload(|| location(base, name, upload)))?;
    Ok(created(base, name, &blob))
}

/// Gives a session up (distribution-spec, "Cancel a blob upload").
pub(crate) async fn delete(request: Request<'_>, name: &RepositoryName, upload: &UploadId) -> Answer {
    request.repository(name).cancel_upload(upload).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// What the headers say of the body: a range of the blob, or only a length, or nothing.
fn chunk(headers: &HeaderMap, announced: Option<u64>) -> Result<Chunk, WireError> {
    let Some(range) = headers.get(CONTENT_RANGE) else { return Ok(Chunk { start: None, length: announced }) };
    let range = range.to_str().ok().and_then(|range| range.parse::<ContentRange>().ok());
    let range = range.ok_or_else(WireError::content_range_invalid)?;
    match announced {
        Some(length) if length != range.length() => Err(WireError::content_range_contradicts(range.length(), length)),
        _ => Ok(Chunk { start: Some(range.first), length: Some(range.length()) }),
    }
}

/// Where a session is, and how far.
fn session(status: StatusCode, base: &str, name: &RepositoryName, upload: &UploadId, offset: u64) -> Response<Body> {
    let mut response = empty(status);
    let headers = response.headers_mut();
    headers.insert(LOCATION, location(base, name, upload));
    headers.insert(RANGE, upload_range(offset));
    headers.insert(DOCKER_UPLOAD_UUID, value(upload));
    response
}

fn location(base: &str, name: &RepositoryName, upload: &UploadId) -> HeaderValue {
    value(format_args!("{base}/v2/{name}/blobs/uploads/{upload}"))
}

fn created(base: &str, name: &RepositoryName, blob: &StoredBlob) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    response.headers_mut().insert(LOCATION, blob_location(base, name, &blob.digest));
    response.headers_mut().insert(DOCKER_CONTENT_DIGEST, value(&blob.digest));
    response
}
