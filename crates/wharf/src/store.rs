//! From configuration to an open store.

use std::sync::Arc;

use wharf_registry::{Options, Registry};
use wharf_store::{Data, Records};

use crate::config::{Place, Storage};

/// Why the program does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The asynchronous runtime.
    #[error("the runtime cannot start: {0}")]
    Runtime(#[source] std::io::Error),
    /// The listening socket.
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Listen {
        /// As configured.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The signal handlers.
    #[error("signals cannot be handled: {0}")]
    Signals(#[source] std::io::Error),
    /// A part of the program that does not exist yet.
    #[error("not wired: {0}")]
    NotWired(&'static str),
}

/// What to do about a socket that cannot be had.
fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => " (another program listens there: choose another http.port)",
        std::io::ErrorKind::PermissionDenied => " (ports below 1024 need a privilege: choose a higher http.port)",
        std::io::ErrorKind::AddrNotAvailable => " (this machine does not have the address: see http.address)",
        _ => "",
    }
}

/// A pair of stores with all their wrappers.
#[derive(Debug)]
pub(crate) struct Stores {
    /// Where records are.
    pub(crate) records: Arc<dyn Records>,
    /// Where bytes are.
    pub(crate) data: Arc<dyn Data>,
}

/// How one check of the store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The store can do it.
    Passed,
    /// It cannot, and is usable with less.
    Warned,
    /// It cannot, and is not usable.
    Failed,
}

impl Outcome {
    /// For a table.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Warned => "warn",
            Self::Failed => "FAIL",
        }
    }
}

/// One check of the store.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// What was checked.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What was seen.
    pub(crate) detail: String,
}

/// Opens the store.
///
/// # Errors
/// Where it cannot be opened or does not do what a registry needs.
pub(crate) async fn open(storage: &Storage) -> Result<Stores, StartError> {
    match &storage.place {
        Place::Local { .. } => Err(StartError::NotWired("the store on local disk")),
        Place::Remote(_) => Err(StartError::NotWired("the store in a bucket")),
    }
}

/// Checks, one by one, what a registry needs of the store.
pub(crate) async fn probe(storage: &Storage) -> Vec<Check> {
    let check = |name: &str, outcome, detail: String| Check { name: name.to_owned(), outcome, detail };
    let mut checks = Vec::new();
    if storage.single_replica {
        let detail = "no other process may use this store".to_owned();
        checks.push(check("storage.singleReplica", Outcome::Warned, detail));
    }
    checks.push(match open(storage).await {
        Ok(_) => check("open", Outcome::Passed, storage.place.to_string()),
        Err(error) => check("open", Outcome::Failed, error.to_string()),
    });
    checks
}

/// The registry over open stores.
pub(crate) fn registry(stores: Stores, storage: &Storage) -> Registry {
    let options =
        Options { grace: storage.gc_delay, upload_memory: storage.upload_memory, cache_memory: storage.cache_memory };
    Registry::new(stores.records, stores.data, options)
}
