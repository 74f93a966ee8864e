//! The bytes of every blob, hashed.

use std::sync::atomic::Ordering;

use futures::TryStreamExt as _;
use wharf_oci::Digest;
use wharf_store::StoreError;

use super::blobs::digests;
use super::event::{Kind, State};
use super::{Looked, Step, Walk, keys, share_of};
use crate::blob_record::{self, BlobState};
use crate::error::Result;
use crate::key::Key;

/// How many blobs are read in one step.
const PAGE: usize = 16;

impl Walk {
    pub(super) async fn scrub(&self, after: Option<&str>, state: &State) -> Result<Step> {
        let page = self.list(Key::BLOBS, after, PAGE).await?;
        let blobs: Vec<Digest> = digests(keys(&page.entries)).collect();
        let share = blobs.last().and_then(|last| share_of(last.hex()));
        let before = after.and_then(|after| after.split_once('-')).and_then(|(_, hex)| share_of(hex)).or(Some(0.0));
        let mut looked = Looked { checked: page.entries.len() as u64, ..Looked::default() };
        self.each(blobs, &mut looked, |blob| self.bytes_of_blob(blob, state, before)).await?;
        Ok(Step { looked, to: page.next.into(), share })
    }

    async fn bytes_of_blob(&self, blob: Digest, state: &State, share: Option<f64>) -> Result<Looked> {
        let cell = match blob_record::load(&self.core, &blob).await {
            Ok(Some(cell)) if cell.value.state != BlobState::Gone => cell,
            // What cannot be understood was found when the records were walked.
            Ok(_) | Err(StoreError::Corrupt { .. }) => return Ok(Looked::default()),
            Err(e) => return Err(e.into()),
        };
        let mut hasher = blob.algorithm().hasher();
        let hashed = async {
            let mut stream = self.core.data.read(&cell.value.generation, 0..cell.value.size).await?;
            while let Some(chunk) = stream.try_next().await? {
                hasher.update(&chunk);
                self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                self.murmur(state, share);
            }
            Ok::<_, StoreError>(())
        };
        match hashed.await {
            Ok(()) => {}
            // What is missing or too short was found when the data were listed, or has gone since.
            Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => return Ok(Looked::default()),
            Err(e) => return Err(e.into()),
        }
        let actual = hasher.finish();
        let generation = cell.value.generation;
        if actual == blob || !self.is_named(&blob, &generation).await? {
            return Ok(Looked::default());
        }
        let needed_by = self.needed_by(&blob).await?;
        Ok(Looked::finding(Kind::BytesDamaged { blob, generation, actual, needed_by }))
    }
}
