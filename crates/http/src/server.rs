//! The accept loop, the connections, and their end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_auth::Gate;
use wharf_registry::Registry;

use crate::app::App;
use crate::audit::AuditLog;
use crate::caller::Peer;
use crate::farewell;
use crate::io::Io;
use crate::limits::Limiter;
use crate::limits::connections::Seat;
use crate::metrics::Metrics;
use crate::middleware;
use crate::middleware::admit::MAX_HEAD;
use crate::tls::{self, Stream, Tls};

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
    /// With it, connections have to be encrypted.
    pub tls: Option<Tls>,
    /// How much is served.
    pub limits: Limiter,
    /// Where changes are noted.
    pub audit: Option<AuditLog>,
    /// Longest pause between two pieces of a request's body.
    pub stall_timeout: Option<Duration>,
    /// Longest time in which a client takes nothing of an answer.
    pub write_timeout: Option<Duration>,
    /// Longest time that the head of a request may take, and that a connection may be idle between requests of HTTP/1.1.
    pub header_timeout: Duration,
    /// Who callers are and what they may do.
    pub access: Arc<Gate>,
    /// How long new connections are still taken after the signal to stop, until load balancers have seen `/readyz` change.
    pub drain_lag: Duration,
    /// How long requests may go on after that signal: uploads that are still under way shortly before are cut short, kept as far as
    /// they came, and told to go on elsewhere.
    pub drain_limit: Duration,
    /// Who keeps figures of requests.
    pub metrics: Option<Arc<dyn Metrics>>,
    /// Where the figures are served; nowhere without it.
    pub metrics_path: Option<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            external_url: None,
            redirect_blobs: None,
            trusted_proxies: Vec::new(),
            tls: None,
            limits: Limiter::default(),
            audit: None,
            stall_timeout: Some(Duration::from_secs(60)),
            write_timeout: Some(Duration::from_secs(60)),
            header_timeout: Duration::from_secs(60),
            access: Arc::default(),
            drain_lag: Duration::from_secs(1),
            drain_limit: Duration::from_secs(25),
            metrics: None,
            metrics_path: None,
        }
    }
}

/// The longest wait after the system refused to accept a connection.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);
/// Flow control of HTTP/2: what one stream, and one connection, may have on its way.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Connections beyond the limit that are told so at once; those beyond these are only closed.
const FAREWELLS: usize = 64;
const FULL: (&str, &str, &str) = (
    "503 Service Unavailable",
    "content-type: application/json\r\nretry-after: 1\r\n",
    "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"the registry has as many connections as it may; try again\"}]}",
);
/// The longest that the registry itself may need for a request between two pieces of it; then its client is the one who waits.
const LONGEST_WORK: Duration = Duration::from_secs(120);
/// How often it is said that connections are at their limit.
const SAY_FULL: Duration = Duration::from_secs(10);
/// What uploads that are cut short have to be kept in: as long, and half of the time to drain at most.
const TIME_TO_KEEP: Duration = Duration::from_secs(5);
/// The longest that a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often an HTTP/2 peer is asked whether it still lives, and how long it may take to say so.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Serves HTTP/1.1 and HTTP/2 on the listener, encrypted if so configured, until `shutdown`. Then `/readyz` says "draining" at once, the listener
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
    let (lag, limit) = (options.drain_lag, options.drain_limit);
    let server = Server {
        http: builder(&options),
        app: Arc::new(App::new(registry, options)),
        closing: CancellationToken::new(),
        connections: TaskTracker::new(),
        farewells: Arc::new(Semaphore::new(FAREWELLS)),
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
    let cut = async {
        tokio::time::sleep(limit.saturating_sub(TIME_TO_KEEP.min(limit / 2)).saturating_sub(lag)).await;
        server.app.cut.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = server.connections.wait() => {}
        () = cut => {}
    }
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
        .keep_alive_timeout(KEEP_ALIVE)
        .max_header_list_size(MAX_HEAD);
    builder
}

struct Server {
    http: Builder<TokioExecutor>,
    app: Arc<App>,
    /// Connections that are idle end; the others end with the answer they are at.
    closing: CancellationToken,
    connections: TaskTracker,
    farewells: Arc<Semaphore>,
}

impl Server {
    async fn accept(&self, listener: &TcpListener) {
        let mut backoff = Duration::ZERO;
        let mut said: Option<Instant> = None;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    backoff = Duration::ZERO;
                    match self.app.options.limits.connections().enter(&self.closing) {
                        Some(seat) => {
                            self.connections.spawn(self.connection(stream, peer.ip(), seat));
                        }
                        None => {
                            if said.is_none_or(|said| said.elapsed() > SAY_FULL) {
                                said = Some(Instant::now());
                                tracing::warn!(
                                    "connections are turned away: http.maxConnections are open, and none is idle"
                                );
                            }
                            self.turn_away(stream);
                        }
                    }
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

    /// Tells a client that there is no room. One that speaks TLS would have to be shaken hands with first.
    fn turn_away(&self, stream: TcpStream) {
        if let (Ok(permit), None) = (self.farewells.clone().try_acquire_owned(), &self.app.options.tls) {
            self.connections.spawn(async move {
                let _permit = permit;
                let (status, headers, body) = FULL;
                // The client may have left.
                let _ = farewell::say(stream, status, headers, body).await;
            });
        }
    }

    fn connection(&self, stream: TcpStream, peer: IpAddr, seat: Seat) -> impl Future<Output = ()> + Send + use<> {
        let (app, http, closing) = (self.app.clone(), self.http.clone(), seat.leave());
        async move {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection without TCP_NODELAY");
            }
            let (io, origin) = match open(stream, peer, &app.options, &closing).await {
                Ok(Some(opened)) => opened,
                Ok(None) => return,
                Err(error) => return tracing::debug!(%peer, %error, "a connection broke off"),
            };
            let (seat, longest) = (&seat, app.options.write_timeout.map(|timeout| timeout + LONGEST_WORK));
            let service = service_fn(move |request: Request<Incoming>| {
                let is_watched = request.version() == Version::HTTP_2;
                let (app, peer, busy) = (app.clone(), origin.clone(), seat.busy(is_watched));
                async move { Ok::<_, Infallible>(middleware::answer(app, peer, busy, request).await) }
            });
            let connection = http.serve_connection(TokioIo::new(io), service);
            tokio::pin!(connection);
            let stuck = async {
                match longest {
                    Some(longest) => seat.stuck(longest).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stuck => {
                    return tracing::debug!(%peer, "a connection is closed: its client takes nothing of an answer");
                }
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

/// Waits for the first byte, and shakes hands. There is nothing to serve when the client does not speak TLS where it has to or does
/// where it cannot, says nothing, or had not begun when the server ends.
async fn open(
    stream: TcpStream,
    address: IpAddr,
    options: &HttpOptions,
    closing: &CancellationToken,
) -> io::Result<Option<(Io, Peer)>> {
    let mut opening = Box::pin(tokio::time::sleep(options.header_timeout));
    let stream = tokio::select! {
        biased;
        stream = greet(stream, options.tls.as_ref()) => stream?,
        () = &mut opening => return Ok(None),
        () = closing.cancelled() => return Ok(None),
    };
    let Some(stream) = stream else { return Ok(None) };
    let (certificate, is_encrypted) = match &stream {
        Stream::Plain(_) => (None, false),
        Stream::Encrypted(stream) => (tls::client(stream), true),
    };
    let io = Io::new(stream, opening, options.write_timeout);
    Ok(Some((io, Peer { address, certificate, is_encrypted })))
}

async fn greet(stream: TcpStream, tls: Option<&Tls>) -> io::Result<Option<Stream>> {
    match (tls::begins(&stream).await?, tls) {
        (false, None) => Ok(Some(Stream::Plain(stream))),
        (true, Some(tls)) => {
            let shaken = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await?;
            Ok(Some(Stream::Encrypted(Box::new(shaken?))))
        }
        (true, None) => tls::refuse_tls(stream).await.map(|()| None),
        (false, Some(_)) => tls::refuse_plain(stream).await.map(|()| None),
    }
}

/// Errors that say nothing of the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
