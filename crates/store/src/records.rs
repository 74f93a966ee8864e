//! Records: small values, ordered by key, that change by compare-and-swap.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::StoreResult;

/// Identifies one version of a record's value, as the store names it.
///
/// Some stores derive it from the content, so that two writes of the same bytes may carry the same tag. Whoever
/// needs to tell two writes apart puts a fresh nonce into the value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ETag(Arc<str>);

impl ETag {
    /// Wraps the store's own text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The store's own text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value and the tag of this version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The bytes.
    pub value: Bytes,
    /// The version.
    pub etag: ETag,
}

/// The answer to [`Records::get_if_changed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The caller's version is still the current one.
    Same,
    /// Another version is current, or none.
    Now(Option<Record>),
}

/// The answer to a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Written; this is its version.
    Done(ETag),
    /// The condition did not hold. **The record may be the caller's own write**: an attempt whose answer was lost
    /// may have taken effect before the attempt that was refused. Whoever must know reads the record and compares.
    Lost,
}

/// One key of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole key.
    pub key: String,
    /// The version at the time of the listing.
    pub etag: ETag,
    /// Size of the value in bytes.
    pub size: u64,
}

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest<'a> {
    /// Only keys that begin with this. It ends with `/` or is empty.
    pub prefix: &'a str,
    /// Only keys, or with [`ListRequest::fold`] folders, that come after this one, which need not exist.
    pub after: Option<&'a str>,
    /// Fold everything behind the next `/` after the prefix into one folder.
    pub fold: bool,
    /// At most this many entries and folders together; at least 1. A store may return fewer and say that more follow.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The keys, in order. With [`ListRequest::fold`], those without a further `/`.
    pub entries: Vec<Entry>,
    /// With [`ListRequest::fold`]: the folders, in order, each whole and with its closing `/`.
    pub folders: Vec<String>,
    /// The `after` of the next page; `None` when this was the last one.
    pub next: Option<String>,
}

/// Small values under ordered keys.
///
/// # Keys
/// A key is made of segments of `A-Z a-z 0-9 - _ . ! = ,` joined by single `/`. It is shorter than 1,024 bytes and
/// each segment shorter than 255. No key is also a folder of another. Order is by bytes, *within one segment*: what comes
/// first of `a/b` and `a-b` is left to the store, so that nothing may depend on it.
///
/// # Consistency
/// Strong: a read, and a listing, that begins after a write was answered sees that write or a later one, through
/// every process. Conditional writes are atomic: of any number that name one version, at most one is done.
///
/// # Durability
/// A write is durable when it is answered; within [`crate::ahead`], with the next one at the latest.
///
/// # Outcome
/// A write that fails with [`crate::StoreError::Unavailable`] has an unknown outcome: it may take effect later.
/// Dropping the future of a write leaves the outcome unknown likewise.
#[async_trait]
pub trait Records: Send + Sync + fmt::Debug {
    /// The record, or `None` where there is none.
    async fn get(&self, key: &str) -> StoreResult<Option<Record>>;

    /// The record unless it is still at version `known`; an unchanged record costs no transfer of its value.
    async fn get_if_changed(&self, key: &str, known: &ETag) -> StoreResult<Changed>;

    /// Writes without looking. For records that are written once, under a key that nobody else uses.
    async fn put(&self, key: &str, value: Bytes) -> StoreResult<ETag>;

    /// Writes only where there is no record.
    async fn put_if_absent(&self, key: &str, value: Bytes) -> StoreResult<Put>;

    /// Writes only over version `known`. An absent record is a lost condition, never a creation.
    async fn put_if_match(&self, key: &str, value: Bytes, known: &ETag) -> StoreResult<Put>;

    /// Removes without looking. Removing what is not there succeeds.
    async fn delete(&self, key: &str) -> StoreResult<()>;

    /// A page of the keys under a prefix, in the store's order.
    async fn list(&self, request: ListRequest<'_>) -> StoreResult<ListPage>;
}
