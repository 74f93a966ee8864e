//! The collector: every replica has one, none knows of the others, and nothing walks the registry.
//!
//! It works off the list of due entries that every write path put *before* it began. Two collectors may work on one entry: each
//! step is a swap of the record that was looked at, so that doing it twice is harmless. The proof is in `docs/ARCHITECTURE.md`.

mod blob;
pub(crate) mod judge;
mod list;
mod push;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::Core;
use crate::due::{Due, Place};
use crate::error::Result;
use crate::hold;
use crate::repository::Refusal;

pub use list::{Collected, Collector};

/// What became of a due entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is left to do: the entry goes.
    Finished,
    /// It has to be looked at again at this time.
    Later(crate::env::Seconds),
    /// Others changed things meanwhile: look again soon.
    Again,
}

/// What collectors of this process did since it started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) blobs: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) uploads: AtomicU64,
    pub(crate) pushes: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) kept: AtomicU64,
    pub(crate) postponed: AtomicU64,
    pub(crate) errors: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

/// Works on one entry.
pub(crate) async fn work(core: &Arc<Core>, due: &Due) -> Result<Outcome> {
    match due {
        Due::Blob(digest) => blob::collect(core, digest).await,
        Due::Lease { digest, repository, due, id } => {
            if *due > core.now() {
                return Ok(Outcome::Later(*due));
            }
            // It is over, whatever else holds the blob.
            hold::release(core, digest, repository, Place { time: *due, id: *id }).await?;
            blob::collect(core, digest).await
        }
        Due::Push { repository, manifest, push, generation, blobs } => {
            push::collect(core, repository, &push::Unfinished { manifest, push: *push, generation, blobs }).await
        }
        Due::Upload { repository, upload, missed } => upload::collect(core, repository, upload, *missed).await,
        Due::Segments { repository, version, ids } => push::collect_segments(core, repository, *version, ids).await,
    }
}

/// A collector's change that was refused: the store's failure is an error, everything else is a reason to look again.
fn refused(refusal: Refusal) -> Result<Outcome> {
    match refusal {
        Refusal::Store(error) => Err(crate::Error::Commit(error)),
        _ => Ok(Outcome::Again),
    }
}
