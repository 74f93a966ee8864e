//! Making a blob of a finished upload session: one digest, one generation, whoever comes first.

use wharf_oci::Digest;
use wharf_store::{Generation, StoreError, ahead};

use crate::backoff::Backoff;
use crate::blob::StoredBlob;
use crate::blob_record::{self, BlobRecord, BlobState};
use crate::breaks::Break;
use crate::due::{self, Place};
use crate::error::{Error, Result};
use crate::hold;
use crate::key::Id;
use crate::record::{Cell, Swap};
use crate::registry::Repository;
use crate::upload::{Closing, Session, SessionState, UploadId};

/// A commit under way: what it wants to make the blob's bytes.
struct Commit<'a> {
    upload: &'a UploadId,
    digest: &'a Digest,
    committer: Id,
    generation: Generation,
    size: u64,
}

impl Repository {
    /// Commits a session once it is `closing`. `in_doubt` when another committer may have come far before.
    ///
    /// The lease is put after the session is closing, so that whoever lets the session expire has the digest looked at; and before the
    /// blob's record is looked at. The session is looked at again before the record is written. So neither a collector nor whoever
    /// lets the session expire can be missed.
    pub(crate) async fn commit_upload(
        &self,
        upload: &UploadId,
        digest: &Digest,
        closing: impl Future<Output = Result<Closing>>,
        in_doubt: bool,
    ) -> Result<StoredBlob> {
        let core = &*self.core;
        let (closing, lease) = futures::future::join(closing, hold::announce(core, digest, &self.name)).await;
        let (closing, lease) = (closing?, lease?);
        let whole = closing.written.complete(core.data.as_ref());
        // What is written from here on is ahead of the due entry that is put again.
        let put = ahead(hold::lease_at(core, digest, &self.name, lease));
        let (whole, put) = futures::future::join(whole, put).await;
        put?;
        let Closing { committer, cell, written } = closing;
        let generation = match whole {
            Ok(generation) => generation,
            Err(StoreError::NotFound { .. } | StoreError::Refused { .. }) => {
                // Another request wrote over parts that this session names: nothing can be made of it, the client begins anew.
                hold::release(core, digest, &self.name, lease).await?;
                self.give_up(upload, &cell, digest).await?;
                return Err(Error::UploadUnknown);
            }
            Err(e) => return Err(e.into()),
        };
        let commit = Commit { upload, digest, committer, generation, size: written.length() };
        let record = match ahead(self.settle_blob(&commit, in_doubt)).await {
            Ok(record) => record,
            Err(e) => {
                if e.is_definite() {
                    hold::release(core, digest, &self.name, lease).await?;
                }
                return Err(e);
            }
        };
        self.put_due_again(digest, lease).await?;
        ahead(self.end_session(&commit, &record, cell)).await;
        Ok(StoredBlob::new(digest, &record))
    }

    /// Puts the due entry of a lease once more, for a collector may have looked at the first one while the blob's record was not yet
    /// live. At another place: that collector may be about to take the first one off. It goes behind the answer.
    ///
    /// It is there before the answer, and so is all that was written ahead of it.
    async fn put_due_again(&self, digest: &Digest, lease: Place) -> Result<()> {
        let again = Place { time: lease.time, id: self.core.id() };
        due::put_at(&self.core, again, &hold::lease_due(digest, &self.name, lease)).await?;
        let this = self.clone();
        self.core.tasks.spawn(async move {
            if let Err(e) = ahead(due::remove(&this.core, lease)).await {
                tracing::debug!(repository = %this.name, error = %e, "a work-list entry stays for the collector");
            }
        });
        Ok(())
    }

    /// Expires a closing session whose bytes cannot be made whole. No record of a blob ever named them.
    async fn give_up(&self, upload: &UploadId, cell: &Cell<Session>, digest: &Digest) -> Result<()> {
        let expired = SessionState::Expired { digest: Some(digest.clone()) };
        self.swap_session(upload, cell, expired).await.map(drop)
    }

    /// Makes the blob live with this commit's bytes, or finds that others serve.
    async fn settle_blob(&self, commit: &Commit<'_>, mut in_doubt: bool) -> Result<BlobRecord> {
        let core = &*self.core;
        let mut backoff = Backoff::new();
        while backoff.goes_on() {
            let known = blob_record::load(core, commit.digest).await?;
            let (known, wanted) = match known {
                Some(cell) if cell.value.state == BlobState::Live => {
                    if in_doubt {
                        self.see_bytes(&cell.value).await?;
                    }
                    return Ok(cell.value);
                }
                Some(cell) if cell.value.state == BlobState::Condemned => {
                    let rescued = cell.value.turned(core, BlobState::Live);
                    (Some(cell), rescued)
                }
                other => {
                    self.still_closing(commit).await?;
                    if let Some(cell) = &other {
                        if cell.value.generation == commit.generation {
                            return Err(Error::UploadUnknown);
                        }
                        core.data.delete(&cell.value.generation).await?;
                    }
                    let fresh = BlobRecord {
                        state: BlobState::Live,
                        generation: commit.generation.clone(),
                        size: commit.size,
                        nonce: core.id(),
                    };
                    (other, fresh)
                }
            };
            match blob_record::swap(core, commit.digest, known.as_ref(), &wanted).await {
                Ok(Swap::Done(_)) => return Ok(wanted),
                Ok(Swap::Lost) => {}
                Err(e) if e.is_transient() => {}
                Err(e) => return Err(e.into()),
            }
            in_doubt = true;
            backoff.pause(core).await;
        }
        Err(Error::Contended(commit.digest.to_string()))
    }

    /// The session must still be closing, and by this committer.
    async fn still_closing(&self, commit: &Commit<'_>) -> Result<()> {
        if self.core.broken(Break::NoSessionLook) {
            return Ok(());
        }
        match self.load_session(commit.upload).await?.value.state {
            SessionState::Closing { committer, .. } if committer == commit.committer => Ok(()),
            // Whoever took over makes the blob; the client asks again.
            SessionState::Closing { .. } | SessionState::Done { .. } | SessionState::Spent { .. } => {
                Err(Error::Contended(format!("the upload {}", commit.upload)))
            }
            SessionState::Open { .. } | SessionState::Expired { .. } => Err(Error::UploadUnknown),
        }
    }

    /// A record that somebody else wrote meanwhile must name bytes that exist.
    async fn see_bytes(&self, record: &BlobRecord) -> Result<()> {
        match self.core.data.size(&record.generation).await? {
            Some(size) if size == record.size => Ok(()),
            _ => Err(Error::UploadUnknown),
        }
    }

    /// Ends the session. Its record stays until its due entry comes up, so that whatever it wrote beside the blob is swept then; it
    /// also answers a client that asks again. When other bytes serve, its own are dropped, but only once the record says so.
    async fn end_session(&self, commit: &Commit<'_>, record: &BlobRecord, cell: Cell<Session>) {
        let is_own = record.generation == commit.generation;
        let digest = commit.digest.clone();
        let state = if is_own {
            SessionState::Done { digest, generation: commit.generation.clone() }
        } else {
            SessionState::Spent { digest }
        };
        match self.swap_session(commit.upload, &cell, state).await {
            Ok(Some(_)) if !is_own || self.core.broken(Break::OwnBytesDropped) => {
                self.sweep_behind(commit.upload.clone())
            }
            Ok(_) => {}
            Err(e) => {
                tracing::debug!(repository = %self.name, error = %e, "an ended upload stays for the collector");
            }
        }
    }
}
