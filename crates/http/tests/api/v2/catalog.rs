//! `/v2/_catalog`

use serde_json::json;

use crate::server::{Server, body, header, refused};

#[tokio::test]
async fn repositories_come_in_order_and_in_pages() {
    let server = Server::start().await;
    assert_eq!(body(server.get("/v2/_catalog").await).await, json!({ "repositories": [] }));
    for name in ["b", "a/b", "team/blobs"] {
        server.image(name, "latest", "config").await;
    }
    server.blob("only-a-blob", b"x").await;
    let all = body(server.get("/v2/_catalog").await).await;
    assert_eq!(all, json!({ "repositories": ["a/b", "b", "team/blobs"] }));
    let first = server.get("/v2/_catalog?n=1").await;
    assert_eq!(header(&first, "link"), "</v2/_catalog?n=1&last=a/b>; rel=\"next\"");
    assert_eq!(body(first).await["repositories"], json!(["a/b"]));
    let rest = server.get("/v2/_catalog?n=5&last=a%2Fb").await;
    assert!(!rest.headers().contains_key("link"));
    assert_eq!(body(rest).await["repositories"], json!(["b", "team/blobs"]));
    assert_eq!(body(server.get("/v2/_catalog?n=0").await).await["repositories"], json!([]));
    refused(server.get("/v2/_catalog?n=x").await, 400, "UNSUPPORTED").await;
    refused(server.get("/v2/_catalog?last=NONSENSE").await, 400, "NAME_INVALID").await;
}
