//! `/v2/<name>/manifests/<reference>` (distribution-spec, "Pulling manifests", "Pushing Manifests", "Deleting Manifests").

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, Response, StatusCode};
use wharf_oci::{MAX_MANIFEST_BYTES, Reference, RepositoryName, Tag};
use wharf_registry::{Error, ManifestPush, Pushed, StoredManifest};

use crate::body::{Body, RequestBody};
use crate::conditional;
use crate::error::WireError;
use crate::headers::{DOCKER_CONTENT_DIGEST, IMMUTABLE, NO_CACHE, OCI_SUBJECT, OCI_TAG, manifest_type, value};
use crate::request::{Answer, Request, empty};

/// The most tags of one push.
const MAX_TAGS: usize = 64;

/// The manifest, as it was pushed; HEAD answers without its bytes.
pub(crate) async fn get(request: Request<'_>, name: &RepositoryName, reference: &Reference) -> Answer {
    let repository = request.repository(name);
    let (manifest, bytes) = if request.is_head() {
        (repository.manifest(reference).await?, None)
    } else {
        let (manifest, bytes) = repository.manifest_with_bytes(reference).await?;
        (manifest, Some(bytes))
    };
    let mut response = described(&manifest, matches!(reference, Reference::Digest(_)));
    if response.headers().get(ETAG).is_some_and(|etag| conditional::is_known(request.headers, etag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, manifest_type(&manifest.media_type));
    headers.insert(CONTENT_LENGTH, manifest.size.into());
    if let Some(bytes) = bytes {
        *response.body_mut() = Body::full(bytes);
    }
    Ok(response)
}

fn described(manifest: &StoredManifest, by_digest: bool) -> Response<Body> {
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(DOCKER_CONTENT_DIGEST, value(&manifest.digest));
    headers.insert(ETAG, conditional::etag(&manifest.digest));
    headers.insert(CACHE_CONTROL, if by_digest { IMMUTABLE } else { NO_CACHE });
    response
}

/// Takes a manifest in, under a tag, or under its digest with any number of tags.
pub(crate) async fn put(request: Request<'_>, name: &RepositoryName, reference: &Reference) -> Answer {
    let repository = request.repository(name);
    let asked = request.query.all("tag").map(|tag| tag.parse::<Tag>());
    let mut tags = asked.collect::<Result<BTreeSet<_>, _>>().map_err(WireError::tag_invalid)?;
    if tags.len() > MAX_TAGS {
        return Err(WireError::too_many_tags(MAX_TAGS));
    }
    let named: Vec<Tag> = tags.iter().cloned().collect();
    let digest = match reference {
        Reference::Tag(_) if !tags.is_empty() => return Err(WireError::tag_twice()),
        Reference::Tag(tag) => {
            tags.insert(tag.clone());
            None
        }
        Reference::Digest(digest) => Some(digest.clone()),
    };
    let mut limits = BTreeMap::new();
    for tag in &tags {
        limits.extend(request.visit.tag_limit(name, tag)?.map(|limit| (tag.clone(), limit)));
    }
    let by = request.visit.caller.name().map(str::to_owned);
    let media_type = media_type(request.headers);
    let bytes = collect(request.body).await?;
    let pushed = repository.push_manifest(ManifestPush { bytes, media_type, digest, tags, limits, by }).await?;
    Ok(created(request.base, name, &pushed, &named))
}

fn created(base: &str, name: &RepositoryName, pushed: &Pushed, tags: &[Tag]) -> Response<Body> {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(LOCATION, value(format_args!("{base}/v2/{name}/manifests/{}", pushed.digest)));
    headers.insert(DOCKER_CONTENT_DIGEST, value(&pushed.digest));
    if let Some(subject) = &pushed.subject {
        headers.insert(OCI_SUBJECT, value(subject));
    }
    for tag in tags {
        headers.append(OCI_TAG, value(tag));
    }
    response
}

/// `Content-Type` without its parameters; media types do not depend on case.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let bare = text.split(';').next().unwrap_or_default().trim();
    (!bare.is_empty()).then(|| bare.to_ascii_lowercase())
}

/// The document, of which no more is kept than a manifest may have.
async fn collect(body: &mut RequestBody) -> Result<Bytes, WireError> {
    let announced = body.announced().unwrap_or(0);
    if announced > MAX_MANIFEST_BYTES as u64 {
        return Err(WireError::manifest_too_large());
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(Error::Body)?;
        if first.len() + all.len() + piece.len() > MAX_MANIFEST_BYTES {
            return Err(WireError::manifest_too_large());
        }
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.reserve(usize::try_from(announced).unwrap_or(0).max(first.len() + piece.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    // A small manifest comes in one piece, which may be part of a larger buffer: it is cached, so that it gets its own.
    Ok(if all.is_empty() { Bytes::copy_from_slice(&first) } else { all.freeze() })
}

/// Deletes a tag, or a manifest with all its tags.
pub(crate) async fn delete(request: Request<'_>, name: &RepositoryName, reference: &Reference) -> Answer {
    let repository = request.repository(name);
    match reference {
        Reference::Digest(digest) if request.visit.guards_shared(name) => {
            repository.delete_unshared_manifest(digest).await?;
        }
        reference => repository.delete_manifest(reference).await?,
    }
    Ok(empty(StatusCode::ACCEPTED))
}
