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

#[tokio::test]
async fn an_upload_is_cut_short_and_kept_as_far_as_it_came() {
    let (drain_lag, drain_limit) = (Duration::ZERO, Duration::from_millis(800));
    let mut server = Server::with(HttpOptions { drain_lag, drain_limit, ..HttpOptions::default() }).await;
    let (sized, unsized_) = (server.session("a").await, server.session("a").await);
    let mut streams = Vec::new();
    for (location, head) in [(&sized, "content-length: 9"), (&unsized_, "transfer-encoding: chunked")] {
        let mut stream = server.connect().await;
        let body = if head.starts_with('c') { "012" } else { "3\r\n012\r\n" };
        let text = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.shutdown.cancel();
    let mut answers = Vec::new();
    for mut stream in streams {
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
        answers.push(answer);
    }
    for (answer, location) in answers.iter().zip([&sized, &unsized_]) {
        let expected = ["range: 0-2".to_owned(), format!("location: {location}")];
        assert!(expected.iter().all(|header| answer.contains(&format!("\r\n{header}\r\n"))), "{answer}");
    }
    timeout(SOON, &mut server.served).await.unwrap().unwrap().unwrap();

    // Another process over the same store.
    let next = Server::over(server.store.clone(), HttpOptions::default()).await;
    for location in [sized, unsized_] {
        let status = next.get(&location).await;
        assert_eq!((status.status().as_u16(), header(&status, "range").as_str()), (204, "0-2"));
        let rest = next.ask("PUT", &format!("{location}?digest={}", crate::server::sha256(b"012345")));
        assert_eq!(rest.body("345").send().await.unwrap().status(), 201);
    }
}
