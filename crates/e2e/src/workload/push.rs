//! Pushing an image as clients do: what is there is not sent, and what was forgotten meanwhile is sent again.

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};

use super::picture::{Layer, Picture};
use crate::client::Client;
use crate::image::MANIFEST;
use crate::patient::Patient;

/// How often a push may find that a blob of its was collected: a client that stalls for longer than the delay has to begin anew.
const BEGINNINGS: u32 = 20;

/// How a blob is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Whole,
    Chunks,
}

/// Pushes an image; answers how often it had to begin anew. `from` is a repository that may have its blobs.
pub(super) async fn push(
    client: &Patient,
    repository: &str,
    tag: &str,
    picture: &Picture,
    from: Option<&str>,
    way: Way,
) -> u32 {
    let what = format!("the push of {repository}:{tag}");
    for beginning in 0..BEGINNINGS {
        for blob in &picture.blobs {
            put_blob(client, repository, blob, from, way).await;
        }
        let answer = put_manifest(client, repository, tag, picture).await;
        if answer.status.is_success() {
            answer.expect(&what, &[201]);
            return beginning;
        }
        assert!(answer.body.windows(21).any(|text| text == b"MANIFEST_BLOB_UNKNOWN"), "{what}: {answer:?}");
    }
    panic!("{what}: its blobs were collected {BEGINNINGS} times");
}

/// Pushes the manifest alone.
pub(super) async fn put_manifest(
    client: &Patient,
    repository: &str,
    tag: &str,
    picture: &Picture,
) -> crate::patient::Answer {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let request = |client: &Client| {
        client.request(Method::PUT, &path).header(CONTENT_TYPE, MANIFEST).body(picture.manifest.clone())
    };
    client.send(&format!("PUT {path}"), request).await
}

async fn put_blob(client: &Patient, repository: &str, blob: &Layer, from: Option<&str>, way: Way) {
    let path = format!("/v2/{repository}/blobs/{}", blob.digest);
    let answer = client.send(&format!("HEAD {path}"), |client| client.request(Method::HEAD, &path)).await;
    if answer.status.is_success() {
        return;
    }
    answer.expect(&path, &[404]);
    for _ in 0..BEGINNINGS {
        let mount = from.map_or_else(String::new, |from| format!("?mount={}&from={from}", blob.digest));
        let start = format!("/v2/{repository}/blobs/uploads/{mount}");
        let answer = client.send(&format!("POST {start}"), |client| client.request(Method::POST, &start)).await;
        answer.expect(&start, &[201, 202]);
        let location = path_of(answer.header("location"));
        if answer.status.as_u16() == 201 || send(client, &location, blob, way).await {
            return;
        }
    }
    panic!("{path}: {BEGINNINGS} uploads of it were forgotten");
}

/// Sends a blob to a session; whether the session lasted.
async fn send(client: &Patient, location: &str, blob: &Layer, way: Way) -> bool {
    let size = blob.content.size();
    let (mut location, mut offset) = (location.to_owned(), 0);
    if way == Way::Chunks {
        let half = size / 2;
        match append(client, &location, blob, half).await {
            Some(next) => (location, offset) = (next, half),
            None => return false,
        }
    }
    let joint = if location.contains('?') { '&' } else { '?' };
    let path = format!("{location}{joint}digest={}", blob.digest);
    let request = |client: &Client| {
        client
            .request(Method::PUT, &path)
            .header(CONTENT_LENGTH, size - offset)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(blob.content.body(offset, size))
    };
    let answer = client.send(&format!("PUT {path}"), request).await;
    // Sent once more, to a session that may have taken it in the first time, or has expired since.
    answer.expect(&path, if answer.sent_before > 0 { &[201, 404, 416, 400] } else { &[201, 404] });
    answer.status.is_success()
}

/// Sends the first bytes of a blob as a chunk; where the session goes on, if it does.
pub(super) async fn append(client: &Patient, location: &str, blob: &Layer, end: u64) -> Option<String> {
    let request = |client: &Client| {
        client
            .request(Method::PATCH, location)
            .header(CONTENT_LENGTH, end)
            .header(CONTENT_RANGE, format!("0-{}", end - 1))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(blob.content.body(0, end))
    };
    let answer = client.send(&format!("PATCH {location}"), request).await;
    answer.expect(location, if answer.sent_before > 0 { &[202, 404, 416] } else { &[202, 404] });
    // A chunk that was taken in the first time: the client begins anew, as most do.
    answer.status.is_success().then(|| path_of(answer.header("location")))
}

/// Path and query of a URL.
pub(super) fn path_of(url: &str) -> String {
    match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        None => url.to_owned(),
    }
}
