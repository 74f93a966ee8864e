//! Why the registry could not do what was asked.

use std::sync::Arc;

use wharf_oci::{Digest, InvalidManifest, RepositoryName, Tag};
use wharf_store::StoreError;

/// The result of a registry call.
pub type Result<T> = std::result::Result<T, Error>;

/// Every reason for which the registry refuses or fails. The HTTP layer maps each to a code of the specification in one
/// place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No manifest was ever pushed to the repository.
    #[error("the repository {0} does not exist")]
    NameUnknown(RepositoryName),
    /// The repository holds no such tag or manifest.
    #[error("the repository has no manifest {0}")]
    ManifestUnknown(String),
    /// The repository holds no such blob.
    #[error("the repository has no blob {0}")]
    BlobUnknown(Digest),
    /// Blobs or child manifests that a pushed manifest needs are not in the repository.
    #[error("the manifest needs content that the repository does not have; push it first: {}", list(.0))]
    ManifestBlobUnknown(Vec<Digest>),
    /// The pushed document is not a manifest.
    #[error(transparent)]
    ManifestInvalid(#[from] InvalidManifest),
    /// The bytes do not have the digest that the client named.
    #[error("the content has the digest {actual}, not {expected}")]
    DigestMismatch {
        /// What the client named.
        expected: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// There is no such upload session: it was finished, cancelled or has expired.
    #[error("the upload session does not exist: it was finished, cancelled or has expired; begin a new one")]
    UploadUnknown,
    /// The chunk does not begin where the session stands, or another request writes to the session at this moment.
    #[error("the chunk does not begin at offset {offset}, where the upload stands")]
    RangeNotAligned {
        /// Number of bytes that the session has.
        offset: u64,
    },
    /// Fewer or more bytes came than the request announced.
    #[error("{received} bytes came where the request announced {announced}")]
    SizeInvalid {
        /// From Content-Length or Content-Range.
        announced: u64,
        /// What came.
        received: u64,
    },
    /// A manifest of the repository still needs what should be deleted.
    #[error("{what} is needed by the manifest {by} of this repository; delete that first")]
    InUse {
        /// What should be deleted.
        what: Digest,
        /// Who needs it.
        by: Digest,
    },
    /// The pusher may not do this with the tag: see [`crate::TagLimit`].
    #[error("{}", tag_denied(.tag, *.exists))]
    TagDenied {
        /// Which.
        tag: Tag,
        /// It is there, and names another manifest; otherwise it is not there.
        exists: bool,
    },
    /// More tags name the manifest than the one that the caller means.
    #[error("{tags} tags name {what}; delete the tags that should go")]
    Shared {
        /// What should be deleted.
        what: Digest,
        /// How many.
        tags: usize,
    },
    /// The client went away or its body broke off. Nothing that was acknowledged is lost.
    #[error("the request body broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The same record was changed by others so often that the budget of attempts is used up.
    #[error("too many concurrent changes of {0}; try again")]
    Contended(String),
    /// The store failed, or what it answered makes no sense.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed while a change of a repository was committed together with others. Whether it was done is not known.
    #[error("{0}")]
    Commit(Arc<StoreError>),
}

impl Error {
    /// Whether it is known that nothing was done, and that asking again will not help.
    #[must_use]
    pub const fn is_definite(&self) -> bool {
        !matches!(self, Self::Contended(_) | Self::Store(_) | Self::Commit(_))
    }
}

fn tag_denied(tag: &Tag, exists: bool) -> String {
    match exists {
        true => format!("the tag {tag} is there and may not be moved to another manifest"),
        false => format!("the tag {tag} is not there and may not be created"),
    }
}

fn list(digests: &[Digest]) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
