//! Hands every call to the network that lies in between.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Fault;
use crate::{
    Changed, Claim, Data, DataPage, DataStream, ETag, Family, Generation, ListPage, ListRequest, Part, PartLimits,
    Presign, Put, Record, Records, StoreResult, UnfinishedUpload,
};

/// A store behind a bad network.
#[derive(Debug)]
pub(super) struct Faulty<S: ?Sized> {
    pub(super) inner: Arc<S>,
    pub(super) fault: Fault,
}

const READ: bool = false;
const WRITE: bool = true;

#[async_trait]
impl Records for Faulty<dyn Records> {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        let (inner, k) = (self.inner.clone(), key.to_owned());
        self.fault.send(("get", READ), key, async move { inner.get(&k).await }).await
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        let (inner, k, known) = (self.inner.clone(), key.to_owned(), known.clone());
        self.fault.send(("get_if_changed", READ), key, async move { inner.get_if_changed(&k, &known).await }).await
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        let (inner, k) = (self.inner.clone(), key.to_owned());
        self.fault.send(("put", WRITE), key, async move { inner.put(&k, value).await }).await
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        let (inner, k) = (self.inner.clone(), key.to_owned());
        self.fault.send(("put_if_absent", WRITE), key, async move { inner.put_if_absent(&k, value).await }).await
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        let (inner, k, known) = (self.inner.clone(), key.to_owned(), known.clone());
        let effect = async move { inner.put_if_match(&k, value, &known).await };
        self.fault.send(("put_if_match", WRITE), key, effect).await
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        let (inner, k) = (self.inner.clone(), key.to_owned());
        self.fault.send(("delete", WRITE), key, async move { inner.delete(&k).await }).await
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        let (inner, prefix, after) = (self.inner.clone(), request.prefix.to_owned(), request.after.map(str::to_owned));
        let (fold, limit) = (request.fold, request.limit);
        let effect =
            async move { inner.list(ListRequest { prefix: &prefix, after: after.as_deref(), fold, limit }).await };
        self.fault.send(("list", READ), request.prefix, effect).await
    }
}

#[async_trait]
impl Data for Faulty<dyn Data> {
    fn part_limits(&self) -> PartLimits {
        self.inner.part_limits()
    }

    fn claim(&self, family: &Family) -> StoreResult<Claim> {
        self.inner.claim(family)
    }

    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()> {
        let (inner, id) = (self.inner.clone(), generation.clone());
        self.fault.send(("data_put", WRITE), generation.as_str(), async move { inner.put(&id, chunks).await }).await
    }

    async fn start(&self, generation: &Generation) -> StoreResult<String> {
        let (inner, id) = (self.inner.clone(), generation.clone());
        self.fault.send(("start", WRITE), generation.as_str(), async move { inner.start(&id).await }).await
    }

    async fn put_part(
        &self,
        generation: &Generation,
        upload: &str,
        number: u32,
        offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String> {
        let (inner, id, upload) = (self.inner.clone(), generation.clone(), upload.to_owned());
        let effect = async move { inner.put_part(&id, &upload, number, offset, chunks).await };
        self.fault.send(("put_part", WRITE), generation.as_str(), effect).await
    }

    async fn sync(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        let (inner, id, upload) = (self.inner.clone(), generation.clone(), upload.to_owned());
        self.fault.send(("sync", WRITE), generation.as_str(), async move { inner.sync(&id, &upload).await }).await
    }

    async fn complete(&self, generation: &Generation, upload: &str, parts: &[Part]) -> StoreResult<()> {
        let (inner, id, upload) = (self.inner.clone(), generation.clone(), upload.to_owned());
        let parts = parts.to_vec();
        let effect = async move { inner.complete(&id, &upload, &parts).await };
        self.fault.send(("complete", WRITE), generation.as_str(), effect).await
    }

    async fn abort(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        let (inner, id, upload) = (self.inner.clone(), generation.clone(), upload.to_owned());
        self.fault.send(("abort", WRITE), generation.as_str(), async move { inner.abort(&id, &upload).await }).await
    }

    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream> {
        let (inner, id) = (self.inner.clone(), generation.clone());
        let effect = async move { inner.read(&id, range).await };
        let stream = self.fault.send(("read", READ), generation.as_str(), effect).await?;
        Ok(self.fault.stream(generation.as_str(), stream))
    }

    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>> {
        let (inner, id) = (self.inner.clone(), generation.clone());
        self.fault.send(("size", READ), generation.as_str(), async move { inner.size(&id).await }).await
    }

    async fn presign(&self, generation: &Generation, options: &Presign) -> StoreResult<Option<String>> {
        self.inner.presign(generation, options).await
    }

    async fn delete(&self, generation: &Generation) -> StoreResult<()> {
        let (inner, id) = (self.inner.clone(), generation.clone());
        self.fault.send(("data_delete", WRITE), generation.as_str(), async move { inner.delete(&id).await }).await
    }

    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage> {
        let (inner, begins, after) = (self.inner.clone(), prefix.to_owned(), after.cloned());
        let effect = async move { inner.list(&begins, after.as_ref(), limit).await };
        self.fault.send(("data_list", READ), prefix, effect).await
    }

    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        let (inner, begins) = (self.inner.clone(), prefix.to_owned());
        self.fault.send(("unfinished", READ), prefix, async move { inner.unfinished(&begins).await }).await
    }
}
