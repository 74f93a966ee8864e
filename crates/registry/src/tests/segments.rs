use super::*;
use wharf_store::Records as _;

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
