//! The registry itself, without HTTP: repositories as values, pushes, blobs and upload sessions over two stores.
//!
//! The storage protocol is described in `docs/ARCHITECTURE.md`. [`Registry`] and [`Repository`] are all that callers see;
//! [`Error`] is every reason for which they are refused.

mod backoff;
mod blob;
mod blob_record;
mod commit_upload;
mod core;
mod due;
mod env;
mod error;
mod gc;
mod hold;
mod key;
mod pull;
mod push;
mod record;
mod registry;
mod repository;
mod upload;

#[cfg(test)]
mod tests;

pub use blob::StoredBlob;
pub use env::{Env, SystemEnv};
pub use error::{Error, Result};
pub use gc::{Collected, Collector};
pub use pull::StoredManifest;
pub use push::{ManifestPush, Pushed};
pub use registry::{Options, Page, Registry, Repository};
pub use upload::{Chunk, UploadId, UploadStatus};
