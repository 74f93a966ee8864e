//! `storage`: where things are kept, and when what nobody needs is removed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use super::findings::Weight;
use super::section::Source;
use super::value::{Value, is_secret};

const HOUR: Duration = Duration::from_secs(3600);
/// Below this, a slow push may find its first blobs collected.
const SHORT_DELAY: Duration = Duration::from_secs(60);
/// The shortest pause between two collections.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
/// Some 25 blobs a second, and a small part of what a bucket or a disk can do.
const GC_CALLS: u64 = 250;
const MIB: u64 = 1 << 20;
/// Sizes of a part that S3 takes.
const PART_SIZES: std::ops::RangeInclusive<u64> = 5 * MIB..=5 * 1024 * MIB;

/// The section.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    /// `rootDirectory`, `storageDriver`, `commit`: the store.
    pub(crate) place: Place,
    /// `gc`: whether this process collects garbage.
    pub(crate) gc: bool,
    /// `gcDelay`: how long an unfinished upload, and a blob that no manifest needs, are kept.
    pub(crate) gc_delay: Duration,
    /// `gcInterval`: the pause between two collections; at least a second.
    pub(crate) gc_interval: Duration,
    /// `gcCallsPerSecond`: calls of the store that the collector may make in a second; 0 is any number.
    pub(crate) gc_calls_per_second: u64,
    /// `redirectBlobURL`: answer a pull of a blob with a signed URL of the store.
    pub(crate) redirect_blob_url: bool,
    /// `singleReplica`: no other process uses this store, so that it needs no conditional writes.
    pub(crate) single_replica: bool,
    /// `uploadMemory`: bytes that uploads may hold in memory together.
    pub(crate) upload_memory: u64,
    /// `cacheMemory`: bytes of repository state and manifests that are cached.
    pub(crate) cache_memory: u64,
}

/// A kind of store.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A folder of this machine.
    Local {
        /// The folder.
        root: PathBuf,
        /// Whether what is acknowledged survives a loss of power.
        durable: bool,
    },
    /// A bucket.
    Remote(Driver),
}

/// The service that a bucket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Amazon S3, and whatever speaks as it does.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// A storage driver with its options.
#[derive(Clone)]
pub(crate) struct Driver {
    /// `name`.
    pub(crate) service: Service,
    /// Every other key, in lower case. A switch is a JSON boolean, a size or count a number, whatever the file wrote.
    pub(crate) options: serde_json::Map<String, Json>,
}

impl Service {
    /// As the configuration names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }
}

impl Driver {
    /// The text of an option.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.options.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
    }
}

/// Secrets are left out.
impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.options.iter().filter(|(key, _)| !is_secret(key));
        f.debug_struct("Driver").field("service", &self.service).field("options", &shown.collect::<Vec<_>>()).finish()
    }
}

/// Where the data are, for people.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { root, .. } => write!(f, "{}", root.display()),
            Self::Remote(driver) => {
                let bucket = driver.text("bucket").or_else(|| driver.text("container")).unwrap_or_default();
                write!(f, "{}://{bucket}", driver.service.name())?;
                if let Some(root) = driver.text("rootdirectory").filter(|root| !root.trim_matches('/').is_empty()) {
                    write!(f, "/{}", root.trim_matches('/'))?;
                }
                match driver.text("regionendpoint").or_else(|| driver.text("serviceurl")) {
                    Some(endpoint) => write!(f, " at {endpoint}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Storage {
    /// Reads the section.
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let place = place(source);
        let gc = source.switch("storage.gc").unwrap_or(true);
        if !gc {
            source.notice(Weight::Warn, "storage.gc", "garbage is not collected by this process");
        }
        // A bucket wants parts of megabytes and has latency to hide; a disk has neither.
        let upload_memory = if matches!(place, Place::Local { .. }) { 32 * MIB } else { 192 * MIB };
        Self {
            redirect_blob_url: redirect(source, &place),
            place,
            gc,
            gc_delay: gc_delay(source),
            gc_interval: gc_interval(source),
            gc_calls_per_second: gc_calls_per_second(source),
            single_replica: source.switch("storage.singleReplica").unwrap_or(false),
            upload_memory: source.bytes("storage.uploadMemory", 16 * MIB).unwrap_or(upload_memory),
            cache_memory: source.bytes("storage.cacheMemory", 8 * MIB).unwrap_or(64 * MIB),
        }
    }
}

fn gc_delay(source: &mut Source<'_>) -> Duration {
    const KEY: &str = "storage.gcDelay";
    let delay = source.duration(KEY).unwrap_or(HOUR);
    if delay < SHORT_DELAY {
        let text = "a push that takes longer than this may have to send blobs again";
        source.notice(Weight::Warn, KEY, text);
    }
    delay
}

fn gc_interval(source: &mut Source<'_>) -> Duration {
    const KEY: &str = "storage.gcInterval";
    let interval = source.duration(KEY).unwrap_or(HOUR);
    if interval < LEAST_INTERVAL {
        source.notice(Weight::Warn, KEY, "raised to one second, the shortest");
    }
    interval.max(LEAST_INTERVAL)
}

fn gc_calls_per_second(source: &mut Source<'_>) -> u64 {
    const KEY: &str = "storage.gcCallsPerSecond";
    let Some(calls) = source.int(KEY) else { return GC_CALLS };
    u64::try_from(calls).unwrap_or_else(|_| {
        source.problem(KEY, "must not be negative; 0 is any number");
        GC_CALLS
    })
}

fn redirect(source: &mut Source<'_>, place: &Place) -> bool {
    const KEY: &str = "storage.redirectBlobURL";
    let redirect = source.switch(KEY).unwrap_or(false);
    if redirect && matches!(place, Place::Local { .. }) {
        source.problem(KEY, "needs a storage.storageDriver: a local disk has no URLs to send clients to");
    }
    redirect
}

fn place(source: &mut Source<'_>) -> Place {
    // A driver whose only key was refused still asks for a bucket.
    let asked = source.findings.explain("storage.storageDriver.name");
    match source.value("storage.storageDriver") {
        Some(Value::Map(entries)) if asked || !entries.is_empty() => remote(source, entries),
        _ => local(source),
    }
}

fn local(source: &mut Source<'_>) -> Place {
    const COMMIT: &str = "storage.commit";
    let durable = source.switch(COMMIT).unwrap_or(true);
    if !durable {
        let text = "pushes are faster, and one that was acknowledged may be lost when the machine loses power; without \
                    the key nothing is";
        source.notice(Weight::Warn, COMMIT, text);
    }
    Place::Local { root: root(source), durable }
}

/// The local root: the key, or without a file the folder for data of this platform.
fn root(source: &mut Source<'_>) -> PathBuf {
    const KEY: &str = "storage.rootDirectory";
    if let Some(root) = source.text(KEY) {
        return root.into();
    }
    let folder = if source.bare { default_root(source) } else { None };
    folder.unwrap_or_else(|| {
        source.missing(KEY, "name the folder for the data, or a storage.storageDriver for a bucket");
        PathBuf::new()
    })
}

fn default_root(source: &Source<'_>) -> Option<PathBuf> {
    let folder = |variable| source.environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(data) = folder("XDG_DATA_HOME") {
        return Some(data.join("wharf"));
    }
    if source.environment.is_root {
        return Some(PathBuf::from("/var/lib/wharf"));
    }
    folder("HOME").map(|home| home.join(".local/share/wharf"))
}

fn remote(source: &mut Source<'_>, entries: &[(String, Value)]) -> Place {
    const NAME: &str = "storage.storageDriver.name";
    let service = match source.text(NAME) {
        Some("gcs") => Service::Gcs,
        Some("azure") => Service::Azure,
        Some(_) => Service::S3,
        None => {
            source.missing(NAME, format!("must be one of {}", super::keys::DRIVERS.join(", ")));
            Service::S3
        }
    };
    if source.text(NAME).is_some() {
        require(source, service);
    }
    if source.text("storage.rootDirectory").is_some() {
        let text = "not used: with a storageDriver nothing is kept on the local disk";
        source.notice(Weight::Info, "storage.rootDirectory", text);
    }
    let options = entries.iter().filter(|(key, _)| key != "name");
    Place::Remote(Driver {
        service,
        options: options.map(|(key, value)| (key.to_ascii_lowercase(), value.to_json())).collect(),
    })
}

/// What a driver cannot do without.
fn require(source: &mut Source<'_>, service: Service) {
    let has = |source: &Source<'_>, key: &str| source.text(&format!("storage.storageDriver.{key}")).is_some();
    let missing = |source: &mut Source<'_>, key: &str, text: &str| {
        source.missing(&format!("storage.storageDriver.{key}"), text);
    };
    match service {
        Service::S3 => {
            let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| source.environment.get(name).is_some());
            if !region && !has(source, "region") && !has(source, "regionendpoint") {
                missing(source, "region", "name it, or the regionendpoint of a store that is not AWS");
            }
            part_size(source);
        }
        Service::Azure => {
            if !has(source, "container") {
                missing(source, "container", "name the container that holds the registry");
            }
            if !has(source, "accountname") && !has(source, "connectionstring") {
                missing(source, "accountname", "name the storage account");
            }
        }
        Service::Gcs => {}
    }
    if matches!(service, Service::S3 | Service::Gcs) && !has(source, "bucket") {
        missing(source, "bucket", "name the bucket that holds the registry");
    }
}

fn part_size(source: &mut Source<'_>) {
    const KEY: &str = "storage.storageDriver.chunksize";
    let Some(value) = source.value(KEY) else { return };
    let size = super::read::read(super::keys::Kind::Bytes, value);
    let fits = |size: i64| u64::try_from(size).is_ok_and(|size| PART_SIZES.contains(&size));
    if !matches!(size, Ok(Value::Int(size)) if fits(size)) {
        source.problem(KEY, "must be from 5MiB to 5GiB, the sizes of a part that S3 takes");
    }
}
