//! One version of a repository, to be read from memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use wharf_oci::{Digest, Reference, RepositoryName, Tag};
use wharf_store::{StoreError, StoreResult};

use super::entry::{Entry, EntryKey, ManifestEntry, ReferrerEntry};
use super::root::Root;
use super::tree;
use crate::core::Core;
use crate::key::Id;

/// One version of a repository's state.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) core: Arc<Core>,
    pub(crate) name: RepositoryName,
    pub(crate) root: Arc<Root>,
}

impl View {
    /// The manifest of this digest.
    pub(crate) async fn manifest(&self, digest: &Digest) -> StoreResult<Option<ManifestEntry>> {
        manifest(&self.core, &self.name, &self.root, digest).await
    }

    /// What a reference names: a digest and its manifest.
    pub(crate) async fn resolve(&self, reference: &Reference) -> StoreResult<Option<(Digest, ManifestEntry)>> {
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => match tree::get(&self.core, &self.name, &self.root, &EntryKey::tag(tag)).await? {
                Some(Entry::Tag(entry)) => entry.manifest,
                _ => return Ok(None),
            },
        };
        Ok(self.manifest(&digest).await?.map(|entry| (digest, entry)))
    }

    /// At most `limit` tags after `after`, in order.
    pub(crate) async fn tags(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<Tag>> {
        let after = after.map(|tag| format!("{}{tag}", EntryKey::ALL_TAGS));
        let found = tree::scan(&self.core, &self.name, &self.root, EntryKey::ALL_TAGS, after.as_deref(), limit).await?;
        found.iter().map(|(key, _)| self.last(key)).collect()
    }

    /// At most `limit` tags of a manifest, in order.
    pub(crate) async fn tags_of(&self, digest: &Digest, limit: usize) -> StoreResult<Vec<String>> {
        let prefix = EntryKey::all_tags_of(digest);
        let found = tree::scan(&self.core, &self.name, &self.root, &prefix, None, limit).await?;
        Ok(found.iter().map(|(key, _)| key.last().to_owned()).collect())
    }

    /// At most `limit` indexes that list a manifest.
    pub(crate) async fn listed_by(&self, digest: &Digest, limit: usize) -> StoreResult<Vec<Digest>> {
        let prefix = EntryKey::all_listing(digest);
        let found = tree::scan(&self.core, &self.name, &self.root, &prefix, None, limit).await?;
        found.iter().map(|(key, _)| self.last(key)).collect()
    }

    /// All manifests that refer to `subject`.
    pub(crate) async fn referrers(&self, subject: &Digest) -> StoreResult<Vec<(Digest, ReferrerEntry)>> {
        let prefix = EntryKey::all_referrers(subject);
        let found = tree::scan(&self.core, &self.name, &self.root, &prefix, None, usize::MAX).await?;
        found
            .into_iter()
            .filter_map(|(key, entry)| match entry {
                Entry::Referrer(referrer) => Some(self.last(&key).map(|digest| (digest, referrer))),
                _ => None,
            })
            .collect()
    }

    /// At most `limit` entries of any kind after the key `after`, in order.
    pub(crate) async fn entries(&self, after: Option<&str>, limit: usize) -> StoreResult<Vec<(EntryKey, Entry)>> {
        tree::scan(&self.core, &self.name, &self.root, "", after, limit).await
    }

    /// The ids of all segments of this version.
    pub(crate) async fn named_segments(&self) -> StoreResult<BTreeSet<Id>> {
        tree::named(&self.core, &self.name, &self.root).await
    }

    fn last<T: std::str::FromStr>(&self, key: &EntryKey) -> StoreResult<T> {
        last(&self.name, key)
    }
}

/// The last component of a key.
pub(crate) fn last<T: std::str::FromStr>(name: &RepositoryName, key: &EntryKey) -> StoreResult<T> {
    key.last().parse().map_err(|_| StoreError::corrupt(name, format!("the state has an entry {key:?}")))
}

/// The manifest of this digest in this state.
pub(crate) async fn manifest(
    core: &Core,
    name: &RepositoryName,
    root: &Root,
    digest: &Digest,
) -> StoreResult<Option<ManifestEntry>> {
    match tree::get(core, name, root, &EntryKey::manifest(digest)).await? {
        Some(Entry::Manifest(entry)) => Ok(Some(entry)),
        _ => Ok(None),
    }
}
