//! Data stored whole.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;

use super::{MIB, bytes, chunks, done, family};
use crate::{Data, Generation, Presign, StoreError, StoreResult};

async fn collect(store: &dyn Data, generation: &Generation, range: std::ops::Range<u64>) -> StoreResult<Bytes> {
    let stream = store.read(generation, range).await?;
    let all = stream.try_fold(BytesMut::new(), |mut all, chunk| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    all.await.map(BytesMut::freeze)
}

pub(super) async fn read(store: &dyn Data, generation: &Generation, range: std::ops::Range<u64>) -> Bytes {
    done(collect(store, generation, range).await, "read")
}

pub(super) async fn delete(store: &dyn Data, generation: &Generation) {
    done(store.delete(generation).await, "delete");
}

/// That these very bytes are there, all of them.
pub(super) async fn holds(store: &dyn Data, generation: &Generation, expected: &Bytes) {
    let size = done(store.size(generation).await, "size");
    assert_eq!(size, Some(expected.len() as u64), "the size of {generation}");
    let found = read(store, generation, 0..expected.len() as u64).await;
    assert!(found == *expected, "{generation} comes back otherwise");
}

pub(super) async fn absent_is(store: &dyn Data, generation: &Generation) {
    assert_eq!(done(store.size(generation).await, "size"), None, "{generation} is not there");
    let read = collect(store, generation, 0..1).await;
    assert!(matches!(read, Err(StoreError::NotFound { .. })), "read what is not there: {read:?}");
}

pub(super) async fn whole(store: &dyn Data) {
    for len in [1, 1000, 6 * MIB + 17] {
        let (generation, value) = (family().first(), bytes(len, 7));
        done(store.put(&generation, chunks(&value)).await, "put");
        holds(store, &generation, &value).await;
        done(store.put(&generation, vec![value.clone()]).await, "put once more");
        holds(store, &generation, &value).await;
        delete(store, &generation).await;
        absent_is(store, &generation).await;
        delete(store, &generation).await;
    }
}

pub(super) async fn ranges(store: &dyn Data) {
    let (generation, value) = (family().first(), bytes(3 * MIB, 8));
    done(store.put(&generation, chunks(&value)).await, "put");
    let all = value.len() as u64;
    for range in [0..1, 0..all, 1..2, 999..1001, all - 1..all, (1 << 20) - 3..(2 << 20) + 3, 5..5] {
        let found = read(store, &generation, range.clone()).await;
        assert!(found == value.slice(range.start as usize..range.end as usize), "the range {range:?}");
    }
    delete(store, &generation).await;
}

pub(super) async fn empty(store: &dyn Data) {
    for chunks in [Vec::new(), vec![Bytes::new()]] {
        let generation = family().first();
        done(store.put(&generation, chunks).await, "put nothing");
        holds(store, &generation, &Bytes::new()).await;
        delete(store, &generation).await;
        absent_is(store, &generation).await;
    }
}

pub(super) async fn absent(store: &dyn Data) {
    let generation = family().first();
    absent_is(store, &generation).await;
    let read = collect(store, &generation, 0..0).await;
    assert!(matches!(read, Err(StoreError::NotFound { .. })), "read nothing of what is not there: {read:?}");
    delete(store, &generation).await;
}

pub(super) async fn listing(store: &dyn Data) {
    let family = family();
    let mut all = [family.first(), family.other(1), family.other(0xabc), family.other(u64::MAX)];
    all.sort();
    for (generation, len) in all.iter().zip(1..) {
        done(store.put(generation, vec![bytes(len, 1)]).await, "put");
    }
    let stranger = super::family().first();
    done(store.put(&stranger, vec![]).await, "put");
    for limit in [1, 3, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = done(store.list(family.as_str(), after.as_ref(), limit).await, "list");
            assert!(page.data.len() <= limit, "a page of at most {limit}");
            assert_eq!(page.next, page.next.as_ref().and(page.data.last()).map(|last| last.generation.clone()));
            found.extend(page.data.into_iter().map(|data| (data.generation, data.size)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = all.iter().cloned().zip(1..).collect();
        assert_eq!(found, expected, "the family in pages of {limit}");
    }
    let page = done(store.list(&family.as_str()[..31], Some(&all[1]), 100).await, "list");
    let found: Vec<_> = page.data.into_iter().map(|data| data.generation).collect();
    assert_eq!(found, &all[2..], "by the beginning of a family, after one");
    for generation in all.iter().chain([&stranger]) {
        delete(store, generation).await;
    }
    let page = done(store.list(family.as_str(), None, 100).await, "list");
    assert!(page.data.is_empty(), "all were removed");
}

/// Whoever has URLs gives them with what was asked for.
pub(super) async fn presigned(store: &dyn Data) {
    let (generation, value) = (family().first(), bytes(MIB, 9));
    done(store.put(&generation, chunks(&value)).await, "put");
    let options = Presign { lifetime: Duration::from_secs(60), content_type: "application/vnd.wharf.test".to_owned() };
    if let Some(url) = done(store.presign(&generation, &options).await, "presign") {
        let answer = done(reqwest::get(&url).await, "a presigned URL");
        assert!(answer.status().is_success(), "a presigned URL answers {}", answer.status());
        assert!(done(answer.bytes().await, "a presigned URL") == value, "a presigned URL gives the bytes");
    }
    delete(store, &generation).await;
}
