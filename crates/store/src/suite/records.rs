//! Records one at a time.

use bytes::Bytes;

use super::{LONGEST_KEY, MIB, bytes, done};
use crate::{Changed, ETag, Put, Record, Records};

/// Writes that must be done.
pub(super) fn won(put: Put, what: &str) -> ETag {
    match put {
        Put::Done(etag) => etag,
        Put::Lost => panic!("{what}: the condition held, and the write was lost"),
    }
}

pub(super) async fn get(store: &dyn Records, key: &str) -> Option<Record> {
    done(store.get(key).await, "get")
}

pub(super) async fn put(store: &dyn Records, key: &str, value: impl Into<Bytes>) -> ETag {
    done(store.put(key, value.into()).await, "put")
}

pub(super) async fn delete(store: &dyn Records, key: &str) {
    done(store.delete(key).await, "delete");
}

pub(super) async fn read_after_write(store: &dyn Records, key: &str) {
    assert_eq!(get(store, key).await, None, "an absent record is None");
    let mut before = None;
    for round in 0..5 {
        let value = bytes(100, round);
        let etag = put(store, key, value.clone()).await;
        assert_eq!(get(store, key).await, Some(Record { value, etag: etag.clone() }), "a read after a write sees it");
        assert_ne!(before, Some(etag.clone()), "another value has another tag");
        before = Some(etag);
    }
    delete(store, key).await;
    assert_eq!(get(store, key).await, None, "a read after a removal sees nothing");
}

pub(super) async fn conditions(store: &dyn Records, key: &str) {
    let create = |value: &'static str| store.put_if_absent(key, value.into());
    let first = won(done(create("first").await, "put_if_absent"), "put_if_absent where there is nothing");
    assert_eq!(done(create("again").await, "put_if_absent"), Put::Lost, "put_if_absent over a record is lost");
    assert_eq!(done(create("first").await, "put_if_absent"), Put::Lost, "even with the same value");
    let now = get(store, key).await.map(|r| r.value);
    assert_eq!(now.as_deref(), Some(&b"first"[..]), "a lost write leaves the record as it is");

    let swap = |value: &'static str, known: ETag| async move { store.put_if_match(key, value.into(), &known).await };
    let second =
        won(done(swap("second", first.clone()).await, "put_if_match"), "put_if_match over the current version");
    assert_ne!(first, second);
    let stale = done(swap("third", first).await, "put_if_match");
    assert_eq!(stale, Put::Lost, "put_if_match over an old version is lost");
    let record = get(store, key).await;
    assert_eq!(record, Some(Record { value: "second".into(), etag: second.clone() }));

    delete(store, key).await;
    let put = done(swap("fourth", second.clone()).await, "put_if_match");
    assert_eq!(put, Put::Lost, "put_if_match where there is nothing is lost");
    assert_eq!(get(store, key).await, None, "and creates nothing");
    won(done(create("fifth").await, "put_if_absent"), "put_if_absent after a removal");
    let put = done(swap("sixth", second).await, "put_if_match");
    assert_eq!(put, Put::Lost, "a version from before a removal is old");
    delete(store, key).await;
}

pub(super) async fn changes(store: &dyn Records, key: &str) {
    let first = put(store, key, "first").await;
    let look = |known: ETag| async move { done(store.get_if_changed(key, &known).await, "get_if_changed") };
    assert_eq!(look(first.clone()).await, Changed::Same, "the version is current");
    let second = put(store, key, "second").await;
    let now = Changed::Now(Some(Record { value: "second".into(), etag: second.clone() }));
    assert_eq!(look(first).await, now, "another version is current");
    delete(store, key).await;
    assert_eq!(look(second).await, Changed::Now(None), "there is none");
}

pub(super) async fn removal(store: &dyn Records, key: &str) {
    delete(store, key).await;
    put(store, key, "value").await;
    delete(store, key).await;
    delete(store, key).await;
    assert_eq!(get(store, key).await, None);
}

pub(super) async fn sizes(store: &dyn Records, key: &str) {
    for len in [0, 1, 6 * MIB] {
        let value = bytes(len, len as u64);
        let etag = put(store, key, value.clone()).await;
        let record = get(store, key).await.unwrap_or_else(|| panic!("the record of {len} bytes is not there"));
        assert!(record.value == value, "a value of {len} bytes comes back otherwise");
        let swapped = done(store.put_if_match(key, value.clone(), &etag).await, "put_if_match");
        won(swapped, "put_if_match with a value of any size");
        delete(store, key).await;
    }
}

/// Every character, and the longest.
pub(super) async fn keys(store: &dyn Records, folder: &str) {
    let upper: String = ('A'..='Z').collect();
    let mut long = format!("{folder}/");
    while long.len() < LONGEST_KEY {
        let rest = LONGEST_KEY - long.len();
        long.push_str(&"k".repeat(rest.min(254)));
        if rest > 255 {
            long.push('/');
        }
        if rest == 255 {
            // A segment of 254 and a rest of one, which could only be a slash.
            break;
        }
    }
    let keys =
        [format!("{folder}/{upper}/{}", upper.to_lowercase()), format!("{folder}/0123456789-_.!=,/x..y/.z/-"), long];
    for (key, seed) in keys.iter().zip(0..) {
        put(store, key, bytes(10, seed)).await;
    }
    for (key, seed) in keys.iter().zip(0..) {
        let value = get(store, key).await.map(|record| record.value);
        assert_eq!(value, Some(bytes(10, seed)), "{key} comes back");
    }
    let listed = super::list::keys_under(store, &format!("{folder}/")).await;
    let mut expected = keys.to_vec();
    expected.sort();
    assert_eq!(listed, expected, "every key is listed as it was written");
    for key in &keys {
        delete(store, key).await;
        assert_eq!(get(store, key).await, None);
    }
}
