//! The OCI vocabulary that every other crate speaks: digests, repository names, references,
//! manifests, byte ranges and error codes. Pure types: no I/O and no runtime.

mod digest;
mod error_code;
mod manifest;
mod name;
mod range;

pub mod media_type;

pub use digest::{Algorithm, Digest, Hasher, InvalidDigest, InvalidMidstate, Midstate};
pub use error_code::ErrorCode;
pub use manifest::{Descriptor, InvalidManifest, MAX_MANIFEST_BYTES, Manifest};
pub use name::{InvalidName, InvalidReference, Reference, RepositoryName, Tag};
pub use range::{ByteRange, ContentRange, InvalidRange};
