//! `/livez`, `/readyz`, `/startupz`

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::server::{Server, header};

#[tokio::test]
async fn probes_are_answered() {
    let server = Server::start().await;
    for path in ["/livez", "/readyz", "/startupz"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(!response.headers().contains_key("docker-distribution-api-version"));
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(response.text().await.unwrap(), "ok");
    }
    server.store.broken.store(true, Ordering::Relaxed);
    assert_eq!(server.get("/readyz").await.status(), 200, "the last answer counts for a second");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(server.get("/readyz").await.status(), 503);
    assert_eq!(server.get("/livez").await.status(), 200);
}
