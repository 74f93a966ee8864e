//! Clients that speak TLS to a port that does not.
//!
//! Docker, containerd and their like try TLS first, and go on without it at once if what comes back is HTTP. A connection that only
//! closes is tried again and again before that.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The content type of a record that begins a handshake (RFC 8446, 5.1). No method of HTTP begins so.
const HANDSHAKE: u8 = 0x16;
/// How long the client may take to hang up.
const LONGEST: Duration = Duration::from_secs(1);
/// What of its handshake is read meanwhile: closing with bytes unread makes the kernel reset the connection, and the answer with it.
const MOST_BYTES: u64 = 64 << 10;

const ANSWER: &str = "HTTP/1.0 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    connection: close\r\n\
    \r\n\
    this port speaks plain HTTP: use http://, or configure the client for an insecure registry\n";

/// Waits for the first byte, which stays unread, and says whether it begins a TLS handshake.
pub(crate) async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE)
}

/// Tells the client, and closes.
pub(crate) async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    tracing::debug!(peer = ?stream.peer_addr().ok(), "a client speaks TLS to a port without it");
    let told = async {
        stream.write_all(ANSWER.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(MOST_BYTES), &mut tokio::io::sink()).await
    };
    tokio::time::timeout(LONGEST, told).await??;
    Ok(())
}
