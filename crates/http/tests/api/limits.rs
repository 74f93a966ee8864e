//! Limits: what is beyond them is told so, in the specification's form, and when to come again.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wharf_http::{HttpOptions, Limiter, Limits};

use crate::server::{Server, body, header, refused};

const SOON: Duration = Duration::from_secs(20);

async fn limited(limits: Limits) -> (Server, Limiter) {
    let limiter = Limiter::new(limits);
    (Server::with(HttpOptions { limits: limiter.clone(), ..HttpOptions::default() }).await, limiter)
}

#[tokio::test]
async fn too_many_requests_a_second() {
    let client_rate = NonZeroU32::new(3);
    let (server, limiter) = limited(Limits { client_rate, ..Limits::default() }).await;
    for _ in 0..3 {
        assert_eq!(server.get("/v2/").await.status(), 200);
    }
    let answer = server.get("/v2/a/tags/list").await;
    assert_eq!(header(&answer, "retry-after"), "1");
    assert_eq!(header(&answer, "docker-distribution-api-version"), "registry/2.0");
    refused(answer, 429, "TOOMANYREQUESTS").await;
    assert_eq!(server.get("/livez").await.status(), 200, "a probe is never one too many");
    limiter.replace(Limits::default());
    assert_eq!(server.get("/v2/").await.status(), 200);
}

#[tokio::test]
async fn a_client_behind_a_proxy_has_a_rate_of_its_own() {
    let limits = Limiter::new(Limits { client_rate: NonZeroU32::new(1), ..Limits::default() });
    let trusted_proxies = vec![("127.0.0.0".parse().unwrap(), 8)];
    let server = Server::with(HttpOptions { limits, trusted_proxies, ..HttpOptions::default() }).await;
    let ask = async |client: &str| {
        let request = server.ask("GET", "/v2/").header("x-forwarded-for", client);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!([ask("192.0.2.1").await, ask("192.0.2.2").await], [200, 200]);
    assert_eq!(ask("192.0.2.1").await, 429);
}

/// A chunk of two bytes of which one is sent, once the server is at it.
async fn begin_chunk(server: &Server) -> TcpStream {
    let location = server.session("a").await;
    let mut upload = server.connect().await;
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n");
    upload.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    timeout(SOON, upload.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    upload.write_all(b"0").await.unwrap();
    upload
}

#[tokio::test]
async fn too_many_requests_at_once_wait() {
    let (server, _) = limited(Limits { requests: 1, ..Limits::default() }).await;
    let mut upload = begin_chunk(&server).await;
    let waits = tokio::spawn(server.ask("GET", "/v2/").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = server.get("/v2/").await;
    assert_eq!(header(&answer, "retry-after"), "1");
    refused(answer, 503, "UNAVAILABLE").await;
    assert_eq!(server.get("/readyz").await.status(), 200, "a probe does not wait");
    assert!(!waits.is_finished());
    upload.write_all(b"1").await.unwrap();
    assert_eq!(timeout(SOON, waits).await.unwrap().unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn an_idle_connection_makes_room_and_one_at_work_does_not() {
    let (server, limiter) = limited(Limits { connections: 2, ..Limits::default() }).await;
    let mut upload = begin_chunk(&server).await;
    let mut idle = server.connect().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut next = server.connect().await;
    let mut rest = Vec::new();
    timeout(SOON, idle.read_to_end(&mut rest)).await.expect("the idle one is closed").unwrap();

    limiter.replace(Limits { connections: 1, ..Limits::default() });
    tokio::time::sleep(Duration::from_millis(50)).await;
    timeout(SOON, next.read_to_end(&mut rest)).await.ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}/v2/", server.address)).send().await.unwrap();
    // At most the connection that is idle left; the one at work stays.
    if answer.status() == 503 {
        assert_eq!(header(&answer, "retry-after"), "1");
        assert_eq!(body(answer).await["errors"][0]["code"], "UNAVAILABLE");
    }
    upload.write_all(b"1").await.unwrap();
    let mut answer = [0; 12];
    timeout(SOON, upload.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 202");
}

#[tokio::test]
async fn a_head_has_a_limit() {
    let server = Server::start().await;
    let long = "x".repeat(40 << 10);
    let request = || server.ask("GET", "/v2/").header("x-one", &long);
    assert_eq!(request().send().await.unwrap().status(), 200);
    let answer = request().header("x-two", &long).send().await.unwrap();
    refused(answer, 431, "UNSUPPORTED").await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let request = client.get(format!("http://{}/v2/", server.address)).header("x-one", &long).header("x-two", &long);
    // The library may refuse to send it, or the server to read it; neither serves it.
    assert!(request.send().await.map_or(true, |answer| answer.status() == 431));
    let mut endless = server.connect().await;
    endless.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\nx-more: ").await.unwrap();
    let mut sent = 0;
    while sent < 64 << 20 && endless.write_all(long.as_bytes()).await.is_ok() {
        sent += long.len();
    }
    assert!(sent < 64 << 20, "a head that never ends is cut off");
}
