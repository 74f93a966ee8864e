//! Reading a range of a file: a small one at once, a large one in blocks with one read ahead.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::task::JoinHandle;

use super::error::Fault;
use crate::{DataStream, Generation, StoreError, StoreResult};

/// A range of up to so many bytes is read at once.
const AT_ONCE: u64 = 256 << 10;
/// The size of a block of a larger one, in bytes.
const BLOCK: u64 = 256 << 10;

/// A file being read, at the place where the next block begins.
#[derive(Debug)]
struct Reading {
    file: File,
    rest: u64,
}

/// A block and what comes behind it.
type Block = (Bytes, Reading);

/// The first block of a range. It waits for the disk.
pub(super) fn begin(mut file: File, range: &Range<u64>) -> Result<FirstBlock, Fault> {
    file.seek(SeekFrom::Start(range.start))?;
    let rest = range.end.saturating_sub(range.start);
    let reading = Reading { file, rest };
    let size = if rest <= AT_ONCE { AT_ONCE } else { BLOCK };
    reading.next(size).map(FirstBlock)
}

/// What [`begin`] has read.
#[derive(Debug)]
pub(super) struct FirstBlock(Block);

impl Reading {
    /// Reads a block; an empty one at the end of the file.
    fn next(mut self, most: u64) -> Result<Block, Fault> {
        let size = self.rest.min(most);
        let mut block = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let read = (&mut self.file).take(size).read_to_end(&mut block)? as u64;
        self.rest = if read < size { 0 } else { self.rest - size };
        Ok((block.into(), self))
    }

    fn ahead(self) -> JoinHandle<Result<Block, Fault>> {
        tokio::task::spawn_blocking(move || self.next(BLOCK))
    }
}

impl FirstBlock {
    /// The first block and all that follow. The next one is being read while one is with the caller.
    pub(super) fn stream(self, generation: Generation) -> DataStream {
        let (bytes, reading) = self.0;
        let first = (!bytes.is_empty()).then_some(Ok(bytes));
        if reading.rest == 0 {
            return futures::stream::iter(first).boxed();
        }
        let rest = futures::stream::unfold(Some(reading.ahead()), move |under_way| {
            let generation = generation.clone();
            async move {
                let (item, next) = arrived(under_way?.await, &generation);
                Some((item, next))
            }
        });
        futures::stream::iter(first).chain(rest).boxed()
    }
}

fn arrived(
    block: Result<Result<Block, Fault>, tokio::task::JoinError>,
    generation: &Generation,
) -> (StoreResult<Bytes>, Option<JoinHandle<Result<Block, Fault>>>) {
    match block.map_err(Fault::from).and_then(|block| block) {
        Ok((bytes, reading)) => {
            let next = (reading.rest > 0).then(|| reading.ahead());
            (Ok(bytes), next)
        }
        Err(fault) => (Err(StoreError::from(fault.of("read", generation))), None),
    }
}
