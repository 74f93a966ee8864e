//! From configuration to an open store.

use std::sync::Arc;

use wharf_registry::{Options, Registry};
use wharf_store::{
    AzureSettings, Data, GcsSettings, LocalStore, ObjectStore, OpenError, Records, S3Settings, SettingsError,
    connect_azure, connect_gcs, connect_s3,
};

use crate::config::{Driver, Place, Service, Storage};

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
    /// The server itself.
    #[error("the server stopped: {0}")]
    Serve(#[source] std::io::Error),
    /// The signal handlers.
    #[error("signals cannot be handled: {0}")]
    Signals(#[source] std::io::Error),
    /// The folder of a local store.
    #[error(transparent)]
    Local(#[from] OpenError),
    /// The block of a storage driver.
    #[error(transparent)]
    Settings(#[from] SettingsError),
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
        Place::Local { root, durable } => {
            let store = Arc::new(LocalStore::open(root, *durable)?);
            Ok(Stores { records: store.clone(), data: store })
        }
        Place::Remote(driver) => {
            let store = Arc::new(connect(driver)?);
            Ok(Stores { records: store.clone(), data: store })
        }
    }
}

fn connect(driver: &Driver) -> Result<ObjectStore, SettingsError> {
    match driver.service {
        Service::S3 => connect_s3(&S3Settings::new(&driver.options)?),
        Service::Gcs => connect_gcs(&GcsSettings::new(&driver.options)?),
        Service::Azure => connect_azure(&AzureSettings::new(&driver.options)?),
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
    let options = Options {
        grace: storage.gc_delay,
        upload_memory: storage.upload_memory,
        cache_memory: storage.cache_memory,
        ..Options::default()
    };
    Registry::new(stores.records, stores.data, options)
}
