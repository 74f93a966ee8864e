//! The distribution protocol (OCI distribution-spec 1.1) over HTTP/1.1 and HTTP/2, with TLS and without.
//!
//! A request passes `middleware/` (request id, access log, panic guard), is routed by its path alone, and is answered by one file
//! a resource in `routes/`, which calls the domain in `wharf-registry`. Every refusal is a named value of `error.rs`.

mod access;
mod app;
mod audit;
mod body;
mod caller;
mod conditional;
mod error;
mod farewell;
mod forwarded;
mod headers;
mod io;
mod limits;
mod local;
mod metrics;
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

pub use access::RegistryKeys;
pub use audit::{AuditLine, AuditLog};
pub use caller::{Caller, ClientCertificate, Peer};
pub use limits::{Limiter, Limits};
pub use local::{Local, Pieces, ask_local, serve_local};
pub use metrics::{Ended, Metrics};
pub use server::{HttpOptions, serve};
pub use tls::{Tls, TlsError, TlsMaterial, TlsPart, TlsWarning};
