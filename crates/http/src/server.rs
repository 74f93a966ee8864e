//! The accept loop, the connections, and their end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_registry::Registry;

use crate::app::App;
use crate::caller::Peer;
use crate::io::Io;
use crate::middleware;
use crate::tls;

/// How the registry is served.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How clients reach the registry (`https://registry.example.org`): references in answers begin with it. Without it they begin
    /// with the path, unless a trusted proxy tells more.
    pub external_url: Option<String>,
    /// Send clients that pull blobs to the store itself, with a URL that works this long.
    pub redirect_blobs: Option<Duration>,
    /// Networks, each an address and its leading bits that count, whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// Longest pause between two pieces of a request's body.
    pub stall_timeout: Option<Duration>,
    /// Longest time in which a client takes nothing of an answer.
    pub write_timeout: Option<Duration>,
    /// Longest time that the head of a request may take, and that a connection may be idle between requests of HTTP/1.1.
    pub header_timeout: Duration,
    /// How long new connections are still taken after the signal to stop, until load balancers have seen `/readyz` change.
    pub drain_lag: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            external_url: None,
            redirect_blobs: None,
            trusted_proxies: Vec::new(),
            stall_timeout: Some(Duration::from_secs(60)),
            write_timeout: Some(Duration::from_secs(60)),
            header_timeout: Duration::from_secs(60),
            drain_lag: Duration::from_secs(1),
        }
    }
}

/// The longest wait after the system refused to accept a connection.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);
/// Flow control of HTTP/2: what one stream, and one connection, may have on its way.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// How often an HTTP/2 peer is asked whether it still lives, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Serves HTTP/1.1 and cleartext HTTP/2 on the listener until `shutdown`. Then `/readyz` says "draining" at once, the listener
/// closes after [`HttpOptions::drain_lag`], and the call returns when the last connection has had its answers. What the registry
/// does behind answers may still go on then: see [`Registry::settle`].
///
/// # Errors
/// None at present: a listener that refuses is asked again.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let lag = options.drain_lag;
    let server = Server {
        http: builder(&options),
        app: Arc::new(App::new(registry, options)),
        closing: CancellationToken::new(),
        connections: TaskTracker::new(),
    };
    let stop = async {
        shutdown.cancelled().await;
        server.app.health.drain();
        tokio::time::sleep(lag).await;
    };
    tokio::select! {
        () = server.accept(&listener) => {}
        () = stop => {}
    }
    drop(listener);
    server.closing.cancel();
    server.connections.close();
    server.connections.wait().await;
    Ok(())
}

fn builder(options: &HttpOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(options.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}

struct Server {
    http: Builder<TokioExecutor>,
    app: Arc<App>,
    /// Connections that are idle end; the others end with the answer they are at.
    closing: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        let mut backoff = Duration::ZERO;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    backoff = Duration::ZERO;
                    self.connections.spawn(self.connection(stream, peer.ip()));
                }
                Err(error) if is_of_one_connection(&error) => tracing::debug!(%error, "a connection ended at once"),
                Err(error) => {
                    // Most often no file descriptor is left: connections have to end first.
                    backoff = (backoff * 2).clamp(Duration::from_millis(10), ACCEPT_BACKOFF);
                    tracing::warn!(%error, "no connection can be accepted for {backoff:?}");
                    tokio::time::sleep(backoff).await;
                }
            }
        }
    }

    fn connection(&self, stream: TcpStream, peer: IpAddr) -> impl Future<Output = ()> + Send + use<> {
        let (app, http, closing) = (self.app.clone(), self.http.clone(), self.closing.clone());
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection without TCP_NODELAY");
            }
            let io = match open(stream, &app.options, &closing).await {
                Ok(Some(io)) => io,
                Ok(None) => return,
                Err(error) => return tracing::debug!(%peer, %error, "a connection broke off"),
            };
            let origin = Peer { address: peer, certificate: None, is_encrypted: false };
            let service = service_fn(move |request| {
                let (app, peer) = (app.clone(), origin.clone());
                async move { Ok::<_, Infallible>(middleware::answer(app, peer, request).await) }
            });
            let connection = http.serve_connection(TokioIo::new(io), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = closing.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "a connection broke off");
            }
        }
    }
}

/// Waits for the first byte. There is nothing to serve when the client speaks TLS, says nothing, or had not begun when the server ends.
async fn open(stream: TcpStream, options: &HttpOptions, closing: &CancellationToken) -> io::Result<Option<Io>> {
    let mut opening = Box::pin(tokio::time::sleep(options.header_timeout));
    let begins_tls = tokio::select! {
        biased;
        begins = tls::begins(&stream) => begins?,
        () = &mut opening => return Ok(None),
        () = closing.cancelled() => return Ok(None),
    };
    if begins_tls {
        tls::refuse(stream).await?;
        return Ok(None);
    }
    Ok(Some(Io::new(stream, opening, options.write_timeout)))
}

/// Errors that say nothing of the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
