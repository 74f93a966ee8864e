//! The registry, and the handles that its callers hold.

use std::sync::Arc;
use std::time::Duration;

use wharf_oci::RepositoryName;
use wharf_store::{Data, ListRequest, Records};

use crate::core::Core;
use crate::env::{Env, SystemEnv};
use crate::error::Result;
use crate::key::Key;
use crate::repository::{Handle, Shape, View};

/// What a registry may use and how long it waits.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long an unfinished upload, and a blob that no manifest needs, are kept (zot: `storage.gcDelay`). See also
    /// [`Registry::set_grace`].
    pub grace: Duration,
    /// Bytes that uploads may hold in memory together.
    pub upload_memory: u64,
    /// Bytes of repository state and manifests that may be cached.
    pub cache_memory: u64,
    /// Limits of the pieces that a repository's state is kept in.
    pub shape: Shape,
    /// A step of the protocol to do wrong.
    #[cfg(feature = "breaks")]
    pub broken: Option<crate::Break>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(3600),
            upload_memory: 192 << 20,
            cache_memory: 64 << 20,
            shape: Shape::default(),
            #[cfg(feature = "breaks")]
            broken: None,
        }
    }
}

/// The whole registry over one pair of stores. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) core: Arc<Core>,
}

/// One repository of it. Cheap to make; making one does not create anything.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(crate) core: Arc<Core>,
    pub(crate) name: RepositoryName,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// Whether more follow the last item.
    pub more: bool,
}

impl<T> Page<T> {
    /// Cuts a list that was asked for one item more than `limit`.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        Self { items, more }
    }
}

impl Registry {
    /// A registry over these stores. Reads nothing.
    #[must_use]
    pub fn new(records: Arc<dyn Records>, data: Arc<dyn Data>, options: Options) -> Self {
        Self::with_env(records, data, options, Arc::new(SystemEnv))
    }

    /// A registry that takes time and chance from `env`.
    #[must_use]
    pub fn with_env(records: Arc<dyn Records>, data: Arc<dyn Data>, options: Options, env: Arc<dyn Env>) -> Self {
        Self { core: Arc::new(Core::new(records, data, env, options)) }
    }

    /// The repository of this name, whether it exists or not.
    #[must_use]
    pub fn repository(&self, name: &RepositoryName) -> Repository {
        Repository { core: self.core.clone(), name: name.clone() }
    }

    /// Names of repositories to which a manifest was ever pushed, ordered component by component, after `after`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catalog(&self, after: Option<&RepositoryName>, limit: usize) -> Result<Page<RepositoryName>> {
        self.catalog_of(after, limit, &|_| true).await
    }

    /// [`Registry::catalog`] of those names that `may_see` allows.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catalog_of(
        &self,
        after: Option<&RepositoryName>,
        limit: usize,
        may_see: &(dyn Fn(&RepositoryName) -> bool + Send + Sync),
    ) -> Result<Page<RepositoryName>> {
        let mut names = Vec::new();
        let mut after = after.map(|name| Key::Root(name.clone()).to_string());
        while names.len() <= limit {
            let request = ListRequest {
                prefix: Key::ROOTS,
                after: after.as_deref(),
                fold: false,
                limit: (limit - names.len()).saturating_add(1).min(1000),
            };
            let page = self.core.records.list(request).await?;
            names.extend(page.entries.iter().filter_map(|entry| match entry.key.parse() {
                Ok(Key::Root(name)) => Some(name).filter(may_see),
                _ => None,
            }));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Page::cut(names, limit))
    }

    /// Whether the store answers. For readiness.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        self.core.records.get("ready").await?;
        Ok(())
    }

    /// How long unfinished uploads, and blobs that no manifest needs, are kept from now on. What has its time already keeps it.
    pub fn set_grace(&self, grace: Duration) {
        self.core.set_grace(grace);
    }

    /// See [`Registry::set_grace`].
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.core.grace()
    }

    /// Waits until the work that goes on behind answers is done. No new requests may come meanwhile.
    pub async fn settle(&self) {
        self.core.tasks.close();
        self.core.tasks.wait().await;
        self.core.tasks.reopen();
    }
}

impl Repository {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &RepositoryName {
        &self.name
    }

    pub(crate) fn handle(&self) -> Arc<Handle> {
        Handle::of(&self.core, &self.name)
    }

    /// The current version; `None` where nothing was ever pushed.
    pub(crate) async fn view(&self) -> Result<Option<View>> {
        Ok(self.handle().view(&self.core).await?)
    }
}
