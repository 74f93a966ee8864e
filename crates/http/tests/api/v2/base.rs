//! `/v2/`, and what is true of every path.

use proptest::prelude::*;
use wharf_http::HttpOptions;

use crate::server::{Server, header, refused};

#[tokio::test]
async fn there_is_a_registry() {
    let server = Server::start().await;
    for path in ["/v2/", "/v2"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "docker-distribution-api-version"), "registry/2.0");
        assert_eq!(header(&response, "content-type"), "application/json");
        assert_eq!(response.text().await.unwrap(), "{}");
    }
    let head = server.head("/v2/").await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length").as_str()), (200, "2"));
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let server = Server::start().await;
    for (method, path, status, code) in [
        ("GET", "/", 404, "UNSUPPORTED"),
        ("GET", "/v2/a", 404, "UNSUPPORTED"),
        ("GET", "/v2/A/manifests/latest", 400, "NAME_INVALID"),
        ("GET", "/v2/a%2F..%2Fb/manifests/latest", 400, "NAME_INVALID"),
        ("GET", "/v2/a%2Fb/tags/list", 400, "NAME_INVALID"),
        ("PUT", "/v2/a%2fb/manifests/latest", 400, "NAME_INVALID"),
        ("POST", "/v2/a%2Fb/blobs/uploads/", 400, "NAME_INVALID"),
        ("GET", "/v2/%61/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/a%00/tags/list", 400, "NAME_INVALID"),
        ("GET", "/v2/a%2Fmanifests%2Flatest", 404, "UNSUPPORTED"),
        ("GET", "/v2/a/manifests%2Flatest", 404, "UNSUPPORTED"),
        ("GET", "/v2/a/manifests/l%61test", 404, "MANIFEST_UNKNOWN"),
        ("PUT", "/v2/a/manifests/b%2Fc", 400, "MANIFEST_INVALID"),
        ("GET", "/v2/a/manifests/sha256:0", 400, "DIGEST_INVALID"),
        ("GET", "/v2/a/blobs/sha256:0", 400, "DIGEST_INVALID"),
        ("GET", "/v2/a/manifests/-bad", 404, "MANIFEST_UNKNOWN"),
        ("PUT", "/v2/a/manifests/-bad", 400, "MANIFEST_INVALID"),
        ("PATCH", "/v2/a/blobs/uploads/xyz", 404, "BLOB_UPLOAD_UNKNOWN"),
    ] {
        refused(server.ask(method, path).send().await.unwrap(), status, code).await;
    }
    for (method, path, allow) in [
        ("POST", "/v2/", "GET, HEAD"),
        ("PATCH", "/v2/a/manifests/latest", "GET, HEAD, PUT, DELETE"),
        ("GET", "/v2/a/blobs/uploads/", "POST"),
        ("PUT", "/livez", "GET, HEAD"),
        ("OPTIONS", "/v2/", "GET, HEAD"),
        ("OPTIONS", "/v2/a/manifests/latest", "GET, HEAD, PUT, DELETE"),
        ("OPTIONS", "/v2/a/blobs/uploads/", "POST"),
        ("CONNECT-ME", "/v2/_catalog", "GET, HEAD"),
    ] {
        let response = server.ask(method, path).send().await.unwrap();
        assert_eq!(header(&response, "allow"), allow);
        refused(response, 405, "UNSUPPORTED").await;
    }
}

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    let server = Server::start().await;
    let given = server.ask("GET", "/v2/").header("x-request-id", "me-1").send().await.unwrap();
    assert_eq!(header(&given, "x-request-id"), "me-1");
    let made = server.ask("GET", "/nowhere").header("x-request-id", "not \"sane\"").send().await.unwrap();
    assert_eq!(header(&made, "x-request-id").len(), 32);
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        "(v2|blobs|uploads|manifests|tags|list|referrers|_catalog|a|latest)",
        Just(format!("sha256:{}", "0".repeat(64))),
        "[!-~&&[^#?\\\\^`{|}<>\"]]{0,8}",
        "(%[0-9a-f]{2}){1,3}",
    ]
}

#[test]
fn garbage_is_never_a_fault_of_the_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::with(HttpOptions::default()));
    let methods = prop_oneof![Just("GET"), Just("HEAD"), Just("PUT"), Just("POST"), Just("PATCH"), Just("DELETE")];
    let requests = (methods, proptest::collection::vec(segment(), 0..6), "[ -~&&[^#]]{0,12}", "[ -~]{0,20}");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(256));
    let outcome = runner.run(&requests, |(method, segments, query, text)| {
        let query = query.replace(['"', '<', '>', ' '], "");
        let request = server.ask(method, &format!("/v2/{}?{query}", segments.join("/")));
        let request = ["range", "content-range", "if-none-match", "content-type", "x-forwarded-for"]
            .into_iter()
            .fold(request, |request, name| request.header(name, &text));
        let response = runtime.block_on(request.body(text.clone()).send()).unwrap();
        prop_assert!(response.status().as_u16() < 500, "{}", response.status());
        Ok(())
    });
    outcome.unwrap();
}
