//! How a record stands in the table: its version in 8 bytes, then its value.

use bytes::Bytes;

use crate::{ETag, Record};

/// Length of the version.
const VERSION_LEN: usize = 8;

pub(super) fn encode(version: u64, value: &[u8]) -> Vec<u8> {
    [&version.to_le_bytes()[..], value].concat()
}

/// The version and the value, or `None` where the bytes are damaged.
pub(super) fn split(stored: &[u8]) -> Option<(u64, &[u8])> {
    let (version, value) = stored.split_first_chunk::<VERSION_LEN>()?;
    Some((u64::from_le_bytes(*version), value))
}

pub(super) fn version(stored: &[u8]) -> Option<u64> {
    split(stored).map(|(version, _)| version)
}

pub(super) fn record(stored: &[u8]) -> Option<Record> {
    split(stored).map(|(version, value)| Record { value: Bytes::copy_from_slice(value), etag: etag(version) })
}

pub(super) fn etag(version: u64) -> ETag {
    ETag::new(version.to_string())
}

/// The version that a tag names; `None` for a tag that this store did not give.
pub(super) fn known(etag: &ETag) -> Option<u64> {
    etag.as_str().parse().ok()
}
