//! Blobs as a repository's clients see them: only what the repository holds.

use std::ops::Range;
use std::time::Duration;

use wharf_oci::{Digest, RepositoryName};
use wharf_store::{DataStream, Generation, ListRequest, Presign, StoreError, ahead};

use crate::blob_record::{self, BlobRecord, BlobState};
use crate::core::Needed;
use crate::due::{self, Due};
use crate::error::{Error, Result};
use crate::hold::{self, Held, Holds};
use crate::key::Key;
use crate::registry::Repository;
use crate::repository::View;

/// A blob that the repository holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its digest.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    pub(crate) generation: Generation,
}

impl StoredBlob {
    pub(crate) fn new(digest: &Digest, record: &BlobRecord) -> Self {
        Self { digest: digest.clone(), size: record.size, generation: record.generation.clone() }
    }
}

/// How many repositories a mount without `from` looks at.
const MOUNT_CANDIDATES: usize = 64;

impl Repository {
    /// The blob, if this repository holds it (distribution-spec, "Pulling blobs"). For GET.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] where it does not.
    pub async fn blob(&self, digest: &Digest) -> Result<StoredBlob> {
        let (blob, _) = self.find_blob(digest).await?;
        Ok(blob)
    }

    /// The blob, for HEAD: a client that is told "there" will not upload it, so that a blob which no manifest needs yet is kept for
    /// another grace time.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] where the repository does not hold it.
    pub async fn blob_for_push(&self, digest: &Digest) -> Result<StoredBlob> {
        match self.find_blob(digest).await? {
            (blob, Held::ByManifest { .. }) => Ok(blob),
            (_, Held::ByLease) => self.lease_blob(digest).await?.ok_or_else(|| Error::BlobUnknown(digest.clone())),
        }
    }

    async fn find_blob(&self, digest: &Digest) -> Result<(StoredBlob, Held)> {
        let core = &*self.core;
        let unknown = || Error::BlobUnknown(digest.clone());
        let cache_key = (self.name.clone(), digest.clone());
        if let Some(needed) = core.needed.get(&cache_key) {
            let view = self.view().await?.ok_or_else(unknown)?;
            if let Some(found) = still_needed(&view, digest, needed).await? {
                return Ok(found);
            }
        }
        let (view, holds, record) = futures::future::try_join3(
            self.view(),
            async { Ok(Holds::list(core, digest, &self.name).await?) },
            async { Ok(blob_record::load(core, digest).await?) },
        )
        .await?;
        let record = record.filter(|r| r.value.state != BlobState::Gone).ok_or_else(unknown)?.value;
        let held = holds.judge(view.as_ref()).await?.ok_or_else(unknown)?;
        if let Held::ByManifest { manifest, push } = &held {
            let (generation, size) = (record.generation.clone(), record.size);
            core.needed.insert(cache_key, Needed { manifest: manifest.clone(), push: *push, generation, size });
        }
        Ok((StoredBlob::new(digest, &record), held))
    }

    /// Bytes of a blob; the range lies within its size.
    ///
    /// # Errors
    /// [`Error::BlobUnknown`] where it was collected since it was found.
    pub async fn read_blob(&self, blob: &StoredBlob, range: Range<u64>) -> Result<DataStream> {
        match self.core.data.read(&blob.generation, range).await {
            Err(StoreError::NotFound { .. }) => Err(Error::BlobUnknown(blob.digest.clone())),
            other => Ok(other?),
        }
    }

    /// A URL where the client can read the blob without credentials for `lifetime`, where the store can make one.
    ///
    /// # Errors
    /// When the store cannot sign.
    pub async fn blob_url(&self, blob: &StoredBlob, lifetime: Duration) -> Result<Option<String>> {
        let options = Presign { lifetime, content_type: "application/octet-stream".to_owned() };
        Ok(self.core.data.presign(&blob.generation, &options).await?)
    }

    /// Removes a blob from this repository (distribution-spec, "Deleting Blobs"). Other repositories keep theirs.
    ///
    /// # Errors
    /// [`Error::InUse`] while a manifest of the repository needs it.
    pub async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        match self.find_blob(digest).await? {
            (_, Held::ByManifest { manifest, .. }) => Err(Error::InUse { what: digest.clone(), by: manifest }),
            (_, Held::ByLease) => {
                ahead(due::put(&self.core, Due::Blob(digest.clone()))).await?;
                Ok(hold::release_all(&self.core, digest, &self.name).await?)
            }
        }
    }

    /// Makes a blob of another repository one of this one without moving bytes (distribution-spec, "Mounting a blob from another
    /// repository"). With `from`, from that one; without, from any that holds it. Only from one that `may_read` allows.
    /// `None` when there is none: the client uploads it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mount(
        &self,
        digest: &Digest,
        from: Option<&RepositoryName>,
        may_read: &(dyn Fn(&RepositoryName) -> bool + Send + Sync),
    ) -> Result<Option<StoredBlob>> {
        let candidates = match from {
            Some(from) => vec![from.clone()],
            None => self.holders(digest).await?,
        };
        for candidate in candidates.into_iter().filter(|name| may_read(name)) {
            let source = Self { core: self.core.clone(), name: candidate };
            match source.find_blob(digest).await {
                Ok(_) => return self.lease_blob(digest).await,
                Err(Error::BlobUnknown(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Repositories that may hold a blob.
    async fn holders(&self, digest: &Digest) -> Result<Vec<RepositoryName>> {
        let prefix = Key::holds(digest);
        let request = ListRequest { prefix: &prefix, after: None, fold: true, limit: MOUNT_CANDIDATES };
        let page = self.core.records.list(request).await?;
        Ok(page.folders.iter().filter_map(|folder| Key::repository_of_hold_folder(folder).ok()).collect())
    }

    /// A due entry, a lease, and then a look at the blob's record, in this order.
    async fn lease_blob(&self, digest: &Digest) -> Result<Option<StoredBlob>> {
        let place = hold::lease(&self.core, digest, &self.name).await?;
        let live = blob_record::ensure_live(&self.core, digest).await?;
        if live.is_none() {
            hold::release(&self.core, digest, &self.name, place).await?;
        }
        Ok(live.map(|record| StoredBlob::new(digest, &record)))
    }
}

/// Whether what was remembered still stands: the manifest is there under the same push. As long as it is, the blob's generation
/// cannot change.
async fn still_needed(view: &View, digest: &Digest, needed: Needed) -> Result<Option<(StoredBlob, Held)>> {
    let Needed { manifest, push, generation, size } = needed;
    let entry = view.manifest(&manifest).await?;
    Ok(entry
        .is_some_and(|entry| entry.push == push)
        .then(|| (StoredBlob { digest: digest.clone(), size, generation }, Held::ByManifest { manifest, push })))
}
