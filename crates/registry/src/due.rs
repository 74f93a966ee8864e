//! The collector's work list: what may have become garbage, and when to look.
//!
//! Every path that could leave something behind puts an entry here *before* it begins, so that whatever a crash leaves is found by
//! looking at the list and never by walking the registry.

use serde::{Deserialize, Serialize};
use wharf_oci::{Digest, RepositoryName};
use wharf_store::{Family, Generation, StoreResult};

use crate::core::Core;
use crate::env::Seconds;
use crate::key::{Id, Key};
use crate::record;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Due {
    /// A blob that may have lost its last holder.
    Blob(Digest),
    /// A lease that runs out, and its blob.
    Lease { digest: Digest, repository: RepositoryName, due: Seconds, id: Id },
    /// A push of a manifest: if it never became part of the root, or no longer is, its holds and its bytes go.
    Push { repository: RepositoryName, manifest: Digest, push: Id, generation: Generation, blobs: Vec<Digest> },
    /// An upload session that may have expired, or has ended and left parts behind.
    Upload {
        repository: RepositoryName,
        upload: Family,
        /// A collector has looked and found no record of the session, which may have been still to come.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        missed: bool,
    },
    /// Segments that the root may never have named, or may name no more, once it has this version.
    Segments { repository: RepositoryName, version: u64, ids: Vec<Id> },
}

/// Where an entry stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) time: Seconds,
    pub(crate) id: Id,
}

impl Place {
    fn key(self) -> Key {
        Key::Due(self.time, self.id)
    }
}

impl Due {
    /// The entry of an upload session.
    pub(crate) const fn upload(repository: RepositoryName, upload: Family) -> Self {
        Self::Upload { repository, upload, missed: false }
    }
}

/// Puts an entry that is due after the grace time.
pub(crate) async fn put(core: &Core, due: Due) -> StoreResult<Place> {
    let place = Place { time: core.due(), id: core.id() };
    put_at(core, place, &due).await?;
    Ok(place)
}

/// Puts an entry at a place, where it may be already.
pub(crate) async fn put_at(core: &Core, place: Place, due: &Due) -> StoreResult<()> {
    record::create(core.records.as_ref(), &place.key(), due).await.map(drop)
}

/// Takes an entry off the list.
pub(crate) async fn remove(core: &Core, place: Place) -> StoreResult<()> {
    core.records.delete(&place.key().to_string()).await
}
