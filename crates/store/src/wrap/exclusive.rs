//! Conditional writes for a store that has none, where one process uses it alone.
//!
//! Reading, comparing and writing are three calls; a lock of this process makes them one. It says nothing to another process: this is
//! for `storage.singleReplica` only. An answer that is lost leaves the outcome unknown, as with any other store.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, MutexGuard};

use crate::{Changed, ETag, ListPage, ListRequest, Put, Record, Records, StoreResult};

/// How many locks there are; keys share them.
const LOCKS: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Exclusive {
    inner: Arc<dyn Records>,
    locks: Vec<Mutex<()>>,
}

impl Exclusive {
    /// Conditional writes over a store that this process alone uses.
    pub fn new(inner: Arc<dyn Records>) -> Self {
        Self { inner, locks: (0..LOCKS).map(|_| Mutex::default()).collect() }
    }

    /// Held across the calls of one conditional write: that is its whole purpose.
    async fn lock(&self, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        #[allow(clippy::cast_possible_truncation)] // any bits will do
        self.locks[hasher.finish() as usize % LOCKS].lock().await
    }
}

#[async_trait]
impl Records for Exclusive {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        self.inner.get(key).await
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        self.inner.get_if_changed(key, known).await
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        let _alone = self.lock(key).await;
        self.inner.put(key, value).await
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        let _alone = self.lock(key).await;
        match self.inner.get(key).await? {
            Some(_) => Ok(Put::Lost),
            None => self.inner.put(key, value).await.map(Put::Done),
        }
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        let _alone = self.lock(key).await;
        match self.inner.get(key).await? {
            Some(record) if record.etag == *known => self.inner.put(key, value).await.map(Put::Done),
            _ => Ok(Put::Lost),
        }
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        let _alone = self.lock(key).await;
        self.inner.delete(key).await
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        self.inner.list(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    /// A store whose conditional writes write whatever the condition says, as old gateways do.
    #[derive(Debug)]
    struct Careless(MemoryStore);

    #[async_trait]
    impl Records for Careless {
        async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
            tokio::task::yield_now().await;
            self.0.get(key).await
        }

        async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
            self.0.get_if_changed(key, known).await
        }

        async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
            tokio::task::yield_now().await;
            Records::put(&self.0, key, value).await
        }

        async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
            self.put(key, value).await.map(Put::Done)
        }

        async fn put_if_match(&self, key: &str, value: Bytes, _known: &ETag) -> StoreResult<Put> {
            self.put(key, value).await.map(Put::Done)
        }

        async fn delete(&self, key: &str) -> StoreResult<()> {
            Records::delete(&self.0, key).await
        }

        async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
            Records::list(&self.0, request).await
        }
    }

    #[tokio::test]
    async fn a_careless_store_passes_the_suite_behind_it() {
        let store = Arc::new(Exclusive::new(Arc::new(Careless(MemoryStore::new()))));
        crate::suite::records(store, "suite").await;
    }
}
