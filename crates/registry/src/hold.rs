//! Who holds a blob: the records from which both a reader's right and a collector's judgement follow.

use wharf_oci::{Digest, RepositoryName};
use wharf_store::{ListRequest, StoreResult, ahead};

use crate::core::Core;
use crate::due::{self, Due, Place};
use crate::key::{Holder, Id, Key};
use crate::record;
use crate::repository::View;

/// Why a repository holds a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// A manifest of it needs the blob.
    ByManifest { manifest: Digest, push: Id },
    /// It was uploaded or mounted, and no manifest needs it yet.
    ByLease,
}

/// How many holds the first page has. Mostly one of the first decides, and a layer may be held by thousands of manifests.
const FIRST_PAGE: usize = 8;
/// How many holds a further page has.
const PAGE: usize = 500;

/// The holds of a repository on a blob, as they are listed.
pub(crate) struct Holds<'a> {
    core: &'a Core,
    prefix: String,
    page: Vec<Holder>,
    next: Option<String>,
}

impl<'a> Holds<'a> {
    /// Reads the first page.
    pub(crate) async fn list(core: &'a Core, digest: &Digest, repository: &RepositoryName) -> StoreResult<Self> {
        Self::page(core, Key::holds_of(digest, repository), None, FIRST_PAGE).await
    }

    async fn page(core: &'a Core, prefix: String, after: Option<&str>, limit: usize) -> StoreResult<Self> {
        let request = ListRequest { prefix: &prefix, after, fold: false, limit };
        let listed = core.records.list(request).await?;
        let page = listed
            .entries
            .iter()
            .filter_map(|entry| match entry.key.parse() {
                Ok(Key::Hold(_, _, holder)) => Some(holder),
                _ => None,
            })
            .collect();
        Ok(Self { core, prefix, page, next: listed.next })
    }

    /// Judges them against a version of the repository. A push's hold counts while the root has the manifest under that push; a
    /// lease counts as long as it is there.
    pub(crate) async fn judge(mut self, view: Option<&View>) -> StoreResult<Option<Held>> {
        let mut leased = false;
        loop {
            for holder in &self.page {
                match holder {
                    Holder::Lease { .. } => leased = true,
                    Holder::Push { manifest, push } => {
                        let entry = match view {
                            Some(view) => view.manifest(manifest).await?,
                            None => None,
                        };
                        if entry.is_some_and(|entry| entry.push == *push) {
                            return Ok(Some(Held::ByManifest { manifest: manifest.clone(), push: *push }));
                        }
                    }
                }
            }
            match self.next.take() {
                Some(after) => self = Self::page(self.core, self.prefix, Some(&after), PAGE).await?,
                None => return Ok(leased.then_some(Held::ByLease)),
            }
        }
    }
}

/// Puts a due entry and then a lease of the same time and id, so that no lease is forgotten.
pub(crate) async fn lease(core: &Core, digest: &Digest, repository: &RepositoryName) -> StoreResult<Place> {
    let place = announce(core, digest, repository).await?;
    lease_at(core, digest, repository, place).await?;
    Ok(place)
}

/// The first half of [`lease`]: the due entry.
pub(crate) async fn announce(core: &Core, digest: &Digest, repository: &RepositoryName) -> StoreResult<Place> {
    let place = Place { time: core.due(), id: core.id() };
    ahead(due::put_at(core, place, &lease_due(digest, repository, place))).await?;
    Ok(place)
}

/// The second half of [`lease`]: the lease itself, where it was announced.
pub(crate) async fn lease_at(
    core: &Core,
    digest: &Digest,
    repository: &RepositoryName,
    place: Place,
) -> StoreResult<()> {
    let key = lease_key(digest, repository, place);
    record::create(core.records.as_ref(), &key, &()).await?;
    // So late that a collector may have taken the entry off before the lease was there.
    if core.now() + core.grace().as_secs() / 2 >= place.time {
        due::put(core, lease_due(digest, repository, place)).await?;
    }
    Ok(())
}

/// The due entry of a lease; it stands at the same place.
pub(crate) fn lease_due(digest: &Digest, repository: &RepositoryName, place: Place) -> Due {
    Due::Lease { digest: digest.clone(), repository: repository.clone(), due: place.time, id: place.id }
}

/// Takes a lease back. Its due entry stays: it costs one look.
pub(crate) async fn release(
    core: &Core,
    digest: &Digest,
    repository: &RepositoryName,
    place: due::Place,
) -> StoreResult<()> {
    core.records.delete(&lease_key(digest, repository, place).to_string()).await
}

/// Takes all leases of a repository on a blob.
pub(crate) async fn release_all(core: &Core, digest: &Digest, repository: &RepositoryName) -> StoreResult<()> {
    let prefix = Key::leases_of(digest, repository);
    loop {
        let request = ListRequest { prefix: &prefix, after: None, fold: false, limit: PAGE };
        let page = core.records.list(request).await?;
        let deletes = page.entries.iter().map(|entry| core.records.delete(&entry.key));
        futures::future::try_join_all(deletes).await?;
        if page.next.is_none() {
            return Ok(());
        }
    }
}

fn lease_key(digest: &Digest, repository: &RepositoryName, place: due::Place) -> Key {
    Key::Hold(digest.clone(), repository.clone(), Holder::Lease { due: place.time, id: place.id })
}

/// Puts the holds of a push, one for each blob of its manifest.
pub(crate) async fn put_all(
    core: &Core,
    repository: &RepositoryName,
    blobs: &[Digest],
    manifest: &Digest,
    push: Id,
) -> StoreResult<()> {
    let puts = blobs.iter().map(|digest| {
        let key = push_key(digest, repository, manifest, push);
        async move { record::create(core.records.as_ref(), &key, &()).await.map(drop) }
    });
    futures::future::try_join_all(puts).await.map(drop)
}

/// Takes the holds of a push.
pub(crate) async fn withdraw_all(
    core: &Core,
    repository: &RepositoryName,
    blobs: &[Digest],
    manifest: &Digest,
    push: Id,
) -> StoreResult<()> {
    let deletes = blobs.iter().map(|digest| {
        let key = push_key(digest, repository, manifest, push).to_string();
        async move { core.records.delete(&key).await }
    });
    futures::future::try_join_all(deletes).await.map(drop)
}

pub(crate) fn push_key(digest: &Digest, repository: &RepositoryName, manifest: &Digest, push: Id) -> Key {
    Key::Hold(digest.clone(), repository.clone(), Holder::Push { manifest: manifest.clone(), push })
}
