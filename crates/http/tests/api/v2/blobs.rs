//! `/v2/<name>/blobs/<digest>`

use std::sync::atomic::Ordering;
use std::time::Duration;

use wharf_http::HttpOptions;

use crate::server::{Server, header, refused, sha256};

#[tokio::test]
async fn a_blob_is_pulled_whole_or_in_part() {
    let server = Server::start().await;
    let digest = server.blob("a/b", b"0123456789").await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let whole = server.get(&path).await;
    assert_eq!(whole.status(), 200);
    for (name, value) in [
        ("content-length", "10".to_owned()),
        ("content-type", "application/octet-stream".to_owned()),
        ("docker-content-digest", digest.to_string()),
        ("etag", format!("\"{digest}\"")),
        ("accept-ranges", "bytes".to_owned()),
        ("cache-control", "private, max-age=31536000, immutable".to_owned()),
    ] {
        assert_eq!(header(&whole, name), value, "{name}");
    }
    assert_eq!(whole.text().await.unwrap(), "0123456789");
    for (range, status, content_range, content) in [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=-1", 206, "bytes 9-9/10", "9"),
        ("bytes=0-99", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=0-1,3-4", 200, "", "0123456789"),
        ("lines=1-2", 200, "", "0123456789"),
    ] {
        let part = server.ask("GET", &path).header("range", range).send().await.unwrap();
        assert_eq!(part.status().as_u16(), status, "{range}");
        assert_eq!(header(&part, "content-range"), content_range);
        assert_eq!(part.text().await.unwrap(), content);
    }
    let outside = server.ask("GET", &path).header("range", "bytes=10-").send().await.unwrap();
    assert_eq!(header(&outside, "content-range"), "bytes */10");
    refused(outside, 416, "SIZE_INVALID").await;
}

#[tokio::test]
async fn conditions_are_kept() {
    let server = Server::start().await;
    let digest = server.blob("a", b"0123456789").await;
    let path = format!("/v2/a/blobs/{digest}");
    let etag = format!("\"{digest}\"");
    for method in ["GET", "HEAD"] {
        let same = server.ask(method, &path).header("if-none-match", &etag).send().await.unwrap();
        assert_eq!(same.status(), 304);
        assert_eq!(header(&same, "etag"), etag);
        let other = server.ask(method, &path).header("if-none-match", "\"x\"").send().await.unwrap();
        assert_eq!(other.status(), 200);
    }
    for (condition, status) in [(etag.as_str(), 206), ("\"x\"", 200)] {
        let request = server.ask("GET", &path).header("range", "bytes=1-1").header("if-range", condition);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let server = Server::start().await;
    let digest = server.blob("a", b"0123456789").await;
    let head = server.head(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length").as_str()), (200, "10"));
    assert_eq!(header(&head, "accept-ranges"), "bytes");
    assert!(head.bytes().await.unwrap().is_empty());
    // A range is defined for GET alone (RFC 9110, 14.2).
    for range in ["bytes=2-4", "bytes=10-"] {
        let path = format!("/v2/a/blobs/{digest}");
        let head = server.ask("HEAD", &path).header("range", range).send().await.unwrap();
        assert_eq!((head.status().as_u16(), header(&head, "content-length").as_str()), (200, "10"), "{range}");
        assert_eq!(header(&head, "content-range"), "");
    }
    let unknown = server.head(&format!("/v2/a/blobs/{}", sha256(b"unknown"))).await;
    assert_eq!(unknown.status(), 404);
    assert!(unknown.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_empty_blob_is_one() {
    let server = Server::start().await;
    let digest = server.blob("a", b"").await;
    let response = server.get(&format!("/v2/a/blobs/{digest}")).await;
    assert_eq!((response.status().as_u16(), header(&response, "content-length").as_str()), (200, "0"));
    assert!(response.bytes().await.unwrap().is_empty());
    let path = format!("/v2/a/blobs/{digest}");
    let range = server.ask("GET", &path).header("range", "bytes=0-0").send().await.unwrap();
    refused(range, 416, "SIZE_INVALID").await;
}

#[tokio::test]
async fn only_what_no_manifest_needs_is_deleted() {
    let server = Server::start().await;
    let free = server.blob("a", b"free").await;
    server.image("a", "latest", "needed").await;
    let needed = sha256(b"needed");
    let body = refused(server.delete(&format!("/v2/a/blobs/{needed}")).await, 405, "DENIED").await;
    assert_eq!(body["errors"][0]["detail"]["digest"], needed.to_string());
    assert_eq!(server.delete(&format!("/v2/a/blobs/{free}")).await.status(), 202);
    refused(server.get(&format!("/v2/a/blobs/{free}")).await, 404, "BLOB_UNKNOWN").await;
    refused(server.delete(&format!("/v2/a/blobs/{free}")).await, 404, "BLOB_UNKNOWN").await;
}

#[tokio::test]
async fn another_repository_does_not_have_it() {
    let server = Server::start().await;
    let digest = server.blob("a", b"x").await;
    refused(server.get(&format!("/v2/b/blobs/{digest}")).await, 404, "BLOB_UNKNOWN").await;
}

#[tokio::test]
async fn the_store_itself_may_serve_it() {
    let lifetime = Some(Duration::from_secs(300));
    let server = Server::with(HttpOptions { redirect_blobs: lifetime, ..HttpOptions::default() }).await;
    let digest = server.blob("a", b"0123456789").await;
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(server.get(&path).await.status(), 200, "this store makes no URLs");
    server.store.signs.store(true, Ordering::Relaxed);
    let response = server.get(&path).await;
    assert_eq!(response.status(), 307);
    let location = header(&response, "location");
    assert!(location.starts_with("https://store.example/") && location.ends_with("?for=300"), "{location}");
    assert_eq!(server.head(&path).await.status(), 200);
}

#[tokio::test]
async fn a_stream_that_ends_early_is_no_success() {
    let server = Server::start().await;
    let digest = server.blob("a", b"0123456789").await;
    server.store.cuts.store(true, Ordering::Relaxed);
    // Whether the head still comes depends on when the connection breaks.
    let response = server.ask("GET", &format!("/v2/a/blobs/{digest}")).send().await;
    if let Ok(response) = response {
        assert!(response.bytes().await.is_err());
    }
}
