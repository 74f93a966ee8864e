//! The bodies of requests and of answers, both as streams.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use wharf_registry::DataStream;

use crate::limits::connections::Progress;
use crate::middleware::access_log::Record;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer. The record of the request goes with it, and is logged when the body is dropped.
#[derive(Default)]
pub(crate) struct Body {
    content: Content,
    record: Option<Box<Record>>,
}

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Full(Bytes),
    Stream {
        stream: DataStream,
        left: u64,
    },
}

/// A stream that ended before everything was sent that `Content-Length` announced.
#[derive(Debug, thiserror::Error)]
#[error("the content ended {0} bytes too early")]
struct Short(u64);

impl Body {
    /// A body that is there already.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Full(bytes.into()), record: None }
    }

    /// A body of `length` bytes that are still to come.
    pub(crate) fn stream(stream: DataStream, length: u64) -> Self {
        Self { content: Content::Stream { stream, left: length }, record: None }
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match &self.content {
            Content::Empty => 0,
            Content::Full(bytes) => bytes.len() as u64,
            Content::Stream { left, .. } => *left,
        }
    }

    /// Drops the content.
    pub(crate) fn clear(&mut self) {
        self.content = Content::Empty;
    }

    /// Takes the record of the request along.
    pub(crate) fn attach(&mut self, mut record: Box<Record>) {
        record.whole = self.length() == 0;
        self.record = Some(record);
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        match &mut self.content {
            Content::Empty => Poll::Ready(None),
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Content::Stream { left: 0, .. } => Poll::Ready(None),
            Content::Stream { stream, left } => match stream.poll_next_unpin(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(Some(Err(Short(*left).into()))),
                Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(e.into()))),
                Poll::Ready(Some(Ok(mut bytes))) => {
                    bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= bytes.len() as u64;
                    Poll::Ready(Some(Ok(bytes)))
                }
            },
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let polled = futures::ready!(this.poll_content(cx));
        let is_whole = this.length() == 0;
        if let Some(record) = &mut this.record {
            record.busy.progress().made();
            match &polled {
                Some(Ok(bytes)) => {
                    record.bytes_out += bytes.len() as u64;
                    record.whole = is_whole;
                }
                Some(Err(e)) => record.broke_off(e.as_ref()),
                None => {}
            }
        }
        Poll::Ready(polled.map(|polled| polled.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

/// The body of a request: counted, and given up when nothing comes for too long.
pub(crate) struct RequestBody {
    incoming: Incoming,
    stall: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    progress: Progress,
    /// Ready when the process is about to end.
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether a body that is cut ends, rather than breaks.
    may_end_early: bool,
    is_cut: bool,
    received: u64,
    touched: bool,
    broken: bool,
}

/// The process is about to end.
#[derive(Debug, thiserror::Error)]
#[error("the registry's process ends")]
pub(crate) struct Cut;

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing came for {0:?}")]
pub(crate) struct Stalled(Duration);

impl RequestBody {
    /// Wraps a body; `stall` is the longest pause between two pieces of it, `cut` ends it early.
    pub(crate) fn new(
        incoming: Incoming,
        stall: Option<Duration>,
        cut: &CancellationToken,
        progress: Progress,
    ) -> Self {
        Self {
            incoming,
            stall,
            timer: None,
            progress,
            cut: Box::pin(cut.clone().cancelled_owned()),
            may_end_early: false,
            is_cut: false,
            received: 0,
            touched: false,
            broken: false,
        }
    }

    /// From now on, a body that is cut seems to have ended. Whoever says this asks [`RequestBody::is_cut`] afterwards.
    pub(crate) const fn may_end_early(&mut self) {
        self.may_end_early = true;
    }

    /// Whether more was to come when the process was about to end.
    pub(crate) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Its length, where the client announced it.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Bytes that came so far.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// Whether somebody began to read it, so that a client which waits for `100 Continue` was told to go on.
    pub(crate) const fn is_touched(&self) -> bool {
        self.touched
    }

    /// Whether the client left before it had sent everything.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether everything came.
    pub(crate) fn is_over(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Stalled> {
        let Some(stall) = self.stall else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        timer.poll_unpin(cx).map(|()| Stalled(stall))
    }
}

impl Stream for RequestBody {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.touched = true;
        if !this.incoming.is_end_stream() && this.cut.poll_unpin(cx).is_ready() {
            this.is_cut = true;
            return Poll::Ready((!this.may_end_early).then(|| Err(Cut.into())));
        }
        loop {
            match Pin::new(&mut this.incoming).poll_frame(cx) {
                Poll::Pending => return this.poll_stall(cx).map(|stalled| Some(Err(stalled.into()))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(e))) => {
                    this.broken = true;
                    return Poll::Ready(Some(Err(e.into())));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let (Some(timer), Some(stall)) = (&mut this.timer, this.stall) {
                        timer.as_mut().reset(Instant::now() + stall);
                    }
                    let Ok(bytes) = frame.into_data() else { continue };
                    this.progress.made();
                    this.received += bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}
