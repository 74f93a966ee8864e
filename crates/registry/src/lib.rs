//! The registry itself, without HTTP: repositories as values, pushes, blobs and upload sessions over two stores.
//!
//! The storage protocol is described in `docs/ARCHITECTURE.md`. [`Registry`] and [`Repository`] are all that callers see;
//! [`Error`] is every reason for which they are refused.

mod backoff;
mod blob;
mod blob_record;
#[cfg_attr(not(feature = "breaks"), allow(dead_code, unreachable_pub))] // only the simulation names them
mod breaks;
mod commit_upload;
mod core;
mod due;
mod env;
mod error;
pub mod fsck;
mod gc;
mod hold;
mod inspect;
mod key;
mod pull;
mod push;
mod record;
mod registry;
mod repository;
mod secret;
mod upload;
mod usage;

#[cfg(test)]
mod tests;

pub use blob::StoredBlob;
#[cfg(feature = "breaks")]
pub use breaks::Break;
pub use env::{Env, SystemEnv};
pub use error::{Error, Result};
pub use gc::{
    Action, Ages, BlobFacts, Collected, Collector, EntryFacts, Explanation, HolderFacts, Load, ManifestFacts, Pace,
    Plan, Run, Schedule, Standing, Step, WorkList,
};
pub use inspect::Claims;
pub use pull::StoredManifest;
pub use push::{ManifestPush, Pushed, TagLimit};
pub use registry::{Options, Page, Registry, Repository};
pub use repository::Shape;
pub use secret::{Kept, KeptId, Owner};
pub use upload::{Chunk, UploadId, UploadStatus};
pub use usage::{CacheUsage, Usage};
/// The bytes of a blob, as [`Repository::read_blob`] answers them.
pub use wharf_store::DataStream;
