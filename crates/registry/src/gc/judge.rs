//! Who holds a blob, judged by a collector. It decides; others act.

use std::collections::BTreeMap;
use std::sync::Arc;

use wharf_oci::{Digest, RepositoryName};
use wharf_store::ListRequest;

use crate::breaks::Break;
use crate::core::Core;
use crate::env::Seconds;
use crate::error::Result;
use crate::key::{Holder, Id, Key};
use crate::repository::{Change, Committed, Handle, Refusal};

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
        /// Old holds beside it whose push is in no root. They are dead only after a fence.
        old: Vec<Hold>,
    },
    /// A lease runs until then, or a young push may still become part of a root.
    Waiting(Seconds),
    /// Only these are left: leases that are over, and old pushes that are in no root as far as was seen.
    Unheld(Vec<Hold>),
}

const PAGE: usize = 500;

/// Lists and judges the holds of a blob.
pub(crate) async fn judge(core: &Arc<Core>, digest: &Digest) -> Result<Verdict> {
    let now = core.now();
    let (mut old, mut until, mut needed) = (Vec::new(), None::<Seconds>, None);
    for hold in list(core, digest).await? {
        let wait = match &hold.holder {
            Holder::Lease { due, .. } => *due,
            Holder::Push { manifest, push } => {
                let view = Handle::of(core, &hold.repository).view(core).await?;
                let entry = match view {
                    Some(view) => view.manifest(manifest).await?,
                    None => None,
                };
                if entry.is_some_and(|entry| entry.push == *push) {
                    needed = Some((hold.repository, manifest.clone(), *push));
                    continue;
                }
                push.made() + core.options.grace.as_secs()
            }
        };
        if wait > now {
            until = Some(until.map_or(wait, |until| until.max(wait)));
        } else {
            old.push(hold);
        }
    }
    Ok(match (needed, until) {
        (Some((repository, manifest, push)), _) => Verdict::Needed { repository, manifest, push, old },
        (None, Some(until)) => Verdict::Waiting(until),
        (None, None) => Verdict::Unheld(old),
    })
}

async fn list(core: &Core, digest: &Digest) -> Result<Vec<Hold>> {
    let prefix = Key::holds(digest);
    let (mut holds, mut after) = (Vec::new(), None::<String>);
    loop {
        let request = ListRequest { prefix: &prefix, after: after.as_deref(), fold: false, limit: PAGE };
        let page = core.records.list(request).await?;
        holds.extend(page.entries.iter().filter_map(|entry| match entry.key.parse() {
            Ok(Key::Hold(_, repository, holder)) => Some(Hold { repository, holder }),
            _ => None,
        }));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(holds),
        }
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
