//! The record of every blob: something holds it, or a collector will look at it.

use wharf_oci::{Digest, RepositoryName};
use wharf_store::{Generation, StoreError};

use super::event::Kind;
use super::suspect::Suspect;
use super::{Looked, PAGE, Step, Walk, keys, share_of};
use crate::blob_record::{self, BlobState};
use crate::error::Result;
use crate::gc::judge::{Verdict, judge};
use crate::key::Key;

impl Walk {
    pub(super) async fn blobs(&self, after: Option<&str>) -> Result<Step> {
        let page = self.list(Key::BLOBS, after, PAGE).await?;
        let blobs: Vec<Digest> = digests(keys(&page.entries)).collect();
        let share = blobs.last().and_then(|last| share_of(last.hex()));
        let mut looked = Looked { checked: page.entries.len() as u64, ..Looked::default() };
        self.each(blobs, &mut looked, |blob| self.blob(blob)).await?;
        Ok(Step { looked, to: page.next.into(), share })
    }

    async fn blob(&self, blob: Digest) -> Result<Looked> {
        let cell = match blob_record::load(&self.core, &blob).await {
            Ok(Some(cell)) => cell,
            Ok(None) => return Ok(Looked::default()),
            Err(StoreError::Corrupt { what, detail }) => {
                return Ok(Looked::finding(Kind::Unreadable { key: what, problem: detail }));
            }
            Err(e) => return Err(e.into()),
        };
        let etag = cell.etag;
        Ok(match cell.value.state {
            // Its bytes are looked for where all data are listed.
            BlobState::Gone => Looked::default(),
            state => match judge(&self.core, &blob).await? {
                Verdict::Unheld(_) => Looked::suspect(Suspect::Blob { blob, etag }),
                _ if state == BlobState::Condemned => Looked::suspect(Suspect::Condemned { blob, etag }),
                _ => Looked::default(),
            },
        })
    }

    /// Whether a blob's record names these bytes and does not say gone. If it does so before and after a look at them, it did meanwhile:
    /// an id is used once, and bytes are deleted only after the record says gone.
    pub(super) async fn is_named(&self, blob: &Digest, generation: &Generation) -> Result<bool> {
        let cell = blob_record::load(&self.core, blob).await?;
        Ok(cell.is_some_and(|cell| cell.value.generation == *generation && cell.value.state != BlobState::Gone))
    }

    /// A manifest that needs a blob, if one does.
    pub(super) async fn needed_by(&self, blob: &Digest) -> Result<Option<(RepositoryName, Digest)>> {
        Ok(match judge(&self.core, blob).await? {
            Verdict::Needed { repository, manifest, .. } => Some((repository, manifest)),
            _ => None,
        })
    }
}

/// The blobs among these keys.
pub(super) fn digests(keys: impl Iterator<Item = Key>) -> impl Iterator<Item = Digest> {
    keys.filter_map(|key| match key {
        Key::Blob(digest) => Some(digest),
        _ => None,
    })
}
