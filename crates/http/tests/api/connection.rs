//! Connections: both versions of HTTP, clients that stall, and refusals before the body was read.

use std::time::Duration;

use reqwest::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use wharf_http::HttpOptions;

use crate::server::{Server, body, sha256};

async fn read_head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(timeout(Duration::from_secs(5), stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn http_2_works_without_tls() {
    let server = Server::start().await;
    let client = Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let content = vec![7; 5 << 20];
    let digest = sha256(&content);
    let url = format!("http://{}/v2/a/blobs/uploads/?digest={digest}", server.address);
    let response = client.post(url).body(content.clone()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (201, http::Version::HTTP_2));
    let url = format!("http://{}/v2/a/blobs/{digest}", server.address);
    assert_eq!(client.get(&url).send().await.unwrap().bytes().await.unwrap(), content);
    let head = client.head(&url).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "5242880");
    // Refused before the body was read: the connection goes on.
    let refused = client.put(format!("http://{}/nowhere", server.address)).body(content).send().await.unwrap();
    assert_eq!(refused.status(), 404);
    assert_eq!(body(refused).await["errors"][0]["code"], "UNSUPPORTED");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_only_writes() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let length = 8 << 20;
    let head = format!("PUT /v2/A/manifests/x HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // All of it, before anything is read: more than the kernel buffers.
    stream.write_all(&vec![b'x'; length]).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn a_client_that_waits_is_not_told_to_go_on_in_vain() {
    let server = Server::start().await;
    let ask = async |path: &str| {
        let mut stream = server.connect().await;
        let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_head(&mut stream).await
    };
    assert!(ask("/v2/A/manifests/x").await.starts_with("HTTP/1.1 400"));
    assert!(ask("/v2/a/manifests/x").await.starts_with("HTTP/1.1 100"));
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let stall_timeout = Some(Duration::from_millis(200));
    let server = Server::with(HttpOptions { stall_timeout, ..HttpOptions::default() }).await;
    let location = server.session("a").await;
    let mut stream = server.connect().await;
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n0");
    stream.write_all(head.as_bytes()).await.unwrap();
    for byte in [b"1", b"2"] {
        tokio::time::sleep(Duration::from_millis(120)).await;
        stream.write_all(byte).await.unwrap();
    }
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 408"));
    assert_eq!(server.get(&location).await.status(), 204, "the session goes on");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_given_up() {
    let header_timeout = Duration::from_millis(200);
    let server = Server::with(HttpOptions { header_timeout, ..HttpOptions::default() }).await;
    for said in ["", "PRI * HTTP", "GET /v2/ HTTP/1.1\r\nhost: x\r\nx-more: "] {
        let mut stream = server.connect().await;
        let began = Instant::now();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {said:?}");
        assert!(began.elapsed() >= Duration::from_millis(150), "{said:?}");
    }
}

/// How a TLS client begins: a record of a handshake, here with the first bytes of its hello.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[tokio::test]
async fn a_client_that_speaks_tls_is_told_in_http() {
    let server = Server::start().await;
    for hello in [&CLIENT_HELLO[..1], CLIENT_HELLO, &[CLIENT_HELLO, &[0; 1700]].concat()] {
        let mut stream = server.connect().await;
        stream.write_all(hello).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{head}");
        assert_eq!(
            text.trim_end(),
            "this port speaks plain HTTP: use http://, or configure the client for an insecure registry"
        );
    }
    let url = format!("https://{}/v2/", server.address);
    let client = Client::builder().no_proxy().build().unwrap();
    let began = Instant::now();
    assert!(client.get(url).send().await.is_err());
    assert!(began.elapsed() < Duration::from_secs(1), "a real client gives up at once");
}

#[tokio::test]
async fn a_client_that_stays_after_its_hello_is_left() {
    let mut server = Server::start().await;
    let mut stream = server.connect().await;
    stream.write_all(CLIENT_HELLO).await.unwrap();
    server.shutdown.cancel();
    timeout(Duration::from_secs(5), &mut server.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let write_timeout = Some(Duration::from_millis(300));
    let server = Server::with(HttpOptions { write_timeout, ..HttpOptions::default() }).await;
    let content = vec![7; 32 << 20];
    let digest = server.blob("a", &content).await;
    let mut stream = server.connect().await;
    let head = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut taken = Vec::new();
    // Reset or closed: in any case not everything came.
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut taken)).await.unwrap();
    assert!(taken.len() < content.len());
    let whole = server.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap();
    assert_eq!(whole.len(), content.len());
}
