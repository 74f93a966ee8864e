//! The registry itself, without HTTP: repositories as values, pushes, blobs and upload sessions over two stores.

mod api;
mod error;

pub use api::{
    Chunk, ManifestPush, Options, Page, Pushed, Registry, Repository, StoredBlob, StoredManifest, UploadId,
    UploadStatus,
};
pub use error::{Error, Result};
