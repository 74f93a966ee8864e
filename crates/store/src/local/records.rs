//! Records: reads from a snapshot, writes through the committer.

use async_trait::async_trait;
use bytes::Bytes;

use super::LocalStore;
use super::committer::{Change, Condition, Outcome, Sync};
use super::error::Fault;
use super::{listing, value};
use crate::ahead::is_ahead;
use crate::{Changed, ETag, ListPage, ListRequest, Put, Record, Records, StoreError, StoreResult};

impl LocalStore {
    /// What `f` makes of the stored bytes, which it may find damaged.
    fn look<T>(
        &self,
        operation: &'static str,
        key: &str,
        f: impl FnOnce(&[u8]) -> Option<T>,
    ) -> StoreResult<Option<T>> {
        let stored = self
            .table
            .snapshot()
            .and_then(|records| records.get(key).map_err(Fault::records))
            .map_err(|fault| fault.of(operation, key))?;
        let Some(stored) = stored else { return Ok(None) };
        let damaged = || StoreError::corrupt(key, "the record has no version");
        f(stored.value()).ok_or_else(damaged).map(Some)
    }

    async fn write(&self, operation: &'static str, key: &str, change: Change) -> StoreResult<Outcome> {
        let sync = if is_ahead() { Sync::WithNext } else { Sync::Now };
        Ok(self.committer.write(key, change, sync).await.map_err(|fault| fault.of(operation, key))?)
    }
}

fn put_answer(outcome: Outcome) -> Put {
    match outcome {
        Outcome::Written(version) => Put::Done(value::etag(version)),
        Outcome::Deleted | Outcome::Lost => Put::Lost,
    }
}

#[async_trait]
impl Records for LocalStore {
    async fn get(&self, key: &str) -> StoreResult<Option<Record>> {
        self.look("get", key, value::record)
    }

    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed> {
        let known = value::known(known);
        let found = self.look("get_if_changed", key, |stored| {
            let is_same = known.is_some() && value::version(stored) == known;
            if is_same { Some(Changed::Same) } else { value::record(stored).map(|record| Changed::Now(Some(record))) }
        })?;
        Ok(found.unwrap_or(Changed::Now(None)))
    }

    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag> {
        match self.write("put", key, Change::Put(Condition::None, value)).await? {
            Outcome::Written(version) => Ok(value::etag(version)),
            other => Err(StoreError::corrupt(key, format!("a put was answered as {other:?}"))),
        }
    }

    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put> {
        self.write("put_if_absent", key, Change::Put(Condition::Absent, value)).await.map(put_answer)
    }

    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put> {
        let Some(known) = value::known(known) else { return Ok(Put::Lost) };
        self.write("put_if_match", key, Change::Put(Condition::Version(known), value)).await.map(put_answer)
    }

    async fn delete(&self, key: &str) -> StoreResult<()> {
        self.write("delete", key, Change::Delete).await.map(|_| ())
    }

    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage> {
        let prefix = request.prefix.to_owned();
        let after = request.after.map(str::to_owned);
        let (fold, limit) = (request.fold, request.limit);
        let table = self.table.clone();
        let page = super::blocking(move || {
            let request = ListRequest { prefix: &prefix, after: after.as_deref(), fold, limit };
            listing::list(&table.snapshot()?, &request)
        });
        Ok(page.await.map_err(|fault| fault.of("list", request.prefix))?)
    }
}
