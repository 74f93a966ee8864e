//! Every stored segment: its root names it, or it is young.

use std::collections::BTreeMap;

use wharf_oci::RepositoryName;

use super::suspect::Suspect;
use super::{Looked, PAGE, Step, Walk, keys};
use crate::error::Result;
use crate::key::{Id, Key};

impl Walk {
    pub(super) async fn segments(&self, after: Option<&str>) -> Result<Step> {
        let page = self.list(Key::SEGMENTS, after, PAGE).await?;
        let mut by_repository: BTreeMap<RepositoryName, Vec<Id>> = BTreeMap::new();
        for key in keys(&page.entries) {
            if let Key::Segment(repository, id) = key {
                by_repository.entry(repository).or_default().push(id);
            }
        }
        let mut looked = Looked { checked: page.entries.len() as u64, ..Looked::default() };
        let repositories = by_repository.into_iter().collect();
        self.each(repositories, &mut looked, |(repository, ids)| self.unnamed(repository, ids)).await?;
        Ok(Step { looked, to: page.next.into(), share: None })
    }

    /// Old segments that the root does not name.
    async fn unnamed(&self, repository: RepositoryName, ids: Vec<Id>) -> Result<Looked> {
        let named = match self.view(&repository).await? {
            Some(view) => view.named_segments().await?,
            None => Default::default(),
        };
        let is_stray = |id: &Id| self.is_old(id.made()) && !named.contains(id);
        let suspects =
            ids.into_iter().filter(is_stray).map(|id| Suspect::Segment { repository: repository.clone(), id });
        Ok(Looked { suspects: suspects.collect(), ..Looked::default() })
    }
}
