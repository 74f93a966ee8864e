//! A client that costs little: one connection of HTTP/1.1, one request at a time, and answers that are thrown away.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, LOCATION};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::blob::Pieces;
use crate::failure::{Failure, Outcome};

/// How long an answer may take, and each part of its body.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much of an error is kept.
const EXCERPT: usize = 300;

/// A connection that is kept alive, and opened again where the server has closed it.
#[derive(Debug)]
pub(crate) struct Connection {
    address: String,
    sender: Option<SendRequest<Payload>>,
}

impl Connection {
    /// Connects to `host:port`.
    pub(crate) async fn open(address: &str) -> Outcome<Self> {
        let mut connection = Self { address: address.to_owned(), sender: None };
        connection.ready().await?;
        Ok(connection)
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Payload,
    ) -> Outcome<Answer> {
        let what = format!("{method} {path}");
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.address);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(body)?;
        let exchange = async { Ok::<_, Failure>(self.ready().await?.send_request(request).await?) };
        let answer = timeout(PATIENCE, exchange).await.map_err(|_| Failure::TimedOut(what.clone()))??;
        let (parts, body) = answer.into_parts();
        Ok(Answer { what, status: parts.status, headers: parts.headers, body })
    }

    /// A connection that can take a request.
    async fn ready(&mut self) -> Outcome<&mut SendRequest<Payload>> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            // Ends with the sender; what breaks it is told to the request under way.
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().ok_or_else(|| Failure::Usage("no connection".to_owned()))
    }
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(crate) struct Answer {
    what: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
}

impl Answer {
    /// Fails unless the status is this one.
    pub(crate) async fn expect(self, status: StatusCode) -> Outcome<Self> {
        if self.status == status {
            return Ok(self);
        }
        let (request, actual) = (self.what.clone(), self.status);
        let body = self.bytes().await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).trim().to_owned();
        Err(Failure::Status { request, status: actual, expected: status, body })
    }

    /// Path and query of `Location`.
    pub(crate) fn location(&self) -> Outcome<String> {
        let text = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let text = text.ok_or_else(|| Failure::Usage(format!("{}: no Location", self.what)))?;
        // Some registries answer whole URLs.
        let path = match text.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => text,
        };
        Ok(path.to_owned())
    }

    /// Reads the body to its end and answers how long it was.
    pub(crate) async fn discard(mut self) -> Outcome<u64> {
        let mut size = 0;
        while let Some(frame) = self.frame().await? {
            size += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(size)
    }

    /// The body. For small ones.
    pub(crate) async fn bytes(mut self) -> Outcome<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(frame) = self.frame().await? {
            all.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        }
        Ok(all)
    }

    async fn frame(&mut self) -> Outcome<Option<Frame<Bytes>>> {
        match timeout(PATIENCE, self.body.frame()).await {
            Ok(frame) => Ok(frame.transpose()?),
            Err(_) => Err(Failure::TimedOut(self.what.clone())),
        }
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Payload {
    /// None.
    Empty,
    /// In one piece.
    Whole(Bytes),
    /// Piece by piece, with its length announced.
    Sized(Pieces),
    /// Piece by piece, in chunks.
    Streamed(Pieces),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let next = match this {
            Self::Empty => None,
            Self::Whole(_) => match std::mem::replace(this, Self::Empty) {
                Self::Whole(bytes) => Some(bytes),
                _ => None,
            },
            Self::Sized(pieces) | Self::Streamed(pieces) => pieces.next(),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(_) => false,
            Self::Sized(pieces) | Self::Streamed(pieces) => pieces.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Sized(pieces) => SizeHint::with_exact(pieces.left()),
            Self::Streamed(_) => SizeHint::new(),
        }
    }
}
