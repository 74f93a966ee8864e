//! The end of a server.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wharf_http::HttpOptions;

use crate::server::{Server, header};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn requests_end_and_idle_connections_close() {
    let drain_lag = Duration::from_millis(300);
    let mut server = Server::with(HttpOptions { drain_lag, ..HttpOptions::default() }).await;
    let location = server.session("a").await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n0");
    busy.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;

    server.shutdown.cancel();
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status().as_u16(), ready.text().await.unwrap().as_str()), (503, "draining"));
    let new = server.get("/v2/").await;
    assert_eq!(new.status(), 200, "the load balancer may not know yet");
    assert_eq!(header(&new, "connection"), "close");

    let mut rest = Vec::new();
    timeout(SOON, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
    assert!(!server.served.is_finished(), "a request is still running");
    busy.write_all(b"1").await.unwrap();
    timeout(SOON, busy.read_to_end(&mut rest)).await.unwrap().unwrap();
    let answer = String::from_utf8(rest).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    timeout(SOON, &mut server.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_ends_with_its_answer() {
    let drain_lag = Duration::from_secs(2);
    let mut server = Server::with(HttpOptions { drain_lag, ..HttpOptions::default() }).await;
    let mut stream = server.connect().await;
    let ask = "GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&answer[..length]).contains("connection: close"));

    server.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut rest = String::new();
    timeout(drain_lag, stream.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert!(rest.contains("\r\nconnection: close\r\n"), "{rest}");
    assert!(!server.served.is_finished(), "the lag is not over");
    timeout(SOON, &mut server.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn http_2_has_no_such_header() {
    let server = Server::with(HttpOptions { drain_lag: SOON, ..HttpOptions::default() }).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let url = format!("http://{}/v2/", server.address);
    client.get(&url).send().await.unwrap();
    server.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "connection").as_str()), (200, ""));
}
