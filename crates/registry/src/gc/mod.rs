//! The collector: every replica has one, none knows of the others, and nothing walks the registry.
//!
//! It works off the list of due entries that every write path put *before* it began. Two collectors may work on one entry: each
//! step is a swap of the record that was looked at, so that doing it twice is harmless. The proof is in `docs/ARCHITECTURE.md`.

mod account;
mod blob;
mod explain;
pub(crate) mod judge;
mod list;
mod pace;
mod plan;
mod push;
mod report;
mod upload;

use std::sync::Arc;

use crate::core::Core;
use crate::due::{Due, Place};
use crate::error::Result;
use crate::hold;
use crate::repository::Refusal;

pub(crate) use account::Account;
pub use account::{Collected, Run};
pub use explain::{BlobFacts, EntryFacts, Explanation, HolderFacts, ManifestFacts, Standing};
pub use list::{Collector, Schedule};
pub use pace::{Load, Pace};
pub use plan::{Action, Plan};
pub use report::{Ages, Step, WorkList};

/// What became of a due entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is left to do: the entry goes.
    Finished(Done),
    /// It has to be looked at again at this time.
    Later(crate::env::Seconds, Wait),
    /// Others changed things meanwhile: look again soon.
    Again,
}

/// How an entry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// A blob went, with its bytes.
    Blob { bytes: u64 },
    /// An upload session went, with the bytes that it left.
    Upload { bytes: u64 },
    /// What a push had put went.
    Push,
    /// So many segments went.
    Segments(u64),
    /// A manifest needs the blob.
    Needed,
    /// The push is part of its repository.
    Committed,
    /// There was nothing, or nothing any more.
    Nothing,
}

/// Why an entry has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A lease runs, or a young push may still become part of its repository.
    Held,
    /// Somebody wrote to the upload session not long ago.
    Touched,
    /// The upload session has just expired and is looked at once more; bytes went already.
    Expired { bytes: u64 },
}

/// Works on one entry.
pub(crate) async fn work(core: &Arc<Core>, due: &Due) -> Result<Outcome> {
    match due {
        Due::Blob(digest) => blob::collect(core, digest).await,
        Due::Lease { digest, repository, due, id } => {
            if *due > core.now() {
                return Ok(Outcome::Later(*due, Wait::Held));
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
