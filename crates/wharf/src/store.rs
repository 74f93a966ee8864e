//! From configuration to an open store.

use std::sync::Arc;
use std::time::Duration;

use wharf_registry::{Options, Registry};
use wharf_store::wrap::{Exclusive, Stack, StackOptions, stack};
use wharf_store::{
    AzureSettings, Finding, GcsSettings, LocalStore, ObjectStore, OpenError, Outcome as Found, Probe, ProbeFailure,
    S3Settings, SettingsError, connect_azure, connect_gcs, connect_s3,
};

use crate::audit::AuditError;
use crate::config::{Driver, Place, Service, Storage};
use crate::tls::TlsFileError;

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
    /// The file of `log.audit`.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The files of `http.tls`.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The folder of a local store.
    #[error(transparent)]
    Local(#[from] OpenError),
    /// The store does not do what a registry needs.
    #[error(transparent)]
    Probe(#[from] ProbeFailure),
    /// The store does not answer at all.
    #[error("the store did not answer within {0:?}: is its address right, and can it be reached from here?")]
    Silent(Duration),
    /// A file of access control.
    #[error("{key}: {path}: {error}")]
    Access {
        /// The key that names it.
        key: String,
        /// Where it is.
        path: String,
        /// What is wrong.
        error: String,
    },
    /// The key of tokens, which is in the store.
    #[error("the store does not give the key of tokens: {0}")]
    TokenKey(#[source] Box<wharf_registry::Error>),
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

/// Opens the store and proves that it does what a registry needs.
///
/// # Errors
/// Where it cannot be opened or does not do it.
pub(crate) async fn open(storage: &Storage) -> Result<Stack, StartError> {
    let mut stores = connect(&storage.place)?;
    let probe = run_probe(&stores).await?;
    match probe.verdict(false) {
        Err(failure @ ProbeFailure::Unconditional { .. }) if storage.single_replica => {
            probe.verdict(true)?;
            tracing::warn!("{failure}: storage.singleReplica is set, so that this process sees to it alone");
            stores.records = Arc::new(Exclusive::new(stores.records));
        }
        verdict => verdict?,
    }
    tracing::info!(took_ms = probe.took.as_millis(), "the store keeps what a registry needs of it");
    Ok(stores)
}

/// The store with its wrappers, untried.
pub(crate) fn connect(place: &Place) -> Result<Stack, StartError> {
    Ok(match place {
        Place::Local { root, durable } => {
            if !durable {
                tracing::warn!(
                    "storage.commit is false: what is acknowledged survives a crash of this process, but a loss of power may \
                     damage the whole store"
                );
            }
            let store = Arc::new(LocalStore::open(root, *durable)?);
            stack(store.clone(), store, StackOptions::counting())
        }
        Place::Remote(driver) => {
            let store = Arc::new(bucket(driver)?);
            stack(store.clone(), store, StackOptions::default())
        }
    })
}

/// How long the probe may take before the store counts as not answering.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

async fn run_probe(stores: &Stack) -> Result<Probe, StartError> {
    let probe = wharf_store::probe(stores.records.as_ref(), stores.data.as_ref(), rand::random());
    tokio::time::timeout(PROBE_PATIENCE, probe).await.map_err(|_| StartError::Silent(PROBE_PATIENCE))
}

fn bucket(driver: &Driver) -> Result<ObjectStore, SettingsError> {
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
    let probed = match connect(&storage.place) {
        Ok(stores) => run_probe(&stores).await,
        Err(error) => Err(error),
    };
    match probed {
        Ok(probe) => {
            checks.extend(probe.findings.iter().map(row));
            checks.push(match probe.verdict(storage.single_replica) {
                Ok(()) => check("verdict", Outcome::Passed, format!("fit for a registry, found in {:?}", probe.took)),
                Err(failure) => check("verdict", Outcome::Failed, failure.to_string()),
            });
        }
        Err(error) => checks.push(check("open", Outcome::Failed, error.to_string())),
    }
    checks
}

fn row(finding: &Finding) -> Check {
    let (outcome, detail) = match &finding.outcome {
        Found::Passed => (Outcome::Passed, format!("{:?}", finding.took)),
        Found::NotOffered => (Outcome::Warned, "not offered by this store".to_owned()),
        Found::Failed(reason) => (Outcome::Failed, reason.clone()),
    };
    Check { name: finding.check.to_string(), outcome, detail }
}

/// The registry over open stores.
pub(crate) fn registry(stores: &Stack, storage: &Storage) -> Registry {
    let options = Options {
        grace: storage.gc_delay,
        upload_memory: storage.upload_memory,
        cache_memory: storage.cache_memory,
        ..Options::default()
    };
    Registry::new(stores.records.clone(), stores.data.clone(), options)
}
