//! A store with a layer around it.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::call::{Call, Operation};
use super::{Layer, Reading};
use crate::{
    Changed, Claim, Data, DataPage, DataStream, ETag, Family, Generation, ListPage, ListRequest, Part, PartLimits,
    Presign, Put, Record, Records, StoreResult, UnfinishedUpload,
};

/// The store `S` with the layer `L` around it.
#[derive(Debug)]
pub(super) struct Wrapped<S: ?Sized, L> {
    inner: Arc<S>,
    layer: Arc<L>,
}

impl<S: ?Sized, L> Wrapped<S, L> {
    pub(super) const fn new(inner: Arc<S>, layer: Arc<L>) -> Self {
        Self { inner, layer }
    }
}

#[async_trait]
impl<L: Layer> Records for Wrapped<dyn Records, L> {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        self.layer.around(Call::new(Operation::Get, key), || self.inner.get(key)).await
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        let call = Call::new(Operation::GetIfChanged, key);
        self.layer.around(call, || self.inner.get_if_changed(key, known)).await
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        let call = Call::new(Operation::Put, key).sending(value.len() as u64);
        self.layer.around(call, || self.inner.put(key, value.clone())).await
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        let call = Call::new(Operation::PutIfAbsent, key).sending(value.len() as u64);
        self.layer.around(call, || self.inner.put_if_absent(key, value.clone())).await
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        let call = Call::new(Operation::PutIfMatch, key).sending(value.len() as u64);
        self.layer.around(call, || self.inner.put_if_match(key, value.clone(), known)).await
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        self.layer.around(Call::new(Operation::Delete, key), || self.inner.delete(key)).await
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        let call = Call::new(Operation::List, request.prefix);
        self.layer.around(call, || self.inner.list(request.clone())).await
    }
}

#[async_trait]
impl<L: Layer> Data for Wrapped<dyn Data, L> {
    fn part_limits(&self) -> PartLimits {
        self.inner.part_limits()
    }

    fn claim(&self, family: &Family) -> StoreResult<Claim> {
        self.inner.claim(family)
    }

    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()> {
        let call = Call::new(Operation::DataPut, generation.as_str()).sending(length(&chunks));
        self.layer.around(call, || self.inner.put(generation, chunks.clone())).await
    }

    async fn start(&self, generation: &Generation) -> StoreResult<String> {
        let call = Call::new(Operation::Start, generation.as_str());
        self.layer.around(call, || self.inner.start(generation)).await
    }

    async fn put_part(
        &self,
        generation: &Generation,
        upload: &str,
        number: u32,
        offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String> {
        let call = Call::new(Operation::PutPart, generation.as_str()).sending(length(&chunks));
        let attempt = || self.inner.put_part(generation, upload, number, offset, chunks.clone());
        self.layer.around(call, attempt).await
    }

    async fn sync(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        let call = Call::new(Operation::Sync, generation.as_str());
        self.layer.around(call, || self.inner.sync(generation, upload)).await
    }

    async fn complete(&self, generation: &Generation, upload: &str, parts: &[Part]) -> StoreResult<()> {
        let call = Call::new(Operation::Complete, generation.as_str());
        self.layer.around(call, || self.inner.complete(generation, upload, parts)).await
    }

    async fn abort(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        let call = Call::new(Operation::Abort, generation.as_str());
        self.layer.around(call, || self.inner.abort(generation, upload)).await
    }

    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream> {
        let call = Call::new(Operation::Read, generation.as_str());
        let stream = self.layer.around(call, || self.inner.read(generation, range.clone())).await?;
        let reading = Reading { data: self.inner.clone(), generation: generation.clone(), range };
        Ok(self.layer.clone().stream(reading, stream))
    }

    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>> {
        let call = Call::new(Operation::Size, generation.as_str());
        self.layer.around(call, || self.inner.size(generation)).await
    }

    async fn presign(&self, generation: &Generation, options: &Presign) -> StoreResult<Option<String>> {
        let call = Call::new(Operation::Presign, generation.as_str());
        self.layer.around(call, || self.inner.presign(generation, options)).await
    }

    async fn delete(&self, generation: &Generation) -> StoreResult<()> {
        let call = Call::new(Operation::DataDelete, generation.as_str());
        self.layer.around(call, || self.inner.delete(generation)).await
    }

    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage> {
        let call = Call::new(Operation::DataList, prefix);
        self.layer.around(call, || self.inner.list(prefix, after, limit)).await
    }

    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        let call = Call::new(Operation::Unfinished, prefix);
        self.layer.around(call, || self.inner.unfinished(prefix)).await
    }
}

fn length(chunks: &[Bytes]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
}
