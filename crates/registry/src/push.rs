//! Pushing and deleting manifests.
//!
//! The order of a push is what makes it safe beside a collector that knows nothing of it: due entry, then bytes and holds, **then**
//! a look at every blob's record, then the swap of the root. A collector condemns a blob before it looks at the holds, so that one
//! of the two sees the other; and it fences the repository before it calls a hold dead, so that a push which stalled in between
//! has to begin again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wharf_oci::{Algorithm, Digest, Manifest, Reference, Tag};
use wharf_store::{Generation, ahead};

use crate::backoff::Backoff;
use crate::blob_record;
use crate::breaks::Break;
use crate::due::{self, Due};
use crate::error::{Error, Result};
use crate::hold::{self, Holds};
use crate::key::Id;
use crate::pull;
use crate::registry::Repository;
use crate::repository::{
    Change, Committed, Expected, ManifestEntry, Push, ReferrerEntry, Refusal, Removal, TagPush, View,
};

/// A manifest to push.
#[derive(Clone, Debug)]
pub struct ManifestPush {
    /// The document, at most [`wharf_oci::MAX_MANIFEST_BYTES`].
    pub bytes: Bytes,
    /// From `Content-Type`, without parameters; `None` takes the document's own `mediaType`.
    pub media_type: Option<String>,
    /// The digest in the request's path. The bytes must have it.
    pub digest: Option<Digest>,
    /// Tags to set, in the same change.
    pub tags: BTreeSet<Tag>,
    /// What the pusher may not do with some of them. Looked at in the very version that the change is made to.
    pub limits: BTreeMap<Tag, TagLimit>,
    /// Who pushes, for the record.
    pub by: Option<String>,
}

/// What a pusher may not do with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagLimit {
    /// Let it name another manifest where it is there.
    OnlyNew,
    /// Make it where it is not there.
    OnlyExisting,
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Its subject, for `OCI-Subject`.
    pub subject: Option<Digest>,
}

/// A manifest on its way, the same in all its attempts.
struct Pushing {
    bytes: Bytes,
    manifest: Manifest,
    blobs: Vec<Digest>,
    tags: TagPush,
}

/// One attempt: what it has put and may have to withdraw.
struct Attempt {
    push: Id,
    generation: Generation,
    due: due::Place,
}

impl Repository {
    /// Pushes a manifest, its tags and its referrer entry, together or not at all (distribution-spec, "Pushing Manifests").
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`], [`Error::DigestMismatch`] or [`Error::ManifestBlobUnknown`] where the document or what it needs is
    /// wrong. When the store fails, it is not known whether the manifest was pushed; pushing it again is harmless.
    pub async fn push_manifest(&self, push: ManifestPush) -> Result<Pushed> {
        let algorithm = push.digest.as_ref().map_or(Algorithm::Sha256, Digest::algorithm);
        let digest = algorithm.digest(&push.bytes);
        if let Some(expected) = push.digest.filter(|expected| *expected != digest) {
            return Err(Error::DigestMismatch { expected, actual: digest });
        }
        let manifest = Manifest::parse(&push.bytes, push.media_type.as_deref())?;
        let pushing = Pushing {
            blobs: manifest.blobs.iter().cloned().collect(),
            bytes: push.bytes,
            manifest,
            tags: TagPush { digest, tags: push.tags, limits: push.limits, by: push.by },
        };
        self.push_until_settled(&pushing).await?;
        self.core.manifests.insert(pushing.tags.digest.clone(), pushing.bytes);
        Ok(Pushed { digest: pushing.tags.digest, subject: pushing.manifest.subject })
    }

    /// Tries until the push is in the root or refused, and withdraws every attempt of which it is known that it never will be.
    async fn push_until_settled(&self, pushing: &Pushing) -> Result<()> {
        let mut stale = Vec::new();
        let result = self.try_push(pushing, &mut stale).await;
        self.withdraw_behind(pushing, stale);
        result
    }

    async fn try_push(&self, pushing: &Pushing, stale: &mut Vec<Attempt>) -> Result<()> {
        let mut backoff = Backoff::new();
        while backoff.goes_on() {
            let expected = self.handle().expect();
            let (view, missing) = self.look(pushing).await?;
            let is_there = match &view {
                Some(view) => view.manifest(&pushing.tags.digest).await?.is_some(),
                None => false,
            };
            if is_there {
                if self.retag(pushing, expected).await? {
                    return Ok(());
                }
                backoff.pause(&self.core).await;
                continue;
            }
            if !missing.is_empty() {
                return Err(Error::ManifestBlobUnknown(missing));
            }
            let fence = view.as_ref().map_or(0, |view| view.root.fence);
            let early = match self.core.broken(Break::HoldAfterLook) {
                true => Some(self.look_at_blobs(pushing).await?),
                false => None,
            };
            let attempt = match stale.pop() {
                Some(attempt) if self.core.broken(Break::RetryUnderOldPush) => attempt,
                other => {
                    stale.extend(other);
                    self.prepare(pushing).await?
                }
            };
            let missing = match early {
                Some(missing) => missing,
                None => self.look_at_blobs(pushing).await?,
            };
            if !missing.is_empty() {
                stale.push(attempt);
                return Err(Error::ManifestBlobUnknown(missing));
            }
            let change = self.change(pushing, &attempt, fence);
            match self.handle().commit_expected(&self.core, change, Some(expected)).await {
                Ok(Committed::Done) => {
                    self.finish_behind(attempt);
                    return Ok(());
                }
                Ok(Committed::Already | Committed::Present(_)) => {
                    stale.push(attempt);
                    return Ok(());
                }
                // The old holds are withdrawn last: after those of the next attempt are in place.
                Err(Refusal::Fenced) => stale.push(attempt),
                Err(refusal) => {
                    let error = refused(refusal, &pushing.tags.digest, self);
                    if matches!(
                        error,
                        Error::ManifestBlobUnknown(_) | Error::ManifestUnknown(_) | Error::TagDenied { .. }
                    ) {
                        stale.push(attempt);
                    }
                    return Err(error);
                }
            }
            backoff.pause(&self.core).await;
        }
        Err(Error::Contended(self.name.to_string()))
    }

    /// The current version, and which of the blobs the repository does not hold. One wave of reads.
    async fn look(&self, pushing: &Pushing) -> Result<(Option<View>, Vec<Digest>)> {
        let lists = pushing.blobs.iter().map(|digest| Holds::list(&self.core, digest, &self.name));
        let (view, lists) =
            futures::future::try_join(self.view(), async { Ok(futures::future::try_join_all(lists).await?) }).await?;
        let mut missing = Vec::new();
        for (digest, holds) in pushing.blobs.iter().zip(lists) {
            if holds.judge(view.as_ref()).await?.is_none() {
                missing.push(digest.clone());
            }
        }
        Ok((view, missing))
    }

    /// Sets the tags of a manifest that is there. `false` when it no longer is.
    async fn retag(&self, pushing: &Pushing, expected: Expected) -> Result<bool> {
        if pushing.tags.tags.is_empty() {
            return Ok(true);
        }
        match self.handle().commit_expected(&self.core, Change::SetTags(pushing.tags.clone()), Some(expected)).await {
            Ok(_) => Ok(true),
            Err(Refusal::Absent) => Ok(false),
            Err(refusal) => Err(refused(refusal, &pushing.tags.digest, self)),
        }
    }

    /// The due entry, then the bytes and the holds, under a fresh push id.
    async fn prepare(&self, pushing: &Pushing) -> Result<Attempt> {
        let core = &*self.core;
        let push = if core.broken(Break::SharedPushId) { Id::new(core.now() >> 16 << 16, 0) } else { core.id() };
        let generation = core.family().first();
        let due = Due::Push {
            repository: self.name.clone(),
            manifest: pushing.tags.digest.clone(),
            push,
            generation: generation.clone(),
            blobs: pushing.blobs.clone(),
        };
        let due = ahead(due::put(core, due)).await?;
        let bytes = core.data.put(&generation, vec![pushing.bytes.clone()]);
        let holds = hold::put_all(core, &self.name, &pushing.blobs, &pushing.tags.digest, push);
        futures::future::try_join(bytes, ahead(holds)).await?;
        Ok(Attempt { push, generation, due })
    }

    /// Sees that every blob is live, after the holds are in place. Answers which are not.
    async fn look_at_blobs(&self, pushing: &Pushing) -> Result<Vec<Digest>> {
        let looks = pushing.blobs.iter().map(|digest| blob_record::ensure_live(&self.core, digest));
        let found = futures::future::try_join_all(looks).await?;
        let missing = pushing.blobs.iter().zip(found).filter(|(_, live)| live.is_none());
        Ok(missing.map(|(digest, _)| digest.clone()).collect())
    }

    fn change(&self, pushing: &Pushing, attempt: &Attempt, fence: u64) -> Change {
        let size = pushing.bytes.len() as u64;
        let manifest = &pushing.manifest;
        Change::Push(Box::new(Push {
            fence,
            entry: ManifestEntry {
                push: attempt.push,
                generation: attempt.generation.clone(),
                size,
                media_type: manifest.media_type.clone(),
                subject: manifest.subject.clone(),
                at: self.core.now(),
                by: pushing.tags.by.clone(),
            },
            children: manifest.children.clone(),
            referrer: manifest.subject.is_some().then(|| ReferrerEntry::new(manifest, size)),
            tags: pushing.tags.clone(),
        }))
    }

    /// Behind the answer: the push is in the root, its due entry has nothing left to find.
    fn finish_behind(&self, done: Attempt) {
        let this = self.clone();
        self.core.tasks.spawn(async move {
            if let Err(e) = ahead(due::remove(&this.core, done.due)).await {
                tracing::debug!(repository = %this.name, error = %e, "a work-list entry stays for the collector");
            }
        });
    }

    /// Behind the answer: withdraws what attempts put that never became part of the root. What stays is found by their due entries.
    fn withdraw_behind(&self, pushing: &Pushing, stale: Vec<Attempt>) {
        if stale.is_empty() {
            return;
        }
        let (this, blobs, digest) = (self.clone(), pushing.blobs.clone(), pushing.tags.digest.clone());
        self.core.tasks.spawn(async move {
            for attempt in stale {
                if let Err(e) = this.withdraw(&blobs, &digest, &attempt).await {
                    tracing::debug!(repository = %this.name, error = %e, "an unfinished push stays for the collector");
                }
            }
        });
    }

    async fn withdraw(&self, blobs: &[Digest], digest: &Digest, attempt: &Attempt) -> Result<()> {
        hold::withdraw_all(&self.core, &self.name, blobs, digest, attempt.push).await?;
        self.core.data.delete(&attempt.generation).await?;
        Ok(due::remove(&self.core, attempt.due).await?)
    }

    /// Deletes a tag, or a manifest with all its tags (distribution-spec, "Deleting Tags", "Deleting Manifests").
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`] where there is none; [`Error::InUse`] while an index of the repository lists it.
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<()> {
        match reference {
            Reference::Tag(tag) => {
                self.existing().await?;
                let answer = self.handle().commit(&self.core, Change::DeleteTag(tag.clone())).await;
                answer.map(drop).map_err(|refusal| match refusal {
                    Refusal::Absent => Error::ManifestUnknown(tag.to_string()),
                    other => refused(other, &Algorithm::Sha256.digest(b""), self),
                })
            }
            Reference::Digest(digest) => self.delete_by_digest(digest, usize::MAX).await,
        }
    }

    /// Deletes a manifest as [`Repository::delete_manifest`] does, if no more than one tag names it.
    ///
    /// # Errors
    /// As there; and [`Error::Shared`].
    pub async fn delete_unshared_manifest(&self, digest: &Digest) -> Result<()> {
        self.delete_by_digest(digest, 1).await
    }

    async fn delete_by_digest(&self, digest: &Digest, most_tags: usize) -> Result<()> {
        let mut backoff = Backoff::new();
        let mut found_before = false;
        while backoff.goes_on() {
            let view = self.existing().await?;
            let Some(entry) = view.manifest(digest).await? else {
                // Somebody else deleted it while this was trying to: that is what was asked for.
                return if found_before { Ok(()) } else { Err(Error::ManifestUnknown(digest.to_string())) };
            };
            found_before = true;
            let bytes = pull::read_manifest(&self.core, digest, &entry).await?;
            let manifest = pull::parse_stored(digest, &bytes, &entry)?;
            let blobs: Vec<Digest> = manifest.blobs.into_iter().collect();
            if !self.core.broken(Break::DueAfterSwap) {
                self.put_dues_of_removal(digest, &entry, &blobs).await?;
            }
            if self.core.broken(Break::HoldsBeforeRoot) {
                hold::withdraw_all(&self.core, &self.name, &blobs, digest, entry.push).await?;
            }
            let removal = Removal {
                digest: digest.clone(),
                push: entry.push,
                kept: view.root.kept,
                children: manifest.children,
                subject: manifest.subject,
                most_tags,
            };
            match self.handle().commit(&self.core, Change::DeleteManifest(Box::new(removal))).await {
                Ok(_) => {
                    if self.core.broken(Break::DueAfterSwap) {
                        self.put_dues_of_removal(digest, &entry, &blobs).await?;
                    }
                    self.clear_behind(digest.clone(), entry, blobs);
                    return Ok(());
                }
                // Under another push, or gone, or a collector was there: look again, and put fresh due entries.
                Err(Refusal::Absent | Refusal::Fenced) => backoff.pause(&self.core).await,
                Err(refusal) => return Err(refused(refusal, digest, self)),
            }
        }
        Err(Error::Contended(self.name.to_string()))
    }

    /// Before the swap: should this stop half-way, the collector finds what is left.
    async fn put_dues_of_removal(&self, digest: &Digest, entry: &ManifestEntry, blobs: &[Digest]) -> Result<()> {
        let core = &*self.core;
        let push = Due::Push {
            repository: self.name.clone(),
            manifest: digest.clone(),
            push: entry.push,
            generation: entry.generation.clone(),
            blobs: blobs.to_vec(),
        };
        let dues = blobs.iter().map(|blob| Due::Blob(blob.clone())).chain([push]);
        ahead(futures::future::try_join_all(dues.map(|d| due::put(core, d)))).await?;
        Ok(())
    }

    /// Behind the answer: the holds and the bytes of a manifest that is no longer in the root.
    fn clear_behind(&self, digest: Digest, entry: ManifestEntry, blobs: Vec<Digest>) {
        let this = self.clone();
        self.core.tasks.spawn(async move {
            let cleared = async {
                hold::withdraw_all(&this.core, &this.name, &blobs, &digest, entry.push).await?;
                this.core.data.delete(&entry.generation).await
            };
            if let Err(e) = cleared.await {
                tracing::debug!(repository = %this.name, error = %e, "a deleted manifest's holds stay for the collector");
            }
        });
    }
}

/// A refused change as its caller sees it.
fn refused(refusal: Refusal, digest: &Digest, repository: &Repository) -> Error {
    match refusal {
        Refusal::MissingChildren(missing) => Error::ManifestBlobUnknown(missing),
        Refusal::Absent => Error::ManifestUnknown(digest.to_string()),
        Refusal::ListedBy(by) => Error::InUse { what: digest.clone(), by },
        Refusal::TagDenied { tag, exists } => Error::TagDenied { tag, exists },
        Refusal::Shared(tags) => Error::Shared { what: digest.clone(), tags },
        Refusal::Fenced | Refusal::Contended => Error::Contended(repository.name.to_string()),
        Refusal::Store(error) => Error::Commit(error),
    }
}
