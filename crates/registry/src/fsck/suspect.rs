//! What looked wrong, and the second look that decides.
//!
//! Everything here is claimed, at any moment of its life, by a root or by an entry of the collectors' work list: the entry is put
//! before the thing itself, stays until the root names it, is put again before the root lets go of it, and goes after the thing is
//! gone. So the claims pass in one direction: entry, root, entry, nothing. Whoever looks for them in the order **list, root, list, and
//! then whether the thing is still there** meets one of them, whatever others do meanwhile: what the first list misses is in the
//! root or later; what the root misses then is back on the list or gone; what the second list misses then is gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wharf_oci::{Digest, RepositoryName};
use wharf_store::{ETag, Family, Generation};

use super::event::Kind;
use super::work_list::{self, Unread};
use super::{Looked, Walk, unreadable};
use crate::blob_record::{self, BlobState};
use crate::due::Due;
use crate::env::Seconds;
use crate::error::Result;
use crate::gc::judge::{Verdict, judge};
use crate::hold;
use crate::key::{Holder, Id, Key};
use crate::record;
use crate::repository::Handle;
use crate::upload::Session;

/// Something that looked wrong at first sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Suspect {
    /// An old hold whose push is in no root.
    Hold { repository: RepositoryName, manifest: Digest, push: Id, blob: Digest },
    /// A lease that is over.
    Lease { repository: RepositoryName, blob: Digest, due: Seconds, id: Id },
    /// A blob that nothing holds, at this version of its record.
    Blob { blob: Digest, etag: ETag },
    /// A blob that is condemned and needed, at this version of its record.
    Condemned { blob: Digest, etag: ETag },
    /// Bytes that a gone record names, at this version of it.
    Gone { blob: Digest, generation: Generation, etag: ETag },
    /// A segment that the root does not name.
    Segment { repository: RepositoryName, id: Id },
    /// A session that nobody touched for long, at this version of its record.
    Session { repository: RepositoryName, upload: Family, etag: ETag },
}

/// What an entry of the work list will look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Push(Id),
    Lease(Id),
    Blob(Digest),
    Segment(RepositoryName, Id),
    Upload(Family),
}

impl Suspect {
    /// The entry that would clear it.
    fn claim(&self) -> Claim {
        match self {
            Self::Hold { push, .. } => Claim::Push(*push),
            Self::Lease { id, .. } => Claim::Lease(*id),
            Self::Blob { blob, .. } | Self::Condemned { blob, .. } | Self::Gone { blob, .. } => {
                Claim::Blob(blob.clone())
            }
            Self::Segment { repository, id } => Claim::Segment(repository.clone(), *id),
            Self::Session { upload, .. } => Claim::Upload(upload.clone()),
        }
    }
}

/// Everything that the collector which works on this entry will look at.
fn claims(due: &Due) -> Vec<Claim> {
    match due {
        Due::Blob(digest) => vec![Claim::Blob(digest.clone())],
        Due::Lease { digest, id, .. } => vec![Claim::Lease(*id), Claim::Blob(digest.clone())],
        Due::Push { push, .. } => vec![Claim::Push(*push)],
        Due::Upload { upload, .. } => vec![Claim::Upload(upload.clone())],
        Due::Segments { repository, ids, .. } => ids.iter().map(|id| Claim::Segment(repository.clone(), *id)).collect(),
    }
}

/// Suspects by the claim that would clear them.
struct Open(BTreeMap<Claim, Vec<Suspect>>);

impl Open {
    fn new(suspects: Vec<Suspect>) -> Self {
        let mut open: BTreeMap<Claim, Vec<Suspect>> = BTreeMap::new();
        for suspect in suspects {
            open.entry(suspect.claim()).or_default().push(suspect);
        }
        Self(open)
    }

    /// Clears those that a collector will look at.
    async fn strike(&mut self, walk: &Walk) -> Result<Unread> {
        let open = &mut self.0;
        work_list::read(&walk.core, walk.options.at_once, |due| {
            for claim in claims(due) {
                open.remove(&claim);
            }
        })
        .await
    }

    fn into_suspects(self) -> Vec<Suspect> {
        self.0.into_values().flatten().collect()
    }
}

impl Walk {
    /// Looks again at everything that looked wrong, in the order that the module argues for.
    pub(super) async fn confirm(&self, suspects: Vec<Suspect>) -> Result<Looked> {
        let mut looked = Looked::default();
        let mut open = Open::new(suspects);
        for is_last in [false, true] {
            if open.0.is_empty() {
                return Ok(looked);
            }
            let unread = match open.strike(self).await {
                Ok(unread) => unread,
                Err(e) => {
                    looked.skipped.push(format!("{} suspects: {}", open.into_suspects().len(), unreadable(e)?));
                    return Ok(looked);
                }
            };
            if !unread.entries.is_empty() {
                // Any of the suspects may be the business of these entries.
                let left = open.into_suspects().len();
                looked.skipped.push(format!("{left} suspects, because entries of the work list cannot be read"));
                let unreadable = |(key, problem)| Kind::Unreadable { key, problem };
                looked.findings.extend(unread.entries.into_iter().map(unreadable));
                return Ok(looked);
            }
            let mut still = Looked::default();
            self.each(open.into_suspects(), &mut still, async |suspect| {
                let is_wrong = self.is_still_wrong(&suspect, is_last).await?;
                Ok(is_wrong.map_or_else(Looked::default, |kind| Looked {
                    findings: vec![kind],
                    suspects: vec![suspect],
                    ..Looked::default()
                }))
            })
            .await?;
            looked.skipped.extend(still.skipped);
            if is_last {
                looked.findings.extend(still.findings);
                return Ok(looked);
            }
            open = Open::new(still.suspects);
        }
        Ok(looked)
    }

    /// What is wrong with it, if anything still is: between the two readings of the list as the roots say, after the second as the
    /// thing itself does.
    async fn is_still_wrong(&self, suspect: &Suspect, is_last: bool) -> Result<Option<Kind>> {
        let (core, records) = (&self.core, self.core.records.as_ref());
        match suspect {
            Suspect::Hold { repository, manifest, push, blob } => {
                let is_there = if is_last {
                    let key = hold::push_key(blob, repository, manifest, *push).to_string();
                    records.get(&key).await?.is_some()
                } else {
                    let view = Handle::of(core, repository).view(core).await?;
                    let entry = match view {
                        Some(view) => view.manifest(manifest).await?,
                        None => None,
                    };
                    entry.is_none_or(|entry| entry.push != *push)
                };
                Ok(is_there.then(|| Kind::StrayHold {
                    repository: repository.clone(),
                    manifest: manifest.clone(),
                    push: push.to_string(),
                    blob: blob.clone(),
                }))
            }
            Suspect::Lease { repository, blob, due, id } => {
                let holder = Holder::Lease { due: *due, id: *id };
                let key = Key::Hold(blob.clone(), repository.clone(), holder).to_string();
                let is_there = records.get(&key).await?.is_some();
                Ok(is_there.then(|| Kind::StrayLease { repository: repository.clone(), blob: blob.clone(), key }))
            }
            Suspect::Blob { blob, etag } => {
                let cell = blob_record::load(core, blob).await?.filter(|cell| cell.etag == *etag);
                let Some(cell) = cell else { return Ok(None) };
                let is_unheld = matches!(judge(core, blob).await?, Verdict::Unheld(_));
                Ok(is_unheld.then(|| Kind::UnheldBlob { blob: blob.clone(), size: cell.value.size }))
            }
            Suspect::Condemned { blob, etag } => {
                let cell = blob_record::load(core, blob).await?.filter(|cell| cell.etag == *etag);
                Ok(cell.map(|_| Kind::BlobCondemned { blob: blob.clone() }))
            }
            Suspect::Gone { blob, generation, etag } => {
                let cell = blob_record::load(core, blob).await?;
                let is_same = cell.is_some_and(|cell| cell.etag == *etag && cell.value.state == BlobState::Gone);
                let size = if is_same { core.data.size(generation).await? } else { None };
                Ok(size.map(|size| Kind::GoneBytes { blob: blob.clone(), generation: generation.clone(), size }))
            }
            Suspect::Segment { repository, id } => {
                let is_there = if is_last {
                    records.get(&Key::Segment(repository.clone(), *id).to_string()).await?.is_some()
                } else {
                    match Handle::of(core, repository).view(core).await? {
                        Some(view) => !view.named_segments().await?.contains(id),
                        None => true,
                    }
                };
                Ok(is_there.then(|| Kind::StraySegment { repository: repository.clone(), segment: id.to_string() }))
            }
            Suspect::Session { repository, upload, etag } => {
                let key = Key::Upload(repository.clone(), upload.clone());
                let cell = record::load::<Session>(records, &key).await?.filter(|cell| cell.etag == *etag);
                Ok(cell.map(|_| Kind::ForgottenSession { repository: repository.clone(), upload: upload.to_string() }))
            }
        }
    }
}
