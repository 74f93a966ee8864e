//! Collecting a blob: condemn, judge again, gone, delete. In this order.

use std::sync::Arc;

use wharf_oci::Digest;

use super::judge::{Fenced, Hold, Verdict, fence, judge};
use super::{Done, Outcome, Wait, refused};
use crate::blob_record::{self, BlobRecord, BlobState};
use crate::breaks::Break;
use crate::core::Core;
use crate::error::Result;
use crate::record::{Cell, Swap};
use crate::repository::{Change, Handle};

/// Looks at a blob that may have lost its last holder.
pub(crate) async fn collect(core: &Arc<Core>, digest: &Digest) -> Result<Outcome> {
    match judge(core, digest).await? {
        Verdict::Waiting(until) => {
            // A collector that stopped half-way must not leave it condemned.
            rescue(core, digest).await?;
            Ok(Outcome::Later(until, Wait::Held))
        }
        Verdict::Needed { repository, manifest, push } => {
            rescue(core, digest).await?;
            // A removal of that manifest that looked before this swap puts its due entries again, so that this one may go.
            match Handle::of(core, &repository).commit(core, Change::Keep(manifest, push)).await {
                Ok(_) => Ok(Outcome::Finished(Done::Needed)),
                Err(refusal) => refused(refusal),
            }
        }
        Verdict::Unheld(_) => condemn(core, digest).await,
    }
}

/// Condemns a blob that nobody seemed to hold, and looks again: whoever put a hold before the swap is seen now, and whoever
/// puts one later sees the swap.
async fn condemn(core: &Arc<Core>, digest: &Digest) -> Result<Outcome> {
    let Some(cell) = blob_record::load(core, digest).await? else { return clear_unborn(core, digest).await };
    let condemned = match cell.value.state {
        BlobState::Live => {
            let condemned = cell.value.turned(core, BlobState::Condemned);
            match blob_record::swap(core, digest, Some(&cell), &condemned).await? {
                Swap::Done(etag) => Cell { value: condemned, etag },
                Swap::Lost => return Ok(Outcome::Again),
            }
        }
        // Another collector, or one that stopped half-way.
        BlobState::Condemned => cell,
        BlobState::Gone => return clear_gone(core, digest, &cell.value).await,
    };
    let holds = match judge(core, digest).await? {
        Verdict::Unheld(holds) => holds,
        _ if core.broken(Break::NoSecondLook) => Vec::new(),
        _ => {
            back_to_live(core, digest, &condemned).await?;
            return Ok(Outcome::Again);
        }
    };
    match fence(core, &holds).await? {
        Fenced::Dead => {}
        Fenced::Alive | Fenced::Unknown => {
            back_to_live(core, digest, &condemned).await?;
            return Ok(Outcome::Again);
        }
    }
    let gone = condemned.value.turned(core, BlobState::Gone);
    if core.broken(Break::DataBeforeGone) {
        core.data.delete(&gone.generation).await?;
    }
    match blob_record::swap(core, digest, Some(&condemned), &gone).await? {
        Swap::Done(_) => {
            core.data.delete(&gone.generation).await?;
            remove(core, digest, &holds).await?;
            if core.broken(Break::GoneDeleted) {
                core.records.delete(&crate::key::Key::Blob(digest.clone()).to_string()).await?;
            }
            Ok(Outcome::Finished(Done::Blob { bytes: gone.size }))
        }
        Swap::Lost => Ok(Outcome::Again),
    }
}

/// The record says gone; a collector may have stopped before it deleted the bytes and the dead holds.
async fn clear_gone(core: &Arc<Core>, digest: &Digest, gone: &BlobRecord) -> Result<Outcome> {
    core.data.delete(&gone.generation).await?;
    clear_unborn(core, digest).await
}

/// There is no blob; holds of pushes and leases that came to nothing may be there.
async fn clear_unborn(core: &Arc<Core>, digest: &Digest) -> Result<Outcome> {
    match judge(core, digest).await? {
        Verdict::Unheld(holds) => match fence(core, &holds).await? {
            Fenced::Dead => {
                remove(core, digest, &holds).await?;
                Ok(Outcome::Finished(Done::Nothing))
            }
            Fenced::Alive | Fenced::Unknown => Ok(Outcome::Again),
        },
        _ => Ok(Outcome::Again),
    }
}

async fn remove(core: &Core, digest: &Digest, holds: &[Hold]) -> Result<()> {
    let deletes = holds.iter().map(|hold| {
        let key = hold.key(digest).to_string();
        async move { core.records.delete(&key).await }
    });
    futures::future::try_join_all(deletes).await?;
    Ok(())
}

/// Takes back a sentence. Whoever took it back before did the same.
async fn back_to_live(core: &Core, digest: &Digest, condemned: &Cell<BlobRecord>) -> Result<()> {
    let live = condemned.value.turned(core, BlobState::Live);
    blob_record::swap(core, digest, Some(condemned), &live).await?;
    Ok(())
}

/// A blob that is held must not stay condemned.
async fn rescue(core: &Core, digest: &Digest) -> Result<()> {
    match blob_record::load(core, digest).await? {
        Some(cell) if cell.value.state == BlobState::Condemned => back_to_live(core, digest, &cell).await,
        _ => Ok(()),
    }
}
