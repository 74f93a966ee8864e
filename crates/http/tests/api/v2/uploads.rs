//! `/v2/<name>/blobs/uploads/`

use wharf_oci::Algorithm;

use crate::server::{Server, header, refused, sha256};

#[tokio::test]
async fn a_session_takes_chunks_and_ends_with_a_blob() {
    let server = Server::start().await;
    let response = server.ask("POST", "/v2/a/b/blobs/uploads/").send().await.unwrap();
    assert_eq!(response.status(), 202);
    let (location, id) = (header(&response, "location"), header(&response, "docker-upload-uuid"));
    assert_eq!(location, format!("/v2/a/b/blobs/uploads/{id}"));
    assert_eq!(header(&response, "range"), "0-0");
    let first = server.ask("PATCH", &location).header("content-range", "0-3").body("0123").send().await.unwrap();
    assert_eq!((first.status().as_u16(), header(&first, "range").as_str()), (202, "0-3"));
    let pieces = ["45", "67"].map(Ok::<_, std::io::Error>);
    let streamed = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let second = server.ask("PATCH", &header(&first, "location")).body(streamed).send().await.unwrap();
    assert_eq!((second.status().as_u16(), header(&second, "range").as_str()), (202, "0-7"));
    let nothing = server.ask("PATCH", &location).body("").send().await.unwrap();
    assert_eq!((nothing.status().as_u16(), header(&nothing, "range").as_str()), (202, "0-7"));
    let status = server.get(&location).await;
    assert_eq!((status.status().as_u16(), header(&status, "range").as_str()), (204, "0-7"));
    assert_eq!(header(&status, "location"), location);
    let digest = sha256(b"0123456789");
    let last = format!("{location}?digest={digest}");
    let done = server.ask("PUT", &last).header("content-range", "8-9").body("89").send().await.unwrap();
    assert_eq!(done.status(), 201);
    assert_eq!(header(&done, "location"), format!("/v2/a/b/blobs/{digest}"));
    assert_eq!(header(&done, "docker-content-digest"), digest.to_string());
    assert_eq!(server.get(&header(&done, "location")).await.text().await.unwrap(), "0123456789");
    refused(server.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    let again = server.ask("PUT", &last).header("content-range", "8-9").body("89").send().await.unwrap();
    assert_eq!(again.status(), 201, "the first answer may have been lost");
}

#[tokio::test]
async fn a_chunk_out_of_order_is_told_where_the_session_is() {
    let server = Server::start().await;
    let location = server.session("a").await;
    server.ask("PATCH", &location).body("0123").send().await.unwrap();
    for (method, query) in [("PATCH", String::new()), ("PUT", format!("?digest={}", sha256(b"01236")))] {
        let request = server.ask(method, &format!("{location}{query}")).header("content-range", "6-6").body("6");
        let response = request.send().await.unwrap();
        assert_eq!(header(&response, "range"), "0-3");
        assert_eq!(header(&response, "location"), location);
        refused(response, 416, "BLOB_UPLOAD_INVALID").await;
    }
    assert_eq!(header(&server.get(&location).await, "range"), "0-3");
}

#[tokio::test]
async fn sizes_have_to_agree() {
    let server = Server::start().await;
    let location = server.session("a").await;
    for (range, code) in [("0-9", "SIZE_INVALID"), ("0", "BLOB_UPLOAD_INVALID"), ("9-0", "BLOB_UPLOAD_INVALID")] {
        let response = server.ask("PATCH", &location).header("content-range", range).body("0123").send().await.unwrap();
        refused(response, 400, code).await;
    }
    let streamed = reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>("0123")]));
    let response = server.ask("PATCH", &location).header("content-range", "0-9").body(streamed).send().await.unwrap();
    refused(response, 400, "SIZE_INVALID").await;
    assert_eq!(header(&server.get(&location).await, "range"), "0-0");
}

#[tokio::test]
async fn a_wrong_digest_leaves_the_session() {
    let server = Server::start().await;
    let location = server.session("a").await;
    server.ask("PATCH", &location).body("0123").send().await.unwrap();
    let (wrong, right) = (sha256(b"wrong"), sha256(b"0123"));
    let put = |digest: String| server.ask("PUT", &format!("{location}?digest={digest}")).send();
    let body = refused(put(wrong.to_string()).await.unwrap(), 400, "DIGEST_INVALID").await;
    assert_eq!(body["errors"][0]["detail"]["actual"], right.to_string());
    refused(put("sha256:1".to_owned()).await.unwrap(), 400, "DIGEST_INVALID").await;
    refused(server.ask("PUT", &location).send().await.unwrap(), 400, "DIGEST_INVALID").await;
    assert_eq!(put(right.to_string()).await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_session_is_cancelled() {
    let server = Server::start().await;
    let location = server.session("a").await;
    assert_eq!(server.delete(&location).await.status(), 204);
    refused(server.delete(&location).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    refused(server.ask("PATCH", &location).body("x").send().await.unwrap(), 404, "BLOB_UPLOAD_UNKNOWN").await;
    let elsewhere = server.session("a").await.replace("/v2/a/", "/v2/b/");
    refused(server.get(&elsewhere).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
}

#[tokio::test]
async fn a_blob_comes_in_one_request() {
    let server = Server::start().await;
    for digest in [Algorithm::Sha256, Algorithm::Sha512].map(|algorithm| algorithm.digest(b"whole")) {
        let path = format!("/v2/a/blobs/uploads/?digest={}", digest.to_string().replace(':', "%3A"));
        let response = server.ask("POST", &path).body("whole").send().await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(server.get(&header(&response, "location")).await.text().await.unwrap(), "whole");
    }
    let path = format!("/v2/a/blobs/uploads?digest={}", sha256(b"other"));
    refused(server.ask("POST", &path).body("whole").send().await.unwrap(), 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn the_algorithm_may_be_named_beforehand() {
    let server = Server::start().await;
    let digest = Algorithm::Sha512.digest(b"0123");
    for query in ["?digest-algorithm=sha512", ""] {
        let response = server.ask("POST", &format!("/v2/a/blobs/uploads/{query}")).send().await.unwrap();
        let location = header(&response, "location");
        server.ask("PATCH", &location).body("0123").send().await.unwrap();
        let done = server.ask("PUT", &format!("{location}?digest={digest}")).send().await.unwrap();
        assert_eq!(done.status(), 201);
    }
    let unknown = server.ask("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5").send().await.unwrap();
    refused(unknown, 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn a_blob_is_mounted_or_a_session_begins() {
    let server = Server::start().await;
    let digest = server.blob("a", b"shared").await;
    for (name, query, status) in [
        ("b", "&from=a", 201),
        ("c", "", 201),
        ("d", "&from=unknown", 202),
        ("e", "&from=NONSENSE", 202),
        ("f", "&from=", 201),
    ] {
        let path = format!("/v2/{name}/blobs/uploads/?mount={digest}{query}");
        let response = server.ask("POST", &path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{query}");
        let location = header(&response, "location");
        match status {
            201 => assert_eq!(server.get(&location).await.text().await.unwrap(), "shared"),
            _ => assert!(location.starts_with(&format!("/v2/{name}/blobs/uploads/")), "{location}"),
        }
    }
    let bad = server.ask("POST", "/v2/b/blobs/uploads/?mount=sha256:1&from=a").send().await.unwrap();
    refused(bad, 400, "DIGEST_INVALID").await;
}
