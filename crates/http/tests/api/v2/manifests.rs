//! `/v2/<name>/manifests/<reference>`

use serde_json::json;
use wharf_oci::{Algorithm, MAX_MANIFEST_BYTES, media_type};

use crate::server::{Server, header, image, refused, sha256};

#[tokio::test]
async fn a_manifest_is_pulled_as_it_was_pushed() {
    let server = Server::start().await;
    let image = server.image("a/b", "latest", "config").await;
    let digest = sha256(image.as_bytes());
    for reference in ["latest".to_owned(), digest.to_string()] {
        let path = format!("/v2/a/b/manifests/{reference}");
        for response in [server.get(&path).await, server.head(&path).await] {
            assert_eq!(response.status(), 200);
            for (name, value) in [
                ("content-type", media_type::OCI_MANIFEST.to_owned()),
                ("content-length", image.len().to_string()),
                ("docker-content-digest", digest.to_string()),
                ("etag", format!("\"{digest}\"")),
            ] {
                assert_eq!(header(&response, name), value, "{name}");
            }
            let cached = if reference == "latest" { "no-cache" } else { "private, max-age=31536000, immutable" };
            assert_eq!(header(&response, "cache-control"), cached);
        }
        assert_eq!(server.get(&path).await.text().await.unwrap(), image);
        let same = server.ask("GET", &path).header("if-none-match", format!("\"{digest}\"")).send().await.unwrap();
        assert!(same.headers().contains_key("cache-control"), "or caches would keep what they knew of it");
        assert_eq!((same.status().as_u16(), same.bytes().await.unwrap().len()), (304, 0));
    }
}

#[tokio::test]
async fn a_push_says_where_the_manifest_is() {
    let server = Server::start().await;
    let config = server.blob("a", b"config").await;
    let subject = sha256(b"subject");
    let more = json!({ "subject": { "mediaType": media_type::OCI_MANIFEST, "digest": subject, "size": 1 } });
    let document = image(&config, &more);
    let digest = sha256(document.as_bytes());
    let response = server.put("a", "latest", &document).await;
    assert_eq!(response.status(), 201);
    assert_eq!(header(&response, "location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(header(&response, "docker-content-digest"), digest.to_string());
    assert_eq!(header(&response, "oci-subject"), subject.to_string());
    assert!(!response.headers().contains_key("oci-tag"));
}

#[tokio::test]
async fn a_push_by_digest_sets_the_tags_of_its_query() {
    let server = Server::start().await;
    let config = server.blob("a", b"config").await;
    let document = image(&config, &json!({}));
    for digest in [Algorithm::Sha256, Algorithm::Sha512].map(|a| a.digest(document.as_bytes())) {
        let response = server.put("a", &format!("{digest}?tag=one&tag=two"), &document).await;
        assert_eq!(response.status(), 201);
        let tags: Vec<_> = response.headers().get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap()).collect();
        assert_eq!(tags, ["one", "two"]);
        let two = server.head("/v2/a/manifests/two").await;
        assert_eq!(header(&two, "docker-content-digest"), digest.to_string());
    }
    let digest = sha256(document.as_bytes());
    refused(server.put("a", "latest?tag=one", &document).await, 400, "MANIFEST_INVALID").await;
    refused(server.put("a", &format!("{digest}?tag=-bad"), &document).await, 400, "MANIFEST_INVALID").await;
    let tags: String = (0..65).map(|i| format!("&tag=t{i}")).collect();
    refused(server.put("a", &format!("{digest}?{tags}"), &document).await, 414, "MANIFEST_INVALID").await;
}

#[tokio::test]
async fn a_media_type_may_have_parameters() {
    let server = Server::start().await;
    let config = server.blob("a", b"config").await;
    let request = server.ask("PUT", "/v2/a/manifests/latest");
    let request = request.header("content-type", format!("{}; charset=utf-8", media_type::OCI_MANIFEST));
    assert_eq!(request.body(image(&config, &json!({}))).send().await.unwrap().status(), 201);
    let response = server.head("/v2/a/manifests/latest").await;
    assert_eq!(header(&response, "content-type"), media_type::OCI_MANIFEST);
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let server = Server::start().await;
    let config = server.blob("a", b"config").await;
    let document = image(&config, &json!({}));
    refused(server.put("a", "latest", "{").await, 400, "MANIFEST_INVALID").await;
    refused(server.put("a", "latest", "").await, 400, "MANIFEST_INVALID").await;
    let other = sha256(b"other");
    let body = refused(server.put("a", &other.to_string(), &document).await, 400, "DIGEST_INVALID").await;
    assert_eq!(body["errors"][0]["detail"]["expected"], other.to_string());
    let request = server.ask("PUT", "/v2/a/manifests/latest").header("content-type", media_type::DOCKER_SCHEMA1_SIGNED);
    let old = request.body(r#"{"schemaVersion":1}"#).send().await.unwrap();
    refused(old, 415, "MANIFEST_INVALID").await;
    refused(server.get("/v2/a/manifests/latest").await, 404, "NAME_UNKNOWN").await;
}

#[tokio::test]
async fn everything_that_is_missing_is_listed() {
    let server = Server::start().await;
    let (config, layer) = (sha256(b"config"), sha256(b"layer"));
    let more = json!({ "layers": [{ "mediaType": "l", "digest": layer, "size": 1 }] });
    let body = refused(server.put("a", "latest", &image(&config, &more)).await, 400, "MANIFEST_BLOB_UNKNOWN").await;
    let errors = body["errors"].as_array().unwrap();
    let mut missing: Vec<_> = errors.iter().map(|e| e["detail"]["digest"].as_str().unwrap().to_owned()).collect();
    missing.sort();
    let mut expected = [config.to_string(), layer.to_string()];
    expected.sort();
    assert_eq!(missing, expected);
}

#[tokio::test]
async fn the_largest_manifest_is_accepted_and_a_larger_one_is_not() {
    let server = Server::start().await;
    let config = server.blob("a", b"config").await;
    let empty = image(&config, &json!({ "annotations": { "x": "" } }));
    let padding = "x".repeat(MAX_MANIFEST_BYTES - empty.len());
    let largest = image(&config, &json!({ "annotations": { "x": padding } }));
    assert_eq!(server.put("a", "latest", &largest).await.status(), 201);
    let larger = format!("{largest} ");
    refused(server.put("a", "latest", &larger).await, 413, "MANIFEST_INVALID").await;
    // Without a length that could be judged beforehand.
    let pieces = larger.as_bytes().chunks(1 << 20).map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces.collect::<Vec<_>>()));
    let response = server.ask("PUT", "/v2/a/manifests/latest").body(body).send().await.unwrap();
    refused(response, 413, "MANIFEST_INVALID").await;
}

#[tokio::test]
async fn tags_and_manifests_are_deleted() {
    let server = Server::start().await;
    let document = server.image("a", "one", "config").await;
    server.image("a", "two", "config").await;
    let digest = sha256(document.as_bytes());
    assert_eq!(server.delete("/v2/a/manifests/one").await.status(), 202);
    refused(server.get("/v2/a/manifests/one").await, 404, "MANIFEST_UNKNOWN").await;
    refused(server.delete("/v2/a/manifests/one").await, 404, "MANIFEST_UNKNOWN").await;
    assert_eq!(server.get("/v2/a/manifests/two").await.status(), 200);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [{ "mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": document.len() }],
    });
    let request = server.ask("PUT", "/v2/a/manifests/all").header("content-type", media_type::OCI_INDEX);
    assert_eq!(request.body(index.to_string()).send().await.unwrap().status(), 201);
    refused(server.delete(&format!("/v2/a/manifests/{digest}")).await, 405, "DENIED").await;
    let index = sha256(index.to_string().as_bytes());
    assert_eq!(server.delete(&format!("/v2/a/manifests/{index}")).await.status(), 202);
    assert_eq!(server.delete(&format!("/v2/a/manifests/{digest}")).await.status(), 202);
    refused(server.get("/v2/a/manifests/two").await, 404, "MANIFEST_UNKNOWN").await;
    refused(server.delete("/v2/unknown/manifests/one").await, 404, "NAME_UNKNOWN").await;
}
