//! Limits of a pusher, the filtered catalog, and what authentication keeps.

use super::*;

fn limited(bytes: &Bytes, tag_name: &str, limit: TagLimit) -> ManifestPush {
    ManifestPush { limits: BTreeMap::from([(tag(tag_name), limit)]), ..manifest(bytes.clone(), &[tag_name]) }
}

async fn document(at: &Repository, digest: &Digest) -> Bytes {
    at.manifest_with_bytes(&Reference::Digest(digest.clone())).await.expect("a manifest").1
}

#[tokio::test]
async fn a_tag_that_may_not_move_stays_whoever_is_faster() {
    let cluster = Cluster::new(2);
    let at = cluster.at(0, "a");
    let first = push_image(&at, "one", &["v1"]).await;
    let second = push_image(&at, "two", &[]).await;
    let (one, two) = (document(&at, &first).await, document(&at, &second).await);
    let moved = cluster.at(1, "a").push_manifest(limited(&two, "v1", TagLimit::OnlyNew)).await;
    assert!(matches!(moved, Err(Error::TagDenied { exists: true, .. })), "{moved:?}");
    // A new manifest is refused as a whole.
    let config = put_blob(&at, b"config of three").await;
    let three = image(&config, &[]);
    let moved = at.push_manifest(limited(&three, "v1", TagLimit::OnlyNew)).await;
    assert!(matches!(moved, Err(Error::TagDenied { exists: true, .. })), "{moved:?}");
    assert!(matches!(at.manifest(&Reference::Digest(sha256(&three))).await, Err(Error::ManifestUnknown(_))));
    // What is there already may be pushed again: a client that did not hear the answer does so.
    at.push_manifest(limited(&one, "v1", TagLimit::OnlyNew)).await.expect("the same again");
    at.push_manifest(limited(&three, "v3", TagLimit::OnlyNew)).await.expect("a new tag");
    let made = at.push_manifest(limited(&two, "v2", TagLimit::OnlyExisting)).await;
    assert!(matches!(made, Err(Error::TagDenied { exists: false, .. })), "{made:?}");
    at.push_manifest(limited(&two, "v1", TagLimit::OnlyExisting)).await.expect("a move");
    // Of many that make one tag at once, one wins.
    let pushes = (0..6).map(|i| {
        let (at, bytes) = (cluster.at(i, "a"), [&one, &two, &three][i % 3].clone());
        async move { (sha256(&bytes), at.push_manifest(limited(&bytes, "race", TagLimit::OnlyNew)).await.is_ok()) }
    });
    let winners: BTreeSet<_> = futures::future::join_all(pushes).await.into_iter().filter(|(_, ok)| *ok).collect();
    let there = at.manifest(&by_tag("race")).await.expect("the tag").digest;
    assert_eq!(winners, BTreeSet::from([(there, true)]));
}

#[tokio::test]
async fn a_manifest_of_several_tags_can_be_guarded() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let digest = push_image(&at, "x", &["a", "b"]).await;
    assert!(matches!(at.delete_unshared_manifest(&digest).await, Err(Error::Shared { tags: 2, .. })));
    at.delete_manifest(&by_tag("a")).await.expect("a tag");
    at.delete_unshared_manifest(&digest).await.expect("no longer shared");
    assert!(matches!(at.manifest(&by_tag("b")).await, Err(Error::ManifestUnknown(_))));
}

#[tokio::test]
async fn pages_of_the_catalog_hold_only_what_may_be_seen() {
    let cluster = Cluster::new(1);
    for i in 0..10 {
        let open = if i % 3 == 0 { "open" } else { "closed" };
        push_image(&cluster.at(0, &format!("r{i}/{open}")), "x", &["v"]).await;
    }
    let (registry, mut after, mut seen) = (&cluster.replicas[0], None, Vec::new());
    loop {
        let page =
            registry.catalog_of(after.as_ref(), 2, &|name| name.as_str().ends_with("open")).await.expect("a page");
        assert!(page.items.len() == 2 || !page.more);
        seen.extend(page.items.iter().map(ToString::to_string));
        after = page.items.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["r0/open", "r3/open", "r6/open", "r9/open"]);
}

#[tokio::test]
async fn all_replicas_share_a_secret() {
    let cluster = Cluster::new(3);
    let asked = futures::future::join_all(cluster.replicas.iter().map(|r| r.shared_secret("token-key"))).await;
    let secrets: BTreeSet<_> = asked.into_iter().map(|secret| secret.expect("a secret")).collect();
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets.first().expect("one").len(), 32);
    assert_ne!(cluster.replicas[0].shared_secret("other").await.expect("another"), secrets.first().expect("one"));
}

#[tokio::test]
async fn a_deleted_key_or_session_is_gone_on_every_replica() {
    let cluster = Cluster::new(2);
    let (one, two) = (&cluster.replicas[0], &cluster.replicas[1]);
    let (owner, id) = (Owner::new("eve@example.org/ä"), KeptId::new(7));
    for (kind, other) in [(Kept::ApiKey, Kept::Session), (Kept::Session, Kept::ApiKey)] {
        assert!(one.keep(kind, &owner, id, Bytes::from_static(b"x")).await.expect("created"));
        assert!(!two.keep(kind, &owner, id, Bytes::from_static(b"y")).await.expect("there"));
        assert_eq!(two.kept(kind, &owner, id).await.expect("asked").as_deref(), Some(&b"x"[..]));
        assert_eq!(two.kept(other, &owner, id).await.expect("asked"), None);
        assert_eq!(two.kept(kind, &Owner::new("other"), id).await.expect("asked"), None);
        assert_eq!(two.kept_of(kind, &owner).await.expect("a list").len(), 1);
        two.forget(kind, &owner, id).await.expect("deleted");
        assert_eq!(one.kept(kind, &owner, id).await.expect("asked"), None);
        assert_eq!(one.kept_of(kind, &owner).await.expect("a list"), []);
    }
}
