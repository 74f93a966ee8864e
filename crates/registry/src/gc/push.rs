//! Collecting what a push left that never became part of its repository, or no longer is.

use std::sync::Arc;

use wharf_oci::{Digest, RepositoryName};
use wharf_store::Generation;

use super::{Done, Outcome, refused};
use crate::core::Core;
use crate::error::Result;
use crate::hold;
use crate::key::{Id, Key};
use crate::repository::{Change, Committed, Handle};

/// What a push put before it was committed.
pub(crate) struct Unfinished<'a> {
    pub(crate) manifest: &'a Digest,
    pub(crate) push: Id,
    pub(crate) generation: &'a Generation,
    pub(crate) blobs: &'a [Digest],
}

/// Looks at a push. It is dead only after a fence.
pub(crate) async fn collect(core: &Arc<Core>, repository: &RepositoryName, left: &Unfinished<'_>) -> Result<Outcome> {
    let handle = Handle::of(core, repository);
    if let Some(view) = handle.view(core).await?
        && view.manifest(left.manifest).await?.is_some_and(|entry| entry.push == left.push)
    {
        // A removal that put this entry and has not swapped yet puts it again.
        return match handle.commit(core, Change::Keep(left.manifest.clone(), left.push)).await {
            Ok(_) => Ok(Outcome::Finished(Done::Committed)),
            Err(refusal) => refused(refusal),
        };
    }
    match handle.commit(core, Change::Fence(vec![(left.manifest.clone(), left.push)])).await {
        Ok(Committed::Present(present)) if present == [true] => return Ok(Outcome::Again),
        Ok(_) => {}
        Err(refusal) => return refused(refusal),
    }
    hold::withdraw_all(core, repository, left.blobs, left.manifest, left.push).await?;
    core.data.delete(left.generation).await?;
    Ok(Outcome::Finished(Done::Push))
}

/// Looks at segments that a commit wrote or replaced.
pub(crate) async fn collect_segments(
    core: &Arc<Core>,
    repository: &RepositoryName,
    version: u64,
    ids: &[Id],
) -> Result<Outcome> {
    let handle = Handle::of(core, repository);
    let view = handle.view(core).await?;
    // The swap that would have named them made, or would make, that version. Behind it nothing can name them anew.
    let is_behind = view.as_ref().is_some_and(|view| view.root.version >= version);
    let present = match view {
        Some(view) if is_behind => {
            let named = view.named_segments().await?;
            ids.iter().map(|id| named.contains(id)).collect()
        }
        _ => match handle.commit(core, Change::Touch(ids.to_vec())).await {
            Ok(Committed::Present(present)) => present,
            Ok(_) => return Ok(Outcome::Again),
            Err(refusal) => return refused(refusal),
        },
    };
    let mut deleted = 0;
    for (id, _) in ids.iter().zip(present).filter(|(_, named)| !named) {
        core.records.delete(&Key::Segment(repository.clone(), *id).to_string()).await?;
        deleted += 1;
    }
    Ok(Outcome::Finished(if deleted > 0 { Done::Segments(deleted) } else { Done::Nothing }))
}
