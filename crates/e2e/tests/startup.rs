//! A replica starts without walking the bucket, and a push into a large repository costs what one into a small one
//! costs: both are measured in bytes between the replica and its store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use wharf_e2e::content::digest;
use wharf_e2e::image::{INDEX, MANIFEST, empty_index, small_manifest};
use wharf_e2e::patient::{Patient, Rules};
use wharf_e2e::proxy::Traffic;
use wharf_e2e::registry::Cluster;
use wharf_e2e::{Client, Lab, say, scale};

const WRITERS: usize = 64;
const REPOSITORIES: usize = 20;

/// Bytes both ways that a start may move, whatever the bucket holds.
const START_BYTES: u64 = 256 << 10;

/// Bytes both ways that a push of a small manifest may move on average, whatever its repository holds.
const PUSH_BYTES: u64 = 256 << 10;

/// Pushes of which the average is taken.
const SAMPLE: usize = 50;

/// A store that is filled for minutes is slow at times, and clients ask again.
const RULES: Rules =
    Rules { answered_within: Duration::from_secs(90), patience: Duration::from_secs(300), is_balanced: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_does_not_walk_the_bucket() {
    let lab = Lab::new("startup");
    let mut cluster = Cluster::start(&lab, 1).await;
    let manifests = usize::try_from(scale("WHARF_E2E_MANIFESTS", 1_000)).unwrap();

    let (empty_time, empty) = restart(&mut cluster).await;
    let begin = Instant::now();
    push(&cluster.client_of(0), manifests, |index| format!("start/r{}", index % REPOSITORIES)).await;
    let rate = manifests as f64 / begin.elapsed().as_secs_f64();
    let (full_time, full) = restart(&mut cluster).await;

    say!(
        "start: {} ms and {} KiB over an empty bucket, {} ms and {} KiB over {manifests} manifests ({rate:.0} pushes/s)",
        empty_time.as_millis(),
        empty.total() >> 10,
        full_time.as_millis(),
        full.total() >> 10,
    );
    assert!(full.total() <= START_BYTES, "a start moved {full:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_costs_the_same_in_a_large_repository() {
    let lab = Lab::new("many-tags");
    let cluster = Cluster::start(&lab, 1).await;
    let client = cluster.client_of(0);
    let tags = usize::try_from(scale("WHARF_E2E_MANY_TAGS", 2_000)).unwrap();
    push_tags(&client, "large/repository", tags).await;
    assert_eq!(client.tags("large/repository").await.len(), tags);

    let small = sample(&cluster, "small/repository").await;
    let large = sample(&cluster, "large/repository").await;
    say!("a push moves {} KiB in an empty repository, {} KiB in one of {tags} tags", small >> 10, large >> 10);
    assert!(large <= PUSH_BYTES, "a push moved {large} bytes");
}

/// Kills and starts the only replica; how long it took to be ready, and what it moved until then.
async fn restart(cluster: &mut Cluster) -> (Duration, Traffic) {
    cluster.replicas[0].kill();
    let before = cluster.proxy.traffic();
    let time = cluster.replicas[0].restart().await;
    (time, cluster.proxy.traffic().since(before))
}

/// Pushes manifests, each under a tag of its own, several at once.
async fn push(client: &Client, count: usize, repository: impl Fn(usize) -> String) {
    let client = Patient::new(client.clone(), RULES);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = client.clone();
            let work: Vec<_> = (writer..count).step_by(WRITERS).map(|index| (index, repository(index))).collect();
            tokio::spawn(async move {
                for (index, repository) in work {
                    let tag = format!("tag-{index}");
                    put(&client, &repository, &tag, INDEX, empty_index(&tag)).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    tell(&client);
}

async fn put(client: &Patient, repository: &str, reference: &str, media_type: &str, manifest: Bytes) {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let request =
        |client: &Client| client.request(Method::PUT, &path).header(CONTENT_TYPE, media_type).body(manifest.clone());
    client.send(&path, request).await.expect(&path, &[201]);
}

fn tell(client: &Patient) {
    let seen = client.tally().seen();
    if seen.refused + seen.broken > 0 {
        say!(
            "filling it: {} requests, {} of them refused and asked again, slowest {:?}",
            seen.requests,
            seen.refused,
            seen.slowest
        );
    }
}

/// Pushes manifests with ten tags each (distribution-spec, "Pushing Manifests", with tag parameters), several at once.
async fn push_tags(client: &Client, repository: &'static str, count: usize) {
    client.push_blob(repository, "{}").await;
    let client = Patient::new(client.clone(), RULES);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                for first in (writer * 10..count).step_by(WRITERS * 10) {
                    let manifest = small_manifest(&format!("tags from {first}"));
                    let tags = (first..(first + 10).min(count)).map(|index| format!("tag=tag-{index}"));
                    let reference = format!("{}?{}", digest(&manifest), tags.collect::<Vec<_>>().join("&"));
                    put(&client, repository, &reference, MANIFEST, manifest).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    tell(&client);
}

/// Bytes that a push moves, on average.
async fn sample(cluster: &Cluster, repository: &str) -> u64 {
    let client = cluster.client_of(0);
    client.push_blob(repository, "{}").await;
    let before = cluster.proxy.traffic();
    for index in 0..SAMPLE {
        let tag = format!("sample-{index}");
        client.push_manifest(repository, &tag, MANIFEST, small_manifest(&tag)).await;
    }
    cluster.proxy.traffic().since(before).total() / SAMPLE as u64
}
