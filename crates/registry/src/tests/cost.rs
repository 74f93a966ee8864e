//! What collecting costs, in calls of the store: what the garbage costs, whatever else the registry holds.

use super::*;
use wharf_store::wrap::{CallCount, Counts, Operation, StackOptions, stack};

/// Blobs of one image.
const LAYERS: usize = 100;
/// Images of one repository.
const IMAGES: usize = 10;
/// Blobs that nobody needs any more.
const DEAD: u64 = 100;
/// Blobs of one image that is deleted.
const DEAD_LAYERS: u64 = 10;
/// Entries of the work list that one call answers.
const PAGE: u64 = 500;

/// A registry with so many live blobs in it, none of which is on the collector's list any more.
async fn registry_of(live: usize) -> (Cluster, Arc<Counts>) {
    let store = Arc::new(MemoryStore::new());
    let env = Arc::new(TestEnv::default());
    let counted = stack(store.clone(), store.clone(), StackOptions::counting());
    let options = Options { grace: GRACE, ..Options::default() };
    let registry = Registry::with_env(counted.records, counted.data, options, env.clone());
    let cluster = Cluster { store, env, replicas: vec![registry] };
    for first in (0..live).step_by(LAYERS) {
        let image = first / LAYERS;
        let at = cluster.at(0, &format!("live/r{}", image / IMAGES));
        push_layers(&at, &format!("live {image}"), LAYERS, &image.to_string()).await;
    }
    cluster.collect_all().await;
    assert_eq!(cluster.keys("due/"), Vec::<String>::new());
    // From here on, whatever the size: the same time, the same ids and so the same order of the collector.
    cluster.env.random.store(1 << 40, Ordering::SeqCst);
    (cluster, counted.counts)
}

/// Pushes an image of so many blobs, its configuration among them.
async fn push_layers(at: &Repository, content: &str, blobs: usize, tag: &str) -> Digest {
    let mut layers = Vec::new();
    for layer in 0..blobs {
        layers.push(put_blob(at, format!("layer {layer} of {content}").as_bytes()).await);
    }
    at.push_manifest(manifest(image(&layers[0], &layers[1..]), &[tag])).await.expect("a push").digest
}

/// Lets everything come up, collects once, and answers the calls that this took.
async fn cost(cluster: &Cluster, counts: &Counts) -> Vec<CallCount> {
    cluster.replicas[0].settle().await;
    cluster.pass(GRACE * 2);
    let calls = |counts: &Counts| counts.snapshot().into_iter().map(|count| count.calls).collect::<Vec<_>>();
    let before = calls(counts);
    cluster.replicas[0].collector().run_once().await.expect("a collection");
    let mut after = counts.snapshot();
    for (count, before) in after.iter_mut().zip(before) {
        count.calls -= before;
        (count.sent, count.received) = (0, 0);
    }
    after
}

/// How often each kind of call was made; how long they took is another matter.
fn by_kind(calls: &[CallCount]) -> Vec<(Operation, u64)> {
    calls.iter().map(|count| (count.operation, count.calls)).collect()
}

fn total(calls: &[CallCount]) -> u64 {
    calls.iter().map(|count| count.calls).sum()
}

/// Uploads blobs that no manifest will ever need, and collects them.
async fn collect_unneeded(cluster: &Cluster, counts: &Counts) -> Vec<CallCount> {
    let held = cluster.store.generations().len();
    for blob in 0..DEAD {
        put_blob(&cluster.at(0, "live/r0"), format!("unneeded {blob}").as_bytes()).await;
    }
    let calls = cost(cluster, counts).await;
    assert_eq!(cluster.store.generations().len(), held, "all of them are collected, and nothing else");
    calls
}

/// Deletes images, and collects their blobs.
async fn collect_deleted(cluster: &Cluster, counts: &Counts) -> Vec<CallCount> {
    let held = cluster.store.generations().len();
    let at = cluster.at(0, "live/r0");
    let mut images = Vec::new();
    for image in 0..DEAD / DEAD_LAYERS {
        let name = format!("dead {image}");
        images.push(push_layers(&at, &name, DEAD_LAYERS as usize, &name.replace(' ', "-")).await);
    }
    cluster.collect_all().await;
    for digest in images {
        at.delete_manifest(&Reference::Digest(digest)).await.expect("a deletion");
    }
    let calls = cost(cluster, counts).await;
    assert_eq!(cluster.store.generations().len(), held, "all of them are collected, and nothing else");
    calls
}

#[tokio::test]
async fn collecting_costs_what_the_garbage_costs() {
    let (small, small_counts) = registry_of(100).await;
    let (large, large_counts) = registry_of(100_000).await;
    assert_eq!(large.keys("blob/").len(), 100_000);

    // The listing, and for each blob its upload's entry (7 calls) and its lease's (9).
    let unneeded = collect_unneeded(&small, &small_counts).await;
    assert_eq!(by_kind(&unneeded), by_kind(&collect_unneeded(&large, &large_counts).await));
    assert_eq!(total(&unneeded), (2 * DEAD).div_ceil(PAGE) + DEAD * (7 + 9));

    // At most: the listing, for each blob its entry (8 calls), and for each image that of its push (B + 5). Fences of one
    // repository that meet share a swap.
    let images = DEAD / DEAD_LAYERS;
    let deleted = collect_deleted(&small, &small_counts).await;
    assert_eq!(by_kind(&deleted), by_kind(&collect_deleted(&large, &large_counts).await));
    let most = (DEAD + images).div_ceil(PAGE) + DEAD * 8 + images * (DEAD_LAYERS + 5);
    assert!(total(&deleted) <= most && total(&deleted) >= DEAD * 8, "{} of {most}", total(&deleted));
}
