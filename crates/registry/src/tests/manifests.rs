use super::*;

#[tokio::test]
async fn a_push_is_seen_on_every_replica_at_once() {
    let cluster = Cluster::new(3);
    for round in 0..5 {
        let digest =
            push_image(&cluster.at(round, "team/app"), &format!("v{round}"), &["latest", &format!("v{round}")]).await;
        for replica in 0..3 {
            let at = cluster.at(replica, "team/app");
            let (stored, bytes) = at.manifest_with_bytes(&by_tag("latest")).await.expect("a manifest");
            assert_eq!((&stored.digest, sha256(&bytes)), (&digest, digest.clone()));
            assert_eq!(stored.size, bytes.len() as u64);
            at.manifest(&Reference::Digest(digest.clone())).await.expect("by digest");
        }
    }
    let page = cluster.at(1, "team/app").tags(Some("latest"), 3).await.expect("tags");
    assert_eq!((page.items, page.more), (["v0", "v1", "v2"].map(tag).to_vec(), true));
    assert_eq!(cluster.replicas[0].catalog(None, 10).await.expect("names").items, [name("team/app")]);
}

#[tokio::test]
async fn no_tag_of_many_writers_on_two_replicas_is_lost() {
    let cluster = Cluster::new(2);
    let digest = push_image(&cluster.at(0, "a"), "x", &[]).await;
    let bytes = cluster.at(0, "a").manifest_with_bytes(&Reference::Digest(digest)).await.expect("a manifest").1;
    let pushes = (0..200).map(|i| {
        let (at, other) = (cluster.at(i, "a"), cluster.at(i + 1, "a"));
        let push = manifest(bytes.clone(), &[&format!("t{i:03}")]);
        async move {
            at.push_manifest(push).await.expect("a push");
            other.manifest(&by_tag(&format!("t{i:03}"))).await.expect("seen by the other replica");
        }
    });
    futures::future::join_all(pushes).await;
    for replica in 0..2 {
        assert_eq!(cluster.at(replica, "a").tags(None, 1000).await.expect("tags").items.len(), 200);
    }
}

#[tokio::test]
async fn what_is_unknown_has_its_own_error() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    assert!(matches!(at.manifest(&by_tag("t")).await, Err(Error::NameUnknown(_))));
    assert!(matches!(at.tags(None, 10).await, Err(Error::NameUnknown(_))));
    assert!(matches!(at.delete_manifest(&by_tag("t")).await, Err(Error::NameUnknown(_))));
    assert_eq!(at.referrers(&sha256(b"x"), &[]).await.expect("none"), []);
    push_image(&at, "x", &["t"]).await;
    assert!(matches!(at.manifest(&by_tag("u")).await, Err(Error::ManifestUnknown(_))));
    assert!(matches!(at.delete_manifest(&by_tag("u")).await, Err(Error::ManifestUnknown(_))));
    let unknown = Reference::Digest(sha256(b"x"));
    assert!(matches!(at.delete_manifest(&unknown).await, Err(Error::ManifestUnknown(_))));
}

#[tokio::test]
async fn a_manifest_needs_its_content_and_its_digest() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let missing = sha256(b"never uploaded");
    let pushed = at.push_manifest(manifest(image(&missing, &[]), &["t"])).await;
    assert!(matches!(pushed, Err(Error::ManifestBlobUnknown(list)) if list == [missing.clone()]));
    let pushed = at.push_manifest(manifest(index(std::slice::from_ref(&missing)), &["t"])).await;
    assert!(matches!(pushed, Err(Error::ManifestBlobUnknown(list)) if list == [missing]));
    assert!(matches!(at.manifest(&by_tag("t")).await, Err(Error::NameUnknown(_))), "nothing was created");
    let config = put_blob(&at, b"c").await;
    let wrong = ManifestPush { digest: Some(sha256(b"x")), ..manifest(image(&config, &[]), &[]) };
    assert!(matches!(at.push_manifest(wrong).await, Err(Error::DigestMismatch { .. })));
}

#[tokio::test]
async fn an_index_keeps_its_children() {
    let cluster = Cluster::new(2);
    let at = cluster.at(0, "a");
    let child = push_image(&at, "child", &["child"]).await;
    let parent =
        at.push_manifest(manifest(index(std::slice::from_ref(&child)), &["multi"])).await.expect("an index").digest;
    let refused = cluster.at(1, "a").delete_manifest(&Reference::Digest(child.clone())).await;
    assert!(matches!(refused, Err(Error::InUse { what, by }) if what == child && by == parent));
    at.delete_manifest(&by_tag("child")).await.expect("a tag may go");
    at.delete_manifest(&Reference::Digest(parent)).await.expect("the index may go");
    assert!(matches!(at.manifest(&by_tag("multi")).await, Err(Error::ManifestUnknown(_))), "with its tags");
    cluster.at(1, "a").delete_manifest(&Reference::Digest(child)).await.expect("and then the child");
}

#[tokio::test]
async fn referrers_come_and_go_with_their_manifests() {
    let cluster = Cluster::new(2);
    let at = cluster.at(0, "a");
    let subject = sha256(b"a subject that need not exist");
    let config = put_blob(&at, b"c").await;
    let pushed = at.push_manifest(manifest(image_of(&config, &[], Some(&subject)), &[])).await.expect("a push");
    assert_eq!(pushed.subject.as_ref(), Some(&subject));
    let other = cluster.at(1, "a");
    let listed = other.referrers(&subject, &["application/x-config".to_owned()]).await.expect("referrers");
    assert_eq!(listed.iter().map(|d| &d.digest).collect::<Vec<_>>(), [&pushed.digest]);
    assert_eq!(other.referrers(&subject, &["another".to_owned()]).await.expect("none"), []);
    other.delete_manifest(&Reference::Digest(pushed.digest)).await.expect("a deletion");
    assert_eq!(at.referrers(&subject, &[]).await.expect("none"), []);
}

#[tokio::test]
async fn long_annotations_are_listed_whole() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let (subject, config) = (sha256(b"subject"), put_blob(&at, b"c").await);
    let mut document: serde_json::Value =
        serde_json::from_slice(&image_of(&config, &[], Some(&subject))).expect("a document");
    document["annotations"] = serde_json::json!({"long": "x".repeat(5000)});
    at.push_manifest(manifest(document.to_string().into(), &[])).await.expect("a push");
    let listed = at.referrers(&subject, &[]).await.expect("referrers");
    assert_eq!(listed[0].annotations["long"].len(), 5000);
    let root = cluster.keys("repo/");
    let record = wharf_store::Records::get(cluster.store.as_ref(), &root[0]).await.expect("a read").expect("a root");
    assert!(record.value.len() < 2000, "the root stays small");
}

#[tokio::test]
async fn a_moved_tag_belongs_to_its_new_manifest() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let first = push_image(&at, "1", &["t"]).await;
    let second = push_image(&at, "2", &["t"]).await;
    at.delete_manifest(&Reference::Digest(first)).await.expect("the old one may go");
    assert_eq!(at.manifest(&by_tag("t")).await.expect("the tag stays").digest, second);
}
