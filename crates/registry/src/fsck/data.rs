//! All data: something names them.
//!
//! No index leads from data to what names them. So the walk takes a batch of ids, in order, and shows it everything that may name data.
//! A name is passed on in one direction, and everything is read in that direction, after the data were listed:
//!
//! - Of an **upload**: its session is there before its first bytes. The session passes them on to the record of a blob, and goes only
//!   after that; once it is gone, no record can come to name them. So: sessions, then blobs.
//! - Of a **manifest**: an entry of the work list is there before the bytes. It passes them on to the root, the root to another entry, and
//!   that goes after the bytes. So: work list, roots, work list.
//!
//! What none of them names, and is still there after all of that, is nobody's and stays so: every writer of a name looks at the session
//! or is fenced first. Where one of the names cannot be read, nothing is concluded.

use futures::{FutureExt as _, StreamExt as _};
use wharf_oci::{Digest, RepositoryName};
use wharf_store::{Family, Generation, StoreError, StoredData};

use super::blobs::digests;
use super::event::{Kind, State};
use super::suspect::Suspect;
use super::{Looked, PAGE, Step, Walk, foreign, keys, share_of, unreadable, work_list};
use crate::blob_record::{self, BlobRecord, BlobState};
use crate::due::Due;
use crate::error::Result;
use crate::key::Key;
use crate::record::Cell;
use crate::repository::Entry;

/// How many ids one page of a listing has.
const DATA_PAGE: usize = 1000;
/// How often the walk of a repository begins anew because its segments changed.
const ATTEMPTS: usize = 10;

/// An id in little room: the family and the suffix.
type Short = (u128, Option<u64>);

/// Data of the batch.
struct Slot {
    id: Short,
    size: u64,
    is_named: bool,
}

/// Some of the data, in order of their ids.
struct Batch {
    /// The batch begins after this.
    after: Option<Short>,
    slots: Vec<Slot>,
    /// The last id, where more data follow.
    last: Option<Generation>,
    /// Why nothing may be concluded from that a name is missing.
    blind: Option<String>,
}

/// `None` for an id that no version of Wharf makes.
fn short(generation: &Generation) -> Option<Short> {
    let text = generation.as_str();
    let family = u128::from_str_radix(text.get(..32)?, 16).ok()?;
    match text.get(32..)? {
        "" => Some((family, None)),
        suffix if suffix.len() == 17 => {
            let suffix = u64::from_str_radix(&suffix[1..], 16).ok()?;
            Some((family, Some(suffix)))
        }
        _ => None,
    }
}

fn long(id: Short) -> Generation {
    let family = Family::new(id.0);
    id.1.map_or_else(|| family.first(), |suffix| family.other(suffix))
}

impl Batch {
    fn new(after: Option<&Generation>) -> Self {
        Self { after: after.and_then(short), slots: Vec::new(), last: None, blind: None }
    }

    fn take(&mut self, page: Vec<StoredData>) {
        let slots = page.into_iter().filter_map(|stored| {
            let id = short(&stored.generation).filter(|id| long(*id) == stored.generation)?;
            Some(Slot { id, size: stored.size, is_named: false })
        });
        self.slots.extend(slots);
    }

    /// Whether data of this id would be in the batch.
    fn covers(&self, generation: &Generation) -> bool {
        let id = short(generation);
        id.is_some() && (self.after.is_none() || id > self.after) && self.last.as_ref().is_none_or(|l| id <= short(l))
    }

    fn find(&mut self, generation: &Generation) -> Option<&mut Slot> {
        let id = short(generation)?;
        let at = self.slots.binary_search_by(|slot| slot.id.cmp(&id)).ok()?;
        self.slots.get_mut(at)
    }

    fn name(&mut self, generation: &Generation) {
        if let Some(slot) = self.find(generation) {
            slot.is_named = true;
        }
    }

    fn name_family(&mut self, family: &Family) {
        let Some((family, _)) = short(&family.first()) else { return };
        let from = self.slots.partition_point(|slot| slot.id.0 < family);
        self.slots[from..].iter_mut().take_while(|slot| slot.id.0 == family).for_each(|slot| slot.is_named = true);
    }

    /// A key that cannot be understood may be a name that cannot be read.
    fn see(&mut self, foreign: Option<String>) {
        if let Some(key) = foreign {
            self.blind = Some(format!("{key} is no key of this version"));
        }
    }

    fn is_named_throughout(&self) -> bool {
        self.slots.iter().all(|slot| slot.is_named)
    }
}

impl Walk {
    /// `after` is the last id of the batch before.
    pub(super) async fn data(&self, after: Option<&str>, state: &State) -> Result<Step> {
        let after = after.and_then(|after| after.parse::<Generation>().ok());
        let share = after.as_ref().map_or(Some(0.0), |after| share_of(after.as_str()));
        let mut batch = self.take_batch(after).await?;
        let mut looked = Looked { checked: batch.slots.len() as u64, ..Looked::default() };
        self.names_of_work(&mut batch).await?;
        let strange = self.sessions(|family| batch.name_family(family)).await?;
        batch.see(strange);
        self.names_of_blobs(&mut batch, &mut looked, state, share).await?;
        self.names_of_roots(&mut batch, state, share).await?;
        if !batch.is_named_throughout() {
            self.names_of_work(&mut batch).await?;
        }
        let share = batch.last.as_ref().map_or(Some(1.0), |last| share_of(last.as_str()));
        let to = batch.last.as_ref().map(|last| last.as_str().to_owned()).into();
        match batch.blind {
            Some(reason) => looked.skipped.push(format!("whether data are named: {reason}")),
            None => {
                let unnamed = batch.slots.into_iter().filter(|slot| !slot.is_named).map(|slot| long(slot.id)).collect();
                self.each(unnamed, &mut looked, |generation| self.still_there(generation)).await?;
            }
        }
        Ok(Step { looked, to, share })
    }

    async fn take_batch(&self, mut after: Option<Generation>) -> Result<Batch> {
        let mut batch = Batch::new(after.as_ref());
        loop {
            let page = self.core.data.list("", after.as_ref(), DATA_PAGE).await?;
            batch.take(page.data);
            match page.next {
                Some(next) if batch.slots.len() >= self.options.batch => {
                    batch.last = Some(next);
                    return Ok(batch);
                }
                Some(next) => after = Some(next),
                None => return Ok(batch),
            }
        }
    }

    async fn still_there(&self, generation: Generation) -> Result<Looked> {
        let size = self.core.data.size(&generation).await?;
        Ok(size.map_or_else(Looked::default, |size| Looked::finding(Kind::StrayData { generation, size })))
    }

    /// What pushes on the work list name.
    async fn names_of_work(&self, batch: &mut Batch) -> Result<()> {
        let unread = work_list::read(&self.core, self.options.at_once, |due| {
            if let Due::Push { generation, .. } = due {
                batch.name(generation);
            }
        })
        .await;
        match unread {
            Ok(unread) => {
                let first = unread.entries.first().map(|(key, problem)| format!("{key}: {problem}"));
                batch.blind = batch.blind.take().or(first);
            }
            Err(e) => batch.blind = Some(unreadable(e)?),
        }
        Ok(())
    }

    /// What the records of blobs name; and whether that is there.
    async fn names_of_blobs(
        &self,
        batch: &mut Batch,
        looked: &mut Looked,
        state: &State,
        share: Option<f64>,
    ) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self.list(Key::BLOBS, after.as_deref(), DATA_PAGE).await?;
            batch.see(foreign(&page.entries));
            let blobs: Vec<Digest> = digests(keys(&page.entries)).collect();
            let load = |blob: Digest| async {
                let loaded = blob_record::load(&self.core, &blob).await;
                (blob, loaded)
            };
            let loads: Vec<_> = blobs.into_iter().map(|blob| load(blob).boxed()).collect();
            let mut loads = futures::stream::iter(loads).buffer_unordered(self.options.at_once.max(1));
            while let Some((blob, loaded)) = loads.next().await {
                match loaded {
                    Ok(Some(cell)) => looked.add(self.name_of_blob(batch, blob, cell).await?),
                    Ok(None) => {}
                    Err(StoreError::Corrupt { what, detail }) => batch.blind = Some(format!("{what}: {detail}")),
                    Err(e) => return Err(e.into()),
                }
            }
            drop(loads);
            self.murmur(state, share);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn name_of_blob(&self, batch: &mut Batch, blob: Digest, cell: Cell<BlobRecord>) -> Result<Looked> {
        let BlobRecord { generation, size: expected, state, .. } = cell.value;
        if !batch.covers(&generation) {
            return Ok(Looked::default());
        }
        let size = batch.find(&generation).map(|slot| {
            slot.is_named = true;
            slot.size
        });
        match (state, size) {
            (BlobState::Gone, None) => return Ok(Looked::default()),
            (BlobState::Gone, Some(_)) => {
                return Ok(Looked::suspect(Suspect::Gone { blob, generation, etag: cell.etag }));
            }
            (_, Some(size)) if size == expected => return Ok(Looked::default()),
            _ => {}
        }
        // The blob may be younger than the list of the data.
        let found = self.core.data.size(&generation).await?;
        if found == Some(expected) || !self.is_named(&blob, &generation).await? {
            return Ok(Looked::default());
        }
        let needed_by = match self.needed_by(&blob).await {
            Ok(needed_by) => needed_by,
            Err(e) => unreadable(e).map(|_| None)?,
        };
        Ok(Looked::finding(Kind::BytesLost { blob, generation, expected, found, needed_by }))
    }

    /// What the manifests of all repositories name.
    async fn names_of_roots(&self, batch: &mut Batch, state: &State, share: Option<f64>) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let page = self.list(Key::ROOTS, after.as_deref(), DATA_PAGE).await?;
            batch.see(foreign(&page.entries));
            for key in keys(&page.entries) {
                let Key::Root(name) = key else { continue };
                if let Err(e) = self.names_of_root(batch, &name).await {
                    batch.blind = Some(unreadable(e)?);
                }
            }
            self.murmur(state, share);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// A repository that goes on changing while it is read loses segments of an old version; an entry that stays is seen all the same,
    /// since all versions are in one order.
    async fn names_of_root(&self, batch: &mut Batch, name: &RepositoryName) -> Result<()> {
        let (mut after, mut view) = (None::<String>, self.view(name).await?);
        let mut attempts = 0;
        while let Some(now) = &view {
            match now.entries(after.as_deref(), PAGE).await {
                Ok(entries) => {
                    for (_, entry) in &entries {
                        if let Entry::Manifest(entry) = entry {
                            batch.name(&entry.generation);
                        }
                    }
                    match entries.last() {
                        Some((key, _)) if entries.len() >= PAGE => after = Some(key.as_str().to_owned()),
                        _ => return Ok(()),
                    }
                }
                Err(StoreError::NotFound { .. }) if attempts < ATTEMPTS => {
                    attempts += 1;
                    view = self.view(name).await?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
