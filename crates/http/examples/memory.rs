//! A registry that forgets everything when it ends: `cargo run -p wharf-http --example memory -- 127.0.0.1:5000`.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wharf_http::{HttpOptions, serve};
use wharf_registry::{Options, Registry};
use wharf_store::MemoryStore;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let store = Arc::new(MemoryStore::default());
    let registry = Registry::new(store.clone(), store, Options::default());
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    serve(listener, registry, HttpOptions::default(), CancellationToken::new()).await
}
