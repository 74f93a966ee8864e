//! Repairs: steps of the protocol and nothing else.
//!
//! - What a collector should have looked at is put on the work list, under a fresh id and due at once: the collector judges, fences and
//!   deletes as it always does, and finds out where this walk was wrong. An entry too many costs one look.
//! - A hold that is missing is put back as a push puts it: work-list entry, hold, **then** a look at the blob's record. The entry is that
//!   of the push, so that a deletion which came in between finds its hold taken off again.
//! - Data and unfinished uploads that nothing names are deleted: see `data` and `unfinished` for why nothing can come to name them. No
//!   work-list entry could say more, since a collector would have to walk everything again.
//!
//! What is lost cannot be made again. It is reported, and left as it is; and data that nothing names are then left as well.

use std::collections::BTreeSet;

use wharf_oci::{Digest, RepositoryName};

use super::event::{Finding, Kind, Repair};
use super::{Event, Walk};
use crate::blob_record;
use crate::due::{self, Due, Place};
use crate::error::Result;
use crate::hold;
use crate::key::{Holder, Id, Key};
use crate::pull;

impl Walk {
    /// Makes a finding of what is wrong, and repairs it if that is asked for. Where something is lost, data that nothing names stay: they
    /// may be all that is left of it.
    pub(super) async fn treat(&self, kind: Kind, is_whole: bool) -> Finding {
        let severity = kind.severity();
        let repair = match self.options.repair {
            false => Repair::Open,
            true if !is_whole && matches!(kind, Kind::StrayData { .. }) => Repair::Manual,
            true => match self.repair(&kind).await {
                Ok(repair) => repair,
                Err(e) => {
                    self.say(Event::Skipped { reason: format!("the repair of the next finding: {e}") }).await;
                    Repair::Open
                }
            },
        };
        Finding { severity, repair, kind }
    }

    async fn repair(&self, kind: &Kind) -> Result<Repair> {
        match kind {
            Kind::BlobCondemned { blob } | Kind::UnheldBlob { blob, .. } | Kind::GoneBytes { blob, .. } => {
                self.queue(Due::Blob(blob.clone())).await
            }
            Kind::StrayHold { repository, manifest, push, blob } => match push.parse() {
                Ok(push) => self.queue(self.push_of(repository, manifest, push, blob)).await,
                Err(_) => Ok(Repair::Manual),
            },
            Kind::StrayLease { key, .. } => self.queue_lease(key).await,
            Kind::StraySegment { repository, segment } => match segment.parse() {
                Ok(id) => self.queue_segment(repository, id).await,
                Err(_) => Ok(Repair::Manual),
            },
            Kind::ForgottenSession { repository, upload } => match upload.parse() {
                Ok(upload) => self.queue(Due::upload(repository.clone(), upload)).await,
                Err(_) => Ok(Repair::Manual),
            },
            Kind::HoldMissing { repository, manifest, blob } => self.restore_hold(repository, manifest, blob).await,
            Kind::StrayData { generation, .. } => {
                self.core.data.delete(generation).await?;
                Ok(Repair::Removed)
            }
            Kind::StrayUpload { generation, upload } => {
                self.core.data.abort(generation, upload).await?;
                Ok(Repair::Removed)
            }
            Kind::ManifestLost { .. }
            | Kind::ChildLost { .. }
            | Kind::TagLost { .. }
            | Kind::BlobLost { .. }
            | Kind::BytesLost { .. }
            | Kind::BytesDamaged { .. }
            | Kind::SegmentLost { .. }
            | Kind::Unreadable { .. } => Ok(Repair::Manual),
        }
    }

    /// Puts an entry that is due now.
    async fn queue(&self, due: Due) -> Result<Repair> {
        let place = Place { time: self.core.now(), id: self.core.id() };
        due::put_at(&self.core, place, &due).await?;
        Ok(Repair::Queued)
    }

    /// The work of a push whose own entry is gone, and with it where its bytes were: they are found as data that nothing names. The id
    /// that stands here instead was never used.
    fn push_of(&self, repository: &RepositoryName, manifest: &Digest, push: Id, blob: &Digest) -> Due {
        Due::Push {
            repository: repository.clone(),
            manifest: manifest.clone(),
            push,
            generation: self.core.family().first(),
            blobs: vec![blob.clone()],
        }
    }

    /// The entry of a lease stands at the same place.
    async fn queue_lease(&self, key: &str) -> Result<Repair> {
        let Ok(Key::Hold(digest, repository, Holder::Lease { due, id })) = key.parse() else {
            return Ok(Repair::Manual);
        };
        let place = Place { time: due, id };
        due::put_at(&self.core, place, &hold::lease_due(&digest, &repository, place)).await?;
        Ok(Repair::Queued)
    }

    /// For a version that the root does not have yet: the collector makes it, so that a swap which might still name the segment is
    /// lost.
    async fn queue_segment(&self, repository: &RepositoryName, id: Id) -> Result<Repair> {
        let version = self.view(repository).await?.map_or(0, |view| view.root.version) + 1;
        self.queue(Due::Segments { repository: repository.clone(), version, ids: vec![id] }).await
    }

    async fn restore_hold(&self, repository: &RepositoryName, manifest: &Digest, blob: &Digest) -> Result<Repair> {
        let entry = match self.view(repository).await? {
            Some(view) => view.manifest(manifest).await?,
            None => None,
        };
        let Some(entry) = entry else { return Ok(Repair::Moot) };
        let bytes = pull::read_manifest(&self.core, manifest, &entry).await?;
        let needs: BTreeSet<Digest> = pull::parse_stored(manifest, &bytes, &entry)?.blobs;
        if !needs.contains(blob) {
            return Ok(Repair::Moot);
        }
        let due = Due::Push {
            repository: repository.clone(),
            manifest: manifest.clone(),
            push: entry.push,
            generation: entry.generation,
            blobs: needs.into_iter().collect(),
        };
        self.queue(due).await?;
        hold::put_all(&self.core, repository, std::slice::from_ref(blob), manifest, entry.push).await?;
        match blob_record::ensure_live(&self.core, blob).await? {
            Some(_) => Ok(Repair::Restored),
            None => Ok(Repair::Manual),
        }
    }
}
