//! Every hold: its push is in the root, or it is young; every lease: it is not over.

use std::collections::BTreeMap;

use wharf_oci::{Digest, RepositoryName};

use super::suspect::Suspect;
use super::{Looked, PAGE, Step, Walk, keys, share_of};
use crate::error::Result;
use crate::key::{Holder, Id, Key};
use crate::repository::{Handle, View};

/// Old holds of one repository: the manifest, the push, and the blob.
type Pushes = Vec<(Digest, Id, Digest)>;

impl Walk {
    pub(super) async fn holds(&self, after: Option<&str>) -> Result<Step> {
        let page = self.list(Key::HOLDS, after, PAGE).await?;
        let mut looked = Looked { checked: page.entries.len() as u64, ..Looked::default() };
        let mut by_repository: BTreeMap<RepositoryName, Pushes> = BTreeMap::new();
        let mut share = None;
        for key in keys(&page.entries) {
            let Key::Hold(blob, repository, holder) = key else { continue };
            share = share_of(blob.hex());
            match holder {
                Holder::Lease { due, id } if self.is_old(due) => {
                    looked.suspects.push(Suspect::Lease { repository, blob, due, id });
                }
                Holder::Push { manifest, push } if self.is_old(push.made()) => {
                    by_repository.entry(repository).or_default().push((manifest, push, blob));
                }
                Holder::Lease { .. } | Holder::Push { .. } => {}
            }
        }
        let repositories = by_repository.into_iter().collect();
        self.each(repositories, &mut looked, |(repository, pushes)| self.uncommitted(repository, pushes)).await?;
        Ok(Step { looked, to: page.next.into(), share })
    }

    /// Holds whose push is not in the root. Any version of it will do: what was in one is either in the next, or a deletion left its
    /// work-list entries.
    async fn uncommitted(&self, repository: RepositoryName, pushes: Pushes) -> Result<Looked> {
        let view = match self.core.roots.get(&repository) {
            Some(cached) => Some(View { core: self.core.clone(), name: repository.clone(), root: cached.root }),
            None => Handle::of(&self.core, &repository).view(&self.core).await?,
        };
        let mut looked = Looked::default();
        for (manifest, push, blob) in pushes {
            let entry = match &view {
                Some(view) => view.manifest(&manifest).await?,
                None => None,
            };
            if entry.is_none_or(|entry| entry.push != push) {
                looked.suspects.push(Suspect::Hold { repository: repository.clone(), manifest, push, blob });
            }
        }
        Ok(looked)
    }
}
