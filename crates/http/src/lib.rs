//! The distribution protocol (OCI distribution-spec 1.1) over HTTP/1.1 and cleartext HTTP/2.
//!
//! A request passes `middleware/` (request id, access log, panic guard), is routed by its path alone, and is answered by one file
//! a resource in `routes/`, which calls the domain in `wharf-registry`. Every refusal is a named value of `error.rs`.

mod app;
mod body;
mod caller;
mod conditional;
mod error;
mod forwarded;
mod headers;
mod io;
mod middleware;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod properties;
mod query;
mod request;
mod router;
mod routes;
#[cfg(target_os = "linux")]
mod sendfile;
mod server;
mod tls;

pub use caller::{Caller, ClientCertificate, Peer};
pub use server::{HttpOptions, serve};
