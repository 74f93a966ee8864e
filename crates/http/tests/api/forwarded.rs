//! What clients call the registry.

use wharf_http::HttpOptions;

use crate::server::{Server, header};

async fn location(options: HttpOptions, headers: &[(&str, &str)]) -> String {
    let server = Server::with(options).await;
    let request = server.ask("POST", "/v2/a/blobs/uploads/");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let location = header(&request.send().await.unwrap(), "location");
    location[..location.find("/v2/a/blobs/uploads/").unwrap()].to_owned()
}

#[tokio::test]
async fn references_begin_with_what_the_client_knows() {
    let headers = [("x-forwarded-proto", "https"), ("x-forwarded-host", "r.example")];
    let trusting =
        || HttpOptions { trusted_proxies: vec![("127.0.0.0".parse().unwrap(), 8)], ..HttpOptions::default() };
    assert_eq!(location(HttpOptions::default(), &headers).await, "");
    assert_eq!(location(trusting(), &headers).await, "https://r.example");
    assert_eq!(location(trusting(), &[]).await, "");
    assert_eq!(location(trusting(), &[("forwarded", "proto=https;host=f.example")]).await, "https://f.example");
    let external = Some("https://e.example/".to_owned());
    assert_eq!(location(HttpOptions { external_url: external, ..trusting() }, &headers).await, "https://e.example");
}
