//! What every part of the registry shares: the stores, time and chance, and the caches.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio_util::task::TaskTracker;
use wharf_oci::{Digest, RepositoryName};
use wharf_store::write::Budget;
use wharf_store::{Data, Family, Generation, Records};

use crate::Options;
use crate::env::{Env, Seconds, seconds};
use crate::gc::Account;
use crate::key::Id;
use crate::repository::{CachedRoot, Handle, Segment};

/// See the module.
pub(crate) struct Core {
    pub(crate) records: Arc<dyn Records>,
    pub(crate) data: Arc<dyn Data>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) options: Options,
    /// In milliseconds; it may change at any time, since safety never rests on it.
    grace: AtomicU64,
    pub(crate) budget: Arc<Budget>,
    /// The latest known version of roots. Disposable: a strict read asks the store whether it is still the current one.
    pub(crate) roots: Cache<RepositoryName, CachedRoot, ByWeight>,
    /// Segments never change.
    pub(crate) segments: Cache<Id, Arc<Segment>, ByWeight>,
    /// Manifests by digest never change.
    pub(crate) manifests: Cache<Digest, Bytes, ByWeight>,
    /// Why a repository holds a blob, as it was last found. Good as long as the manifest is there under the same push.
    pub(crate) needed: Cache<(RepositoryName, Digest), Needed>,
    /// One handle a repository, so that requests join; two for one would only join less.
    pub(crate) handles: Cache<RepositoryName, Arc<Handle>>,
    /// Work that goes on behind an answer.
    pub(crate) tasks: TaskTracker,
    /// What the collector of this process did.
    pub(crate) account: Account,
}

/// A blob that a manifest of the repository needs.
#[derive(Clone, Debug)]
pub(crate) struct Needed {
    pub(crate) manifest: Digest,
    pub(crate) push: Id,
    pub(crate) generation: Generation,
    pub(crate) size: u64,
}

/// Weighs cache entries by the memory that they take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByWeight;

impl Weighter<RepositoryName, CachedRoot> for ByWeight {
    fn weight(&self, _: &RepositoryName, cached: &CachedRoot) -> u64 {
        512 + 2 * cached.root.weight() as u64
    }
}

impl Weighter<Id, Arc<Segment>> for ByWeight {
    fn weight(&self, _: &Id, segment: &Arc<Segment>) -> u64 {
        256 + 2 * segment.weight() as u64
    }
}

impl Weighter<Digest, Bytes> for ByWeight {
    fn weight(&self, _: &Digest, bytes: &Bytes) -> u64 {
        256 + bytes.len() as u64
    }
}

/// How many repositories and needed blobs are remembered; each takes a few hundred bytes.
const REMEMBERED: usize = 16_384;

impl Core {
    pub(crate) fn new(records: Arc<dyn Records>, data: Arc<dyn Data>, env: Arc<dyn Env>, options: Options) -> Self {
        let third = options.cache_memory / 3;
        Self {
            records,
            data,
            env,
            budget: Arc::new(Budget::new(options.upload_memory)),
            roots: Cache::with_weighter(4096, third, ByWeight),
            segments: Cache::with_weighter(1024, third, ByWeight),
            manifests: Cache::with_weighter(8192, third, ByWeight),
            needed: Cache::new(REMEMBERED),
            handles: Cache::new(REMEMBERED),
            tasks: TaskTracker::new(),
            account: Account::default(),
            grace: AtomicU64::new(millis(options.grace)),
            options,
        }
    }

    /// A fresh id.
    pub(crate) fn id(&self) -> Id {
        Id::new(self.now(), self.env.random())
    }

    /// A fresh family of generations.
    pub(crate) fn family(&self) -> Family {
        Family::new(self.env.random())
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Seconds {
        seconds(self.env.as_ref())
    }

    /// When something that begins now may be collected.
    pub(crate) fn due(&self) -> Seconds {
        self.now() + self.grace().as_secs()
    }

    /// How long what has no claim is kept.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace.load(Ordering::Relaxed))
    }

    pub(crate) fn set_grace(&self, grace: Duration) {
        self.grace.store(millis(grace), Ordering::Relaxed);
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("records", &self.records).field("data", &self.data).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
