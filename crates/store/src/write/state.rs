//! How far a write came: small enough to stand in a record, complete enough to go on anywhere.

use serde::{Deserialize, Serialize};

use crate::{Data, Family, Generation, Part, StoreError, StoreResult};

/// How far a write came. Everything that it names is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteState {
    /// An upload in parts, once there is a first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<OpenUpload>,
    /// What follows the parts and is too small for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pieces: Vec<Piece>,
}

/// An upload in parts and the parts that count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenUpload {
    #[serde(rename = "gen")]
    pub(super) generation: Generation,
    pub(super) id: String,
    pub(super) parts: Vec<Part>,
}

/// A small object of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    #[serde(rename = "gen")]
    pub(super) generation: Generation,
    pub(super) size: u64,
}

impl WriteState {
    /// Number of bytes that were written.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.sent() + self.pieces_len()
    }

    /// Makes the whole of a finished write and answers its generation. Doing it again, anywhere, succeeds.
    ///
    /// # Errors
    /// When the store fails; [`StoreError::NotFound`] when the write was given up meanwhile.
    pub async fn complete(&self, data: &dyn Data) -> StoreResult<Generation> {
        match (&self.upload, self.pieces.as_slice()) {
            (None, [whole]) => Ok(whole.generation.clone()),
            (Some(upload), []) => {
                data.complete(&upload.generation, &upload.id, &upload.parts).await?;
                Ok(upload.generation.clone())
            }
            _ => Err(StoreError::corrupt("an upload's state", "it was not finished")),
        }
    }

    /// Drops what this state has and `base`, from which it went on, has not: the state was never put on record.
    ///
    /// # Errors
    /// When the store fails; what is left is found by [`sweep`].
    pub async fn discard(&self, data: &dyn Data, base: Option<&Self>) -> StoreResult<()> {
        let is_in_base = |piece: &Piece| base.is_some_and(|base| base.pieces.contains(piece));
        for piece in self.pieces.iter().filter(|piece| !is_in_base(piece)) {
            data.delete(&piece.generation).await?;
        }
        let base_upload = base.and_then(|base| base.upload.as_ref()).map(|upload| &upload.id);
        match &self.upload {
            Some(upload) if Some(&upload.id) != base_upload => data.abort(&upload.generation, &upload.id).await,
            _ => Ok(()),
        }
    }

    /// Bytes in parts.
    pub(super) fn sent(&self) -> u64 {
        self.upload.iter().flat_map(|upload| &upload.parts).map(|part| part.size).sum()
    }

    /// Bytes in pieces.
    pub(super) fn pieces_len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.size).sum()
    }

    pub(super) fn next_number(&self) -> u32 {
        self.upload.as_ref().and_then(|upload| upload.parts.last()).map_or(1, |last| last.number + 1)
    }

    /// Adds a part that has arrived. Where parts are written in place they are one, however many there were.
    pub(super) fn add_part(&mut self, part: Part, in_place: bool) {
        let Some(upload) = &mut self.upload else { return };
        match upload.parts.last_mut() {
            Some(last) if in_place => {
                last.size += part.size;
                last.number = part.number;
            }
            _ => upload.parts.push(part),
        }
    }
}

/// How many generations are listed at once.
const PAGE: usize = 500;

/// Gives up everything of a family: uploads in parts that were not completed, and data, except `keep`. Answers the bytes of the data that
/// were deleted.
///
/// # Errors
/// When the store fails; doing it again goes on.
pub async fn sweep(data: &dyn Data, family: &Family, keep: Option<&Generation>) -> StoreResult<u64> {
    for unfinished in data.unfinished(family.as_str()).await? {
        data.abort(&unfinished.generation, &unfinished.upload).await?;
    }
    let (mut freed, mut after) = (0, None);
    loop {
        let page = data.list(family.as_str(), after.as_ref(), PAGE).await?;
        for stored in page.data.iter().filter(|stored| Some(&stored.generation) != keep) {
            data.delete(&stored.generation).await?;
            freed += stored.size;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(freed),
        }
    }
}
