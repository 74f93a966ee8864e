//! Collecting upload sessions: those that nobody came back to, and those that have ended and may have left parts behind.

use std::sync::Arc;

use wharf_oci::{Digest, RepositoryName};
use wharf_store::{Family, Generation};

use super::{Done, Outcome, Wait};
use crate::backoff::Backoff;
use crate::blob_record::{self, BlobRecord, BlobState};
use crate::core::Core;
use crate::due::{self, Due};
use crate::error::{Error, Result};
use crate::record::{Cell, Swap};
use crate::registry::Repository;
use crate::upload::{Session, SessionState};

/// Looks at a session.
///
/// Its entry comes before its record, and is due at once where the clock of whoever began it is late. So an entry without a record
/// is looked at once more after a grace time of this replica's clock; `missed` says that this is that look.
pub(crate) async fn collect(
    core: &Arc<Core>,
    repository: &RepositoryName,
    upload: &Family,
    missed: bool,
) -> Result<Outcome> {
    let repository = Repository { core: core.clone(), name: repository.clone() };
    let cell = match repository.load_session(upload).await {
        Ok(cell) => cell,
        Err(Error::UploadUnknown) => {
            if !missed {
                let again = Due::Upload { repository: repository.name, upload: upload.clone(), missed: true };
                due::put(core, again).await?;
            }
            return Ok(Outcome::Finished(Done::Nothing));
        }
        Err(e) => return Err(e),
    };
    let until = cell.value.touched + core.grace().as_secs();
    if until > core.now() {
        return Ok(Outcome::Later(until, Wait::Touched));
    }
    let keep = match &cell.value.state {
        SessionState::Open { .. } => return expire(&repository, upload, &cell, None).await,
        SessionState::Closing { digest, .. } => return expire(&repository, upload, &cell, Some(digest.clone())).await,
        // Whoever expired it may have stopped there.
        SessionState::Expired { digest: Some(digest) } => stop_commit(core, upload, digest).await?,
        SessionState::Done { digest, .. } => named(core, digest, upload).await?,
        SessionState::Spent { .. } | SessionState::Expired { digest: None } => None,
    };
    let bytes = wharf_store::write::sweep(core.data.as_ref(), upload, keep.as_ref()).await?;
    core.records.delete(&repository.session_key(upload).to_string()).await?;
    Ok(Outcome::Finished(Done::Upload { bytes }))
}

/// Expires a session and drops what it wrote. Its record stays for another grace time, and is looked at once more then: a request
/// that was under way may have written until it noticed.
async fn expire(
    repository: &Repository,
    upload: &Family,
    cell: &Cell<Session>,
    digest: Option<Digest>,
) -> Result<Outcome> {
    let core = &repository.core;
    let expired = SessionState::Expired { digest: digest.clone() };
    if repository.swap_session(upload, cell, expired).await?.is_none() {
        return Ok(Outcome::Again);
    }
    let keep = match digest {
        Some(digest) => stop_commit(core, upload, &digest).await?,
        None => None,
    };
    let bytes = wharf_store::write::sweep(core.data.as_ref(), upload, keep.as_ref()).await?;
    Ok(Outcome::Later(core.due(), Wait::Expired { bytes }))
}

/// Makes a committer that stalled after it looked at the session lose its swap of the blob's record. Then what that record names is
/// final: answers the session's own bytes if they serve.
async fn stop_commit(core: &Arc<Core>, upload: &Family, digest: &Digest) -> Result<Option<Generation>> {
    let mut backoff = Backoff::new();
    while backoff.goes_on() {
        let cell = blob_record::load(core, digest).await?;
        let same = match &cell {
            Some(cell) => cell.value.turned(core, cell.value.state),
            None => BlobRecord { state: BlobState::Gone, generation: upload.first(), size: 0, nonce: core.id() },
        };
        if matches!(blob_record::swap(core, digest, cell.as_ref(), &same).await?, Swap::Done(_)) {
            due::put(core, Due::Blob(digest.clone())).await?;
            return named(core, digest, upload).await;
        }
        backoff.pause(core).await;
    }
    Err(Error::Contended(digest.to_string()))
}

/// The bytes of this session that serve as the blob.
async fn named(core: &Core, digest: &Digest, upload: &Family) -> Result<Option<Generation>> {
    let cell = blob_record::load(core, digest).await?;
    let serves = cell.filter(|cell| cell.value.state != BlobState::Gone).map(|cell| cell.value.generation);
    Ok(serves.filter(|generation| generation.family() == *upload))
}
