use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::{Changed, ETag, ListPage, ListRequest, MemoryStore, Put, Record, StoreResult};

/// A store that ignores every condition, or does not answer to one.
#[derive(Debug)]
struct Unconditional {
    store: Arc<dyn Records>,
    answers: bool,
}

#[async_trait]
impl Records for Unconditional {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        self.store.get(key).await
    }
    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        self.store.get_if_changed(key, known).await
    }
    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        self.store.put(key, value).await
    }
    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        self.put_if_match(key, value, &ETag::new("")).await
    }
    async fn put_if_match(&self, key: &str, value: Bytes, _known: &ETag) -> StoreResult<Put> {
        if self.answers {
            return self.store.put(key, value).await.map(Put::Done);
        }
        Err(StoreError::unavailable("put", key, "503"))
    }
    async fn delete(&self, key: &str) -> StoreResult<()> {
        self.store.delete(key).await
    }
    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        self.store.list(request).await
    }
}

#[tokio::test]
async fn a_sound_store_passes_and_is_left_clean() {
    let store = MemoryStore::new();
    let probe = probe(&store, &store, 1).await;
    assert_eq!(probe.verdict(false), Ok(()), "{probe}");
    let not_passed: Vec<_> = probe.findings.iter().filter(|f| f.outcome != Outcome::Passed).collect();
    assert!(matches!(not_passed[..], [Finding { check: Check::PresignedUrl, outcome: Outcome::NotOffered, .. }]));
    assert!(store.keys().is_empty() && store.generations().is_empty() && store.open_uploads() == 0);
}

#[tokio::test]
async fn a_store_without_conditions_serves_a_single_replica_only() {
    let store = Arc::new(MemoryStore::new());
    let (records, data) = (Unconditional { store: store.clone(), answers: true }, MemoryStore::new());
    let probe = probe(&records, &data, 1).await;
    let failure = probe.verdict(false).unwrap_err();
    assert!(matches!(&failure, ProbeFailure::Unconditional { check: Check::PutIfAbsent, .. }), "{failure}");
    assert!(failure.to_string().contains("storage.singleReplica: true"));
    assert_eq!(probe.verdict(true), Ok(()));
    assert!(store.keys().is_empty());
}

#[tokio::test]
async fn a_store_that_does_not_answer_may_another_time() {
    let (records, data) = (Unconditional { store: Arc::new(MemoryStore::new()), answers: false }, MemoryStore::new());
    let probe = probe(&records, &data, 1).await;
    for single_replica in [false, true] {
        let failure = probe.verdict(single_replica).unwrap_err();
        assert!(matches!(failure, ProbeFailure::Unavailable { .. }), "{failure}");
    }
}

/// A store behind retries: each conditional write takes effect, its answer is lost, and the answer to the second attempt is
/// the one that counts.
#[derive(Debug)]
struct Retried(MemoryStore);

#[async_trait]
impl Records for Retried {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        self.0.get(key).await
    }
    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        self.0.get_if_changed(key, known).await
    }
    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        Records::put(&self.0, key, value).await
    }
    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        self.0.put_if_absent(key, value.clone()).await?;
        self.0.put_if_absent(key, value).await
    }
    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        self.0.put_if_match(key, value.clone(), known).await?;
        self.0.put_if_match(key, value, known).await
    }
    async fn delete(&self, key: &str) -> StoreResult<()> {
        Records::delete(&self.0, key).await
    }
    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        Records::list(&self.0, request).await
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_no_flaw_of_the_store() {
    let (records, data) = (Retried(MemoryStore::new()), MemoryStore::new());
    let probe = probe(&records, &data, 1).await;
    assert_eq!(probe.verdict(false), Ok(()), "{probe}");
    assert!(records.0.keys().is_empty());
}
