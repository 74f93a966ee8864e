use super::*;

#[tokio::test]
async fn every_request_of_a_session_may_land_on_another_replica() {
    let cluster = Cluster::new(3);
    let bytes: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
    let upload = cluster.at(0, "a").start_upload(Algorithm::Sha256).await.expect("a session");
    for (i, chunk) in bytes.chunks(90).enumerate() {
        let at = cluster.at(i, "a");
        let start = (i * 90) as u64;
        assert_eq!(at.upload_status(&upload).await.expect("a status").offset, start);
        let taken = Chunk { start: Some(start), length: Some(chunk.len() as u64) };
        let status = at.append(&upload, taken, body(chunk)).await.expect("an append");
        assert_eq!(status.offset, start + chunk.len() as u64);
    }
    let digest = sha256(&bytes);
    cluster.at(1, "a").finish_upload(&upload, &digest, Chunk::default(), body(b"")).await.expect("a blob");
    assert_eq!(read_blob(&cluster.at(2, "a"), &digest).await, bytes);
    assert!(matches!(cluster.at(0, "a").upload_status(&upload).await, Err(Error::UploadUnknown)));
    // A client whose answer was lost asks again.
    cluster.at(2, "a").finish_upload(&upload, &digest, Chunk::default(), body(b"")).await.expect("the same blob");
}

#[tokio::test]
async fn of_two_chunks_at_one_offset_one_wins() {
    let cluster = Cluster::new(2);
    for round in 0..20usize {
        let upload = cluster.at(0, "a").start_upload(Algorithm::Sha256).await.expect("a session");
        let head = vec![b'h'; 60 + round];
        cluster.at(0, "a").append(&upload, Chunk::default(), body(&head)).await.expect("a head");
        let (a, b) = (vec![b'a'; 100 + round], vec![b'b'; 200]);
        let chunk = Chunk { start: Some(head.len() as u64), length: None };
        let (at_a, at_b) = (cluster.at(0, "a"), cluster.at(1, "a"));
        let (won_a, won_b) = tokio::join!(at_a.append(&upload, chunk, body(&a)), at_b.append(&upload, chunk, body(&b)));
        let tail = match (won_a, won_b) {
            (Ok(_), Err(Error::RangeNotAligned { offset })) if offset == (head.len() + a.len()) as u64 => a,
            (Err(Error::RangeNotAligned { offset }), Ok(_)) if offset == (head.len() + b.len()) as u64 => b,
            other => panic!("one wins and the other is told where the session stands: {other:?}"),
        };
        let whole = [head, tail].concat();
        let digest = sha256(&whole);
        let finished = cluster.at(0, "a").finish_upload(&upload, &digest, Chunk::default(), body(b"")).await;
        match finished {
            Ok(_) => assert_eq!(read_blob(&cluster.at(1, "a"), &digest).await, whole),
            // The loser overwrote a part of the winner: the store refuses the mixture, and the client begins anew.
            Err(Error::UploadUnknown) => assert!(cluster.at(0, "a").blob(&digest).await.is_err()),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_digest_leaves_the_session_as_it_was() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    at.append(&upload, Chunk::default(), body(b"one")).await.expect("an append");
    let wrong = at.finish_upload(&upload, &sha256(b"other"), Chunk::default(), body(b"two")).await;
    assert!(matches!(wrong, Err(Error::DigestMismatch { .. })));
    assert_eq!(at.upload_status(&upload).await.expect("a status").offset, 3);
    at.finish_upload(&upload, &sha256(b"onetwo"), Chunk::default(), body(b"two")).await.expect("a blob");
}

#[tokio::test]
async fn sha512_is_verified_even_when_it_was_not_announced() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let bytes = vec![7u8; 300];
    let digest = Algorithm::Sha512.digest(&bytes);
    for announced in [Algorithm::Sha256, Algorithm::Sha512] {
        let upload = at.start_upload(announced).await.expect("a session");
        at.append(&upload, Chunk::default(), body(&bytes[..200])).await.expect("an append");
        at.finish_upload(&upload, &digest, Chunk::default(), body(&bytes[200..])).await.expect("a blob");
        let upload = at.start_upload(announced).await.expect("a session");
        at.append(&upload, Chunk::default(), body(&bytes[..100])).await.expect("an append");
        let wrong = at.finish_upload(&upload, &digest, Chunk::default(), body(b"else")).await;
        assert!(matches!(wrong, Err(Error::DigestMismatch { .. })));
    }
    assert_eq!(read_blob(&at, &digest).await, bytes);
}

#[tokio::test]
async fn what_was_announced_must_come() {
    let cluster = Cluster::new(1);
    let at = cluster.at(0, "a");
    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    for length in [2, 4] {
        let chunk = Chunk { start: None, length: Some(length) };
        let answer = at.append(&upload, chunk, body(b"abc")).await;
        assert!(matches!(answer, Err(Error::SizeInvalid { announced, .. }) if announced == length));
    }
    let broken = futures::stream::iter([Ok(Bytes::from_static(b"abc")), Err(std::io::Error::other("gone"))]);
    assert!(matches!(at.append(&upload, Chunk::default(), broken).await, Err(Error::Body(_))));
    let misplaced = Chunk { start: Some(1), length: None };
    assert!(matches!(at.append(&upload, misplaced, body(b"abc")).await, Err(Error::RangeNotAligned { offset: 0 })));
    assert_eq!(at.upload_status(&upload).await.expect("a status").offset, 0);
}

#[tokio::test]
async fn a_digest_has_one_generation_whoever_uploads_it() {
    let cluster = Cluster::new(2);
    let bytes = vec![9u8; 400];
    let (one, other) = (cluster.at(0, "one"), cluster.at(1, "other"));
    let (a, b) = tokio::join!(put_blob(&one, &bytes), put_blob(&other, &bytes));
    assert_eq!(a, b);
    for replica in &cluster.replicas {
        replica.settle().await;
    }
    assert_eq!(cluster.store.generations().len(), 1, "the second uploader's bytes are dropped");
    assert_eq!(read_blob(&one, &a).await, bytes);
    assert_eq!(read_blob(&other, &b).await, bytes);
}

#[tokio::test]
async fn a_repository_shows_only_what_it_holds() {
    let cluster = Cluster::new(2);
    let digest = put_blob(&cluster.at(0, "secret"), b"bytes").await;
    let other = cluster.at(1, "other");
    assert!(matches!(other.blob(&digest).await, Err(Error::BlobUnknown(_))));
    assert!(matches!(other.blob_for_push(&digest).await, Err(Error::BlobUnknown(_))));
    let pushed = other.push_manifest(manifest(image(&digest, &[]), &["t"])).await;
    assert!(matches!(pushed, Err(Error::ManifestBlobUnknown(missing)) if missing == [digest.clone()]));
    let from = name("secret");
    assert!(other.mount(&digest, Some(&from), &|_| false).await.expect("an answer").is_none());
    assert!(other.mount(&digest, None, &|repository| *repository != from).await.expect("an answer").is_none());
    assert!(other.mount(&digest, Some(&name("elsewhere")), &|_| true).await.expect("an answer").is_none());
    assert!(matches!(other.blob(&digest).await, Err(Error::BlobUnknown(_))));
}

#[tokio::test]
async fn a_mount_moves_no_bytes() {
    let cluster = Cluster::new(2);
    let digest = put_blob(&cluster.at(0, "a"), b"bytes").await;
    let before = cluster.store.generations();
    for (target, from) in [("b", Some(name("a"))), ("c", None)] {
        let at = cluster.at(1, target);
        assert!(at.mount(&digest, from.as_ref(), &|_| true).await.expect("an answer").is_some());
        assert_eq!(read_blob(&at, &digest).await, b"bytes");
    }
    assert_eq!(cluster.store.generations(), before);
}

#[tokio::test]
async fn a_deleted_blob_is_gone_from_its_repository_only() {
    let cluster = Cluster::new(2);
    let digest = put_blob(&cluster.at(0, "a"), b"bytes").await;
    put_blob(&cluster.at(0, "b"), b"bytes").await;
    cluster.at(1, "a").delete_blob(&digest).await.expect("a deletion");
    assert!(matches!(cluster.at(0, "a").blob(&digest).await, Err(Error::BlobUnknown(_))));
    assert!(matches!(cluster.at(0, "a").delete_blob(&digest).await, Err(Error::BlobUnknown(_))));
    assert_eq!(read_blob(&cluster.at(0, "b"), &digest).await, b"bytes");
    let pushed = push_image(&cluster.at(0, "c"), "x", &["t"]).await;
    let layer = sha256(b"layer of x");
    let refused = cluster.at(1, "c").delete_blob(&layer).await;
    assert!(matches!(refused, Err(Error::InUse { what, by }) if what == layer && by == pushed));
}

#[tokio::test]
async fn a_cancelled_session_is_unknown_on_every_replica() {
    let cluster = Cluster::new(2);
    let upload = cluster.at(0, "a").start_upload(Algorithm::Sha256).await.expect("a session");
    cluster.at(0, "a").append(&upload, Chunk::default(), body(&[1; 500])).await.expect("an append");
    cluster.at(1, "a").cancel_upload(&upload).await.expect("a cancellation");
    for replica in 0..2 {
        assert!(matches!(cluster.at(replica, "a").upload_status(&upload).await, Err(Error::UploadUnknown)));
    }
    cluster.replicas[1].settle().await;
    assert_eq!((cluster.store.open_uploads(), cluster.store.generations().len()), (0, 0));
}
