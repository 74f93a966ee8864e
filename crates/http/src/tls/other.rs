//! Clients that speak TLS to a port without it, and clients that do not to a port with it.
//!
//! Docker, containerd and their like try TLS first, and go on without it at once if what comes back is HTTP. A connection that only
//! closes is tried again and again before that.

use std::io;

use tokio::net::TcpStream;

use crate::farewell;

/// The content type of a record that begins a handshake (RFC 8446, 5.1). No method of HTTP begins so.
const HANDSHAKE: u8 = 0x16;
const TEXT: &str = "content-type: text/plain; charset=utf-8\r\n";
const SPEAK_PLAIN: &str =
    "this port speaks plain HTTP: use http://, or configure the client for an insecure registry\n";
const SPEAK_TLS: &str = "this port speaks HTTP over TLS: use https://\n";

/// Waits for the first byte, which stays unread, and says whether it begins a TLS handshake.
pub(crate) async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE)
}

/// Tells a client that speaks TLS, and closes.
pub(crate) async fn refuse_tls(stream: TcpStream) -> io::Result<()> {
    tracing::debug!(peer = ?stream.peer_addr().ok(), "a client speaks TLS to a port without it");
    refuse(stream, SPEAK_PLAIN).await
}

/// Tells a client that speaks plain HTTP, and closes.
pub(crate) async fn refuse_plain(stream: TcpStream) -> io::Result<()> {
    tracing::debug!(peer = ?stream.peer_addr().ok(), "a client speaks plain HTTP to a port with TLS");
    refuse(stream, SPEAK_TLS).await
}

async fn refuse(stream: TcpStream, why: &str) -> io::Result<()> {
    farewell::say(stream, "400 Bad Request", TEXT, why).await
}
