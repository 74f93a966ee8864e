//! What the suite does not ask of every backend.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use super::*;
use crate::{Data, Family, ListRequest, Part, Put, Records, StoreError};

fn open(root: &Path) -> LocalStore {
    LocalStore::open(root, true).unwrap()
}

fn generation(random: u128) -> Generation {
    Family::new(random).first()
}

async fn content(store: &LocalStore, generation: &Generation, range: std::ops::Range<u64>) -> Vec<u8> {
    let chunks: Vec<Bytes> = store.read(generation, range).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    for durable in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let store = Arc::new(LocalStore::open(root.path(), durable).unwrap());
        crate::suite::records(store.clone(), "suite").await;
        crate::suite::data(store.clone()).await;
        assert_eq!(store.slots.in_use(), 0);
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let first = Records::put(&store, "a/b", Bytes::from_static(b"one")).await.unwrap();
    Records::put(&store, "a/c", Bytes::from_static(b"two")).await.unwrap();
    Records::delete(&store, "a/c").await.unwrap();
    store.data_put(1, b"data").await;
    drop(store);

    let store = open(root.path());
    let record = store.get("a/b").await.unwrap().unwrap();
    assert_eq!((&record.value[..], &record.etag), (&b"one"[..], &first));
    assert_eq!(store.get("a/c").await.unwrap(), None);
    assert_eq!(content(&store, &generation(1), 0..4).await, b"data");
    let second = Records::put(&store, "a/b", Bytes::from_static(b"one")).await.unwrap();
    assert_ne!(first, second, "a version is never given twice");
    let later = store.put_if_match("a/b", Bytes::new(), &first).await.unwrap();
    assert_eq!(later, Put::Lost);
}

impl LocalStore {
    async fn data_put(&self, random: u128, bytes: &[u8]) {
        Data::put(self, &generation(random), vec![Bytes::copy_from_slice(bytes)]).await.unwrap();
    }
}

#[tokio::test]
async fn a_second_store_in_the_same_directory_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    for durable in [true, false] {
        let _store = LocalStore::open(root.path(), durable).unwrap();
        for second in [true, false] {
            let refused = LocalStore::open(root.path(), second).unwrap_err();
            assert!(matches!(refused, OpenError::InUse { .. }), "{refused:?}");
            assert!(refused.to_string().contains(root.path().to_str().unwrap()), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_over_one_version_one_is_done() {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(open(root.path()));
    let known = Records::put(&*store, "counter", Bytes::from_static(b"0")).await.unwrap();
    let tasks = (0..50).map(|i| {
        let (store, known) = (store.clone(), known.clone());
        tokio::spawn(async move { store.put_if_match("counter", Bytes::from(vec![i]), &known).await.unwrap() })
    });
    let answers = futures::future::join_all(tasks).await;
    let done: Vec<_> = answers.into_iter().map(|a| a.unwrap()).filter(|a| *a != Put::Lost).collect();
    let record = store.get("counter").await.unwrap().unwrap();
    assert_eq!(done, [Put::Done(record.etag)]);
}

#[tokio::test]
async fn folders_are_folded_over_pages() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    for key in ["r/a/1", "r/a/2", "r/a-b/1", "r/a0", "r/b", "r/c/d/e", "s/x"] {
        Records::put(&store, key, Bytes::from_static(b"value")).await.unwrap();
    }
    for limit in 1..6 {
        let (mut keys, mut folders, mut after) = (Vec::new(), Vec::new(), None::<String>);
        loop {
            let request = ListRequest { prefix: "r/", after: after.as_deref(), fold: true, limit };
            let page = Records::list(&store, request).await.unwrap();
            assert!(page.entries.len() + page.folders.len() <= limit);
            keys.extend(page.entries.into_iter().map(|e| (e.key, e.size)));
            folders.extend(page.folders);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(keys, [("r/a0".to_owned(), 5), ("r/b".to_owned(), 5)]);
        assert_eq!(folders, ["r/a-b/", "r/a/", "r/c/"]);
    }
}

#[tokio::test]
async fn an_upload_is_written_in_place_and_appears_whole() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let id = generation(0xab << 120);
    let bytes = Bytes::from(pattern(3_000_000));
    let upload = store.start(&id).await.unwrap();
    for (number, offset) in [(2, 1_000_000), (1, 0), (3, 2_000_000)] {
        let part = bytes.slice(offset..offset + 1_000_000);
        let chunks = part.chunks(777).map(Bytes::copy_from_slice).collect();
        store.put_part(&id, &upload, number, offset as u64, chunks).await.unwrap();
    }
    // A part of an attempt that was given up, behind the end.
    store.put_part(&id, &upload, 4, 3_000_000, vec![Bytes::from_static(b"rest")]).await.unwrap();
    store.sync(&id, &upload).await.unwrap();
    assert_eq!(store.size(&id).await.unwrap(), None);
    assert_eq!(store.unfinished("ab").await.unwrap().len(), 1);

    let parts = [Part { number: 3, size: 3_000_000, tag: "in-place".into() }];
    store.complete(&id, &upload, &parts).await.unwrap();
    store.complete(&id, &upload, &parts).await.unwrap();
    assert_eq!(store.size(&id).await.unwrap(), Some(3_000_000));
    assert!(store.unfinished("").await.unwrap().is_empty());
    assert_eq!(content(&store, &id, 0..3_000_000).await, bytes);
    assert_eq!(content(&store, &id, 5..2_000_000).await, bytes[5..2_000_000]);
    assert_eq!(content(&store, &id, 100..100 + (256 << 10)).await, bytes[100..100 + (256 << 10)]);
    assert_eq!(store.slots.in_use(), 0);

    let longer = [Part { number: 3, size: 3_000_001, tag: "in-place".into() }];
    assert!(matches!(store.complete(&id, &upload, &longer).await, Err(StoreError::NotFound { .. })));
    store.abort(&id, &upload).await.unwrap();
    assert_eq!(store.size(&id).await.unwrap(), Some(3_000_000));
}

#[tokio::test]
async fn a_given_up_upload_takes_no_more_parts() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let id = generation(7);
    let claim = store.claim(&id.family()).unwrap();
    assert!(matches!(store.claim(&id.family()), Err(StoreError::Busy { .. })));
    let upload = store.start(&id).await.unwrap();
    store.abort(&id, &upload).await.unwrap();
    let part = store.put_part(&id, &upload, 1, 0, vec![Bytes::from_static(b"x")]).await;
    assert!(matches!(part, Err(StoreError::NotFound { .. })));
    drop(claim);
    assert_eq!(store.slots.in_use(), 0);
    assert!(store.claim(&id.family()).is_ok());
}

#[tokio::test]
async fn a_read_under_way_survives_a_delete() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let bytes = pattern(4 << 20);
    store.data_put(9, &bytes).await;
    let mut stream = store.read(&generation(9), 0..4 << 20).await.unwrap();
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    Data::delete(&store, &generation(9)).await.unwrap();
    assert!(store.open_file(&generation(9)).await.unwrap().is_none());
    while let Some(block) = stream.next().await {
        read.extend_from_slice(&block.unwrap());
    }
    assert!(read == bytes);
    assert!(matches!(store.read(&generation(9), 0..1).await, Err(StoreError::NotFound { .. })));
}

/// A request is dropped in the middle of its part; the next one writes the same place.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_write_never_lands_on_a_later_one() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let id = generation(11);
    let upload = store.start(&id).await.unwrap();
    let (old, new) = (Bytes::from(vec![1; 1 << 20]), Bytes::from(vec![2; 1 << 20]));
    for round in 0..100 {
        let claim = store.claim(&id.family()).unwrap();
        let first = store.put_part(&id, &upload, 1, 0, vec![old.clone()]);
        let _ = tokio::time::timeout(Duration::from_micros(10 * round), first).await;
        drop(claim);
        let _claim = store.claim(&id.family()).unwrap();
        store.put_part(&id, &upload, 1, 0, vec![new.clone()]).await.unwrap();
        let written = std::fs::read(root.path().join("uploads").join(id.as_str())).unwrap();
        assert!(written == new, "round {round}");
    }
}

#[tokio::test]
async fn a_listing_of_data_goes_over_directories_and_pages() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let mut ids: Vec<_> = (0..40u128).map(|i| generation((i * 7) << 119 | i)).collect();
    ids.sort();
    for id in &ids {
        Data::put(&store, id, vec![Bytes::from_static(b"12"), Bytes::new(), Bytes::from_static(b"3")]).await.unwrap();
    }
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = Data::list(&store, "", after.as_ref(), 7).await.unwrap();
        assert!(page.data.iter().all(|data| data.size == 3));
        found.extend(page.data.into_iter().map(|data| data.generation));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, ids);
    for prefix in [ids[3].as_str(), &ids[3].as_str()[..1], &ids[3].as_str()[..5]] {
        let page = Data::list(&store, prefix, None, 100).await.unwrap();
        let expected: Vec<_> = ids.iter().filter(|id| id.as_str().starts_with(prefix)).cloned().collect();
        assert_eq!(page.data.into_iter().map(|data| data.generation).collect::<Vec<_>>(), expected);
    }
}

/// Fills the disk, makes room again and goes on. `WHARF_TEST_SMALL_DISK` names an empty file system of a few MiB.
#[tokio::test]
async fn a_full_disk_is_an_error_that_passes() {
    let Some(root) = std::env::var_os("WHARF_TEST_SMALL_DISK").map(std::path::PathBuf::from) else {
        eprintln!("SKIPPED: WHARF_TEST_SMALL_DISK is not set");
        return;
    };
    let store = open(&root);
    let filler = root.join("filler");
    let acknowledged = {
        std::fs::write(&filler, vec![0; 1 << 20]).unwrap();
        let mut records = 0;
        loop {
            let early = crate::ahead(Records::put(&store, &format!("early/{records}"), Bytes::from_static(b"x"))).await;
            if let Err(e) = early {
                break assert!(e.is_transient(), "{e:?}");
            }
            match Records::put(&store, &format!("r/{records}"), Bytes::from(vec![1; 20_000])).await {
                Ok(_) => records += 1,
                Err(e) => break assert!(e.is_transient(), "{e:?}"),
            }
        }
        records
    };
    let data = Data::put(&store, &generation(1), vec![Bytes::from(vec![1; 8 << 20])]).await;
    assert!(data.is_err_and(|e| e.is_transient()));
    assert!(std::fs::read_dir(root.join("temp")).unwrap().next().is_none(), "what was half written is removed");
    std::fs::remove_file(&filler).unwrap();
    Records::put(&store, "after", Bytes::from_static(b"x")).await.unwrap();
    for number in 0..acknowledged {
        assert!(store.get(&format!("r/{number}")).await.unwrap().is_some(), "{number} of {acknowledged} is lost");
    }
    drop(store);
    let store = open(&root);
    // The last one was written before the write that failed.
    for number in 0..=acknowledged {
        assert!(store.get(&format!("early/{number}")).await.unwrap().is_some(), "{number} of {acknowledged} is lost");
    }
    store.data_put(2, b"data").await;
}

/// Prints how many records a second are written; `cargo test -p wharf-store --release -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_writes() {
    for durable in [true, false] {
        let root = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
        let store = Arc::new(LocalStore::open(root.path(), durable).unwrap());
        for writers in [1, 32, 256] {
            let begun = Instant::now();
            let each = if writers == 1 { 500 } else { 20_000 / writers };
            let tasks = (0..writers).map(|w| {
                let store = store.clone();
                tokio::spawn(async move {
                    for i in 0..each {
                        let key = format!("repo/{w:04}/{i:08}");
                        Records::put(&*store, &key, Bytes::from(vec![7; 500])).await.unwrap();
                    }
                })
            });
            futures::future::join_all(tasks).await;
            let rate = (writers * each) as f64 / begun.elapsed().as_secs_f64();
            eprintln!("durable {durable}, {writers} writers: {rate:.0} records/s");
        }
    }
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let root = tempfile::tempdir().expect("a directory");
    let temp = root.path().join("temp");
    std::fs::create_dir(&temp).expect("a repository of that name");
    std::fs::write(temp.join("index.json"), "{}").expect("a file");
    let refused = LocalStore::open(root.path(), true).expect_err("not a store");
    assert!(matches!(&refused, OpenError::Foreign { found, .. } if found == "temp"), "{refused}");
    assert!(temp.join("index.json").exists());
}
