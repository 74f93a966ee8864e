//! HTTP over a Unix socket: how the commands of a machine reach the process that serves there.
//!
//! A request is a POST of a small body to a path; the answer is a stream of lines that ends when the work does. Whoever may open
//! the socket's file may ask.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// The largest body of a request. A walk that goes on names what it suspects.
const MOST_ASKED: usize = 8 << 20;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after the system refused to accept a connection.
const BACKOFF: Duration = Duration::from_millis(200);

/// The answer to a request: pieces of text, as they come.
pub type Pieces = BoxStream<'static, Bytes>;
type Streamed = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// What answers on a socket.
pub trait Local: Send + Sync + 'static {
    /// Begins to answer; `None` where nothing is at the path. Dropping the answer ends the work.
    fn ask(&self, path: &str, body: &[u8]) -> Option<Pieces>;
}

/// Answers on the socket until `stop`. Answers that are under way then break off.
pub async fn serve_local(listener: UnixListener, local: Arc<dyn Local>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, local.clone());
                let stop = stop.clone();
                tokio::spawn(async move { stop.run_until_cancelled(connection).await });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection to the control socket can be accepted");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, local: Arc<dyn Local>) {
    let service = service_fn(move |request| {
        let local = local.clone();
        async move { Ok::<_, Infallible>(answer(&*local, request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the control socket broke off");
    }
}

async fn answer(local: &dyn Local, request: Request<Incoming>) -> Response<Streamed> {
    if request.method() != Method::POST {
        return refusal(StatusCode::METHOD_NOT_ALLOWED);
    }
    let (head, body) = request.into_parts();
    let whole = tokio::time::timeout(PATIENCE, Limited::new(body, MOST_ASKED).collect()).await;
    let Ok(Ok(body)) = whole else { return refusal(StatusCode::BAD_REQUEST) };
    match local.ask(head.uri.path(), &body.to_bytes()) {
        None => refusal(StatusCode::NOT_FOUND),
        Some(pieces) => Response::new(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync()),
    }
}

fn refusal(status: StatusCode) -> Response<Streamed> {
    let mut response = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// Asks on a socket. The answer is the status and, if that is 200, the pieces as they come.
///
/// # Errors
/// Where nobody listens, or does not speak as [`serve_local`] does.
pub async fn ask_local(
    socket: &Path,
    path: &str,
    body: Bytes,
) -> io::Result<(u16, BoxStream<'static, io::Result<Bytes>>)> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let request = Request::post(path).header("host", "wharf").body(Full::new(body)).map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let pieces = futures::stream::try_unfold((sender, response.into_body()), |(sender, mut body)| async move {
        match body.frame().await.transpose().map_err(io::Error::other)? {
            None => Ok(None),
            Some(frame) => Ok(Some((frame.into_data().unwrap_or_default(), (sender, body)))),
        }
    });
    Ok((status, pieces.boxed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Local for Echo {
        fn ask(&self, path: &str, body: &[u8]) -> Option<Pieces> {
            let body = String::from_utf8_lossy(body).into_owned();
            let pieces: Vec<_> = body.split(' ').map(|word| Bytes::from(format!("{word}\n"))).collect();
            (path == "/echo").then(|| futures::stream::iter(pieces).boxed())
        }
    }

    #[tokio::test]
    async fn lines_come_through_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve_local(UnixListener::bind(&socket).unwrap(), Arc::new(Echo), stop.clone()));
        let (status, pieces) = ask_local(&socket, "/echo", "one two".into()).await.unwrap();
        let pieces: Vec<_> = pieces.map(|piece| piece.unwrap()).collect().await;
        assert_eq!((status, pieces.concat()), (200, b"one\ntwo\n".to_vec()));
        let (status, _) = ask_local(&socket, "/elsewhere", Bytes::new()).await.unwrap();
        assert_eq!(status, 404);
        let large = Bytes::from(vec![b'x'; MOST_ASKED + 1]);
        assert!(ask_local(&socket, "/echo", large).await.map_or(true, |(status, _)| status == 400));
        stop.cancel();
        served.await.unwrap();
        assert!(ask_local(&folder.path().join("none"), "/echo", Bytes::new()).await.is_err());
    }
}
