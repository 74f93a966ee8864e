//! A store in memory, for tests and for the simulation. It keeps every promise of the traits and nothing beyond the process.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;

use crate::{
    Changed, Claim, Data, DataPage, DataStream, ETag, Entry, Family, Generation, ListPage, ListRequest, Part,
    PartLimits, Presign, Put, Record, Records, StoreError, StoreResult, StoredData, UnfinishedUpload,
};

/// See the module.
#[derive(Debug)]
pub struct MemoryStore {
    limits: PartLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counter: u64,
    /// Bytes of data that were taken in.
    written: u64,
    records: BTreeMap<String, Record>,
    data: BTreeMap<Generation, Bytes>,
    uploads: BTreeMap<(Generation, String), BTreeMap<u32, UploadedPart>>,
}

#[derive(Debug)]
struct UploadedPart {
    tag: String,
    bytes: Bytes,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// A store that wants its data cut as S3 does.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(PartLimits { min: 5 << 20, target: 8 << 20, max_count: 10_000, in_place: false })
    }

    /// A store with other limits; small ones make small tests.
    #[must_use]
    pub fn with_limits(limits: PartLimits) -> Self {
        Self { limits: PartLimits { in_place: false, ..limits }, state: Mutex::default() }
    }

    /// All keys of the records, for tests that look at what was stored.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.lock().records.keys().cloned().collect()
    }

    /// All data, for tests that look at what was stored.
    #[must_use]
    pub fn generations(&self) -> Vec<Generation> {
        self.lock().data.keys().cloned().collect()
    }

    /// How many uploads in parts are neither completed nor aborted.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    /// Bytes of data that were taken in so far, whole or in parts; for tests that nothing is written twice.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.lock().written
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn store(&mut self, key: &str, value: Bytes) -> ETag {
        let etag = ETag::new(self.count().to_string());
        self.records.insert(key.to_owned(), Record { value, etag: etag.clone() });
        etag
    }
}

#[async_trait]
impl Records for MemoryStore {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        Ok(self.lock().records.get(key).cloned())
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        Ok(match self.lock().records.get(key) {
            Some(record) if record.etag == *known => Changed::Same,
            other => Changed::Now(other.cloned()),
        })
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        Ok(self.lock().store(key, value))
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        let mut state = self.lock();
        if state.records.contains_key(key) { Ok(Put::Lost) } else { Ok(Put::Done(state.store(key, value))) }
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        let mut state = self.lock();
        match state.records.get(key) {
            Some(record) if record.etag == *known => Ok(Put::Done(state.store(key, value))),
            _ => Ok(Put::Lost),
        }
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        self.lock().records.remove(key);
        Ok(())
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        let state = self.lock();
        let mut page = ListPage::default();
        let mut last: Option<String> = None;
        let from = request.after.filter(|after| !request.fold && *after > request.prefix).unwrap_or(request.prefix);
        for (key, record) in state.records.range::<str, _>((Bound::Included(from), Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(request.prefix) else { break };
            let folder = rest.find('/').filter(|_| request.fold).map(|at| &key[..request.prefix.len() + at + 1]);
            let name = folder.unwrap_or(key);
            if request.after.is_some_and(|after| name <= after) || last.as_deref() == Some(name) {
                continue;
            }
            if page.entries.len() + page.folders.len() >= request.limit.max(1) {
                page.next = last;
                return Ok(page);
            }
            last = Some(name.to_owned());
            match folder {
                Some(folder) => page.folders.push(folder.to_owned()),
                None => page.entries.push(Entry {
                    key: key.clone(),
                    etag: record.etag.clone(),
                    size: record.value.len() as u64,
                }),
            }
        }
        Ok(page)
    }
}

fn joined(chunks: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(chunks) {
        Ok([one]) => one,
        Err(chunks) => chunks
            .iter()
            .fold(BytesMut::new(), |mut all, c| {
                all.extend_from_slice(c);
                all
            })
            .freeze(),
    }
}

#[async_trait]
impl Data for MemoryStore {
    fn part_limits(&self) -> PartLimits {
        self.limits
    }

    fn claim(&self, _family: &Family) -> StoreResult<Claim> {
        Ok(Box::new(()))
    }

    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()> {
        let bytes = joined(chunks);
        let mut state = self.lock();
        state.written += bytes.len() as u64;
        state.data.insert(generation.clone(), bytes);
        Ok(())
    }

    async fn start(&self, generation: &Generation) -> StoreResult<String> {
        let mut state = self.lock();
        let upload = state.count().to_string();
        state.uploads.insert((generation.clone(), upload.clone()), BTreeMap::new());
        Ok(upload)
    }

    async fn put_part(
        &self,
        generation: &Generation,
        upload: &str,
        number: u32,
        _offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String> {
        let mut state = self.lock();
        let tag = format!("part-{}", state.count());
        let parts = state
            .uploads
            .get_mut(&(generation.clone(), upload.to_owned()))
            .ok_or_else(|| StoreError::not_found(format!("the upload {upload} of {generation}")))?;
        let bytes = joined(chunks);
        let size = bytes.len() as u64;
        parts.insert(number, UploadedPart { tag: tag.clone(), bytes });
        state.written += size;
        Ok(tag)
    }

    async fn sync(&self, _generation: &Generation, _upload: &str) -> StoreResult<()> {
        Ok(())
    }

    async fn complete(&self, generation: &Generation, upload: &str, parts: &[Part]) -> StoreResult<()> {
        let mut state = self.lock();
        let id = (generation.clone(), upload.to_owned());
        let Some(uploaded) = state.uploads.get(&id) else {
            let expected: u64 = parts.iter().map(|p| p.size).sum();
            return match state.data.get(generation) {
                Some(bytes) if bytes.len() as u64 == expected => Ok(()),
                _ => Err(StoreError::not_found(format!("the upload {upload} of {generation}"))),
            };
        };
        let mut whole = BytesMut::new();
        for (i, part) in parts.iter().enumerate() {
            let found = uploaded.get(&part.number).filter(|u| u.tag == part.tag && u.bytes.len() as u64 == part.size);
            let Some(found) = found else {
                return Err(StoreError::refused("complete", generation, format!("there is no part {part:?}")));
            };
            if i + 1 < parts.len() && part.size < self.limits.min {
                return Err(StoreError::refused("complete", generation, format!("{part:?} is too small")));
            }
            whole.extend_from_slice(&found.bytes);
        }
        state.uploads.remove(&id);
        state.data.insert(generation.clone(), whole.freeze());
        Ok(())
    }

    async fn abort(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        self.lock().uploads.remove(&(generation.clone(), upload.to_owned()));
        Ok(())
    }

    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream> {
        let state = self.lock();
        let bytes = state.data.get(generation).ok_or_else(|| StoreError::not_found(generation))?;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        let part = bytes.slice(start..end);
        Ok(futures::stream::iter([Ok(part)]).boxed())
    }

    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>> {
        Ok(self.lock().data.get(generation).map(|bytes| bytes.len() as u64))
    }

    async fn presign(&self, _generation: &Generation, _options: &Presign) -> StoreResult<Option<String>> {
        Ok(None)
    }

    async fn delete(&self, generation: &Generation) -> StoreResult<()> {
        self.lock().data.remove(generation);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage> {
        let state = self.lock();
        let mut page = DataPage::default();
        for (generation, bytes) in state.data.range::<str, _>((Bound::Included(prefix), Bound::Unbounded)) {
            if !generation.as_str().starts_with(prefix) {
                break;
            }
            if after.is_some_and(|after| generation <= after) {
                continue;
            }
            if page.data.len() >= limit.max(1) {
                page.next = page.data.last().map(|last| last.generation.clone());
                return Ok(page);
            }
            page.data.push(StoredData { generation: generation.clone(), size: bytes.len() as u64 });
        }
        Ok(page)
    }

    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        let state = self.lock();
        let ids = state.uploads.keys().filter(|(generation, _)| generation.as_str().starts_with(prefix));
        Ok(ids
            .map(|(generation, upload)| UnfinishedUpload { generation: generation.clone(), upload: upload.clone() })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::suite;

    #[tokio::test]
    async fn it_passes_the_suite() {
        let store = Arc::new(MemoryStore::new());
        suite::records(store.clone(), "suite").await;
        suite::data(store.clone()).await;
        assert!(store.keys().is_empty() && store.generations().is_empty() && store.open_uploads() == 0);
    }
}
