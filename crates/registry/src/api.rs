//! The registry as its callers see it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use time::OffsetDateTime;
use wharf_oci::{Algorithm, Descriptor, Digest, Reference, RepositoryName, Tag};
use wharf_store::{Data, DataStream, Records};

use crate::error::{Error, Result};

/// What a registry may use and how long it waits.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an unfinished upload, and a blob that no manifest needs, are kept (zot: `storage.gcDelay`).
    pub grace: Duration,
    /// Bytes that uploads may hold in memory together.
    pub upload_memory: u64,
    /// Bytes of repository state and manifests that may be cached.
    pub cache_memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace: Duration::from_secs(3600), upload_memory: 192 << 20, cache_memory: 64 << 20 }
    }
}

/// The whole registry over one pair of stores. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    _todo: (),
}

/// One repository of it. Cheap to make; making one does not create anything.
#[derive(Clone, Debug)]
pub struct Repository {
    _todo: (),
}

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

/// A blob that the repository holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its digest.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

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
    /// Who pushes, for the record.
    pub by: Option<String>,
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Its subject, for `OCI-Subject`.
    pub subject: Option<Digest>,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// Whether more follow the last item.
    pub more: bool,
}

/// The state of an upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// Number of bytes that the session has, durably.
    pub offset: u64,
}

/// The id of an upload session: 32 lower-case hexadecimal digits.
pub type UploadId = wharf_store::Family;

/// The body of an upload, as far as the registry cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Where the client says that the chunk begins (`Content-Range`); `None` appends.
    pub start: Option<u64>,
    /// How many bytes the client announced (`Content-Length` or `Content-Range`), where it did.
    pub length: Option<u64>,
}

impl Registry {
    /// A registry over these stores. Reads nothing.
    #[must_use]
    pub fn new(records: Arc<dyn Records>, data: Arc<dyn Data>, options: Options) -> Self {
        let _ = (records, data, options);
        Self { _todo: () }
    }

    /// The repository of this name, whether it exists or not.
    #[must_use]
    pub fn repository(&self, name: &RepositoryName) -> Repository {
        let _ = name;
        Repository { _todo: () }
    }

    /// Names of repositories to which something was pushed, ordered component by component, after `after`.
    pub async fn catalog(&self, after: Option<&RepositoryName>, limit: usize) -> Result<Page<RepositoryName>> {
        let _ = (after, limit);
        Err(Error::UploadUnknown)
    }

    /// Whether the stores answer. For readiness.
    pub async fn ping(&self) -> Result<()> {
        Err(Error::UploadUnknown)
    }
}

impl Repository {
    /// The manifest behind a tag or a digest (distribution-spec, "Pulling manifests"). One conditional read of the store.
    pub async fn manifest(&self, reference: &Reference) -> Result<StoredManifest> {
        Err(Error::ManifestUnknown(reference.to_string()))
    }

    /// The manifest and its bytes, from one version of the repository.
    pub async fn manifest_with_bytes(&self, reference: &Reference) -> Result<(StoredManifest, Bytes)> {
        Err(Error::ManifestUnknown(reference.to_string()))
    }

    /// Pushes a manifest, its tags and its referrer entry, together or not at all (distribution-spec, "Pushing Manifests").
    pub async fn push_manifest(&self, push: ManifestPush) -> Result<Pushed> {
        let _ = push;
        Err(Error::UploadUnknown)
    }

    /// Deletes a tag, or a manifest with all its tags (distribution-spec, "Deleting Tags", "Deleting Manifests").
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<()> {
        Err(Error::ManifestUnknown(reference.to_string()))
    }

    /// Tags in order, after `after`, which need not exist (distribution-spec, "Listing Tags").
    pub async fn tags(&self, after: Option<&str>, limit: usize) -> Result<Page<Tag>> {
        let _ = (after, limit);
        Err(Error::UploadUnknown)
    }

    /// Manifests whose subject is `subject`, which need not exist; an unknown repository has none (distribution-spec,
    /// "Listing Referrers"). With artifact types, only those.
    pub async fn referrers(&self, subject: &Digest, artifact_types: &[String]) -> Result<Vec<Descriptor>> {
        let _ = (subject, artifact_types);
        Err(Error::UploadUnknown)
    }

    /// The blob, if this repository holds it. For GET.
    pub async fn blob(&self, digest: &Digest) -> Result<StoredBlob> {
        Err(Error::BlobUnknown(digest.clone()))
    }

    /// The blob, for HEAD: a client that is told "there" will not upload it, so that a blob which no manifest needs yet
    /// is kept for another grace time.
    pub async fn blob_for_push(&self, digest: &Digest) -> Result<StoredBlob> {
        Err(Error::BlobUnknown(digest.clone()))
    }

    /// Bytes of a blob; the range lies within its size.
    pub async fn read_blob(&self, blob: &StoredBlob, range: Range<u64>) -> Result<DataStream> {
        let _ = range;
        Err(Error::BlobUnknown(blob.digest.clone()))
    }

    /// A URL where the client can read the blob without credentials for `lifetime`, where the store can make one.
    pub async fn blob_url(&self, blob: &StoredBlob, lifetime: Duration) -> Result<Option<String>> {
        let _ = lifetime;
        Err(Error::BlobUnknown(blob.digest.clone()))
    }

    /// Removes a blob from this repository (distribution-spec, "Deleting Blobs").
    pub async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        Err(Error::BlobUnknown(digest.clone()))
    }

    /// Makes a blob of another repository one of this one without moving bytes (distribution-spec, "Mounting a blob from
    /// another repository"). With `from`, from that one; without, from any that holds it and that `may_read` allows.
    /// `None` when there is none: the client uploads it.
    pub async fn mount(
        &self,
        digest: &Digest,
        from: Option<&RepositoryName>,
        may_read: &(dyn Fn(&RepositoryName) -> bool + Send + Sync),
    ) -> Result<Option<StoredBlob>> {
        let _ = (from, may_read);
        Err(Error::BlobUnknown(digest.clone()))
    }

    /// Begins an upload session (distribution-spec, "Pushing Blobs"). `algorithm` is that of the digest that will be named at the end, where
    /// the client said so.
    pub async fn start_upload(&self, algorithm: Algorithm) -> Result<UploadId> {
        let _ = algorithm;
        Err(Error::UploadUnknown)
    }

    /// How far a session is.
    pub async fn upload_status(&self, upload: &UploadId) -> Result<UploadStatus> {
        let _ = upload;
        Err(Error::UploadUnknown)
    }

    /// Appends a chunk. When this answers, the bytes are durable; when it fails, the session stands where it stood.
    pub async fn append<S, E>(&self, upload: &UploadId, chunk: Chunk, body: S) -> Result<UploadStatus>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _ = (upload, chunk, body);
        Err(Error::UploadUnknown)
    }

    /// Appends the last chunk, which may be empty, and makes the blob of it. A session whose content has another digest stays as it was.
    pub async fn finish_upload<S, E>(
        &self,
        upload: &UploadId,
        digest: &Digest,
        chunk: Chunk,
        body: S,
    ) -> Result<StoredBlob>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _ = (upload, chunk, body);
        Err(Error::BlobUnknown(digest.clone()))
    }

    /// Uploads a blob in one request (distribution-spec, "Single POST").
    pub async fn upload_blob<S, E>(&self, digest: &Digest, length: Option<u64>, body: S) -> Result<StoredBlob>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _ = (length, body);
        Err(Error::BlobUnknown(digest.clone()))
    }

    /// Gives up a session.
    pub async fn cancel_upload(&self, upload: &UploadId) -> Result<()> {
        let _ = upload;
        Err(Error::UploadUnknown)
    }

    /// When the repository's state last changed; for tests and the page.
    pub async fn changed(&self) -> Result<Option<OffsetDateTime>> {
        Ok(None)
    }
}
