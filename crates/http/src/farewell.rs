//! The last words to a client whose connection is closed before a request was read.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long the client may take to hang up.
const LONGEST: Duration = Duration::from_secs(1);
/// What it sends is read meanwhile: closing with bytes unread makes the kernel reset the connection, and the answer with it.
const MOST_BYTES: u64 = 64 << 10;

/// Writes an answer, and closes.
pub(crate) async fn say(mut stream: TcpStream, status: &str, headers: &str, body: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.0 {status}\r\n{headers}connection: close\r\n\r\n{body}");
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(MOST_BYTES), &mut tokio::io::sink()).await
    };
    tokio::time::timeout(LONGEST, told).await??;
    Ok(())
}
