use super::*;
use wharf_store::Records as _;
use wharf_store::wrap::{StackOptions, stack};

const SMALL: Shape = Shape { recent_high: 1500, recent_low: 1000, leaf: 1200, fanout: 3 };

#[tokio::test]
async fn a_large_repository_answers_like_a_small_one() {
    let cluster = Cluster::shaped(2, SMALL);
    let mut digests = Vec::new();
    for i in 0..60 {
        digests.push(push_image(&cluster.at(i, "a"), &i.to_string(), &[&format!("t{i:02}"), "latest"]).await);
    }
    for i in (0..60).step_by(3) {
        cluster.at(i, "a").delete_manifest(&Reference::Digest(digests[i].clone())).await.expect("a deletion");
    }
    assert!(cluster.keys("segment/").len() > 10);
    // A replica that has never seen the repository.
    let fresh =
        Registry::with_env(cluster.store.clone(), cluster.store.clone(), Options::default(), cluster.env.clone());
    let at = fresh.repository(&name("a"));
    for (i, digest) in digests.iter().enumerate() {
        let found = at.manifest(&by_tag(&format!("t{i:02}"))).await;
        match i % 3 {
            0 => assert!(matches!(found, Err(Error::ManifestUnknown(_))), "t{i:02}"),
            _ => assert_eq!(&found.expect("a manifest").digest, digest),
        }
    }
    let mut listed = Vec::new();
    loop {
        let after = listed.last().map(ToString::to_string);
        let page = at.tags(after.as_deref(), 7).await.expect("tags");
        listed.extend(page.items);
        if !page.more {
            break;
        }
    }
    let expected: Vec<Tag> = std::iter::once(tag("latest"))
        .chain((0..60).filter(|i| i % 3 != 0).map(|i| tag(&format!("t{i:02}"))))
        .collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn the_root_stays_bounded_and_old_segments_are_collected() {
    let cluster = Cluster::shaped(1, SMALL);
    let at = cluster.at(0, "a");
    let digest = push_image(&at, "x", &[]).await;
    let bytes = at.manifest_with_bytes(&Reference::Digest(digest)).await.expect("a manifest").1;
    let mut largest = 0;
    for i in 0..300 {
        at.push_manifest(manifest(bytes.clone(), &[&format!("t{i:03}")])).await.expect("a push");
        let root = cluster.store.get("repo/a").await.expect("a read").expect("a root");
        largest = largest.max(root.value.len());
    }
    assert!(largest < 8000, "{largest}");
    let before = cluster.keys("segment/").len();
    cluster.collect_all().await;
    let after = cluster.keys("segment/").len();
    let view = at.view().await.expect("a read").expect("a root");
    assert_eq!(after, view.named_segments().await.expect("names").len(), "exactly those that the root names");
    assert!(after < before, "{before} -> {after}");
    assert_eq!(at.tags(None, 1000).await.expect("tags").items.len(), 300);
    at.delete_manifest(&Reference::Digest(sha256(&bytes))).await.expect("a deletion of all at once");
    assert_eq!(at.tags(None, 1000).await.expect("tags").items.len(), 0);
    cluster.collect_all().await;
    assert!(cluster.keys("segment/").len() * 4 < after, "what is left waits for changes beside it");
}

/// What one push into a repository of so many tags moves between the registry and its store, on average, in bytes.
async fn moved_by_a_push(tags: usize) -> u64 {
    let cluster = Cluster::new(0);
    let stack = stack(cluster.store.clone(), cluster.store.clone(), StackOptions::counting());
    let registry = Registry::with_env(
        stack.records,
        stack.data,
        Options { grace: GRACE, ..Options::default() },
        cluster.env.clone(),
    );
    let at = registry.repository(&name("large"));
    let config = put_blob(&at, b"{}").await;
    let one = |i: usize| {
        let text = String::from_utf8(image(&config, &[]).to_vec()).expect("text");
        Bytes::from(text.replacen('{', &format!("{{\"annotations\":{{\"n\":\"{i}\"}},"), 1))
    };
    for first in (0..tags).step_by(10) {
        let names: Vec<String> = (first..first + 10).map(|i| format!("tag-{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        at.push_manifest(manifest(one(first), &names)).await.expect("a push");
    }
    registry.settle().await;
    let total = || stack.counts.snapshot().iter().map(|count| count.sent + count.received).sum::<u64>();
    let before = total();
    for i in 0..50 {
        at.push_manifest(manifest(one(tags + i), &[&format!("sample-{i}")])).await.expect("a push");
    }
    registry.settle().await;
    (total() - before) / 50
}

#[tokio::test]
async fn a_push_into_a_large_repository_moves_a_bounded_root_and_a_path_of_segments() {
    let (small, large) = (moved_by_a_push(0).await, moved_by_a_push(50_000).await);
    assert!(large < 64 << 10, "{small} bytes in an empty repository, {large} in one of 50,000 tags");
}
