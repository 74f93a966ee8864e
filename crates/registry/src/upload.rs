//! Upload sessions: any request of a session may land on any replica.
//!
//! The session's record carries how far it is, the running digest's state and what the store has of the bytes. A chunk ends with a
//! swap of that record, so that of two racing chunks one wins and the other changed nothing.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use wharf_oci::{Algorithm, Digest, Hasher, Midstate};
use wharf_store::write::{WriteState, Writer};
use wharf_store::{Claim, Generation, StoreError, ahead};

use crate::blob::StoredBlob;
use crate::breaks::Break;
use crate::due::{self, Due};
use crate::env::Seconds;
use crate::error::{Error, Result};
use crate::key::{Id, Key};
use crate::record::{self, Cell, Swap};
use crate::registry::Repository;

/// The id of an upload session: 32 lower-case hexadecimal digits.
pub type UploadId = wharf_store::Family;

/// The state of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadStatus {
    /// Number of bytes that the session has, durably.
    pub offset: u64,
}

/// The body of an upload request, as far as the registry cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Where the client says that the chunk begins (`Content-Range`); `None` appends.
    pub start: Option<u64>,
    /// How many bytes the client announced (`Content-Length` or `Content-Range`), where it did.
    pub length: Option<u64>,
}

/// The record of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Makes each value of the record different from every other.
    pub(crate) nonce: Id,
    /// When a client last did something with it.
    pub(crate) touched: Seconds,
    pub(crate) state: SessionState,
}

/// What may be done with a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionState {
    /// It takes chunks.
    Open { offset: u64, hash: Midstate, written: Option<WriteState> },
    /// A committer is making a blob of it. Another one may take over.
    Closing { digest: Digest, committer: Id, written: WriteState },
    /// Its bytes serve as the blob.
    Done { digest: Digest, generation: Generation },
    /// Other bytes serve as the blob; its own are being dropped.
    Spent { digest: Digest },
    /// It was cancelled, or nobody came back to it. With the digest that a committer was about to make of it.
    Expired { digest: Option<Digest> },
}

impl Session {
    pub(crate) const fn new(nonce: Id, touched: Seconds, state: SessionState) -> Self {
        Self { nonce, touched, state }
    }
}

/// An open session in the hands of one request.
struct Open {
    cell: Cell<Session>,
    offset: u64,
    hash: Midstate,
    written: Option<WriteState>,
    /// Held while the request, or a write that it left behind, goes on; see [`wharf_store::Data::claim`].
    claim: Arc<Claim>,
}

/// A session that is closing, and by whom.
pub(crate) struct Closing {
    pub(crate) committer: Id,
    pub(crate) cell: Cell<Session>,
    pub(crate) written: WriteState,
}

/// A chunk that was taken in.
struct Taken {
    offset: u64,
    hasher: Hasher,
    writer: Writer,
}

impl Repository {
    /// Begins an upload session (distribution-spec, "Pushing Blobs"). `algorithm` is that of the digest that will be named at the end,
    /// where the client said so.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start_upload(&self, algorithm: Algorithm) -> Result<UploadId> {
        let core = &*self.core;
        let (upload, begun) = (core.family(), core.now());
        ahead(due::put(core, Due::upload(self.name.clone(), upload.clone()))).await?;
        let state = SessionState::Open { offset: 0, hash: algorithm.hasher().save(), written: None };
        let session = Session::new(core.id(), begun, state);
        record::create(core.records.as_ref(), &self.session_key(&upload), &session).await?;
        self.keep_due(&upload, begun).await?;
        Ok(upload)
    }

    /// How far a session is.
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] when there is no such session, or it is no longer open.
    pub async fn upload_status(&self, upload: &UploadId) -> Result<UploadStatus> {
        match self.load_session(upload).await?.value.state {
            SessionState::Open { offset, .. } => Ok(UploadStatus { offset }),
            SessionState::Closing { written, .. } => Ok(UploadStatus { offset: written.length() }),
            _ => Err(Error::UploadUnknown),
        }
    }

    /// Appends a chunk. When this answers, the bytes are durable; when it fails, the session stands where it stood.
    ///
    /// # Errors
    /// [`Error::RangeNotAligned`] when the chunk does not begin where the session stands, or another request was faster.
    pub async fn append<S, E>(&self, upload: &UploadId, chunk: Chunk, body: S) -> Result<UploadStatus>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut open = self.open(upload, chunk.start).await?;
        let hasher = open.hash.resume().map_err(|e| StoreError::corrupt(self.session_key(upload), e.to_string()))?;
        let taken = self.take(upload, &mut open, hasher, chunk, body).await?;
        let written = taken.writer.checkpoint().await?;
        let (offset, hash) = (taken.offset, taken.hasher.save());
        let state = SessionState::Open { offset, hash, written: Some(written.clone()) };
        self.swap_written(upload, &open, state, written).await?;
        Ok(UploadStatus { offset: taken.offset })
    }

    /// Appends the last chunk, which may be empty, and makes the blob of it. A session whose content has another digest stays as it
    /// was. Doing it again after a lost answer succeeds; the body is then not read.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] when the content has another digest; else as [`Repository::append`].
    pub async fn finish_upload<S, E>(
        &self,
        upload: &UploadId,
        digest: &Digest,
        chunk: Chunk,
        body: S,
    ) -> Result<StoredBlob>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut open = match self.open(upload, chunk.start).await {
            Err(e @ (Error::UploadUnknown | Error::RangeNotAligned { .. })) => {
                return self.finish_again(upload, digest).await?.ok_or(e);
            }
            open => open?,
        };
        let Some(hasher) = resume_for(&open, digest) else {
            return self.finish_by_reading(upload, digest, open, chunk, body).await;
        };
        let taken = self.take(upload, &mut open, hasher, chunk, body).await?;
        let actual = taken.hasher.finish();
        if actual != *digest {
            return Err(Error::DigestMismatch { expected: digest.clone(), actual });
        }
        let closing = async {
            let written = taken.writer.finish().await?;
            self.close(upload, digest, &open, written).await
        };
        self.commit_upload(upload, digest, closing, false).await
    }

    /// Uploads a blob in one request (distribution-spec, "Single POST").
    ///
    /// # Errors
    /// As [`Repository::finish_upload`].
    pub async fn upload_blob<S, E>(&self, digest: &Digest, length: Option<u64>, body: S) -> Result<StoredBlob>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let upload = self.start_upload(digest.algorithm()).await?;
        let finished = self.finish_upload(&upload, digest, Chunk { start: None, length }, body).await;
        if matches!(&finished, Err(e) if e.is_definite()) {
            // Nobody knows the id of this session, so that nobody comes back to it.
            if let Err(e) = self.cancel_upload(&upload).await {
                tracing::debug!(repository = %self.name, error = %e, "an upload stays for the collector");
            }
        }
        finished
    }

    /// Gives up a session (distribution-spec, "Cancel a blob upload").
    ///
    /// # Errors
    /// [`Error::UploadUnknown`] when there is none that is open.
    pub async fn cancel_upload(&self, upload: &UploadId) -> Result<()> {
        let cell = self.load_session(upload).await?;
        if !matches!(cell.value.state, SessionState::Open { .. }) {
            return Err(Error::UploadUnknown);
        }
        match self.swap_session(upload, &cell, SessionState::Expired { digest: None }).await? {
            Some(_) => self.sweep_behind(upload.clone()),
            None => return Err(self.where_it_stands(upload).await),
        }
        Ok(())
    }

    /// Behind the answer: drops everything that a session without a future wrote.
    pub(crate) fn sweep_behind(&self, upload: UploadId) {
        let this = self.clone();
        self.core.tasks.spawn(async move {
            if let Err(e) = wharf_store::write::sweep(this.core.data.as_ref(), &upload, None).await {
                tracing::debug!(repository = %this.name, error = %e, "an upload's bytes stay for the collector");
            }
        });
    }

    pub(crate) fn session_key(&self, upload: &UploadId) -> Key {
        Key::Upload(self.name.clone(), upload.clone())
    }

    pub(crate) async fn load_session(&self, upload: &UploadId) -> Result<Cell<Session>> {
        let cell = record::load(self.core.records.as_ref(), &self.session_key(upload)).await?;
        cell.ok_or(Error::UploadUnknown)
    }

    /// Puts the due entry of a session once more, if so much time has passed since it was `touched` that a collector may have taken the
    /// first one off before the session's record was there.
    async fn keep_due(&self, upload: &UploadId, touched: Seconds) -> Result<()> {
        if self.core.now() >= touched + self.core.grace().as_secs() / 2 {
            due::put(&self.core, Due::upload(self.name.clone(), upload.clone())).await?;
        }
        Ok(())
    }

    /// Takes an open session into the hands of this request, if it stands at `start`.
    async fn open(&self, upload: &UploadId, start: Option<u64>) -> Result<Open> {
        let claim = match self.core.data.claim(upload) {
            Err(StoreError::Busy { .. }) => {
                return Err(self.where_it_stands(upload).await);
            }
            claim => claim?,
        };
        let cell = self.load_session(upload).await?;
        let SessionState::Open { offset, hash, written } = cell.value.state.clone() else {
            return Err(Error::UploadUnknown);
        };
        if start.is_some_and(|start| start != offset) {
            return Err(Error::RangeNotAligned { offset });
        }
        self.keep_due(upload, cell.value.touched).await?;
        Ok(Open { cell, offset, hash, written, claim: Arc::new(claim) })
    }

    /// Takes a body in: hashed and written as it comes.
    async fn take<S, E>(
        &self,
        upload: &UploadId,
        open: &mut Open,
        mut hasher: Hasher,
        chunk: Chunk,
        mut body: S,
    ) -> Result<Taken>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let core = &self.core;
        let env = core.env.clone();
        let random = move || env.random() as u64;
        let mut writer =
            Writer::new(core.data.clone(), core.budget.clone(), upload.clone(), open.written.clone(), random)
                .holding(open.claim.clone());
        let mut received = 0u64;
        let mut beat = Instant::now();
        while let Some(frame) = body.next().await {
            let frame = frame.map_err(|e| Error::Body(e.into()))?;
            received += frame.len() as u64;
            if let Some(announced) = chunk.length.filter(|announced| received > *announced) {
                return Err(Error::SizeInvalid { announced, received });
            }
            hasher.update(&frame);
            writer.push(frame).await?;
            if beat.elapsed() > core.grace() / 4 {
                self.touch(upload, open).await?;
                beat = Instant::now();
            }
        }
        if let Some(announced) = chunk.length.filter(|announced| received != *announced) {
            return Err(Error::SizeInvalid { announced, received });
        }
        Ok(Taken { offset: open.offset + received, hasher, writer })
    }

    /// Keeps a session from expiring while a long chunk comes in, and learns early when another request was faster.
    async fn touch(&self, upload: &UploadId, open: &mut Open) -> Result<()> {
        match self.swap_session(upload, &open.cell, open.cell.value.state.clone()).await? {
            Some(cell) => {
                open.cell = cell;
                Ok(())
            }
            None => Err(self.where_it_stands(upload).await),
        }
    }

    /// Swaps an open session to closing, under a fresh committer id.
    async fn close(&self, upload: &UploadId, digest: &Digest, open: &Open, written: WriteState) -> Result<Closing> {
        let committer = self.core.id();
        let state = SessionState::Closing { digest: digest.clone(), committer, written: written.clone() };
        let cell = ahead(self.swap_written(upload, open, state, written.clone())).await?;
        Ok(Closing { committer, cell, written })
    }

    /// Swaps an open session to a state that names what was `written`; when another request was faster, that is dropped.
    async fn swap_written(
        &self,
        upload: &UploadId,
        open: &Open,
        state: SessionState,
        written: WriteState,
    ) -> Result<Cell<Session>> {
        if let Some(cell) = self.swap_session(upload, &open.cell, state).await? {
            return Ok(cell);
        }
        let current = self.load_session(upload).await?.value.state;
        self.discard_behind(open, written, &current);
        Err(self.where_it_stands(upload).await)
    }

    /// Behind the answer: drops what a chunk wrote that lost its swap. The swap may have been in place for a moment before another
    /// request went on from it, so that what the session names now is kept.
    fn discard_behind(&self, open: &Open, written: WriteState, current: &SessionState) {
        let current = match current {
            SessionState::Open { written, .. } => written.clone(),
            SessionState::Closing { written, .. } => Some(written.clone()),
            SessionState::Spent { .. } | SessionState::Expired { .. } => None,
            // These may be the very bytes that serve; the sweep of the session knows.
            SessionState::Done { .. } => return,
        };
        let others: Vec<WriteState> = open.written.iter().cloned().chain(current).collect();
        let data = self.core.data.clone();
        self.core.tasks.spawn(async move {
            if let Err(e) = written.discard(data.as_ref(), &others).await {
                tracing::debug!(error = %e, "a lost chunk's bytes stay for the collector");
            }
        });
    }

    /// The error of a request that another one overtook.
    async fn where_it_stands(&self, upload: &UploadId) -> Error {
        match self.upload_status(upload).await {
            Ok(UploadStatus { offset }) => Error::RangeNotAligned { offset },
            Err(e) => e,
        }
    }

    /// Swaps a session. `None` when it was changed meanwhile.
    pub(crate) async fn swap_session(
        &self,
        upload: &UploadId,
        known: &Cell<Session>,
        state: SessionState,
    ) -> Result<Option<Cell<Session>>> {
        let core = &*self.core;
        let session = Session::new(core.id(), core.now(), state);
        if core.broken(Break::SessionUnconditional) {
            let etag = record::create(core.records.as_ref(), &self.session_key(upload), &session).await?;
            return Ok(Some(Cell { value: session, etag }));
        }
        let swap = record::swap(core.records.as_ref(), &self.session_key(upload), Some(&known.etag), &session).await?;
        Ok(match swap {
            Swap::Done(etag) => Some(Cell { value: session, etag }),
            Swap::Lost => None,
        })
    }

    /// Ends a session that another request is ending, or has ended. `None` when it is open.
    async fn finish_again(&self, upload: &UploadId, digest: &Digest) -> Result<Option<StoredBlob>> {
        let cell = self.load_session(upload).await?;
        match cell.value.state {
            SessionState::Open { .. } => Ok(None),
            SessionState::Closing { digest: ref theirs, ref written, .. } if theirs == digest => {
                let written = written.clone();
                self.take_over(upload, digest, cell, written).await.map(Some)
            }
            SessionState::Done { digest: theirs, .. } | SessionState::Spent { digest: theirs } if theirs == *digest => {
                self.blob(digest).await.map(Some).map_err(|_| Error::UploadUnknown)
            }
            _ => Err(Error::UploadUnknown),
        }
    }

    /// Goes on with a commit that another request began and whose answer never came.
    async fn take_over(
        &self,
        upload: &UploadId,
        digest: &Digest,
        cell: Cell<Session>,
        written: WriteState,
    ) -> Result<StoredBlob> {
        let committer = self.core.id();
        let state = SessionState::Closing { digest: digest.clone(), committer, written: written.clone() };
        let closing = async {
            match self.swap_session(upload, &cell, state).await? {
                Some(cell) => Ok(Closing { committer, cell, written }),
                None => Err(Error::Contended(format!("the upload {upload}"))),
            }
        };
        self.commit_upload(upload, digest, closing, true).await
    }

    /// Finishes a session whose running hash is of another algorithm than the digest: its bytes have to be read once more. A client
    /// avoids that by naming `digest-algorithm` when it begins.
    async fn finish_by_reading<S, E>(
        &self,
        upload: &UploadId,
        digest: &Digest,
        mut open: Open,
        chunk: Chunk,
        body: S,
    ) -> Result<StoredBlob>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let ignored = open.hash.resume().map_err(|e| StoreError::corrupt(self.session_key(upload), e.to_string()))?;
        let taken = self.take(upload, &mut open, ignored, chunk, body).await?;
        let written = taken.writer.finish().await?;
        let closing = self.close(upload, digest, &open, written).await?;
        let generation = closing.written.complete(self.core.data.as_ref()).await?;
        let mut hasher = digest.algorithm().hasher();
        let mut stream = self.core.data.read(&generation, 0..closing.written.length()).await?;
        while let Some(frame) = stream.try_next().await? {
            hasher.update(&frame);
        }
        let actual = hasher.finish();
        if actual != *digest {
            let expired = SessionState::Expired { digest: None };
            if self.swap_session(upload, &closing.cell, expired).await?.is_some() {
                self.sweep_behind(upload.clone());
            }
            return Err(Error::DigestMismatch { expected: digest.clone(), actual });
        }
        self.commit_upload(upload, digest, std::future::ready(Ok(closing)), false).await
    }
}

/// The running hash, if it is of the digest's algorithm. Before the first byte, any is.
fn resume_for(open: &Open, digest: &Digest) -> Option<Hasher> {
    if open.offset == 0 {
        return Some(digest.algorithm().hasher());
    }
    open.hash.resume().ok().filter(|hasher| hasher.algorithm() == digest.algorithm())
}
