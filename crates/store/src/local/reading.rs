//! Reading a range of a file: a small one at once, a large one in windows of the file that nobody copies (see [`wharf_filebytes`]).

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;

use super::blocking;
use super::error::Fault;
use crate::{DataStream, Generation, StoreError};

/// A range of up to so many bytes is read at once.
const AT_ONCE: u64 = 256 << 10;
/// The size of a window of a larger one, in bytes.
const WINDOW: u64 = 512 << 10;
/// How far ahead the system is asked to read, in bytes.
const AHEAD: u64 = 4 << 20;

/// A file being read, at the place where the next window begins.
#[derive(Debug)]
struct Reading {
    file: Arc<File>,
    offset: u64,
    end: u64,
    /// Up to where the system was asked to read.
    asked: u64,
}

/// The first bytes of a range. It waits for the disk.
pub(super) fn begin(file: File, range: &Range<u64>) -> Result<FirstBytes, Fault> {
    // What lies behind the end of the file must not be mapped.
    let end = range.end.min(file.metadata()?.len());
    let mut reading = Reading { file: Arc::new(file), offset: range.start, end, asked: range.start };
    let len = end.saturating_sub(range.start);
    let bytes = if len <= AT_ONCE {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        reading.file.read_exact_at(&mut bytes, range.start)?;
        reading.offset += len;
        bytes.into()
    } else {
        reading.fetch()?;
        reading.window()?
    };
    Ok(FirstBytes { bytes, rest: reading })
}

/// What [`begin`] has read, and what comes behind it.
#[derive(Debug)]
pub(super) struct FirstBytes {
    bytes: Bytes,
    rest: Reading,
}

impl Reading {
    fn len(&self) -> u64 {
        self.end.saturating_sub(self.offset).min(WINDOW)
    }

    /// The next window. Whoever reads or sends it waits for the disk, unless it [is there](Self::is_there).
    fn window(&mut self) -> std::io::Result<Bytes> {
        let len = self.len();
        let bytes = wharf_filebytes::map(&self.file, self.offset, usize::try_from(len).unwrap_or(0))?;
        self.offset += len;
        Ok(bytes)
    }

    /// Whether the system has the last page of the next window in memory. It reads ahead in order, so that the others mostly are too.
    #[cfg(target_os = "linux")]
    fn is_there(&self) -> bool {
        use std::io::IoSliceMut;

        use rustix::io::{ReadWriteFlags, preadv2};

        let mut byte = [0];
        let last = self.offset + self.len() - 1;
        let read = preadv2(&self.file, &mut [IoSliceMut::new(&mut byte)], last, ReadWriteFlags::NOWAIT);
        read.is_ok_and(|n| n == 1)
    }

    #[cfg(not(target_os = "linux"))]
    const fn is_there(&self) -> bool {
        false
    }

    /// Waits until the next window is in memory, and has the system read on behind it.
    fn fetch(&mut self) -> std::io::Result<()> {
        self.ask();
        let last = self.offset + self.len() - 1;
        self.file.read_exact_at(&mut [0], last)
    }

    /// Asks the system to read ahead. It does not wait; that it cannot is no matter.
    #[cfg(target_os = "linux")]
    fn ask(&mut self) {
        use std::num::NonZeroU64;

        use rustix::fs::{Advice, fadvise};

        if self.asked < self.end && self.asked < self.offset + AHEAD / 2 {
            let begin = self.asked.max(self.offset);
            self.asked = (self.offset + AHEAD).min(self.end);
            let _ = fadvise(&self.file, begin, NonZeroU64::new(self.asked - begin), Advice::WillNeed);
        }
    }

    #[cfg(not(target_os = "linux"))]
    const fn ask(&mut self) {}

    /// The next window, once it is in memory.
    async fn next(mut self) -> Result<(Bytes, Self), Fault> {
        if self.is_there() {
            self.ask();
        } else {
            self = blocking(move || {
                self.fetch()?;
                Ok(self)
            })
            .await?;
        }
        let bytes = self.window()?;
        Ok((bytes, self))
    }
}

impl FirstBytes {
    /// The first bytes and all that follow.
    pub(super) fn stream(self, generation: Generation) -> DataStream {
        let first = (!self.bytes.is_empty()).then_some(Ok(self.bytes));
        let rest = futures::stream::unfold(Some(self.rest), move |reading| {
            let generation = generation.clone();
            async move {
                let reading = reading.filter(|reading| reading.offset < reading.end)?;
                Some(match reading.next().await {
                    Ok((bytes, reading)) => (Ok(bytes), Some(reading)),
                    Err(fault) => (Err(StoreError::from(fault.of("read", &generation))), None),
                })
            }
        });
        futures::stream::iter(first).chain(rest).boxed()
    }
}
