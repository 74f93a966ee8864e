//! Figures of requests.

use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use wharf_http::{Ended, HttpOptions, Metrics};

use crate::server::{Server, header};

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(&'static str, &'static str, u16)>>);

impl Metrics for Heard {
    fn began(&self) {}

    fn ended(&self, request: &Ended) {
        self.0.lock().unwrap().push((request.method, request.route, request.status));
    }

    fn page(&self) -> String {
        "figures".to_owned()
    }

    fn content_type(&self) -> &'static str {
        "text/x-figures"
    }
}

impl Heard {
    async fn hears(&self, what: (&'static str, &'static str, u16)) {
        for _ in 0..250 {
            if self.0.lock().unwrap().contains(&what) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{what:?} is not among {:?}", self.0.lock().unwrap());
    }
}

#[tokio::test]
async fn every_request_is_heard_of_by_the_kind_of_its_resource() {
    let heard = Arc::new(Heard::default());
    let options = HttpOptions {
        metrics: Some(heard.clone()),
        metrics_path: Some("/figures".to_owned()),
        ..HttpOptions::default()
    };
    let server = Server::with(options).await;
    let digest = server.blob("a/b", b"0123456789").await;
    heard.hears(("POST", "upload", 201)).await;
    server.get(&format!("/v2/a/b/blobs/{digest}")).await.bytes().await.unwrap();
    heard.hears(("GET", "blob", 200)).await;
    server.get("/v2/a/b/manifests/none").await;
    heard.hears(("GET", "manifest", 404)).await;
    server.get("/elsewhere").await;
    heard.hears(("GET", "none", 404)).await;
    server.ask("BREW", "/v2/").send().await.unwrap();
    heard.hears(("other", "base", 405)).await;

    let page = server.get("/figures").await;
    assert_eq!(header(&page, "content-type"), "text/x-figures");
    assert_eq!(page.text().await.unwrap(), "figures");
    assert_eq!(server.get("/metrics").await.status(), StatusCode::NOT_FOUND, "it is elsewhere");
}

#[tokio::test]
async fn without_a_path_there_is_no_page() {
    let server =
        Server::with(HttpOptions { metrics: Some(Arc::new(Heard::default())), ..HttpOptions::default() }).await;
    assert_eq!(server.get("/metrics").await.status(), StatusCode::NOT_FOUND);
}
