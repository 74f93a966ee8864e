//! What clients of a registry say, each as one function.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wharf_e2e::image::{MANIFEST, descriptor};

use crate::blob::Blob;
use crate::client::{Connection, Payload};
use crate::failure::Outcome;

const OCTETS: &str = "application/octet-stream";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Reads a path and throws it away; answers its length.
pub(crate) async fn get(at: &mut Connection, path: &str) -> Outcome<u64> {
    let answer = at.send(Method::GET, path, &[(ACCEPT, MANIFEST)], Payload::Empty).await?;
    answer.expect(StatusCode::OK).await?.discard().await
}

/// Reads a small path.
pub(crate) async fn read(at: &mut Connection, path: &str) -> Outcome<Vec<u8>> {
    let answer = at.send(Method::GET, path, &[(ACCEPT, MANIFEST)], Payload::Empty).await?;
    answer.expect(StatusCode::OK).await?.bytes().await
}

/// Reads `length` bytes from `start` and throws them away.
pub(crate) async fn get_range(at: &mut Connection, path: &str, start: u64, length: u64) -> Outcome<u64> {
    let range = format!("bytes={start}-{}", start + length - 1);
    let answer = at.send(Method::GET, path, &[(RANGE, &range)], Payload::Empty).await?;
    answer.expect(StatusCode::PARTIAL_CONTENT).await?.discard().await
}

/// Asks whether something is there.
pub(crate) async fn head(at: &mut Connection, path: &str) -> Outcome<()> {
    let answer = at.send(Method::HEAD, path, &[(ACCEPT, MANIFEST)], Payload::Empty).await?;
    answer.expect(StatusCode::OK).await.map(drop)
}

/// Asks for something that is not there.
pub(crate) async fn head_missing(at: &mut Connection, path: &str) -> Outcome<()> {
    let answer = at.send(Method::HEAD, path, &[(ACCEPT, MANIFEST)], Payload::Empty).await?;
    answer.expect(StatusCode::NOT_FOUND).await.map(drop)
}

/// A blob by POST and one PUT.
pub(crate) async fn push_whole(at: &mut Connection, repository: &str, blob: &Blob) -> Outcome<u64> {
    let session = begin(at, repository).await?;
    end(at, &session, blob, Payload::Sized(blob.pieces(0, blob.size()))).await
}

/// A blob by POST, one PATCH of unannounced length, and PUT: what Docker and containerd do.
pub(crate) async fn push_streamed(at: &mut Connection, repository: &str, blob: &Blob) -> Outcome<u64> {
    let session = begin(at, repository).await?;
    let body = Payload::Streamed(blob.pieces(0, blob.size()));
    let answer = at.send(Method::PATCH, &session, &[(CONTENT_TYPE, OCTETS)], body).await?;
    let session = answer.expect(StatusCode::ACCEPTED).await?;
    let location = session.location()?;
    session.discard().await?;
    end(at, &location, blob, Payload::Empty).await
}

/// A blob by POST, a PATCH for each `piece` bytes, and PUT.
pub(crate) async fn push_chunked(at: &mut Connection, repository: &str, blob: &Blob, piece: u64) -> Outcome<u64> {
    let mut session = begin(at, repository).await?;
    let mut start = 0;
    while start < blob.size() {
        let last = (start + piece).min(blob.size());
        let range = format!("{start}-{}", last - 1);
        let body = Payload::Sized(blob.pieces(start, last));
        let headers = [(CONTENT_TYPE, OCTETS), (CONTENT_RANGE, range.as_str())];
        let answer = at.send(Method::PATCH, &session, &headers, body).await?.expect(StatusCode::ACCEPTED).await?;
        session = answer.location()?;
        answer.discard().await?;
        start = last;
    }
    end(at, &session, blob, Payload::Empty).await
}

/// A manifest under a tag or its digest.
pub(crate) async fn push_manifest(
    at: &mut Connection,
    repository: &str,
    reference: &str,
    bytes: Bytes,
) -> Outcome<u64> {
    let size = bytes.len() as u64;
    let path = manifest_path(repository, reference);
    let answer = at.send(Method::PUT, &path, &[(CONTENT_TYPE, MANIFEST)], Payload::Whole(bytes)).await?;
    answer.expect(StatusCode::CREATED).await?.discard().await?;
    Ok(size)
}

/// Takes a tag or a manifest away.
pub(crate) async fn delete_manifest(at: &mut Connection, repository: &str, reference: &str) -> Outcome<u64> {
    let answer = at.send(Method::DELETE, &manifest_path(repository, reference), &[], Payload::Empty).await?;
    answer.expect(StatusCode::ACCEPTED).await?.discard().await
}

/// Begins an upload; answers where it goes on.
async fn begin(at: &mut Connection, repository: &str) -> Outcome<String> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let answer = at.send(Method::POST, &path, &[], Payload::Empty).await?.expect(StatusCode::ACCEPTED).await?;
    let location = answer.location()?;
    answer.discard().await?;
    Ok(location)
}

async fn end(at: &mut Connection, session: &str, blob: &Blob, body: Payload) -> Outcome<u64> {
    let joint = if session.contains('?') { '&' } else { '?' };
    let path = format!("{session}{joint}digest={}", blob.digest());
    let answer = at.send(Method::PUT, &path, &[(CONTENT_TYPE, OCTETS)], body).await?;
    answer.expect(StatusCode::CREATED).await?.discard().await?;
    Ok(blob.size())
}

/// Where a manifest is.
pub(crate) fn manifest_path(repository: &str, reference: &str) -> String {
    format!("/v2/{repository}/manifests/{reference}")
}

/// Where a blob is.
pub(crate) fn blob_path(repository: &str, digest: &str) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

/// A manifest of these blobs, which differs from every other.
pub(crate) fn manifest(config: &Blob, layers: &[Blob]) -> Bytes {
    manifest_with(config, layers, None)
}

/// The same, which refers to a subject.
pub(crate) fn manifest_with(config: &Blob, layers: &[Blob], subject: Option<&[u8]>) -> Bytes {
    let layers: Vec<Value> = layers.iter().map(|layer| describe(LAYER, layer)).collect();
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": describe(CONFIG, config),
        "layers": layers,
        "annotations": {"bench.number": crate::blob::unique().to_string()},
    });
    if let Some(subject) = subject {
        document["subject"] = descriptor(MANIFEST, subject);
    }
    Bytes::from(document.to_string())
}

fn describe(media_type: &str, blob: &Blob) -> Value {
    json!({"mediaType": media_type, "digest": blob.digest(), "size": blob.size()})
}
