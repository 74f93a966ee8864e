//! A TCP proxy that counts what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Sits between replicas and their store. Ends on drop.
#[derive(Debug)]
pub struct Proxy {
    address: String,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counters {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    requests: AtomicU64,
}

/// Bytes that passed since the start of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// From the replicas to the store.
    pub up: u64,
    /// From the store to the replicas.
    pub down: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Requests of HTTP/1.1: how often a replica spoke first, or after the store had answered.
    pub requests: u64,
}

impl Traffic {
    /// What passed since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            up: self.up - earlier.up,
            down: self.down - earlier.down,
            connections: self.connections - earlier.connections,
            requests: self.requests - earlier.requests,
        }
    }

    /// Bytes both ways.
    #[must_use]
    pub fn total(self) -> u64 {
        self.up + self.down
    }
}

impl Proxy {
    /// Listens on a port of its own and passes everything on to `target`.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("proxy: {error}"));
        let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(accept(listener, target.to_owned(), counters.clone()));
        Self { address, counters, task }
    }

    /// Its own `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What passed so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            up: self.counters.up.load(Ordering::Relaxed),
            down: self.counters.down.load(Ordering::Relaxed),
            connections: self.counters.connections.load(Ordering::Relaxed),
            requests: self.counters.requests.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: String, counters: Arc<Counters>) {
    while let Ok((client, _)) = listener.accept().await {
        let (target, counters) = (target.clone(), counters.clone());
        tokio::spawn(async move {
            // A client whose store cannot be reached sees its connection closed.
            let Ok(server) = TcpStream::connect(&target).await else { return };
            counters.connections.fetch_add(1, Ordering::Relaxed);
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let answered = AtomicBool::new(true);
            tokio::join!(
                pump(client_read, server_write, |bytes| {
                    counters.up.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    if answered.swap(false, Ordering::Relaxed) {
                        counters.requests.fetch_add(1, Ordering::Relaxed);
                    }
                }),
                pump(server_read, client_write, |bytes| {
                    counters.down.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    // A store that asks for the body of a request has not answered yet.
                    if !bytes.starts_with(b"HTTP/1.1 100") {
                        answered.store(true, Ordering::Relaxed);
                    }
                }),
            );
        });
    }
}

/// Passes one direction on until its end or an error, then closes it.
async fn pump<R, W>(mut from: R, mut to: W, count: impl Fn(&[u8]))
where
    R: AsyncReadExt + Unpin,
    W: AsyncWriteExt + Unpin,
{
    let mut buffer = vec![0; 256 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        count(&buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
