//! One line a request.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::server::Server;

/// What all tests of this process logged.
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

const LEVEL: tracing::Level = tracing::Level::DEBUG;

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *LINES.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the log of this process, from the first call on.
pub(crate) fn keep() {
    // It fails when another test was first.
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(LEVEL).with_writer(|| Lines).try_init();
}

/// The line of a request, once it is there.
pub(crate) async fn line(request_id: &str) -> Value {
    for _ in 0..250 {
        let text = String::from_utf8(LINES.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut lines = lines.filter(|line| line["message"] == "request" && line["request_id"] == request_id);
        if let Some(line) = lines.next() {
            assert!(lines.next().is_none(), "one line is enough");
            return line;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no line");
}

/// All of it so far.
pub(crate) fn everything() -> String {
    String::from_utf8(LINES.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn every_request_is_one_line() {
    let server = Server::start().await;
    let digest = server.blob("a", b"0123456789").await;
    let path = format!("/v2/a/blobs/{digest}");
    let ask = |method: &str, path: &str, id: &str| {
        server.ask(method, path).header("user-agent", "test/1").header("x-request-id", id).body("01234")
    };
    ask("GET", &format!("{path}?secret"), "log-get").send().await.unwrap().bytes().await.unwrap();
    let get = line("log-get").await;
    for (field, value) in [
        ("level", Value::from("INFO")),
        ("method", "GET".into()),
        ("path", path.as_str().into()),
        ("status", 200.into()),
        ("bytes_in", 0.into()),
        ("bytes_out", 10.into()),
        ("client", "127.0.0.1".into()),
        ("user_agent", "test/1".into()),
        ("aborted", false.into()),
    ] {
        assert_eq!(get[field], value, "{field}");
    }
    assert!(get["duration_ms"].is_u64());
    ask("HEAD", &path, "log-head").send().await.unwrap();
    let head = line("log-head").await;
    assert_eq!((&head["bytes_out"], &head["aborted"]), (&0.into(), &false.into()));
    ask("PATCH", &server.session("a").await, "log-patch").send().await.unwrap();
    let patch = line("log-patch").await;
    assert_eq!((&patch["status"], &patch["bytes_in"]), (&202.into(), &5.into()));
}

#[tokio::test]
async fn a_client_that_left_is_seen() {
    let server = Server::start().await;
    let location = server.session("a").await;
    let mut gone = server.connect().await;
    let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\nx-request-id: log-gone\r\ncontent-length: 10\r\n\r\n0");
    gone.write_all(head.as_bytes()).await.unwrap();
    drop(gone);
    assert_eq!(line("log-gone").await["aborted"], true);
}

#[tokio::test]
async fn the_outcome_decides_on_the_level() {
    let server = Server::start().await;
    let digest = server.blob("a", b"0123456789").await;
    let ask = async |path: &str, id: &str| {
        // Some of them break off.
        let _ = server.ask("GET", path).header("x-request-id", id).send().await;
        line(id).await["level"].as_str().unwrap().to_owned()
    };
    assert_eq!(ask("/readyz", "level-probe").await, "DEBUG");
    assert_eq!(ask("/v2/", "level-ok").await, "INFO");
    assert_eq!(ask("/v2/a/manifests/none", "level-refused").await, "INFO");
    server.store.broken.store(true, Ordering::Relaxed);
    assert_eq!(ask(&format!("/v2/b/blobs/{digest}"), "level-store").await, "WARN");
    assert_eq!(ask("/livez", "level-probe-2").await, "DEBUG");
}
