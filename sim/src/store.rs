//! The store as one replica reaches it: every call is delayed, may fail, may take effect later, and never comes back once the replica was
//! killed.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use wharf_store::{
    Changed, Claim, Data, DataPage, DataStream, ETag, Family, Generation, ListPage, ListRequest, MemoryStore, Part,
    PartLimits, Presign, Put, Record, Records, StoreError, StoreResult, UnfinishedUpload,
};

use crate::scheduler::{Fault, Scheduler};

/// See the module.
#[derive(Clone)]
pub struct SimStore {
    inner: Arc<MemoryStore>,
    scheduler: Arc<Scheduler>,
    alive: Arc<AtomicBool>,
    replica: usize,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStore({})", self.replica)
    }
}

impl SimStore {
    /// The store of a replica that lives as long as `alive` says so.
    #[must_use]
    pub fn new(inner: Arc<MemoryStore>, scheduler: Arc<Scheduler>, alive: Arc<AtomicBool>, replica: usize) -> Self {
        Self { inner, scheduler, alive, replica }
    }

    /// A killed replica gets no further than this.
    async fn gate(&self) {
        if !self.alive.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    async fn call<T, F, E>(&self, is_write: bool, name: &'static str, key: &str, effect: E) -> StoreResult<T>
    where
        T: fmt::Debug + Send + 'static,
        F: Future<Output = StoreResult<T>> + Send + 'static,
        E: FnOnce(Arc<MemoryStore>) -> F + Send,
    {
        self.gate().await;
        let fault = self.scheduler.turn(self.replica, is_write, key).await;
        self.gate().await;
        let failed = || Err(StoreError::unavailable(name, key, format!("{fault:?}")));
        match fault {
            Fault::LostRequest => {
                self.scheduler.note(|| format!("{} {name} {key}: the request is lost", self.replica));
                return failed();
            }
            Fault::Late(delay) => {
                self.scheduler.note(|| format!("{} {name} {key}: no answer, lands in {delay:?}", self.replica));
                let (late, scheduler) = (effect(self.inner.clone()), self.scheduler.clone());
                let (line, replica) = (format!("{} {name} {key}: landed late", self.replica), self.replica);
                tokio::spawn(async move {
                    scheduler.land(replica, delay).await;
                    let result = late.await;
                    scheduler.note(|| format!("{line}: {}", brief(&result)));
                });
                return failed();
            }
            Fault::None | Fault::LostReply => {}
        }
        let result = effect(self.inner.clone()).await;
        self.scheduler.note(|| format!("{} {name} {key}: {}{}", self.replica, brief(&result), lost(fault)));
        if fault == Fault::LostReply {
            return failed();
        }
        self.scheduler.answer(self.replica, key).await;
        self.gate().await;
        result
    }
}

const fn lost(fault: Fault) -> &'static str {
    if matches!(fault, Fault::LostReply) { " (the answer is lost)" } else { "" }
}

fn brief<T: fmt::Debug>(result: &StoreResult<T>) -> String {
    let mut text = match result {
        Ok(value) => format!("{value:?}"),
        Err(e) => format!("error: {e}"),
    };
    if let Some((at, _)) = text.char_indices().nth(240) {
        text.truncate(at);
    }
    text
}

#[async_trait]
impl Records for SimStore {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        let k = key.to_owned();
        self.call(false, "get", key, |s| async move { s.get(&k).await }).await
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        let (k, known) = (key.to_owned(), known.clone());
        self.call(false, "get_if_changed", key, |s| async move { s.get_if_changed(&k, &known).await }).await
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        let k = key.to_owned();
        self.call(true, "put", key, |s| async move { Records::put(s.as_ref(), &k, value).await }).await
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        let k = key.to_owned();
        self.call(true, "put_if_absent", key, |s| async move { s.put_if_absent(&k, value).await }).await
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        let (k, known) = (key.to_owned(), known.clone());
        self.call(true, "put_if_match", key, |s| async move { s.put_if_match(&k, value, &known).await }).await
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        let k = key.to_owned();
        self.call(true, "delete", key, |s| async move { Records::delete(s.as_ref(), &k).await }).await
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        let (prefix, after) = (request.prefix.to_owned(), request.after.map(str::to_owned));
        let (fold, limit) = (request.fold, request.limit);
        self.call(false, "list", request.prefix, |s| async move {
            Records::list(s.as_ref(), ListRequest { prefix: &prefix, after: after.as_deref(), fold, limit }).await
        })
        .await
    }
}

/// A stream does not print.
struct Opaque(DataStream);

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream")
    }
}

#[async_trait]
impl Data for SimStore {
    fn part_limits(&self) -> PartLimits {
        self.inner.part_limits()
    }

    fn claim(&self, family: &Family) -> StoreResult<Claim> {
        self.inner.claim(family)
    }

    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()> {
        let g = generation.clone();
        self.call(true, "data put", generation.as_str(), |s| async move { Data::put(s.as_ref(), &g, chunks).await })
            .await
    }

    async fn start(&self, generation: &Generation) -> StoreResult<String> {
        let g = generation.clone();
        self.call(true, "data start", generation.as_str(), |s| async move { s.start(&g).await }).await
    }

    async fn put_part(
        &self,
        generation: &Generation,
        upload: &str,
        number: u32,
        offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String> {
        let (g, u) = (generation.clone(), upload.to_owned());
        let effect = |s: Arc<MemoryStore>| async move { s.put_part(&g, &u, number, offset, chunks).await };
        self.call(true, "data put_part", generation.as_str(), effect).await
    }

    async fn sync(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        self.inner.sync(generation, upload).await
    }

    async fn complete(&self, generation: &Generation, upload: &str, parts: &[Part]) -> StoreResult<()> {
        let (g, u, parts) = (generation.clone(), upload.to_owned(), parts.to_vec());
        let effect = |s: Arc<MemoryStore>| async move { s.complete(&g, &u, &parts).await };
        self.call(true, "data complete", generation.as_str(), effect).await
    }

    async fn abort(&self, generation: &Generation, upload: &str) -> StoreResult<()> {
        let (g, u) = (generation.clone(), upload.to_owned());
        self.call(true, "data abort", generation.as_str(), |s| async move { s.abort(&g, &u).await }).await
    }

    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream> {
        let g = generation.clone();
        let effect = |s: Arc<MemoryStore>| async move { s.read(&g, range).await.map(Opaque) };
        self.call(false, "data read", generation.as_str(), effect).await.map(|opaque| opaque.0)
    }

    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>> {
        let g = generation.clone();
        self.call(false, "data size", generation.as_str(), |s| async move { s.size(&g).await }).await
    }

    async fn presign(&self, generation: &Generation, options: &Presign) -> StoreResult<Option<String>> {
        self.inner.presign(generation, options).await
    }

    async fn delete(&self, generation: &Generation) -> StoreResult<()> {
        let g = generation.clone();
        self.call(true, "data delete", generation.as_str(), |s| async move { Data::delete(s.as_ref(), &g).await }).await
    }

    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage> {
        let (p, after) = (prefix.to_owned(), after.cloned());
        let effect = |s: Arc<MemoryStore>| async move { Data::list(s.as_ref(), &p, after.as_ref(), limit).await };
        self.call(false, "data list", prefix, effect).await
    }

    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>> {
        let p = prefix.to_owned();
        self.call(false, "data unfinished", prefix, |s| async move { s.unfinished(&p).await }).await
    }
}
