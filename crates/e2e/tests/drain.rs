//! SIGTERM: the replica says that it is not ready, finishes what it is doing, and ends with success.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::oneshot;
use wharf_e2e::{Content, Lab, Registry, say, wait};

const SIZE: u64 = 8 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_disk() {
    let lab = Lab::new("drain-local");
    let registry = Registry::local(&lab).await;
    drains(registry).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica() {
    let lab = Lab::new("drain-cluster");
    let registry = Registry::cluster(&lab, 1).await;
    drains(registry).await;
}

async fn drains(mut registry: Registry) {
    let shape = registry.shape();
    let replica = &mut registry.replicas()[0];
    let client = wharf_e2e::Client::new([replica.address()]);
    let content = Content::new(21, SIZE);

    // A chunk of which half has been sent.
    let upload = client.start_upload("drain/blob").await;
    let (reached, at_pause) = oneshot::channel();
    let (resume, resumed) = oneshot::channel();
    let body = content.pausing_body(0, SIZE / 2, SIZE, reached, resumed);
    let slow = tokio::spawn(client.chunk(&upload, 0, SIZE, body).send());
    at_pause.await.unwrap();

    replica.terminate();
    let turned =
        wait::until("/readyz says 503", Duration::from_secs(5), async || replica.readiness().await == Some(503)).await;
    replica.assert_alive();

    resume.send(()).unwrap();
    let answer = slow.await.unwrap().expect("the open upload is answered");
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    drop(answer);
    let status = replica.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
    say!("{shape}: 503 after {} ms, the open upload finished, exit 0", turned.as_millis());
}
