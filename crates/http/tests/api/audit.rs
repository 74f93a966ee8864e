//! The audit log: one line for each change.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use wharf_http::{AuditLog, HttpOptions};

use crate::server::{Server, sha256};

type Lines = Arc<Mutex<Vec<Value>>>;

async fn audited() -> (Server, Lines) {
    let (audit, mut queue) = AuditLog::new();
    let lines = Lines::default();
    let kept = lines.clone();
    tokio::spawn(async move {
        while let Some(line) = queue.recv().await {
            assert_eq!(line.text.iter().filter(|byte| **byte == b'\n').count(), 1);
            kept.lock().unwrap().push(serde_json::from_slice(&line.text).unwrap());
            let _ = line.written.send(());
        }
    });
    (Server::with(HttpOptions { audit: Some(audit), ..HttpOptions::default() }).await, lines)
}

fn fields(line: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| line[name].clone()).collect()
}

#[tokio::test]
async fn a_change_is_one_line_and_is_there_before_its_answer() {
    let (server, lines) = audited().await;
    let config = server.blob("a", b"x").await;
    let image = crate::server::image(&config, &json!({}));
    let digest = sha256(image.as_bytes());
    server.put("a", "v1?secret=1", &image).await;
    server.put("a", &format!("{digest}?tag=v2&tag=v3"), &image).await;
    server.get("/v2/a/manifests/v1").await;
    server.head("/v2/a/manifests/v1").await;
    server.put("a", "v4", "{}").await;
    server.delete("/v2/a/manifests/v1").await;
    let lines = std::mem::take(&mut *lines.lock().unwrap());
    let named = ["action", "object", "repository", "reference", "digest", "status", "outcome"];
    let manifest = |reference: &str| format!("/v2/a/manifests/{reference}");
    let digest = digest.to_string();
    let expected = [
        json!(["POST", "/v2/a/blobs/uploads/", "a", null, config.to_string(), 201, "done"]),
        json!(["PUT", manifest("v1"), "a", "v1", digest, 201, "done"]),
        json!(["PUT", manifest(&digest), "a", digest, digest, 201, "done"]),
        json!(["PUT", manifest("v4"), "a", "v4", null, 400, "refused"]),
        json!(["DELETE", manifest("v1"), "a", "v1", null, 202, "done"]),
    ];
    assert_eq!(lines.iter().map(|line| fields(line, &named)).collect::<Vec<_>>(), expected);
    assert_eq!(lines[2]["tags"], json!(["v2", "v3"]));
    for line in &lines {
        assert_eq!(fields(line, &["clientIP", "subject", "message"]), json!(["127.0.0.1", "", "HTTP API Audit"]));
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')) && line["requestId"].is_string());
    }
}

#[tokio::test]
async fn a_change_whose_client_left_is_of_unknown_outcome() {
    let (server, lines) = audited().await;
    let location = server.session("a").await;
    let mut gone = server.connect().await;
    let head = format!("PUT {location}?digest={} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n0", sha256(b"x"));
    gone.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    drop(gone);
    for _ in 0..250 {
        if lines.lock().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let lines = lines.lock().unwrap();
    let outcome = fields(&lines[1], &["action", "repository", "outcome"]);
    assert!([json!(["PUT", "a", "unknown"]), json!(["PUT", "a", "refused"])].contains(&outcome), "{outcome}");
}

#[tokio::test]
async fn a_log_that_nobody_writes_holds_up_nobody() {
    let (audit, queue) = AuditLog::new();
    drop(queue);
    let server = Server::with(HttpOptions { audit: Some(audit), ..HttpOptions::default() }).await;
    server.blob("a", b"x").await;
}
