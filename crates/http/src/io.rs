//! A connection that gives up: when a client says nothing at first, or takes nothing of an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::tls::Stream;

/// How an HTTP/2 connection begins. Until it is known whether this one does, no other timer runs.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with the deadlines that the HTTP library does not keep.
pub(crate) struct Io {
    stream: Stream,
    /// Runs until it is known which version of HTTP the client speaks.
    opening: Option<Pin<Box<Sleep>>>,
    /// How much of [`PREFACE`] came.
    matched: usize,
    /// How long a write may take no byte.
    stall: Option<Duration>,
    /// Runs while a write takes none; kept for the next time.
    writing: Option<Pin<Box<Sleep>>>,
    is_stuck: bool,
}

impl Io {
    /// Wraps a connection; `opening` runs until the first bytes must have come, `stall` is the time for a write.
    pub(crate) const fn new(stream: Stream, opening: Pin<Box<Sleep>>, stall: Option<Duration>) -> Self {
        Self { stream, opening: Some(opening), matched: 0, stall, writing: None, is_stuck: false }
    }

    fn note_read(&mut self, bytes: &[u8]) {
        if self.opening.is_none() {
            return;
        }
        let expected = &PREFACE[self.matched..];
        let is_prefix = bytes.len() < expected.len() && expected.starts_with(bytes) && !bytes.is_empty();
        if is_prefix {
            self.matched += bytes.len();
        } else {
            self.opening = None;
        }
    }

    /// A write that took something, or failed, or took nothing for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let (Poll::Pending, Some(stall)) = (&polled, self.stall) else {
            self.is_stuck &= polled.is_pending();
            return polled;
        };
        let timer = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        if !std::mem::replace(&mut self.is_stuck, true) {
            timer.as_mut().reset(Instant::now() + stall);
        }
        timer.poll_unpin(cx).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => match this.opening.as_mut().map(|timer| timer.poll_unpin(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                _ => Poll::Pending,
            },
            ready => {
                this.note_read(&buf.filled()[before..]);
                ready
            }
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.watch(cx, polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.watch(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is encrypted already waits in memory until the network takes it.
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.watch(cx, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.watch(cx, polled)
    }
}
