//! A store in memory that fails when it is told to.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use wharf_store::{
    Changed, Claim, Data, DataPage, DataStream, ETag, Family, Generation, ListPage, ListRequest, MemoryStore, Part,
    PartLimits, Presign, Put, Record, Records, StoreError, StoreResult, UnfinishedUpload,
};

/// The secret that no client may ever see.
pub(crate) const SECRET: &str = "bucket-of-secrets";

#[derive(Debug, Default)]
pub(crate) struct TestStore {
    inner: MemoryStore,
    /// How often [`Records`] was asked, and [`Data`] to read.
    pub(crate) calls: AtomicUsize,
    /// Every call of [`Records`] fails.
    pub(crate) broken: AtomicBool,
    /// Streams end one byte early.
    pub(crate) cuts: AtomicBool,
    /// It can make URLs.
    pub(crate) signs: AtomicBool,
}

impl TestStore {
    fn check(&self) -> StoreResult<&MemoryStore> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match self.broken.load(Ordering::Relaxed) {
            true => Err(StoreError::Unavailable { operation: "test", what: SECRET.into(), source: SECRET.into() }),
            false => Ok(&self.inner),
        }
    }
}

#[async_trait]
impl Records for TestStore {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        self.check()?.get(key).await
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        self.check()?.get_if_changed(key, known).await
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        Records::put(self.check()?, key, value).await
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        self.check()?.put_if_absent(key, value).await
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        self.check()?.put_if_match(key, value, known).await
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        Records::delete(self.check()?, key).await
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        Records::list(self.check()?, request).await
    }
}

#[async_trait]
impl Data for TestStore {
    fn part_limits(&self) -> PartLimits {
        self.inner.part_limits()
    }

    fn claim(&self, family: &Family) -> StoreResult<Claim> {
        self.inner.claim(family)
    }

    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()> {
        Data::put(&self.inner, generation, chunks).await
    }

    async fn start(&self, generation: &Generation) -> StoreResult<String> {
        self.inner.start(generation).await
    }

    async fn put_part(
        &self,
        generation: &Generation,
        upload: &str,
        number: u32,
        offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String> {
        self.inner.put_part(generation, upload, number, offset, chunks).await
    }

    async fn sync(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        self.inner.sync(generation, upload).await
    }

    async fn complete(&self, generation: &Generation, upload: &str, parts: &[Part]) -> StoreResult<()> {
        self.inner.complete(generation, upload, parts).await
    }

    async fn abort(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        self.inner.abort(generation, upload).await
    }

    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let cut = u64::from(self.cuts.load(Ordering::Relaxed));
        self.inner.read(generation, range.start..range.end - cut).await
    }

    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>> {
        self.inner.size(generation).await
    }

    async fn presign(&self, generation: &Generation, options: &Presign) -> StoreResult<Option<String>> {
        let url = || format!("https://store.example/{generation}?for={}", options.lifetime.as_secs());
        Ok(self.signs.load(Ordering::Relaxed).then(url))
    }

    async fn delete(&self, generation: &Generation) -> StoreResult<()> {
        Data::delete(&self.inner, generation).await
    }

    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage> {
        Data::list(&self.inner, prefix, after, limit).await
    }

    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        self.inner.unfinished(prefix).await
    }
}
