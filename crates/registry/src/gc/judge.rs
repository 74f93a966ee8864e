//! Who holds a blob, judged by a collector. It decides; others act.

use std::collections::BTreeMap;
use std::sync::Arc;

use wharf_oci::{Digest, RepositoryName};
use wharf_store::{Entry, ListRequest};

use crate::breaks::Break;
use crate::core::Core;
use crate::env::Seconds;
use crate::error::Result;
use crate::key::{Holder, Id, Key};
use crate::repository::{Change, Committed, Handle, Refusal, View};

/// A hold as a collector sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) repository: RepositoryName,
    pub(crate) holder: Holder,
}

impl Hold {
    pub(crate) fn key(&self, digest: &Digest) -> Key {
        Key::Hold(digest.clone(), self.repository.clone(), self.holder.clone())
    }
}

/// What the holds of a blob say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A manifest needs it.
    Needed {
        /// Where.
        repository: RepositoryName,
        /// Which manifest, under which push.
        manifest: Digest,
        push: Id,
    },
    /// A lease runs until then, or a young push may still become part of a root.
    Waiting(Seconds),
    /// Only these are left: leases that are over, and old pushes that are in no root as far as was seen.
    Unheld(Vec<Hold>),
}

const PAGE: usize = 500;

/// Lists and judges the holds of a blob. Stops at the first that shows it to be needed: a blob that thousands of manifests share costs
/// no more than one that a single manifest needs. Dead holds beside that are left to the due entries of their own leases and pushes.
pub(crate) async fn judge(core: &Arc<Core>, digest: &Digest) -> Result<Verdict> {
    let now = core.now();
    let prefix = Key::holds(digest);
    let (mut old, mut until, mut after) = (Vec::new(), None::<Seconds>, None::<String>);
    let mut views: BTreeMap<RepositoryName, Option<View>> = BTreeMap::new();
    loop {
        let request = ListRequest { prefix: &prefix, after: after.as_deref(), fold: false, limit: PAGE };
        let page = core.records.list(request).await?;
        for hold in page.entries.iter().filter_map(parse) {
            let wait = match &hold.holder {
                Holder::Lease { due, .. } => *due,
                Holder::Push { manifest, push } => {
                    if !views.contains_key(&hold.repository) {
                        let view = Handle::of(core, &hold.repository).view(core).await?;
                        views.insert(hold.repository.clone(), view);
                    }
                    if is_committed(views.get(&hold.repository), manifest, *push).await? {
                        let (repository, manifest, push) = (hold.repository, manifest.clone(), *push);
                        return Ok(Verdict::Needed { repository, manifest, push });
                    }
                    push.made() + core.grace().as_secs()
                }
            };
            if wait > now {
                until = Some(until.map_or(wait, |until| until.max(wait)));
            } else {
                old.push(hold);
            }
        }
        match (page.next, until) {
            (Some(next), _) => after = Some(next),
            (None, Some(until)) => return Ok(Verdict::Waiting(until)),
            (None, None) => return Ok(Verdict::Unheld(old)),
        }
    }
}

fn parse(entry: &Entry) -> Option<Hold> {
    match entry.key.parse() {
        Ok(Key::Hold(_, repository, holder)) => Some(Hold { repository, holder }),
        _ => None,
    }
}

async fn is_committed(view: Option<&Option<View>>, manifest: &Digest, push: Id) -> Result<bool> {
    match view {
        Some(Some(view)) => Ok(view.manifest(manifest).await?.is_some_and(|entry| entry.push == push)),
        _ => Ok(false),
    }
}

/// What a fence made of old holds.
pub(crate) enum Fenced {
    /// None of their pushes is in a root, nor ever will be.
    Dead,
    /// One of them is in its root after all.
    Alive,
    /// It is not known.
    Unknown,
}

/// Fences the repositories of old push holds, and looks into those very roots.
pub(crate) async fn fence(core: &Arc<Core>, holds: &[Hold]) -> Result<Fenced> {
    if core.broken(Break::NoFence) {
        return Ok(Fenced::Dead);
    }
    let mut by_repository: BTreeMap<&RepositoryName, Vec<(Digest, Id)>> = BTreeMap::new();
    for hold in holds {
        if let Holder::Push { manifest, push } = &hold.holder {
            by_repository.entry(&hold.repository).or_default().push((manifest.clone(), *push));
        }
    }
    for (repository, pushes) in by_repository {
        match Handle::of(core, repository).commit(core, Change::Fence(pushes)).await {
            Ok(Committed::Present(present)) if present.contains(&true) => return Ok(Fenced::Alive),
            Ok(_) => {}
            Err(Refusal::Store(error)) => return Err(crate::Error::Commit(error)),
            Err(_) => return Ok(Fenced::Unknown),
        }
    }
    Ok(Fenced::Dead)
}
