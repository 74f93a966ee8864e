//! Byte ranges: `Range` of a download (RFC 9110, 14.2) and `Content-Range` of an uploaded chunk
//! (distribution-spec, "Pushing a blob in chunks").

use std::ops::Range;
use std::str::FromStr;

/// A single requested range, before the size of the blob is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, both inclusive. Backwards, it is no part of any content: RFC 9110 lets a server refuse it.
    FromTo(u64, u64),
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-length`: the last bytes.
    Last(u64),
}

/// Why a range cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// Not of the form that is understood. RFC 9110 lets a server ignore such a `Range`.
    #[error("the range has no form that is understood")]
    Form,
    /// Well-formed, but nothing of it lies within the content.
    #[error("the range lies outside the content")]
    Unsatisfiable,
}

impl FromStr for ByteRange {
    type Err = InvalidRange;

    /// Parses the value of `Range`. Several ranges at once are not understood, so that the caller sends the
    /// whole content, as RFC 9110 allows.
    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let (unit, set) = text.split_once('=').ok_or(InvalidRange::Form)?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Err(InvalidRange::Form);
        }
        let (first, last) = set.trim().split_once('-').ok_or(InvalidRange::Form)?;
        match (first.is_empty(), last.is_empty()) {
            (true, true) => Err(InvalidRange::Form),
            (true, false) => Ok(Self::Last(number(last)?)),
            (false, true) => Ok(Self::From(number(first)?)),
            (false, false) => Ok(Self::FromTo(number(first)?, number(last)?)),
        }
    }
}

impl ByteRange {
    /// The half-open range within content of `size` bytes.
    ///
    /// # Errors
    /// [`InvalidRange::Unsatisfiable`] when nothing of it exists: the answer is 416.
    pub const fn within(self, size: u64) -> Result<Range<u64>, InvalidRange> {
        let range = match self {
            Self::FromTo(first, last) if last < size => first..last + 1,
            Self::FromTo(first, _) | Self::From(first) => first..size,
            Self::Last(length) => size.saturating_sub(length)..size,
        };
        if range.start < range.end { Ok(range) } else { Err(InvalidRange::Unsatisfiable) }
    }
}

/// Where an uploaded chunk belongs: `first-last`, both inclusive, in the specification's own form without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the chunk's first byte.
    pub first: u64,
    /// Offset of the chunk's last byte.
    pub last: u64,
}

impl ContentRange {
    /// Length of the chunk in bytes.
    #[must_use]
    pub const fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

impl FromStr for ContentRange {
    type Err = InvalidRange;

    /// Parses `first-last`; `bytes first-last/total`, which some clients send, means the same.
    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let text = text.trim();
        let text = text.strip_prefix("bytes ").unwrap_or(text);
        let text = text.split_once('/').map_or(text, |(range, _total)| range);
        let (first, last) = text.split_once('-').ok_or(InvalidRange::Form)?;
        match (number(first)?, number(last)?) {
            (first, last) if first <= last => Ok(Self { first, last }),
            _ => Err(InvalidRange::Form),
        }
    }
}

/// Digits only: `u64::from_str` would take a sign.
fn number(text: &str) -> Result<u64, InvalidRange> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidRange::Form);
    }
    text.parse().map_err(|_| InvalidRange::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_content() {
        let within = |text: &str, size| text.parse::<ByteRange>().and_then(|r| r.within(size));
        assert_eq!(within("bytes=0-9", 100), Ok(0..10));
        assert_eq!(within("bytes=90-200", 100), Ok(90..100));
        assert_eq!(within("bytes=99-", 100), Ok(99..100));
        assert_eq!(within("bytes=-30", 100), Ok(70..100));
        assert_eq!(within("bytes=-300", 100), Ok(0..100));
        assert_eq!(within("bytes=0-18446744073709551615", 100), Ok(0..100));
        for outside in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=2-1"] {
            assert_eq!(within(outside, 100), Err(InvalidRange::Unsatisfiable), "{outside}");
        }
        for other in ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=+1-2"] {
            assert_eq!(within(other, 100), Err(InvalidRange::Form), "{other}");
        }
    }

    #[test]
    fn a_chunk_has_both_ends() {
        assert_eq!("0-9".parse(), Ok(ContentRange { first: 0, last: 9 }));
        assert_eq!("bytes 0-9/10".parse(), Ok(ContentRange { first: 0, last: 9 }));
        for bad in ["", "0", "0-", "-9", "9-0", "a-b", "0-99999999999999999999"] {
            assert!(bad.parse::<ContentRange>().is_err(), "{bad}");
        }
        assert_eq!(ContentRange { first: 0, last: u64::MAX }.length(), u64::MAX);
    }
}
