//! A large blob is uploaded in chunks that go to alternating replicas. One replica dies in the middle of a chunk; the
//! upload goes on elsewhere from the last acknowledged byte. Every byte passes between Wharf and the store once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tokio::sync::oneshot;
use wharf_e2e::proxy::Traffic;
use wharf_e2e::registry::Cluster;
use wharf_e2e::{Content, Lab, say, scale};

const CHUNK: u64 = 16 << 20;

/// How much more than the blob may pass, in percent: heads of requests, records and answers.
const TOLERANCE: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_survives_its_replica() {
    let lab = Lab::new("resume");
    let mut cluster = Cluster::start(&lab, 3).await;
    let size = scale("WHARF_E2E_RESUME_MIB", 256) << 20;
    let content = Content::new(11, size);
    let digest = content.digest();
    let repository = "resume/blob";
    let victim = 2;

    let begin = cluster.proxy.traffic();
    let all = cluster.alternating();
    let mut upload = all.start_upload(repository).await;
    let middle = size / 2 / CHUNK * CHUNK;
    for start in (0..middle).step_by(CHUNK as usize) {
        all.append(&mut upload, content, start, (start + CHUNK).min(size)).await;
    }

    // Half of the next chunk has left the client when its replica dies.
    let before_loss = cluster.proxy.traffic();
    let (reached, at_pause) = oneshot::channel();
    let (resume, resumed) = oneshot::channel();
    let end = (middle + CHUNK).min(size);
    let pause = middle + (end - middle) / 2;
    let body = content.pausing_body(middle, pause, end, reached, resumed);
    let lost = tokio::spawn(cluster.client_of(victim).chunk(&upload, middle, end, body).send());
    at_pause.await.unwrap();
    cluster.replicas[victim].kill();
    drop(resume);
    let answer = lost.await.unwrap();
    assert!(answer.is_err(), "the killed replica answered {answer:?}");
    let lost_traffic = cluster.proxy.traffic().since(before_loss);

    let survivors = wharf_e2e::Client::new((0..victim).map(|index| cluster.replicas[index].address()));
    let offset = survivors.upload_offset(&mut upload).await;
    assert_eq!(offset, middle, "the session stands where the last answer left it");
    for start in (offset..size).step_by(CHUNK as usize) {
        survivors.append(&mut upload, content, start, (start + CHUNK).min(size)).await;
    }
    survivors.finish_upload(&upload, &digest).await;
    let pushed = cluster.proxy.traffic().since(begin).since(lost_traffic);

    let before_pull = cluster.proxy.traffic();
    assert_eq!(survivors.pull_blob(repository, &digest).await, size);
    let pulled = cluster.proxy.traffic().since(before_pull);

    report("push", size, pushed, pushed.up, pushed.down);
    report("pull", size, pulled, pulled.down, pulled.up);
}

fn report(what: &str, size: u64, traffic: Traffic, payload: u64, rest: u64) {
    let times = |bytes: u64| bytes as f64 / size as f64;
    say!(
        "{what} of {} MiB: {:.4} times the blob to and {:.4} times from the store",
        size >> 20,
        times(traffic.up),
        times(traffic.down)
    );
    assert!(payload >= size, "the blob did not pass the proxy: {traffic:?}");
    assert!(payload + rest <= size + size * TOLERANCE / 100, "{what} moved more than the blob: {traffic:?}");
}
