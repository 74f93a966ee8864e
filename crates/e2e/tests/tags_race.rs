//! Two replicas over one bucket take tags of one repository at once. Each tag that is answered 201 is listed and resolves
//! on the *other* replica with the very next request, and none is ever lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wharf_e2e::image::{MANIFEST, small_manifest};
use wharf_e2e::registry::Cluster;
use wharf_e2e::small_host::SmallHost;
use wharf_e2e::{Client, Lab, content, say, scale};

const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tag_is_lost_or_late() {
    let lab = Lab::new("tags-race");
    let cluster = Cluster::start(&lab, 2).await;
    let tags = usize::try_from(scale("WHARF_E2E_TAGS", 200)).unwrap();
    let clients = [cluster.client_of(0), cluster.client_of(1)];
    clients[0].push_blob("race/checked", "{}").await;

    // Writers of both replicas, and the reader of each tag on the other one.
    let pairs = vec![(clients[0].clone(), clients[1].clone()), (clients[1].clone(), clients[0].clone())];
    write("race/checked", tags, pairs, true).await;
    for client in &clients {
        assert_complete(client, "race/checked", tags).await;
    }

    let here = "sharing this machine's processors with the store";
    compare(&clients, tags, here).await;
    let percent = scale("WHARF_E2E_CPU_PERCENT", 8);
    match cluster.replicas.iter().map(|replica| SmallHost::of(replica, percent)).collect::<Result<Vec<_>, _>>() {
        Ok(_hosts) => compare(&clients, tags, &format!("each with {percent} % of a processor")).await,
        Err(error) => say!("replicas on small machines: not measured, no control groups: {error}"),
    }
}

/// Measures two replicas against one: by turns, because what else the machine does changes from minute to minute.
async fn compare(clients: &[Client; 2], tags: usize, place: &str) {
    let mut rates = Vec::new();
    for round in 0..scale("WHARF_E2E_ROUNDS", 1) {
        let rate = |time: Duration| tags as f64 / time.as_secs_f64();
        let both = rate(race(clients, tags, &[&clients[0], &clients[1]]).await);
        let alone = rate(race(clients, tags, &[&clients[round as usize % 2]]).await);
        say!("{tags} tags by {WRITERS} writers: {both:.0}/s through 2 replicas, {alone:.0}/s through 1");
        rates.push(both / alone);
    }
    rates.sort_by(f64::total_cmp);
    say!("median of the ratios, {place}: {:.2}", rates[rates.len() / 2]);
}

/// Pushes the tags to a new repository through some replicas, and looks at all of them through each replica.
async fn race(clients: &[Client; 2], tags: usize, through: &[&Client]) -> Duration {
    static RACES: AtomicUsize = AtomicUsize::new(0);
    let repository = format!("race/{}", RACES.fetch_add(1, Ordering::Relaxed));
    clients[0].push_blob(&repository, "{}").await;
    let pairs = through.iter().map(|client| ((*client).clone(), (*client).clone())).collect();
    let time = write(&repository, tags, pairs, false).await;
    for client in clients {
        assert_complete(client, &repository, tags).await;
    }
    time
}

/// Pushes the tags, writer by writer to the next pair of clients, and answers how long that took.
async fn write(repository: &str, tags: usize, pairs: Vec<(Client, Client)>, check: bool) -> Duration {
    let begin = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let (client, other) = pairs[writer % pairs.len()].clone();
        let repository = repository.to_owned();
        tokio::spawn(async move {
            for index in (writer..tags).step_by(WRITERS) {
                let (tag, manifest) = entry(index);
                client.push_manifest(&repository, &tag, MANIFEST, manifest.clone()).await;
                if check {
                    let resolved = other.resolve(&repository, &tag).await;
                    assert_eq!(resolved, Some(content::digest(&manifest)), "{tag} on the other replica");
                    let listed = other.tags(&repository).await;
                    assert!(listed.contains(&tag), "{tag} is not listed on the other replica: {listed:?}");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    begin.elapsed()
}

async fn assert_complete(client: &Client, repository: &str, tags: usize) {
    let mut expected: Vec<String> = (0..tags).map(|index| entry(index).0).collect();
    expected.sort();
    assert_eq!(client.tags(repository).await, expected);
    for index in 0..tags {
        let (tag, manifest) = entry(index);
        assert_eq!(client.manifest(repository, &tag).await, Some(manifest), "{tag}");
    }
}

fn entry(index: usize) -> (String, Bytes) {
    let tag = format!("tag-{index}");
    let manifest = small_manifest(&tag);
    (tag, manifest)
}
