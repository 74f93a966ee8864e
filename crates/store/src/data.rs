//! Data: immutable streams of bytes under ids that are used once.

use std::any::Any;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::StoreResult;

/// The bytes of a [`Data::read`], in order.
pub type DataStream = BoxStream<'static, StoreResult<Bytes>>;

/// Length of a family's id.
const FAMILY_LEN: usize = 32;
/// The longest suffix of a generation.
const MAX_SUFFIX: usize = 32;

/// The random id that everything written by one upload session, or for one manifest push, begins with. A session
/// may make several generations (two replicas may race for the same piece), and whoever clears up behind it finds
/// them all by listing its family.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family(Box<str>);

/// The id under which bytes are stored: a family, alone or with a suffix `.` + `[a-z0-9]`. It is made before the
/// digest of the bytes is known, and never used for other bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(Box<str>);

/// A text that is neither a family nor a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a generation is 32 lower-case hexadecimal digits, with a suffix of .[a-z0-9] or none")]
pub struct InvalidGeneration;

impl Family {
    /// A family from 128 random bits.
    #[must_use]
    pub fn new(random: u128) -> Self {
        Self(format!("{random:032x}").into())
    }

    /// The id itself, which is also the prefix of its generations.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The generation without a suffix.
    #[must_use]
    pub fn first(&self) -> Generation {
        Generation(self.0.clone())
    }

    /// The generation with a suffix of random bits.
    #[must_use]
    pub fn other(&self, random: u64) -> Generation {
        Generation(format!("{}.{random:016x}", self.0).into())
    }
}

/// So that a map of generations can be searched by a prefix.
impl Borrow<str> for Generation {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Generation {
    /// The id itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The family that it belongs to.
    #[must_use]
    pub fn family(&self) -> Family {
        Family(self.0[..FAMILY_LEN].into())
    }
}

impl FromStr for Family {
    type Err = InvalidGeneration;

    fn from_str(text: &str) -> Result<Self, InvalidGeneration> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != FAMILY_LEN || !text.bytes().all(is_hex) {
            return Err(InvalidGeneration);
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for Generation {
    type Err = InvalidGeneration;

    fn from_str(text: &str) -> Result<Self, InvalidGeneration> {
        let (family, suffix) = text.split_at_checked(FAMILY_LEN).ok_or(InvalidGeneration)?;
        family.parse::<Family>()?;
        let is_suffix = |s: &str| {
            s.strip_prefix('.').is_some_and(|s| {
                (1..=MAX_SUFFIX).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            })
        };
        if !suffix.is_empty() && !is_suffix(suffix) {
            return Err(InvalidGeneration);
        }
        Ok(Self(text.into()))
    }
}

macro_rules! text_id {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(Family);
text_id!(Generation);

/// One uploaded part, as the store named it. Two replicas may write the same number; what counts is the tag that the
/// winning session record names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Number of the part, from 1, without gaps.
    pub number: u32,
    /// Size in bytes.
    pub size: u64,
    /// The store's tag of these very bytes.
    pub tag: String,
}

/// How a backend wants a large stream cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartLimits {
    /// Every part but the last has at least this many bytes; 0 where parts may have any size.
    pub min: u64,
    /// The size to aim at, in bytes.
    pub target: u64,
    /// The largest number of parts.
    pub max_count: u32,
    /// Whether parts are written in place, so that a caller must hold a [`Claim`] while it writes.
    pub in_place: bool,
}

/// Proof that nobody else in this process writes the same family in place. Released on drop.
pub type Claim = Box<dyn Any + Send + Sync>;

/// What a presigned URL should answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presign {
    /// How long it is good for.
    pub lifetime: Duration,
    /// The `Content-Type` that the store shall answer.
    pub content_type: String,
}

/// Stored data in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredData {
    /// The id.
    pub generation: Generation,
    /// Size in bytes.
    pub size: u64,
}

/// An upload in parts that was neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The id that it would get.
    pub generation: Generation,
    /// The store's id of the upload.
    pub upload: String,
}

/// A page of stored data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataPage {
    /// The data, in order of their ids.
    pub data: Vec<StoredData>,
    /// The last id of this page where more follow.
    pub next: Option<Generation>,
}

/// Immutable bytes under ids that are used once.
///
/// # Durability and visibility
/// [`Data::put`] and [`Data::complete`] answer when the bytes are durable and can be read through every process; before,
/// nothing can be read. [`Data::put_part`] is durable once [`Data::sync`] was answered.
///
/// # Outcome
/// As for [`crate::Records`]: a write that fails with [`crate::StoreError::Unavailable`] may take effect later. Since an id
/// is never used for other bytes, doing a `put` or a `complete` once more is harmless.
#[async_trait]
pub trait Data: Send + Sync + fmt::Debug {
    /// How a stream should be cut.
    fn part_limits(&self) -> PartLimits;

    /// Takes the right to write parts of this family in place. Backends that never write in place always grant it.
    ///
    /// # Errors
    /// [`crate::StoreError::Busy`] at once when another request of this process holds it.
    fn claim(&self, family: &Family) -> StoreResult<Claim>;

    /// Stores bytes whole. The chunks are one stream, in order; there may be none.
    async fn put(&self, generation: &Generation, chunks: Vec<Bytes>) -> StoreResult<()>;

    /// Begins an upload in parts and answers the store's id of it.
    async fn start(&self, generation: &Generation) -> StoreResult<String>;

    /// Stores one part. `offset` is where it lies in the whole. The answer is the store's tag of it.
    async fn put_part(
        &self,
        generation: &Generation,
        upload: &str,
        number: u32,
        offset: u64,
        chunks: Vec<Bytes>,
    ) -> StoreResult<String>;

    /// Makes all parts durable that were answered.
    async fn sync(&self, generation: &Generation, upload: &str) -> StoreResult<()>;

    /// Makes the whole out of exactly these parts, which are durable.
    ///
    /// Doing it again with the same parts succeeds. When the store answers that the upload no longer exists, it looks
    /// whether data of the expected size are there: the first answer may have been lost. A success is believed only when what the
    /// store then names has the expected size.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] where neither the upload nor such data exist.
    async fn complete(&self, generation: &Generation, upload: &str, parts: &[Part]) -> StoreResult<()>;

    /// Gives up an upload in parts and frees what it took. Succeeds where there is none.
    async fn abort(&self, generation: &Generation, upload: &str) -> StoreResult<()>;

    /// The bytes of a range, which lies within the data. The stream holds a bounded part of them in memory.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] where there are no such data.
    async fn read(&self, generation: &Generation, range: Range<u64>) -> StoreResult<DataStream>;

    /// Size in bytes, or `None` where there are no such data.
    async fn size(&self, generation: &Generation) -> StoreResult<Option<u64>>;

    /// A URL that a client can read the data from without credentials; `None` where the backend has no such thing.
    async fn presign(&self, generation: &Generation, options: &Presign) -> StoreResult<Option<String>>;

    /// Removes. Removing what is not there succeeds. A read under way may go on or break off.
    async fn delete(&self, generation: &Generation) -> StoreResult<()>;

    /// Data whose ids begin with `prefix` (a family or the beginning of one), after `after`.
    async fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> StoreResult<DataPage>;

    /// Uploads in parts of this family that were neither completed nor aborted. Where `prefix` is empty: of all.
    async fn unfinished(&self, prefix: &str) -> StoreResult<Vec<UnfinishedUpload>>;
}
