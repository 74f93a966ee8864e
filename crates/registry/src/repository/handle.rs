//! One repository at one replica: strict reads that are joined, and the queue of its group commit.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use wharf_oci::RepositoryName;
use wharf_store::{Changed, ETag, Record, StoreError, StoreResult};

use super::commit::{Gathering, Queue};
use super::root::Root;
use super::view::View;
use crate::breaks::Break;
use crate::core::Core;
use crate::key::Key;
use crate::record;

/// A root and the version that it was read at.
#[derive(Clone, Debug)]
pub(crate) struct CachedRoot {
    pub(crate) etag: ETag,
    pub(crate) root: Arc<Root>,
}

/// The result of a read that several callers wait for.
type Joined = Shared<BoxFuture<'static, Result<Option<CachedRoot>, Arc<StoreError>>>>;

/// The reads of a root: at most one is running and one waits for it to end.
#[derive(Default)]
struct Reads {
    running: Option<Joined>,
    next: Option<Joined>,
}

/// See the module.
pub(crate) struct Handle {
    pub(crate) name: RepositoryName,
    reads: Mutex<Reads>,
    pub(super) queue: Mutex<Queue>,
    /// Above zero while others commit to the repository too, as far as the last batches saw.
    pub(super) contended: AtomicU32,
    pub(super) gathering: Gathering,
}

impl Handle {
    /// The handle of a repository.
    pub(crate) fn of(core: &Core, name: &RepositoryName) -> Arc<Self> {
        let made: Result<_, std::convert::Infallible> = core.handles.get_or_insert_with(name, || {
            Ok(Arc::new(Self {
                name: name.clone(),
                reads: Mutex::default(),
                queue: Mutex::default(),
                contended: AtomicU32::new(0),
                gathering: Gathering::default(),
            }))
        });
        match made {
            Ok(handle) => handle,
        }
    }

    /// A strict read: a version that was current at some moment after this was called. `None` where nothing was ever pushed.
    ///
    /// A read that is already running may have begun before a write that the caller is entitled to see. Callers therefore join
    /// the one after it.
    pub(crate) async fn read(self: &Arc<Self>, core: &Arc<Core>) -> StoreResult<Option<CachedRoot>> {
        let joined = {
            let mut reads = lock(&self.reads);
            match &reads.next {
                _ if core.broken(Break::JoinsRunningRead) && reads.running.is_some() => {
                    reads.running.clone().ok_or_else(|| StoreError::not_found("a running read"))?
                }
                Some(next) => next.clone(),
                None => {
                    let next = Self::next_read(Arc::downgrade(self), core.clone(), reads.running.clone());
                    reads.next.insert(next).clone()
                }
            }
        };
        joined.await.map_err(|e| rejoin(&e))
    }

    /// A strict read as a view; an empty one where nothing was ever pushed.
    pub(crate) async fn view(self: &Arc<Self>, core: &Arc<Core>) -> StoreResult<Option<View>> {
        let cached = self.read(core).await?;
        Ok(cached.map(|cached| View { core: core.clone(), name: self.name.clone(), root: cached.root }))
    }

    /// The read that begins when `running` has ended. It holds the handle weakly, because the handle holds it.
    fn next_read(this: Weak<Self>, core: Arc<Core>, running: Option<Joined>) -> Joined {
        async move {
            if let Some(running) = running {
                let _ = running.await;
            }
            let handle = this.upgrade().ok_or_else(|| Arc::new(StoreError::not_found("the repository's handle")))?;
            {
                let mut reads = lock(&handle.reads);
                reads.running = reads.next.take();
            }
            let result = handle.fetch(&core).await.map_err(Arc::new);
            lock(&handle.reads).running = None;
            result
        }
        .boxed()
        .shared()
    }

    /// Asks the store for the root, unless the known version is still the current one.
    pub(super) async fn fetch(&self, core: &Core) -> StoreResult<Option<CachedRoot>> {
        let key = Key::Root(self.name.clone());
        let path = key.to_string();
        let record = match core.roots.get(&self.name) {
            None => core.records.get(&path).await?,
            Some(cached) => match core.records.get_if_changed(&path, &cached.etag).await? {
                Changed::Same => return Ok(Some(cached)),
                Changed::Now(record) => record,
            },
        };
        let Some(Record { value, etag }) = record else { return Ok(None) };
        let root: Root = record::decode(&key, &value)?;
        if !root.is_known_format() {
            return Err(StoreError::corrupt(&key, "written by a newer version of Wharf; upgrade this replica"));
        }
        let cached = CachedRoot { etag, root: Arc::new(root) };
        self.remember(core, &cached);
        Ok(Some(cached))
    }

    /// Keeps a version as the latest known one, unless a later one is known.
    pub(super) fn remember(&self, core: &Core, cached: &CachedRoot) {
        let newer = core.roots.get(&self.name).is_none_or(|known| known.root.version < cached.root.version);
        if newer {
            core.roots.insert(self.name.clone(), cached.clone());
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle({})", self.name)
    }
}

/// A lock that is never held across I/O and whose holder does not panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of a joined read, for one of those who waited.
fn rejoin(error: &Arc<StoreError>) -> StoreError {
    match &**error {
        StoreError::Corrupt { what, detail } => StoreError::corrupt(what, detail.clone()),
        StoreError::Refused { operation, what, source } => StoreError::refused(operation, what, source.to_string()),
        StoreError::Unavailable { operation, what, source } => {
            StoreError::unavailable(operation, what, source.to_string())
        }
        other => StoreError::unavailable("get", "the repository's root", other.to_string()),
    }
}
