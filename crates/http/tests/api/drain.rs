//! The end of a server.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wharf_http::HttpOptions;

use crate::server::Server;

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
    assert_eq!(server.get("/v2/").await.status(), 200, "the load balancer may not know yet");

    let mut rest = Vec::new();
    timeout(SOON, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
    assert!(!server.served.is_finished(), "a request is still running");
    busy.write_all(b"1").await.unwrap();
    timeout(SOON, busy.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(String::from_utf8(rest).unwrap().starts_with("HTTP/1.1 202"));
    timeout(SOON, &mut server.served).await.unwrap().unwrap().unwrap();
}
