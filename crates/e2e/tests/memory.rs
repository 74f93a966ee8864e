//! Many uploads and downloads at once, each of a multiple of the memory that its replica may take.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wharf_e2e::{Client, Content, Lab, Registry, say, scale};

const AT_ONCE: u64 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_disk() {
    let lab = Lab::new("memory-local");
    let mut registry = Registry::local(&lab).await;
    let client = registry.client();
    load(&mut registry, client, 128).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas() {
    let lab = Lab::new("memory-cluster");
    let mut registry = Registry::cluster(&lab, 2).await;
    let Registry::Cluster(cluster) = &registry else { unreachable!("a cluster was started") };
    let client = cluster.alternating();
    load(&mut registry, client, 512).await;
}

/// Uploads and downloads, then compares each replica's peak with `limit` mebibytes.
async fn load(registry: &mut Registry, client: Client, limit: u64) {
    let size = scale("WHARF_E2E_MEMORY_MIB", 16) << 20;
    let idle: Vec<u64> = registry.replicas().iter().map(|replica| replica.peak_memory() >> 20).collect();

    let uploads: Vec<_> = (0..AT_ONCE)
        .map(|index| {
            let client = client.clone();
            tokio::spawn(async move { client.push_content("memory/blobs", Content::new(100 + index, size)).await })
        })
        .collect();
    let mut digests = Vec::new();
    for upload in uploads {
        digests.push(upload.await.unwrap());
    }
    let uploaded: Vec<u64> = registry.replicas().iter().map(|replica| replica.peak_memory() >> 20).collect();

    let pulls: Vec<_> = digests
        .into_iter()
        .map(|digest| {
            let client = client.clone();
            tokio::spawn(async move { client.pull_blob("memory/blobs", &digest).await })
        })
        .collect();
    for pull in pulls {
        assert_eq!(pull.await.unwrap(), size);
    }
    let pulled: Vec<u64> = registry.replicas().iter().map(|replica| replica.peak_memory() >> 20).collect();

    say!(
        "{AT_ONCE} times {} MiB at once, {}: peak MiB per process {idle:?} idle, {uploaded:?} after uploads, {pulled:?} \
         after pulls, of {limit}",
        size >> 20,
        registry.shape(),
    );
    assert!(pulled.iter().all(|peak| *peak <= limit), "more than {limit} MiB: {pulled:?}");
}
