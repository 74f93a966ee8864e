//! Where Wharf keeps things: two small traits, their backends, and the wrappers around them.
//!
//! [`Records`] are small and change by compare-and-swap; [`Data`] are immutable streams of bytes under ids that
//! are used once. All registry logic stands above these two. A backend speaks to one kind of storage and does
//! nothing else: deadlines, retries, limits and counting are wrappers ([`wrap`]), and cutting a stream into parts
//! is done once for all backends ([`mod@write`]).
//!
//! Every backend passes the same [`suite`].

mod ahead;
mod data;
mod error;
pub mod fault;
mod local;
mod memory;
mod object;
mod probe;
mod records;
pub mod suite;
pub mod wrap;
pub mod write;

pub use ahead::ahead;
pub use data::{
    Claim, Data, DataPage, DataStream, Family, Generation, InvalidGeneration, Part, PartLimits, Presign, StoredData,
    UnfinishedUpload,
};
pub use error::{StoreError, StoreResult};
pub use local::{LocalStore, OpenError};
pub use memory::MemoryStore;
pub use object::{
    AzureCredentials, AzureSettings, GcsSettings, ObjectStore, S3Settings, Secret, SettingsError, connect_azure,
    connect_gcs, connect_s3,
};
pub use probe::{Check, Finding, Outcome, Probe, ProbeFailure, probe};
pub use records::{Changed, ETag, Entry, ListPage, ListRequest, Put, Record, Records};
