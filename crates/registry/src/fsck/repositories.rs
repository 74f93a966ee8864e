//! Every entry of every repository: whatever it needs is there.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use wharf_oci::{Digest, RepositoryName};
use wharf_store::StoreError;

use super::event::{Kind, State};
use super::{Looked, PAGE, Step, To, Walk, keys, unreadable};
use crate::blob_record::{self, BlobState};
use crate::error::{Error, Result};
use crate::hold;
use crate::key::{Id, Key};
use crate::pull;
use crate::repository::{Entry, EntryKey, Handle, ManifestEntry, View};

/// How many repositories are looked at in one step.
const REPOSITORIES: usize = 64;
/// How often a page of a repository is read again because its segments changed.
const ATTEMPTS: usize = 10;

/// A page of a repository: what was seen, and the last entry where more follow.
type Page = (Looked, Option<String>);

impl Walk {
    /// The next page of a large repository that was begun, or the first pages of some more repositories.
    pub(super) async fn repositories(&self, state: &mut State) -> Result<Step> {
        if state.after.is_none() {
            state.repositories = self.count_repositories().await?;
        }
        if let Some((name, inside)) = state.open.front() {
            let (looked, next) = self.page(name, Some(inside)).await?;
            match next {
                Some(next) => state.open[0].1 = next,
                None => drop(state.open.pop_front()),
            }
            return Ok(Step { looked, to: To::Next(state.after.clone()), share: share(state) });
        }
        let page = self.list(Key::ROOTS, state.after.as_deref(), REPOSITORIES).await?;
        let Some(last) = page.entries.last() else {
            return Ok(Step { looked: Looked::default(), to: To::End, share: Some(1.0) });
        };
        let (mut looked, mut begun) = (Looked::default(), Vec::new());
        for key in keys(&page.entries) {
            let Key::Root(name) = key else { continue };
            let (seen, next) = self.page(&name, None).await?;
            looked.add(seen);
            begun.extend(next.map(|next| (name, next)));
        }
        state.walked += page.entries.len() as u64;
        state.open.extend(begun);
        Ok(Step { looked, to: To::Next(Some(last.key.clone())), share: share(state) })
    }

    async fn count_repositories(&self) -> Result<u64> {
        let (mut count, mut after) = (0, None::<String>);
        loop {
            let page = self.list(Key::ROOTS, after.as_deref(), 1000).await?;
            count += page.entries.len() as u64;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(count),
            }
        }
    }

    /// A page of a repository, from one version of it.
    async fn page(&self, name: &RepositoryName, after: Option<&str>) -> Result<Page> {
        let mut looked = Looked::default();
        let mut missing: Option<String> = None;
        for _ in 0..ATTEMPTS {
            let page = async {
                let Some(view) = self.view(name).await? else { return Ok(None) };
                let entries = view.entries(after, PAGE).await?;
                Ok::<_, Error>(Some((view, entries)))
            };
            match page.await {
                Ok(None) => return Ok((looked, None)),
                Ok(Some((view, entries))) => {
                    let next = entries.last().filter(|_| entries.len() >= PAGE).map(|(key, _)| key.as_str().to_owned());
                    let view = &view;
                    self.each(entries, &mut looked, |(key, entry)| self.entry(view, key, entry)).await?;
                    return Ok((looked, next));
                }
                // The segment may have been replaced since the root was read; if two versions name it, it was not.
                Err(Error::Store(StoreError::NotFound { what })) => {
                    if missing.as_ref() == Some(&what) {
                        let kind =
                            Kind::SegmentLost { repository: name.clone(), problem: format!("{what} is missing") };
                        looked.findings.push(kind);
                        return Ok((looked, None));
                    }
                    missing = Some(what);
                }
                Err(Error::Store(StoreError::Corrupt { what, detail })) => {
                    looked.findings.push(Kind::Unreadable { key: what, problem: detail });
                    return Ok((looked, None));
                }
                Err(e) => return Err(e),
            }
        }
        looked.skipped.push(format!("the rest of {name}: its segments change faster than they are read"));
        Ok((looked, None))
    }

    /// A strict read.
    pub(super) async fn view(&self, name: &RepositoryName) -> Result<Option<View>> {
        Ok(Handle::of(&self.core, name).view(&self.core).await?)
    }

    async fn entry(&self, view: &View, key: EntryKey, entry: Entry) -> Result<Looked> {
        match entry {
            Entry::Manifest(entry) => match key.last().parse::<Digest>() {
                Ok(digest) => self.manifest(view, &digest, &entry).await,
                Err(_) => Ok(Looked::default()),
            },
            // One version says both, so that one look is enough.
            Entry::Tag(tag) if view.manifest(&tag.manifest).await?.is_none() => Ok(Looked::finding(Kind::TagLost {
                repository: view.name.clone(),
                tag: key.last().to_owned(),
                manifest: tag.manifest,
            })),
            _ => Ok(Looked::default()),
        }
    }

    /// Looks at what a manifest needs, and, where something is missing, whether the root still has it under the same push.
    async fn manifest(&self, view: &View, digest: &Digest, entry: &ManifestEntry) -> Result<Looked> {
        let mut looked = Looked { checked: 1, ..Looked::default() };
        let wrong = self.wrong_with(view, digest, entry).await?;
        if !wrong.is_empty() && self.is_in_root(&view.name, digest, entry.push).await? {
            looked.findings = wrong;
        }
        Ok(looked)
    }

    async fn wrong_with(&self, view: &View, digest: &Digest, entry: &ManifestEntry) -> Result<Vec<Kind>> {
        let (repository, manifest) = (view.name.clone(), digest.clone());
        let bytes = match self.bytes_of(digest, entry).await? {
            Ok(bytes) => bytes,
            Err(problem) => {
                let generation = entry.generation.clone();
                return Ok(vec![Kind::ManifestLost { repository, manifest, generation, problem }]);
            }
        };
        let parsed = match pull::parse_stored(digest, &bytes, entry) {
            Ok(parsed) => parsed,
            Err(e) => {
                let (generation, problem) = (entry.generation.clone(), unreadable(e)?);
                return Ok(vec![Kind::ManifestLost { repository, manifest, generation, problem }]);
            }
        };
        let mut wrong = Vec::new();
        for child in parsed.children {
            if view.manifest(&child).await?.is_none() {
                wrong.push(Kind::ChildLost { repository: repository.clone(), manifest: manifest.clone(), child });
            }
        }
        for blob in parsed.blobs {
            wrong.extend(self.wrong_with_blob(&repository, &manifest, entry.push, blob).await?);
        }
        Ok(wrong)
    }

    async fn wrong_with_blob(
        &self,
        repository: &RepositoryName,
        manifest: &Digest,
        push: Id,
        blob: Digest,
    ) -> Result<Vec<Kind>> {
        let mut wrong = Vec::new();
        let hold = hold::push_key(&blob, repository, manifest, push).to_string();
        if self.core.records.get(&hold).await?.is_none() {
            let (repository, manifest) = (repository.clone(), manifest.clone());
            wrong.push(Kind::HoldMissing { repository, manifest, blob: blob.clone() });
        }
        if self.seen_live.get(&blob).is_none() {
            match self.lost_state(&blob).await? {
                None => self.seen_live.insert(blob, ()),
                Some(state) => {
                    let (repository, manifest) = (repository.clone(), manifest.clone());
                    wrong.push(Kind::BlobLost { repository, manifest, blob, state: state.to_owned() });
                }
            }
        }
        Ok(wrong)
    }

    /// Why a blob cannot be read, as its record says. A condemned one can, and who needs it takes it back.
    async fn lost_state(&self, blob: &Digest) -> Result<Option<&'static str>> {
        Ok(match blob_record::load(&self.core, blob).await {
            Ok(Some(cell)) if cell.value.state == BlobState::Gone => Some("gone"),
            Ok(Some(_)) => None,
            Ok(None) => Some("absent"),
            Err(StoreError::Corrupt { .. }) => Some("damaged"),
            Err(e) => return Err(e.into()),
        })
    }

    /// The bytes of a manifest, or what is wrong with them. From the store, not from a cache.
    async fn bytes_of(&self, digest: &Digest, entry: &ManifestEntry) -> Result<std::result::Result<Bytes, String>> {
        let read = async {
            let mut stream = self.core.data.read(&entry.generation, 0..entry.size).await?;
            let mut bytes = BytesMut::new();
            while let Some(chunk) = stream.try_next().await? {
                bytes.extend_from_slice(&chunk);
            }
            Ok::<_, StoreError>(bytes.freeze())
        };
        match read.await {
            Ok(bytes) => {
                self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let actual = digest.algorithm().digest(&bytes);
                Ok(if actual == *digest { Ok(bytes) } else { Err(format!("have the digest {actual}")) })
            }
            Err(StoreError::NotFound { .. }) => Ok(Err("are missing".to_owned())),
            Err(e) if e.is_transient() => Err(e.into()),
            // A store may refuse a range of what is too short.
            Err(e) => match self.core.data.size(&entry.generation).await? {
                Some(size) if size == entry.size => Err(e.into()),
                Some(size) => Ok(Err(format!("are {size} where there should be {}", entry.size))),
                None => Ok(Err("are missing".to_owned())),
            },
        }
    }

    /// Whether the root has a manifest under this push, now.
    pub(super) async fn is_in_root(&self, repository: &RepositoryName, manifest: &Digest, push: Id) -> Result<bool> {
        let entry = match self.view(repository).await? {
            Some(view) => view.manifest(manifest).await?,
            None => None,
        };
        Ok(entry.is_some_and(|entry| entry.push == push))
    }
}

fn share(state: &State) -> Option<f64> {
    (state.repositories > 0).then(|| (state.walked as f64 / state.repositories as f64).min(1.0))
}
