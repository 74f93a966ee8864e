//! `/v2/<name>/referrers/<digest>`

use serde_json::json;
use wharf_oci::media_type;

use crate::server::{Server, body, header, image, refused, sha256};

#[tokio::test]
async fn referrers_are_an_index_that_can_be_filtered() {
    let server = Server::start().await;
    let subject = sha256(b"subject");
    let path = format!("/v2/a/referrers/{subject}");
    let none = server.get(&path).await;
    assert_eq!((none.status().as_u16(), header(&none, "content-type").as_str()), (200, media_type::OCI_INDEX));
    assert_eq!(body(none).await, json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [] }));
    let config = server.blob("a", b"config").await;
    for artifact_type in ["application/x+json", "application/y", "application/z"] {
        let more = json!({
            "artifactType": artifact_type,
            "annotations": { "key": "value" },
            "subject": { "mediaType": media_type::OCI_MANIFEST, "digest": subject, "size": 1 },
        });
        let document = image(&config, &more);
        let digest = sha256(document.as_bytes()).to_string();
        assert_eq!(server.put("a", &digest, &document).await.status(), 201);
    }
    let all = server.get(&path).await;
    assert!(!all.headers().contains_key("oci-filters-applied"));
    let all = body(all).await;
    assert_eq!(all["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(all["manifests"][0]["annotations"], json!({ "key": "value" }));
    for (query, count) in [
        ("artifactType=application/x+json", 1),
        ("artifactType=application%2Fx%2Bjson", 1),
        ("artifactType=application/y&artifactType=application/z", 2),
        ("artifactType=application/none", 0),
    ] {
        let some = server.get(&format!("{path}?{query}")).await;
        assert_eq!(header(&some, "oci-filters-applied"), "artifactType");
        assert_eq!(body(some).await["manifests"].as_array().unwrap().len(), count, "{query}");
    }
    refused(server.get("/v2/a/referrers/latest").await, 400, "DIGEST_INVALID").await;
}
