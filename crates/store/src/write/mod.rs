//! Cuts one stream of bytes into what a backend wants, and remembers in a [`WriteState`] how far it came.
//!
//! Frames are kept as they come and handed on without being copied. Where a backend has a smallest part (S3: 5 MiB), the writer holds so
//! much back that a rest never falls below it; what little a short chunk leaves is stored as a *piece*, a small object of its
//! own, until more comes. An upload that was small from the beginning is one piece, and that piece is the blob.

mod budget;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use tokio_util::task::AbortOnDropHandle;

pub use budget::Budget;
pub use state::{WriteState, sweep};

use crate::{Claim, Data, Family, Part, PartLimits, StoreError, StoreResult};
use budget::Holding;
use state::{OpenUpload, Piece};

#[cfg(test)]
mod tests;

/// How many parts of one stream are on their way to the store while the next one fills.
const IN_FLIGHT: usize = 2;
/// After so many parts their size doubles, so that a limited number of parts reaches far.
const DOUBLE_AFTER: u32 = 1000;
/// From so many pieces on, a new one takes in those before it that are not larger: a client that sends a byte at a time shall not
/// make a state of a million pieces.
const MANY_PIECES: usize = 8;

/// A part on its way, with the memory that it takes.
type Sending = AbortOnDropHandle<StoreResult<Part>>;

/// Writes one stream. Dropping it stops what it has under way and frees its memory; what it stored without naming it in a state is
/// found by [`sweep`].
pub struct Writer {
    data: Arc<dyn Data>,
    budget: Arc<Budget>,
    family: Family,
    claim: Option<Arc<Claim>>,
    random: Box<dyn FnMut() -> u64 + Send + Sync>,
    limits: PartLimits,
    state: WriteState,
    buffered: Vec<Bytes>,
    buffered_len: u64,
    held: Option<Holding>,
    sending: VecDeque<Sending>,
    next_number: u32,
    /// Where the next part begins.
    next_offset: u64,
    /// The size of the next part. It fits into what is held, once that is a whole holding.
    part_size: u64,
    /// A call failed, or was dropped before its end: what arrived is no longer known.
    is_broken: bool,
}

impl Writer {
    /// A writer that goes on from `state`, or begins. `random` gives the suffixes of generations.
    pub fn new(
        data: Arc<dyn Data>,
        budget: Arc<Budget>,
        family: Family,
        state: Option<WriteState>,
        random: impl FnMut() -> u64 + Send + Sync + 'static,
    ) -> Self {
        let limits = data.part_limits();
        let state = state.unwrap_or_default();
        let (next_number, next_offset) = (state.next_number(), state.sent());
        let part_size = part_size(limits, budget.total(), next_number);
        Self {
            data,
            budget,
            family,
            claim: None,
            random: Box::new(random),
            limits,
            state,
            buffered: Vec::new(),
            buffered_len: 0,
            held: None,
            sending: VecDeque::new(),
            next_number,
            next_offset,
            part_size,
            is_broken: false,
        }
    }

    /// Lets a claim of the family last until the last part that this writer sent has ended. A writer that is dropped stops its parts, but
    /// one that runs at that very moment goes on to its next pause: without this, it might write in place over what the next
    /// owner of the claim wrote.
    #[must_use]
    pub fn holding(mut self, claim: Arc<Claim>) -> Self {
        self.claim = Some(claim);
        self
    }

    /// Takes the next bytes. Waits while the budget is used up or the store is slower than the stream.
    ///
    /// # Errors
    /// When the store fails, or the budget stays used up. After an error, or a call that was dropped, the writer
    /// refuses everything: the stream has a hole.
    pub async fn push(&mut self, bytes: Bytes) -> StoreResult<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.check()?;
        self.is_broken = true;
        self.hold(self.buffered_len + bytes.len() as u64).await?;
        self.buffered_len += bytes.len() as u64;
        self.buffered.push(bytes);
        while self.buffered_len + self.state.pieces_len() >= self.part_size + self.limits.min {
            self.take_in_pieces(0).await?;
            if self.budget.is_wanted() {
                self.give_turn().await?;
            } else {
                let part = self.cut(self.part_size);
                self.send(part).await?;
            }
        }
        self.is_broken = false;
        Ok(())
    }

    /// Makes everything durable. More may come, through another writer in another process.
    ///
    /// # Errors
    /// When the store fails, or a push did.
    pub async fn checkpoint(mut self) -> StoreResult<WriteState> {
        self.check()?;
        self.arrive(0).await?;
        let rest = self.buffered_len;
        if rest > 0 && rest + self.state.pieces_len() < self.limits.min {
            self.merge_pieces().await?;
            self.put_piece().await?;
        } else if rest > 0 {
            self.send_rest().await?;
        }
        self.sync().await?;
        Ok(self.state)
    }

    /// Makes everything durable. Nothing more comes: [`WriteState::complete`] makes the whole of it.
    ///
    /// # Errors
    /// When the store fails, or a push did.
    pub async fn finish(mut self) -> StoreResult<WriteState> {
        self.check()?;
        self.arrive(0).await?;
        let is_whole = self.buffered_len == 0 && self.state.pieces.len() == 1;
        match &self.state.upload {
            None if is_whole => {}
            None => {
                self.take_in_pieces(0).await?;
                self.put_piece().await?;
            }
            Some(_) if self.buffered_len > 0 || !self.state.pieces.is_empty() => self.send_rest().await?,
            Some(_) => {}
        }
        self.sync().await?;
        Ok(self.state)
    }

    fn check(&self) -> StoreResult<()> {
        if self.is_broken {
            return Err(StoreError::unavailable("write", &self.family, "an earlier part of this stream failed"));
        }
        Ok(())
    }

    /// Holds memory for so many buffered bytes.
    async fn hold(&mut self, bytes: u64) -> StoreResult<()> {
        let whole = self.part_size.saturating_add(self.limits.min);
        match &self.held {
            None => self.held = Some(self.budget.begin(bytes, whole).await?),
            Some(held) if held.is_small && bytes > held.bytes => self.held = Some(self.budget.whole(whole).await?),
            Some(_) => {}
        }
        Ok(())
    }

    /// Sends what is buffered, with the pieces before it, as a part.
    async fn send_rest(&mut self) -> StoreResult<()> {
        self.take_in_pieces(0).await?;
        let rest = self.cut(self.buffered_len);
        self.send(rest).await?;
        self.arrive(0).await
    }

    async fn sync(&self) -> StoreResult<()> {
        match &self.state.upload {
            Some(upload) => self.data.sync(&upload.generation, &upload.id).await,
            None => Ok(()),
        }
    }

    /// Sends all that is buffered as one part, and gives the memory back to those that wait for it. It comes back last in their queue.
    ///
    /// Nothing is held back for the last part to be large enough: should the chunk end within the smallest part, its rest is a piece.
    async fn give_turn(&mut self) -> StoreResult<()> {
        self.send_rest().await?;
        self.held = None;
        Ok(())
    }

    /// Cuts the first bytes off the buffer.
    fn cut(&mut self, size: u64) -> Vec<Bytes> {
        let (mut part, mut missing) = (Vec::new(), size);
        let mut frames = std::mem::take(&mut self.buffered).into_iter();
        for mut frame in frames.by_ref() {
            let len = frame.len() as u64;
            if len > missing {
                #[allow(clippy::cast_possible_truncation)] // less than a frame's length
                part.push(frame.split_to(missing as usize));
                self.buffered.push(frame);
                break;
            }
            missing -= len;
            part.push(frame);
            if missing == 0 {
                break;
            }
        }
        self.buffered.extend(frames);
        self.buffered_len -= size;
        part.retain(|frame| !frame.is_empty());
        part
    }

    /// Sends a part. It goes on its way while the next one fills, if the budget has room for both at once.
    async fn send(&mut self, chunks: Vec<Bytes>) -> StoreResult<()> {
        let size: u64 = chunks.iter().map(|c| c.len() as u64).sum();
        let number = self.next_number;
        if number > self.limits.max_count {
            return Err(StoreError::refused(
                "put_part",
                &self.family,
                "the upload has more parts than the store takes",
            ));
        }
        let offset = self.next_offset;
        let upload = self.upload().await?;
        self.arrive(IN_FLIGHT - 1).await?;
        let extra = self.budget.try_more(size);
        let is_alone = extra.is_none();
        let (data, claim) = (self.data.clone(), self.claim.clone());
        let sending = tokio::spawn(async move {
            let _held = (extra, claim);
            let tag = data.put_part(&upload.generation, &upload.id, number, offset, chunks).await?;
            Ok(Part { number, size, tag })
        });
        self.sending.push_back(AbortOnDropHandle::new(sending));
        self.next_number += 1;
        self.next_offset += size;
        self.grow();
        if is_alone { self.arrive(0).await } else { Ok(()) }
    }

    /// Waits until at most `most` parts are on their way.
    async fn arrive(&mut self, most: usize) -> StoreResult<()> {
        while self.sending.len() > most {
            let Some(sending) = self.sending.pop_front() else { break };
            let part = sending.await.map_err(|e| StoreError::unavailable("put_part", &self.family, e))??;
            self.state.add_part(part, self.limits.in_place);
        }
        Ok(())
    }

    /// The upload in parts, which begins with the first part.
    async fn upload(&mut self) -> StoreResult<OpenUpload> {
        if let Some(upload) = &self.state.upload {
            return Ok(upload.clone());
        }
        let generation = self.family.other((self.random)());
        let id = self.data.start(&generation).await?;
        let upload = OpenUpload { generation, id, parts: Vec::new() };
        self.state.upload = Some(upload.clone());
        Ok(upload)
    }

    /// Stores the buffer as an object of its own.
    async fn put_piece(&mut self) -> StoreResult<()> {
        let generation = self.family.other((self.random)());
        let size = self.buffered_len;
        let chunks = self.cut(size);
        self.data.put(&generation, chunks).await?;
        self.state.pieces.push(Piece { generation, size });
        Ok(())
    }

    /// Larger parts, if there is memory for them at once.
    fn grow(&mut self) {
        let more = part_size(self.limits, self.budget.total(), self.next_number).saturating_sub(self.part_size);
        if more == 0 {
            return;
        }
        if let (Some(held), Some(extra)) =
            (self.held.as_mut().filter(|held| !held.is_small), self.budget.try_more(more))
        {
            held.merge(extra);
            self.part_size += more;
        }
    }

    /// Takes in the last pieces while they are many and not larger than what follows them.
    async fn merge_pieces(&mut self) -> StoreResult<()> {
        let (mut first, mut len) = (self.state.pieces.len(), self.buffered_len);
        while first >= MANY_PIECES && self.state.pieces[first - 1].size <= len {
            first -= 1;
            len += self.state.pieces[first].size;
        }
        self.take_in_pieces(first).await
    }

    /// Reads the pieces from the `first` on back, to become part of what is buffered.
    async fn take_in_pieces(&mut self, first: usize) -> StoreResult<()> {
        let pieces = self.state.pieces.split_off(first);
        if pieces.is_empty() {
            return Ok(());
        }
        self.hold(self.buffered_len + pieces.iter().map(|piece| piece.size).sum::<u64>()).await?;
        let mut read = Vec::new();
        for piece in pieces {
            let mut stream = self.data.read(&piece.generation, 0..piece.size).await?;
            let mut len = 0;
            while let Some(chunk) = stream.try_next().await? {
                len += chunk.len() as u64;
                read.push(chunk);
            }
            if len != piece.size {
                return Err(StoreError::corrupt(&piece.generation, format!("{len} bytes instead of {}", piece.size)));
            }
            self.buffered_len += len;
        }
        self.buffered.splice(0..0, read);
        Ok(())
    }
}

/// The size of part `number`. It doubles now and then, so that the store's largest number of parts reaches far, but stays
/// a small part of the budget, since a part is held in memory until the store has it.
fn part_size(limits: PartLimits, budget: u64, number: u32) -> u64 {
    let doublings = ((number - 1) / DOUBLE_AFTER).min(20);
    let largest = limits.target.max(budget / 4);
    if limits.in_place { limits.target } else { (limits.target << doublings).min(largest) }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("family", &self.family).field("state", &self.state).finish_non_exhaustive()
    }
}
