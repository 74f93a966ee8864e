//! Typed records over the store, and the one way in which a small record changes.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wharf_store::{ETag, Put, Records, StoreError, StoreResult};

use crate::key::Key;

/// A record and the version that it was read at.
#[derive(Clone, Debug)]
pub(crate) struct Cell<T> {
    pub(crate) value: T,
    pub(crate) etag: ETag,
}

/// What became of a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// It is in place at this version.
    Done(ETag),
    /// Another value is in place; ours never was, or no longer is.
    Lost,
}

pub(crate) fn encode<T: Serialize>(key: &Key, value: &T) -> StoreResult<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|e| StoreError::corrupt(key, e.to_string()))
}

pub(crate) fn decode<T: DeserializeOwned>(key: &Key, value: &[u8]) -> StoreResult<T> {
    serde_json::from_slice(value).map_err(|e| StoreError::corrupt(key, e.to_string()))
}

/// Reads a record.
pub(crate) async fn load<T: DeserializeOwned>(records: &dyn Records, key: &Key) -> StoreResult<Option<Cell<T>>> {
    let record = records.get(&key.to_string()).await?;
    record.map(|r| Ok(Cell { value: decode(key, &r.value)?, etag: r.etag })).transpose()
}

/// Writes a record under a key that nobody else uses.
pub(crate) async fn create<T: Serialize>(records: &dyn Records, key: &Key, value: &T) -> StoreResult<ETag> {
    records.put(&key.to_string(), encode(key, value)?).await
}

/// Writes `value` over the version `known`, or where there is none.
///
/// `value` carries a fresh nonce. When the store says that the condition did not hold, or does not answer, the record is
/// read: if it holds these very bytes, the write was done.
///
/// # Errors
/// [`StoreError::Unavailable`] when it is not known whether the write was done, or will be.
pub(crate) async fn swap<T: Serialize>(
    records: &dyn Records,
    key: &Key,
    known: Option<&ETag>,
    value: &T,
) -> StoreResult<Swap> {
    let (path, bytes) = (key.to_string(), encode(key, value)?);
    let put = match known {
        Some(etag) => records.put_if_match(&path, bytes.clone(), etag).await,
        None => records.put_if_absent(&path, bytes.clone()).await,
    };
    let failure = match put {
        Ok(Put::Done(etag)) => return Ok(Swap::Done(etag)),
        Ok(Put::Lost) => None,
        Err(e) if e.is_transient() => Some(e),
        Err(e) => return Err(e),
    };
    let now = records.get(&path).await?;
    match (now, failure) {
        (Some(record), _) if record.value == bytes => Ok(Swap::Done(record.etag)),
        // The old version stands, so that the write may still take effect.
        (now, Some(failure)) if now.as_ref().map(|r| &r.etag) == known => Err(failure),
        _ => Ok(Swap::Lost),
    }
}
