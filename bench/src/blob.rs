//! Content that costs nothing to send.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use wharf_e2e::Content;

/// Incompressible bytes from which every blob is cut.
const POOL: u64 = 8 << 20;
/// How much of a blob is sent at once.
const PIECE: u64 = 256 << 10;
/// What makes a blob differ from all others.
const HEAD: usize = 32;

/// A blob that no registry has seen before, with its digest. Its bytes are slices of memory that all blobs share, so that
/// sending costs the client one copy, into the socket.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    head: Bytes,
    size: u64,
    digest: String,
}

impl Blob {
    /// A new one; hashes it.
    pub(crate) fn new(size: u64) -> Self {
        let mut head = BytesMut::with_capacity(HEAD);
        head.put_u64(unique());
        head.put_slice(&pool()[..HEAD - 8]);
        head.truncate(usize::try_from(size).map_or(HEAD, |size| size.min(HEAD)));
        let mut blob = Self { head: head.freeze(), size, digest: String::new() };
        let mut hash = Sha256::new();
        for piece in blob.pieces(0, size) {
            hash.update(&piece);
        }
        blob.digest = format!("sha256:{}", hex::encode(hash.finalize()));
        blob
    }

    /// Number of bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// `sha256:…`.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The bytes from `at` to `end`.
    pub(crate) fn pieces(&self, at: u64, end: u64) -> Pieces {
        Pieces { head: self.head.clone(), at, end: end.min(self.size) }
    }
}

/// Part of a blob, piece by piece.
#[derive(Debug)]
pub(crate) struct Pieces {
    head: Bytes,
    at: u64,
    end: u64,
}

impl Pieces {
    /// Bytes that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.at
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left() == 0 {
            return None;
        }
        let head = self.head.len() as u64;
        let (source, start) = if self.at < head { (&self.head, self.at) } else { (pool(), (self.at - head) % POOL) };
        let length = (source.len() as u64 - start).min(self.left()).min(PIECE);
        self.at += length;
        // Both are offsets into memory.
        let (start, length) = (start as usize, length as usize);
        Some(source.slice(start..start + length))
    }
}

fn pool() -> &'static Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES.get_or_init(|| Content::new(0, POOL).all())
}

/// A number that neither this process nor an earlier one has used.
pub(crate) fn unique() -> u64 {
    static NEXT: OnceLock<AtomicU64> = OnceLock::new();
    let start = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
    NEXT.get_or_init(|| AtomicU64::new(start())).fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(blob: &Blob, at: u64, end: u64) -> Vec<u8> {
        blob.pieces(at, end).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_part_is_the_same_as_in_the_whole() {
        let blob = Blob::new(POOL + 1000);
        let all = bytes(&blob, 0, u64::MAX);
        assert_eq!(all.len() as u64, blob.size());
        for (at, end) in [(0, 10), (20, 40), (32, 1 << 20), (POOL - 5, POOL + 500), (7, 7)] {
            assert!(bytes(&blob, at, end) == all[at as usize..end as usize], "{at}..{end}");
        }
        assert_eq!(blob.digest(), wharf_e2e::content::digest(&all));
    }

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(Blob::new(8).digest(), Blob::new(8).digest());
    }
}
