//! A store in a bucket: Amazon S3 and what speaks as it does, Google Cloud Storage, Azure Blob Storage.
//!
//! A record is the object `<root>/<key>` and data are the object `<root>/data/<generation>`, so that no record's key begins with
//! `data/`. Everything goes through the client of the `object_store` crate, over HTTP/1.1, with its retries off:
//! deadlines and retries are wrappers that know which call may be made again.
//!
//! # Payloads are not signed
//! Towards S3 only the headers of a request are signed (`UNSIGNED-PAYLOAD`): signing a payload hashes it once more, and Wharf
//! checks the digest of everything that it stores by itself. TLS guards the bytes on their way.
//!
//! # What the services do differently
//! | | S3 | GCS | Azure |
//! | --- | --- | --- | --- |
//! | condition of a write | ETag | generation number, kept within the [`crate::ETag`] | ETag |
//! | order of a listing | by bytes; SeaweedFS as a tree | by bytes | by bytes |
//! | [`crate::Data::unfinished`] | listed | nothing listed; give the bucket a rule `AbortIncompleteMultipartUpload` | nothing listed; the service drops blocks after a week |
//! | [`crate::Data::abort`] | frees the parts | frees the parts | frees nothing, as above |
//! | [`crate::Data::presign`] | with the content type | with the content type | without: the service has no such override for this kind of URL |

mod answer;
mod config;
mod data;
mod error;
mod records;
#[cfg(test)]
mod tests;
mod unfinished;

use std::fmt;
use std::sync::Arc;

use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;

pub use config::{
    AzureCredentials, AzureSettings, GcsSettings, S3Settings, Secret, SettingsError, connect_azure, connect_gcs,
    connect_s3,
};

use crate::{PartLimits, StoreError, StoreResult};

/// All that the client of a service can do.
trait Client: object_store::ObjectStore + MultipartStore + PaginatedListStore + Signer {}

impl<T: object_store::ObjectStore + MultipartStore + PaginatedListStore + Signer> Client for T {}

/// The service behind the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    S3,
    Gcs,
    Azure,
}

/// What the keys of the configuration are called, for advice.
struct Keys {
    bucket: &'static str,
    region: &'static str,
    credentials: &'static str,
}

impl Service {
    const fn keys(self) -> Keys {
        match self {
            Self::S3 => Keys {
                bucket: "bucket",
                region: "region",
                credentials: "accesskey and secretkey, or what else gives the credentials",
            },
            Self::Gcs => {
                Keys { bucket: "bucket", region: "bucket", credentials: "keyfile, or what else gives the credentials" }
            }
            Self::Azure => Keys {
                bucket: "container",
                region: "serviceurl",
                credentials: "accountname and accountkey, or what else gives the credentials",
            },
        }
    }
}

/// A store in a bucket; see the module.
#[derive(Clone)]
pub struct ObjectStore {
    client: Arc<dyn Client>,
    service: Service,
    /// Names bucket and endpoint, for messages.
    place: String,
    /// Before every key; empty, or without `/` at either end.
    root: String,
    limits: PartLimits,
    /// For data; records are small and read often, which the cheaper classes charge for.
    storage_class: Option<String>,
    /// Whether the credentials can sign URLs; those of an emulator cannot.
    presigns: bool,
    /// For the one request that the client does not have; see [`unfinished`].
    http: reqwest::Client,
}

/// Says where the store is; credentials are left out.
impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStore").field("place", &self.place).field("root", &self.root).finish_non_exhaustive()
    }
}

impl ObjectStore {
    /// Names bucket and endpoint, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The name of an object under the root.
    fn name(&self, key: &str) -> String {
        if self.root.is_empty() { key.to_owned() } else { format!("{}/{key}", self.root) }
    }

    /// As [`ObjectStore::name`], as the client takes it.
    fn path(&self, operation: &'static str, key: &str) -> StoreResult<Path> {
        Path::parse(self.name(key)).map_err(|e| StoreError::refused(operation, key, e))
    }

    /// The key of an object that a listing names.
    fn key<'a>(&self, path: &'a Path) -> Option<&'a str> {
        let name = path.as_ref();
        if self.root.is_empty() { Some(name) } else { name.strip_prefix(&self.root)?.strip_prefix('/') }
    }
}
