//! What a registry uses at this moment, in plain numbers: for whoever shows them.

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::registry::Registry;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that uploads may hold in memory together.
    pub upload_memory: u64,
    /// Bytes of them that nobody holds.
    pub upload_memory_free: u64,
    /// Uploads that wait for memory.
    pub uploads_waiting: usize,
    /// Work that goes on behind answers.
    pub tasks: usize,
    /// The caches.
    pub caches: Vec<CacheUsage>,
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheUsage {
    /// What is in it.
    pub name: &'static str,
    /// How many of them.
    pub entries: usize,
    /// What they weigh, in bytes, or in entries where the cache is bounded by their number.
    pub weight: u64,
    /// What they may weigh.
    pub capacity: u64,
    /// How often it had what was looked for since the process started.
    pub hits: u64,
    /// How often it did not.
    pub misses: u64,
}

impl Registry {
    /// Uploads that wait for memory.
    #[must_use]
    pub fn uploads_waiting(&self) -> usize {
        self.core.budget.waiting()
    }

    /// What it uses now. Costs no call to the store.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let core = &self.core;
        Usage {
            upload_memory: core.budget.total(),
            upload_memory_free: core.budget.free(),
            uploads_waiting: core.budget.waiting(),
            tasks: core.tasks.len(),
            caches: vec![
                of("roots", &core.roots),
                of("segments", &core.segments),
                of("manifests", &core.manifests),
                of("blobs", &core.needed),
            ],
        }
    }
}

fn of<K, V, W>(name: &'static str, cache: &Cache<K, V, W>) -> CacheUsage
where
    K: Eq + std::hash::Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    CacheUsage {
        name,
        entries: cache.len(),
        weight: cache.weight(),
        capacity: cache.capacity(),
        hits: cache.hits(),
        misses: cache.misses(),
    }
}
