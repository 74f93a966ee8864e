//! Bytes that need no memory.

use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

/// How much of a content is made at once.
const PIECE: u64 = 256 << 10;

/// Incompressible bytes of a given size. Any part of them can be made again from the seed, so that a blob of many
/// gigabytes is sent, resumed and compared without being held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    seed: u64,
    size: u64,
}

impl Content {
    /// The content of this seed and size.
    #[must_use]
    pub fn new(seed: u64, size: u64) -> Self {
        Self { seed, size }
    }

    /// Number of bytes.
    #[must_use]
    pub fn size(self) -> u64 {
        self.size
    }

    /// The bytes from `start` to `end`.
    #[must_use]
    pub fn bytes(self, start: u64, end: u64) -> Bytes {
        assert!(start <= end && end <= self.size, "{start}..{end} of {}", self.size);
        let first = start / 8;
        let last = end.div_ceil(8);
        let mut words = BytesMut::with_capacity(usize::try_from((last - first) * 8).expect("fits in memory"));
        for index in first..last {
            words.put_u64_le(mix(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index)));
        }
        let skip = usize::try_from(start - first * 8).expect("below eight");
        let length = usize::try_from(end - start).expect("fits in memory");
        words.freeze().slice(skip..skip + length)
    }

    /// All bytes.
    #[must_use]
    pub fn all(self) -> Bytes {
        self.bytes(0, self.size)
    }

    /// The bytes from `start` to `end`, piece by piece.
    pub fn pieces(self, start: u64, end: u64) -> impl Iterator<Item = Bytes> + Send + 'static {
        (0..(end - start).div_ceil(PIECE)).map(move |piece| {
            let from = start + piece * PIECE;
            self.bytes(from, (from + PIECE).min(end))
        })
    }

    /// The bytes from `start` to `end` as a request body.
    #[must_use]
    pub fn body(self, start: u64, end: u64) -> reqwest::Body {
        reqwest::Body::wrap_stream(self.stream(start, end))
    }

    /// The bytes from `start` to `end` as a stream.
    pub fn stream(self, start: u64, end: u64) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        futures::stream::iter(self.pieces(start, end).map(Ok))
    }

    /// The bytes from `start` to `end` as a request body that pauses at `pause`: it tells `reached`, and goes on when
    /// `resume` does (or its sender is dropped).
    #[must_use]
    pub fn pausing_body(
        self,
        start: u64,
        pause: u64,
        end: u64,
        reached: oneshot::Sender<()>,
        resume: oneshot::Receiver<()>,
    ) -> reqwest::Body {
        let wait = async move {
            // Whether anybody listens or answers makes no difference to the body.
            let _ = reached.send(());
            let _ = resume.await;
            Ok(Bytes::new())
        };
        let stream = self.stream(start, pause).chain(futures::stream::once(wait)).chain(self.stream(pause, end));
        reqwest::Body::wrap_stream(stream.filter(|piece| {
            let empty = piece.as_ref().is_ok_and(Bytes::is_empty);
            futures::future::ready(!empty)
        }))
    }

    /// Their digest, `sha256:…`.
    #[must_use]
    pub fn digest(self) -> String {
        let mut hash = Sha256::new();
        for piece in self.pieces(0, self.size) {
            hash.update(&piece);
        }
        format!("sha256:{}", hex::encode(hash.finalize()))
    }
}

/// The digest of some bytes, `sha256:…`.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// SplitMix64's output function: every word from its index alone.
#[must_use]
pub fn mix(index: u64) -> u64 {
    let word = (index ^ (index >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_same_as_in_the_whole() {
        let content = Content::new(7, 1000);
        let all = content.all();
        for (start, end) in [(0, 1000), (0, 0), (3, 5), (8, 16), (7, 999), (1000, 1000)] {
            assert_eq!(content.bytes(start, end), all.slice(start as usize..end as usize));
        }
        assert_ne!(all, Content::new(8, 1000).all());
    }

    #[test]
    fn the_digest_is_that_of_all_pieces() {
        let content = Content::new(1, 3 * PIECE + 17);
        assert_eq!(content.digest(), digest(&content.all()));
    }
}
