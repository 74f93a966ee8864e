use wharf_store::Records;

use super::*;

#[tokio::test]
async fn nothing_is_left_of_what_was_deleted() {
    let cluster = Cluster::new(2);
    let kept = push_image(&cluster.at(0, "kept"), "kept", &["t"]).await;
    let gone = push_image(&cluster.at(0, "gone"), "gone", &["t"]).await;
    cluster.at(1, "gone").delete_manifest(&Reference::Digest(gone)).await.expect("a deletion");
    put_blob(&cluster.at(0, "kept"), b"needed by nobody").await;
    let upload = cluster.at(0, "kept").start_upload(Algorithm::Sha256).await.expect("a session");
    cluster.at(0, "kept").append(&upload, Chunk::default(), body(&[5; 300])).await.expect("an append");
    cluster.collect_all().await;
    let at = cluster.at(1, "kept");
    at.manifest_with_bytes(&Reference::Digest(kept)).await.expect("the manifest stays");
    assert_eq!(read_blob(&at, &sha256(b"layer of kept")).await, b"layer of kept");
    assert_eq!(cluster.store.generations().len(), 3, "a manifest, a config and a layer");
    assert_eq!(cluster.store.open_uploads(), 0);
    assert_eq!(cluster.keys("upload/"), Vec::<String>::new());
    assert_eq!(cluster.keys("due/"), Vec::<String>::new());
    assert_eq!(cluster.keys("hold/").len(), 2);
}

#[tokio::test]
async fn a_shared_blob_stays_while_anybody_needs_it() {
    let cluster = Cluster::new(2);
    let one = push_image(&cluster.at(0, "one"), "same", &["t"]).await;
    push_image(&cluster.at(1, "two"), "same", &["t"]).await;
    cluster.at(0, "one").delete_manifest(&Reference::Digest(one.clone())).await.expect("a deletion");
    cluster.collect_all().await;
    let layer = sha256(b"layer of same");
    assert!(matches!(cluster.at(0, "one").blob(&layer).await, Err(Error::BlobUnknown(_))));
    assert_eq!(read_blob(&cluster.at(0, "two"), &layer).await, b"layer of same");
    cluster.at(0, "two").delete_manifest(&Reference::Digest(one)).await.expect("a deletion");
    cluster.collect_all().await;
    assert_eq!(cluster.store.generations().len(), 0);
}

#[tokio::test]
async fn a_collected_digest_can_be_uploaded_again() {
    let cluster = Cluster::new(2);
    for _ in 0..3 {
        let digest = push_image(&cluster.at(0, "a"), "x", &["t"]).await;
        cluster.collect_all().await;
        assert_eq!(read_blob(&cluster.at(1, "a"), &sha256(b"layer of x")).await, b"layer of x");
        cluster.at(1, "a").delete_manifest(&Reference::Digest(digest)).await.expect("a deletion");
        cluster.collect_all().await;
        assert_eq!(cluster.store.generations().len(), 0);
    }
}

#[tokio::test]
async fn a_head_keeps_a_blob_for_another_grace_time() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let digest = put_blob(&at, b"bytes").await;
    for _ in 0..5 {
        cluster.pass(GRACE * 2 / 3);
        at.blob_for_push(&digest).await.expect("still there");
        cluster.replicas[0].collector().run_once().await.expect("a collection");
    }
    at.push_manifest(manifest(image(&digest, &[]), &["t"])).await.expect("a push");
    cluster.collect_all().await;
    assert_eq!(read_blob(&at, &digest).await, b"bytes");
}

#[tokio::test]
async fn a_long_upload_does_not_expire_while_it_moves() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    for _ in 0..6 {
        at.append(&upload, Chunk::default(), body(&[1; 70])).await.expect("an append");
        cluster.pass(GRACE * 2 / 3);
        cluster.replicas[0].collector().run_once().await.expect("a collection");
    }
    at.finish_upload(&upload, &sha256(&[1; 420]), Chunk::default(), body(b"")).await.expect("a blob");
}

/// A collector looks at the lease's entry while its upload is being committed, and takes it off after the commit put it again.
#[tokio::test]
async fn a_collector_that_looked_too_early_does_not_make_a_blob_immortal() {
    let cluster = Cluster::new(1);
    let digest = put_blob(&cluster.at(0, "a"), b"needed by nobody").await;
    let leases = cluster.keys(&format!("hold/sha256-{}/", digest.hex()));
    let place = leases[0].rsplit("/l/").next().expect("a lease");
    Records::delete(cluster.store.as_ref(), &leases[0]).await.expect("a collector released it");
    Records::delete(cluster.store.as_ref(), &format!("due/{place}")).await.expect("and took its entry off");
    cluster.collect_all().await;
    assert_eq!(cluster.store.generations().len(), 0);
}
