//! A proxy that makes a store worse: it answers a share of the requests itself, as S3 does when it is asked too much, or it takes
//! the conditions off writes, as gateways do that do not know them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SLOW_DOWN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code><Message>Please reduce \
                         your request rate.</Message></Error>";
/// The longest head of a request.
const HEAD: usize = 64 << 10;

/// Sits between replicas and their store. Ends on drop.
#[derive(Debug)]
pub struct Throttle {
    address: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Of a hundred requests so many are refused.
    percent: AtomicU64,
    is_careless: AtomicBool,
    seen: AtomicU64,
    refused: AtomicU64,
}

impl State {
    /// Whether the next request is refused.
    fn refuses(&self) -> bool {
        let number = self.seen.fetch_add(1, Ordering::Relaxed);
        let refuses = crate::content::mix(number) % 100 < self.percent.load(Ordering::Relaxed);
        self.refused.fetch_add(u64::from(refuses), Ordering::Relaxed);
        refuses
    }
}

impl Throttle {
    /// Listens on a port of its own and passes everything on to `target` until it is told otherwise.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("proxy: {error}"));
        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let state = Arc::new(State::default());
        let task = tokio::spawn(accept(listener, target.to_owned(), state.clone()));
        Self { address, state, task }
    }

    /// Its own `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Refuses so many of a hundred requests.
    pub fn refuse(&self, percent: u64) {
        self.state.percent.store(percent, Ordering::Relaxed);
    }

    /// From now on, writes lose their conditions. The store must not look at signatures, for they cover the conditions.
    pub fn forget_conditions(&self) {
        self.state.is_careless.store(true, Ordering::Relaxed);
    }

    /// How many requests were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: String, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let (target, state) = (target.clone(), state.clone());
        // A connection that breaks is the replica's affair.
        tokio::spawn(async move { serve(client, &target, &state).await });
    }
}

/// One request a connection, so that no answer has to be understood.
async fn serve(mut client: TcpStream, target: &str, state: &State) -> io::Result<()> {
    let (head, body) = read_head(&mut client).await?;
    if state.refuses() {
        let rest = content_length(&head).saturating_sub(body.len() as u64);
        copy(&mut (&mut client).take(rest), &mut sink()).await?;
        let length = SLOW_DOWN.len();
        let answer = format!(
            "HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: \
             close\r\n\r\n{SLOW_DOWN}"
        );
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(target).await?;
    let is_careless = state.is_careless.load(Ordering::Relaxed) && head.starts_with(b"PUT ");
    server.write_all(closing(&head, is_careless).as_bytes()).await?;
    server.write_all(&body).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// The head of a request with the empty line, and what came of its body.
async fn read_head(client: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Ok((bytes, body));
        }
        if bytes.len() > HEAD || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

fn content_length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// The head, asking the server to close the connection after its answer; without its conditions where the store is careless.
fn closing(head: &[u8], is_careless: bool) -> String {
    let head = String::from_utf8_lossy(head);
    let is_condition = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("if-match:") || line.starts_with("if-none-match:")
    };
    let lines = head.trim_end().split("\r\n").filter(|line| !(is_careless && is_condition(line)));
    lines.chain(["connection: close", "", ""]).collect::<Vec<_>>().join("\r\n")
}
