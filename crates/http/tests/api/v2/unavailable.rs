//! A store that does not answer.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::server::{Server, header, image};
use crate::store::SECRET;

#[tokio::test]
async fn a_store_that_fails_is_503_and_its_reasons_stay_inside() {
    let server = Server::start().await;
    let config = server.blob("a", b"config").await;
    let document = image(&config, &json!({}));
    server.store.broken.store(true, Ordering::Relaxed);
    for (method, path) in [
        ("GET", "/v2/_catalog".to_owned()),
        ("GET", "/v2/a/tags/list".to_owned()),
        ("GET", "/v2/a/manifests/latest".to_owned()),
        ("PUT", "/v2/a/manifests/latest".to_owned()),
        ("DELETE", "/v2/a/manifests/latest".to_owned()),
        ("GET", format!("/v2/a/blobs/{config}")),
        ("GET", format!("/v2/a/referrers/{config}")),
        ("POST", "/v2/a/blobs/uploads/".to_owned()),
    ] {
        let request = server.ask(method, &path).header("content-type", wharf_oci::media_type::OCI_MANIFEST);
        let response = request.body(document.clone()).send().await.unwrap();
        assert_eq!(response.status(), 503, "{method} {path}");
        assert_eq!(header(&response, "retry-after"), "1");
        let text = response.text().await.unwrap();
        assert!(text.contains("UNAVAILABLE") && !text.contains(SECRET), "{text}");
    }
}
