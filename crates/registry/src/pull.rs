//! Reading a repository: manifests, tags and referrers, each from one version of it.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use wharf_oci::{Descriptor, Digest, Manifest, Reference, Tag};
use wharf_store::StoreError;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::registry::{Page, Repository};
use crate::repository::{ManifestEntry, ReferrerEntry, View};

/// A manifest that the repository holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: Digest,
    /// Media type that it was pushed with.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
}

impl Repository {
    /// The manifest behind a tag or a digest (distribution-spec, "Pulling manifests"). One conditional read of the store.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] or [`Error::ManifestUnknown`] where there is none.
    pub async fn manifest(&self, reference: &Reference) -> Result<StoredManifest> {
        let (digest, entry) = self.resolve(reference).await?;
        Ok(StoredManifest { digest, media_type: entry.media_type, size: entry.size })
    }

    /// The manifest and its bytes.
    ///
    /// # Errors
    /// As [`Repository::manifest`].
    pub async fn manifest_with_bytes(&self, reference: &Reference) -> Result<(StoredManifest, Bytes)> {
        let (digest, entry) = self.resolve(reference).await?;
        let bytes = read_manifest(&self.core, &digest, &entry).await?;
        Ok((StoredManifest { digest, media_type: entry.media_type, size: entry.size }, bytes))
    }

    async fn resolve(&self, reference: &Reference) -> Result<(Digest, ManifestEntry)> {
        let view = self.existing().await?;
        view.resolve(reference).await?.ok_or_else(|| Error::ManifestUnknown(reference.to_string()))
    }

    pub(crate) async fn existing(&self) -> Result<View> {
        self.view().await?.ok_or_else(|| Error::NameUnknown(self.name.clone()))
    }

    /// Tags in order, after `after`, which need not exist (distribution-spec, "Listing Tags").
    ///
    /// # Errors
    /// [`Error::NameUnknown`] where nothing was ever pushed.
    pub async fn tags(&self, after: Option<&str>, limit: usize) -> Result<Page<Tag>> {
        let view = self.existing().await?;
        Ok(Page::cut(view.tags(after, limit.saturating_add(1)).await?, limit))
    }

    /// Manifests whose subject is `subject`, which need not exist; an unknown repository has none (distribution-spec, "Listing
    /// Referrers"). With artifact types, only those.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn referrers(&self, subject: &Digest, artifact_types: &[String]) -> Result<Vec<Descriptor>> {
        let Some(view) = self.view().await? else { return Ok(Vec::new()) };
        let mut descriptors = Vec::new();
        for (digest, referrer) in view.referrers(subject).await? {
            let descriptor = self.describe(&view, digest, referrer).await?;
            let is_wanted = |t: &String| Some(t) == descriptor.artifact_type.as_ref();
            if artifact_types.is_empty() || artifact_types.iter().any(is_wanted) {
                descriptors.push(descriptor);
            }
        }
        Ok(descriptors)
    }

    async fn describe(&self, view: &View, digest: Digest, referrer: ReferrerEntry) -> Result<Descriptor> {
        let ReferrerEntry { media_type, size, mut artifact_type, mut annotations, long } = referrer;
        if long && let Some(entry) = view.manifest(&digest).await? {
            let bytes = read_manifest(&self.core, &digest, &entry).await?;
            let manifest = parse_stored(&digest, &bytes, &entry)?;
            (artifact_type, annotations) = (manifest.artifact_type, manifest.annotations);
        }
        Ok(Descriptor { media_type, digest, size, artifact_type, annotations })
    }
}

/// The bytes of a manifest, from memory or from the store; they have its digest.
pub(crate) async fn read_manifest(core: &Core, digest: &Digest, entry: &ManifestEntry) -> Result<Bytes> {
    if let Some(bytes) = core.manifests.get(digest) {
        return Ok(bytes);
    }
    let mut stream = core.data.read(&entry.generation, 0..entry.size).await?;
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        bytes.extend_from_slice(&chunk);
    }
    let bytes = bytes.freeze();
    if digest.algorithm().digest(&bytes) != *digest {
        return Err(StoreError::corrupt(&entry.generation, format!("it should have the digest {digest}")).into());
    }
    core.manifests.insert(digest.clone(), bytes.clone());
    Ok(bytes)
}

/// A manifest that was accepted once.
pub(crate) fn parse_stored(digest: &Digest, bytes: &[u8], entry: &ManifestEntry) -> Result<Manifest> {
    Manifest::parse(bytes, Some(&entry.media_type)).map_err(|e| StoreError::corrupt(digest, e.to_string()).into())
}
